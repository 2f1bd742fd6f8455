/* Foreign bytes into every decoder, and any bytes through every encoder and back. */
#include "compression/compression.h"

#include <stdint.h>

#define LIMIT_BYTES 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_decoder(enum codec codec, struct bytes in)
{
    struct text out = {0};
    int error = decompress(codec, in, LIMIT_BYTES, &out);

    ASSERT(out.n <= LIMIT_BYTES);
    ASSERT(out.capacity <= LIMIT_BYTES + 1);
    ASSERT(error == 0 || out.n == 0);
    text_deinit(&out);
}

static void check_round_trip(enum codec codec, struct bytes in)
{
    struct text packed = {0}, again = {0};
    int error = compress(codec, codec_level_default(codec), in, &packed);

    ASSERT(error == 0);
    error = decompress(codec, bytes_of_str(text_str(&packed)), (size_t)in.n, &again);
    ASSERT(error == 0);
    ASSERT(again.n == (size_t)in.n);
    ASSERT(in.n == 0 || memcmp(again.p, in.p, again.n) == 0);
    text_deinit(&packed);
    text_deinit(&again);
}

/* The first byte chooses the codec and the direction. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes in;

    if (size == 0 || size > INT32_MAX)
        return 0;
    in = (struct bytes){data + 1, (int32_t)size - 1};
    if (data[0] & 0x80)
        check_round_trip((enum codec)(data[0] % CODEC_COUNT), in);
    else
        check_decoder((enum codec)(data[0] % CODEC_COUNT), in);
    return 0;
}
