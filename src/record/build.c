#include "record/record.h"
#include "record/layout.h"

static uint32_t size_varint(int32_t v)
{
    return uvarint_size_32(zigzag_32(v));
}

static uint8_t *put_varint(uint8_t *p, int32_t v)
{
    return put_uvarint(p, zigzag_32(v));
}

static size_t size_nullable(struct bytes b)
{
    return b.n < 0 ? size_varint(-1) : size_varint(b.n) + (size_t)b.n;
}

static void add_varint(struct text *t, int32_t v)
{
    uint8_t buffer[5];

    text_add(t, buffer, (size_t)(put_varint(buffer, v) - buffer));
}

static void add_nullable(struct text *t, struct bytes b)
{
    add_varint(t, b.n < 0 ? -1 : b.n);
    if (b.n > 0)
        text_add(t, b.p, (size_t)b.n);
}

void batch_builder_init(struct batch_builder *b)
{
    *b = (struct batch_builder){
        .base_timestamp_ms = NO_TIMESTAMP,
        .max_timestamp_ms = NO_TIMESTAMP,
        .producer_id = -1,
        .producer_epoch = -1,
        .base_sequence = -1,
        .leader_epoch = -1,
        .last_offset_delta = -1,
    };
}

void batch_builder_deinit(struct batch_builder *b)
{
    text_deinit(&b->records);
    batch_builder_init(b);
}

/* Begin a record: everything but its headers. */
static void record_begin(struct batch_builder *b, int32_t offset_delta, int64_t timestamp_ms,
                         struct bytes key, struct bytes value, size_t headers_bytes,
                         int32_t header_count)
{
    uint8_t front[RECORD_OVERHEAD_MAX], *p = front;
    uint64_t timestamp_delta;
    size_t body;

    ASSERT(offset_delta > b->last_offset_delta);
    if (b->count == 0 && (b->attributes & BATCH_DELETE_HORIZON) == 0)
        b->base_timestamp_ms = timestamp_ms;
    if (timestamp_ms > b->max_timestamp_ms)
        b->max_timestamp_ms = timestamp_ms;
    b->last_offset_delta = offset_delta;
    b->count++;

    timestamp_delta = zigzag_64((int64_t)((uint64_t)timestamp_ms - (uint64_t)b->base_timestamp_ms));
    body = 1 + uvarint_size_64(timestamp_delta) + size_varint(offset_delta) + size_nullable(key) +
           size_nullable(value) + size_varint(header_count) + headers_bytes;
    ASSERT(body <= INT32_MAX);

    p = put_varint(p, (int32_t)body);
    *p++ = 0;
    p = put_uvarint(p, timestamp_delta);
    p = put_varint(p, offset_delta);
    p = put_varint(p, key.n < 0 ? -1 : key.n);
    text_add(&b->records, front, (size_t)(p - front));
    if (key.n > 0)
        text_add(&b->records, key.p, (size_t)key.n);
    add_nullable(&b->records, value);
    add_varint(&b->records, header_count);
}

void batch_builder_add(struct batch_builder *b, int64_t timestamp_ms, struct bytes key,
                       struct bytes value, const struct record_header *headers,
                       int32_t header_count)
{
    size_t headers_bytes = 0;

    for (int32_t i = 0; i < header_count; i++) {
        ASSERT(!str_is_null(headers[i].key));
        headers_bytes += size_nullable(bytes_of_str(headers[i].key));
        headers_bytes += size_nullable(headers[i].value);
    }
    record_begin(b, b->last_offset_delta + 1, timestamp_ms, key, value, headers_bytes,
                 header_count);
    for (int32_t i = 0; i < header_count; i++) {
        add_nullable(&b->records, bytes_of_str(headers[i].key));
        add_nullable(&b->records, headers[i].value);
    }
}

void batch_builder_add_at(struct batch_builder *b, int32_t offset_delta, int64_t timestamp_ms,
                          struct bytes key, struct bytes value, struct bytes headers,
                          int32_t header_count)
{
    size_t headers_bytes = headers.n > 0 ? (size_t)headers.n : 0;

    record_begin(b, offset_delta, timestamp_ms, key, value, headers_bytes, header_count);
    text_add(&b->records, headers.p, headers_bytes);
}

size_t batch_builder_size(const struct batch_builder *b)
{
    return BATCH_HEADER_BYTES + b->records.n;
}

void batch_write(const struct batch *h, uint8_t *p)
{
    put_u64(p + AT_BASE_OFFSET, (uint64_t)h->base_offset);
    put_u32(p + AT_LENGTH, (uint32_t)(h->bytes.n - BATCH_LENGTH_FIELD_END));
    put_u32(p + AT_LEADER_EPOCH, (uint32_t)h->leader_epoch);
    p[AT_MAGIC] = BATCH_MAGIC;
    put_u16(p + AT_ATTRIBUTES, h->attributes);
    put_u32(p + AT_LAST_OFFSET_DELTA, (uint32_t)h->last_offset_delta);
    put_u64(p + AT_BASE_TIMESTAMP, (uint64_t)h->base_timestamp_ms);
    put_u64(p + AT_MAX_TIMESTAMP, (uint64_t)h->max_timestamp_ms);
    put_u64(p + AT_PRODUCER_ID, (uint64_t)h->producer_id);
    put_u16(p + AT_PRODUCER_EPOCH, (uint16_t)h->producer_epoch);
    put_u32(p + AT_BASE_SEQUENCE, (uint32_t)h->base_sequence);
    put_u32(p + AT_COUNT, (uint32_t)h->count);
    put_u32(p + AT_CRC, batch_crc(p, (size_t)h->bytes.n));
}

static void header_write(const struct batch_builder *b, uint16_t attributes, uint8_t *p, size_t n)
{
    struct batch h = {
        .bytes = {p, (int32_t)n},
        .base_offset = b->base_offset,
        .leader_epoch = b->leader_epoch,
        .attributes = attributes,
        .last_offset_delta = b->last_offset_delta,
        .base_timestamp_ms = b->base_timestamp_ms,
        .max_timestamp_ms = b->max_timestamp_ms,
        .producer_id = b->producer_id,
        .producer_epoch = b->producer_epoch,
        .base_sequence = b->base_sequence,
        .count = b->count,
    };

    batch_write(&h, p);
}

int batch_builder_finish(struct batch_builder *b, struct text *out)
{
    static const uint8_t no_header[BATCH_HEADER_BYTES];
    enum codec codec = (enum codec)(b->attributes & BATCH_CODEC_MASK);
    struct text records = b->records;
    size_t start = out->n;
    int error;

    ASSERT(codec < CODEC_COUNT);
    if (b->count == 0)
        codec = CODEC_NONE;
    if (start > INT32_MAX - BATCH_HEADER_BYTES)
        return ERR_LIMIT;
    text_add(out, no_header, sizeof(no_header));
    error = compress(codec, b->level, bytes_of_str(text_str(&records)), out);
    if (error < 0) {
        out->n = start;
        out->p[start] = '\0';
        return error;
    }
    header_write(b, (uint16_t)((b->attributes & ~BATCH_CODEC_MASK) | codec),
                 (uint8_t *)out->p + start, out->n - start);
    batch_builder_init(b);
    b->records = records;
    text_clear(&b->records);
    return 0;
}

int control_type_read(struct bytes key, int16_t *out)
{
    if (key.n < 4 || get_i16(key.p) < 0)
        return ERR_CORRUPT;
    *out = get_i16(key.p + 2);
    return 0;
}

void batch_builder_add_control(struct batch_builder *b, enum control_type type,
                               int64_t timestamp_ms, struct bytes value)
{
    uint8_t key[4];

    ASSERT((b->attributes & BATCH_CONTROL) != 0);
    put_u16(key, 0); /* version */
    put_u16(key + 2, (uint16_t)type);
    batch_builder_add(b, timestamp_ms, (struct bytes){key, sizeof(key)}, value, NULL, 0);
}
