#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

/* Where in a batch's header (drawn in record/record.h) the bytes are that change. */
#define AT_CRC 17
#define AT_CHECKED 21 /* the checksum covers what follows */
#define AT_BASE_TIMESTAMP 27
#define AT_MAX_TIMESTAMP 35

/* Of values that are to be compressed: text of so many different words, which zstd makes five times
 * smaller. */
#define WORDS 256
#define WORD_BYTES_MAX 10

/* What differs from request to request stands at the front:
 *
 *     header (two times) | lengths | key | length | stamp || rest of the value | other records
 *     <------------------------ prefix -------------------><------------- rest ------------->
 *
 * The stamp, the first 8 bytes of the first value, is the time at which the request was to leave:
 * with it a consumer knows how long the batch has taken. A compressed batch has neither stamp nor
 * key of its own; its prefix is the header.
 *
 * A new prefix changes the checksum of the whole batch. So that the client need not go through all
 * of it, the checksum is put together from its two parts:
 *
 *     crc(prefix, rest) = shift(crc(prefix)) ^ crc(rest)
 *
 * `shift` (what the bytes of the rest do to the checksum before them) is linear: the image of each
 * bit is enough. A difference of two checksums of equal bytes shows it. */
static void learn_shift(struct pattern *p)
{
    uint32_t none = crc32c(0, p->rest.p, (size_t)p->rest.n);

    for (int bit = 0; bit < 32; bit++)
        p->shift[bit] = none ^ crc32c(1u << bit, p->rest.p, (size_t)p->rest.n);
    p->rest_crc = none;
}

static void write_key(uint8_t *out, uint64_t key)
{
    static const char hex[] = "0123456789abcdef";

    for (int i = KEY_BYTES - 1; i >= 0; i--, key >>= 4)
        out[i] = (uint8_t)hex[key & 15];
}

void pattern_stamp(const struct pattern *p, int64_t now_ms, int64_t intended_ns, uint64_t key,
                   uint8_t *prefix)
{
    memcpy(prefix, p->prefix, p->prefix_bytes);
    put_u64(prefix + AT_BASE_TIMESTAMP, (uint64_t)now_ms);
    put_u64(prefix + AT_MAX_TIMESTAMP, (uint64_t)now_ms);
    if (p->key_at != 0)
        write_key(prefix + p->key_at, key);
    if (p->stamp_at != 0)
        put_u64(prefix + p->stamp_at, (uint64_t)intended_ns);
    uint32_t crc = p->rest_crc;
    uint32_t before = crc32c(0, prefix + AT_CHECKED, p->prefix_bytes - AT_CHECKED);
    for (int bit = 0; bit < 32; bit++)
        crc ^= before >> bit & 1 ? p->shift[bit] : 0;
    put_u32(prefix + AT_CRC, crc);
}

/* ---- the batch ------------------------------------------------------------------------------ */

static void fill_random(struct prng *random, uint8_t *value, size_t n)
{
    for (size_t i = 0; i < n; i += 8)
        put_u64(value + i, prng_u64(random)); /* nothing that could be compressed */
}

static void fill_words(struct prng *random, const char words[WORDS][WORD_BYTES_MAX + 1],
                       uint8_t *value, size_t n)
{
    size_t at = 0;

    while (at < n) {
        const char *word = words[prng_below(random, WORDS)];
        for (; *word != '\0' && at < n; word++)
            value[at++] = (uint8_t)*word;
        if (at < n)
            value[at++] = ' ';
    }
}

static void make_words(struct prng *random, char words[WORDS][WORD_BYTES_MAX + 1])
{
    for (int i = 0; i < WORDS; i++) {
        uint64_t n = 3 + prng_below(random, WORD_BYTES_MAX - 2);
        for (uint64_t j = 0; j < n; j++)
            words[i][j] = (char)('a' + prng_below(random, 26));
        words[i][n] = '\0';
    }
}

/* Collect records until no other fits. */
static void add_records(struct batch_builder *builder, const struct plan *plan, enum codec codec)
{
    static char words[WORDS][WORD_BYTES_MAX + 1];
    uint8_t key[KEY_BYTES] = {0};
    struct bytes no_key = BYTES_NULL, a_key = {key, KEY_BYTES};
    size_t record_bytes = (size_t)plan->record_bytes;
    int64_t now_ms = clock_wall_ms();
    uint8_t *value = malloc(record_bytes + 8);
    struct prng random;

    if (value == NULL)
        die("out of memory");
    prng_init(&random, 1);
    make_words(&random, words);
    do {
        if (codec == CODEC_NONE)
            fill_random(&random, value, record_bytes);
        else
            fill_words(&random, words, value, record_bytes);
        batch_builder_add(builder, now_ms, plan->keys > 0 ? a_key : no_key,
                          (struct bytes){value, (int32_t)record_bytes}, NULL, 0);
        /* All records take the same, but for a varint or two that grow by a byte. */
    } while (batch_builder_size(builder) + record_bytes + KEY_BYTES + 16 <=
             (size_t)plan->batch_bytes);
    free(value);
}

/* Where key and stamp of the first record are. */
static void find_stamp(struct pattern *p, struct bytes whole)
{
    struct records records = {0};
    struct record first;
    struct batch batch;

    if (batch_read(whole, &batch, NULL) < 0 ||
        records_begin(&records, &batch, (size_t)whole.n) < 0 || records_next(&records, &first) != 1)
        die("the batch that was built cannot be read");
    if (first.key.n > 0)
        p->key_at = (uint32_t)(first.key.p - whole.p);
    p->stamp_at = (uint32_t)(first.value.p - whole.p);
    p->prefix_bytes = p->stamp_at + STAMP_BYTES;
    records_end(&records);
}

void pattern_init(struct pattern *p, const struct plan *plan)
{
    struct batch_builder builder;
    struct text out = {0};
    enum codec codec;

    if (codec_find(str_of(plan->codec), &codec) < 0)
        die("--codec %s: none, gzip, snappy, lz4 or zstd is needed", plan->codec);
    batch_builder_init(&builder);
    add_records(&builder, plan, codec);
    p->count = builder.count;
    p->plain_bytes = (int32_t)batch_builder_size(&builder);
    builder.attributes = codec;
    builder.level = codec_level_default(codec);
    if (batch_builder_finish(&builder, &out) < 0)
        die("a batch of %d records of %" PRId64 " bytes cannot be made", p->count,
            plan->record_bytes);
    batch_builder_deinit(&builder);

    p->bytes = (int32_t)out.n;
    p->prefix_bytes = BATCH_HEADER_BYTES;
    if (codec == CODEC_NONE)
        find_stamp(p, (struct bytes){(const uint8_t *)out.p, p->bytes});
    ASSERT(p->prefix_bytes <= PREFIX_BYTES_MAX);
    memcpy(p->prefix, out.p, p->prefix_bytes);
    p->rest = (struct bytes){(const uint8_t *)out.p + p->prefix_bytes,
                             p->bytes - (int32_t)p->prefix_bytes};
    learn_shift(p); /* `out` is kept: the rest is sent from there until the end */
}
