/* zstd frames (RFC 8878), one behind the other (KIP-110).
 *
 * Decompression goes straight into the output, in one call, and begins anew with more room when it
 * was too little. So no window is ever allocated: a frame of a few bytes may ask for 128 MB of it,
 * and clients at high levels do so for small batches too.
 */
#include "compression/codecs.h"

#include <zstd.h>
#include <zstd_errors.h>

/* First guess of a frame's size when it does not tell: JSON and text shrink to about a quarter. */
#define EXPANSION_GUESS 4
/* Where doubling begins: the first frame may be empty, and others follow. */
#define ROOM_BYTES_MIN 4096

/* What to make room for at first. ERR_LIMIT when the frame says that it is too large. */
static int first_room(struct bytes in, struct output *o)
{
    unsigned long long size = ZSTD_getFrameContentSize(in.p, (size_t)in.n);
    size_t guess = (size_t)in.n * EXPANSION_GUESS;

    if (size == ZSTD_CONTENTSIZE_ERROR)
        return ERR_CORRUPT;
    if (size != ZSTD_CONTENTSIZE_UNKNOWN) {
        if (size > o->limit_bytes)
            return ERR_LIMIT;
        /* A few bytes may claim anything: believe a large size only as far as it is likely. */
        if (size <= guess)
            guess = (size_t)size;
    }
    return output_reserve(o, guess < o->limit_bytes ? guess : o->limit_bytes);
}

static int decompress_once(ZSTD_DCtx *d, struct bytes in, struct output *o, bool *too_small)
{
    size_t n = ZSTD_decompressDCtx(d, output_at(o), output_room(o), in.p, (size_t)in.n);
    ZSTD_ErrorCode error = ZSTD_getErrorCode(n);

    *too_small = error == ZSTD_error_dstSize_tooSmall;
    if (*too_small)
        return 0;
    if (error == ZSTD_error_memory_allocation)
        return -ENOMEM;
    if (ZSTD_isError(n))
        return ERR_CORRUPT;
    return output_add(o, n);
}

/* More room than there was, where nothing has been produced yet. */
static int more_room(struct output *o)
{
    size_t room = output_room(o);

    if (room > o->limit_bytes)
        return ERR_LIMIT; /* the byte too many was not enough either */
    room = room < ROOM_BYTES_MIN ? ROOM_BYTES_MIN : room * 2;
    return output_reserve(o, room < o->limit_bytes ? room : o->limit_bytes);
}

int zstd_decompress(struct bytes in, struct output *o)
{
    ZSTD_DCtx *d;
    bool too_small = false;
    int error = first_room(in, o);

    if (error < 0)
        return error;
    d = ZSTD_createDCtx();
    if (d == NULL)
        return -ENOMEM;
    error = decompress_once(d, in, o, &too_small);
    while (error == 0 && too_small) {
        error = more_room(o);
        if (error == 0)
            error = decompress_once(d, in, o, &too_small);
    }
    ZSTD_freeDCtx(d);
    return error;
}

int zstd_compress(struct bytes in, int level, struct output *o)
{
    size_t bound = ZSTD_compressBound((size_t)in.n);
    size_t n;

    TRY(output_reserve(o, bound));
    n = ZSTD_compress(output_at(o), bound, in.p, (size_t)in.n, level);
    if (ZSTD_isError(n)) {
        ASSERT(ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation);
        return -ENOMEM;
    }
    return output_add(o, n);
}
