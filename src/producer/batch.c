/* One batch: its bytes, its tags, and what is sent of them. */
#include "producer/accumulator.h"

void batch_tags_begin(struct producer_batch *b)
{
    uint64_t *end = batch_tags_end(b);

    b->has_tags = true;
    for (int32_t i = 0; i < b->count; i++)
        end[-1 - i] = 0;
}

struct producer_batch *batch_cut(struct producer_batch *b, struct memory *m)
{
    size_t tags = b->has_tags ? (size_t)b->count * sizeof(uint64_t) : 0;
    size_t bytes = (sizeof *b + b->n + tags + sizeof(uint64_t) - 1) / sizeof(uint64_t) * sizeof(uint64_t);

    if (bytes > b->memory_bytes - b->memory_bytes / 8)
        return b;
    memmove((uint8_t *)b + bytes - tags, (uint8_t *)batch_tags_end(b) - tags, tags);
    b = block_cut(m, b, b->memory_bytes, bytes);
    b->limit = b->n;
    b->memory_bytes = (uint32_t)bytes;
    return b;
}

/* Compress the records in their place; what does not get smaller stays as it is. */
static void pack(struct producer_batch *b, int level, struct text *scratch)
{
    struct bytes plain = {batch_bytes(b) + BATCH_HEADER_BYTES, (int32_t)(b->n - BATCH_HEADER_BYTES)};

    b->packed = true;
    b->plain_bytes = b->n;
    if (b->codec == CODEC_NONE)
        return;
    text_clear(scratch);
    if (compress(b->codec, level, plain, scratch) < 0 || scratch->n >= (size_t)plain.n) {
        b->codec = CODEC_NONE;
        return;
    }
    memcpy(batch_bytes(b) + BATCH_HEADER_BYTES, scratch->p, scratch->n);
    b->n = BATCH_HEADER_BYTES + (uint32_t)scratch->n;
}

void batch_seal(struct producer_batch *b, int level, struct text *scratch)
{
    struct batch h = {
        .leader_epoch = -1,
        .last_offset_delta = b->count - 1,
        .base_timestamp_ms = b->base_timestamp_ms,
        .max_timestamp_ms = b->max_timestamp_ms,
        .producer_id = b->fate.producer_id,
        .producer_epoch = b->fate.producer_epoch,
        .base_sequence = b->fate.base_sequence,
        .count = b->count,
    };

    if (b->sealed)
        return;
    if (!b->packed)
        pack(b, level, scratch);
    h.attributes = (uint16_t)b->codec;
    h.bytes = (struct bytes){batch_bytes(b), (int32_t)b->n};
    batch_write(&h, batch_bytes(b));
    b->sealed = true;
}
