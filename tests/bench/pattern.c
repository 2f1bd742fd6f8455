#include "bench.h"

#include <stdlib.h>

/* Where in a batch's header (drawn in record/record.h) the bytes are that change. */
#define AT_CRC 17
#define AT_CHECKED 21 /* the checksum covers what follows */
#define AT_BASE_TIMESTAMP 27
#define AT_MAX_TIMESTAMP 35

/* A new time changes 16 bytes of the header, and with them the checksum of the whole batch. So that
 * the client need not go through all of it, the checksum is put together from its two parts:
 *
 *     crc(header, records) = shift(crc(header)) ^ crc(records)
 *
 * `shift` (what the bytes of the records do to the checksum before them) is linear: the image of
 * each bit is enough. A difference of two checksums of equal bytes shows it. */
static void pattern_learn_shift(struct pattern *p)
{
    uint32_t none = crc32c(0, p->records.p, (size_t)p->records.n);

    for (int bit = 0; bit < 32; bit++)
        p->shift[bit] = none ^ crc32c(1u << bit, p->records.p, (size_t)p->records.n);
    p->records_crc = none;
}

void pattern_stamp(const struct pattern *p, int64_t now_ms, uint8_t header[BATCH_HEADER_BYTES])
{
    memcpy(header, p->header, BATCH_HEADER_BYTES);
    put_u64(header + AT_BASE_TIMESTAMP, (uint64_t)now_ms);
    put_u64(header + AT_MAX_TIMESTAMP, (uint64_t)now_ms);
    uint32_t crc = p->records_crc;
    uint32_t before = crc32c(0, header + AT_CHECKED, BATCH_HEADER_BYTES - AT_CHECKED);
    for (int bit = 0; bit < 32; bit++)
        crc ^= before >> bit & 1 ? p->shift[bit] : 0;
    put_u32(header + AT_CRC, crc);
}

void pattern_init(struct pattern *p, const struct plan *plan)
{
    struct batch_builder builder;
    struct text out = {0};
    struct prng random;
    size_t record_bytes = (size_t)plan->record_bytes;
    int64_t now_ms = clock_wall_ms();
    uint8_t *value = malloc(record_bytes + 8);

    if (value == NULL)
        die("out of memory");
    prng_init(&random, 1);
    batch_builder_init(&builder);
    do {
        for (size_t i = 0; i < record_bytes; i += 8)
            put_u64(value + i, prng_u64(&random)); /* nothing that a disk could compress */
        batch_builder_add(&builder, now_ms, BYTES_NULL,
                          (struct bytes){value, (int32_t)plan->record_bytes}, NULL, 0);
        /* All records take the same, but for a varint or two that grow by a byte. */
    } while (batch_builder_size(&builder) + record_bytes + 16 <= (size_t)plan->batch_bytes);
    p->count = builder.count;
    if (batch_builder_finish(&builder, &out) < 0)
        die("a batch of %d records of %" PRId64 " bytes cannot be made", p->count,
            plan->record_bytes);
    batch_builder_deinit(&builder);
    free(value);

    p->bytes = (int32_t)out.n;
    memcpy(p->header, out.p, BATCH_HEADER_BYTES);
    p->records =
        (struct bytes){(const uint8_t *)out.p + BATCH_HEADER_BYTES, p->bytes - BATCH_HEADER_BYTES};
    pattern_learn_shift(p); /* `out` is kept: the records are sent from there until the end */
}
