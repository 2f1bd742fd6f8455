/* gzip members (RFC 1952), one behind the other. */
#include "compression/codecs.h"

#define ZLIB_CONST /* zlib then takes its input as const */
#include <zlib.h>

/* 15 = the largest window, + 16 = gzip's header and trailer around it */
#define GZIP_WINDOW (MAX_WBITS + 16)
#define GZIP_MEMORY_LEVEL 8 /* zlib's default */

static int error_of_zlib(int rc)
{
    return rc == Z_MEM_ERROR ? -ENOMEM : ERR_CORRUPT;
}

/* Inflate into the room that there is. 1 = the last member has ended. */
static int inflate_some(z_stream *z, struct output *o)
{
    size_t room = output_room(o);
    int rc;

    z->next_out = output_at(o);
    z->avail_out = (uInt)room;
    rc = inflate(z, Z_NO_FLUSH);
    if (rc != Z_OK && rc != Z_STREAM_END)
        return error_of_zlib(rc); /* Z_BUF_ERROR: the input ends too early */
    TRY(output_add(o, room - z->avail_out));
    if (rc == Z_OK)
        return 0;
    if (z->avail_in == 0)
        return 1;
    rc = inflateReset(z); /* another member follows */
    return rc == Z_OK ? 0 : error_of_zlib(rc);
}

int gzip_decompress(struct bytes in, struct output *o)
{
    z_stream z = {.next_in = in.p, .avail_in = (uInt)in.n};
    int rc = inflateInit2(&z, GZIP_WINDOW);

    if (rc != Z_OK)
        return error_of_zlib(rc);
    rc = 0;
    while (rc == 0) {
        if (output_room(o) == 0)
            rc = output_grow(o);
        if (rc == 0)
            rc = inflate_some(&z, o);
    }
    inflateEnd(&z);
    return rc < 0 ? rc : 0;
}

int gzip_compress(struct bytes in, int level, struct output *o)
{
    z_stream z = {.next_in = in.p, .avail_in = (uInt)in.n};
    int rc =
        deflateInit2(&z, level, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY_LEVEL, Z_DEFAULT_STRATEGY);
    size_t bound;
    int error;

    if (rc != Z_OK)
        return error_of_zlib(rc);
    bound = deflateBound(&z, (uLong)in.n);
    error = output_reserve(o, bound);
    if (error == 0) {
        z.next_out = output_at(o);
        z.avail_out = (uInt)bound;
        rc = deflate(&z, Z_FINISH);
        ASSERT(rc == Z_STREAM_END); /* it fits: deflateBound said so */
        error = output_add(o, bound - z.avail_out);
    }
    deflateEnd(&z);
    return error;
}
