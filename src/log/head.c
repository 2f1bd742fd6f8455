/* A batch header alone. */
#include "log/head.h"

int head_read(const uint8_t *p, struct batch *out)
{
    int32_t length = get_i32(p + 8);
    struct batch b;

    if (p[16] < BATCH_MAGIC && length > 0)
        return ERR_VERSION;
    if (p[16] != BATCH_MAGIC)
        return ERR_CORRUPT;
    if (length < BATCH_HEADER_BYTES - BATCH_LENGTH_FIELD_END)
        return ERR_CORRUPT;
    if (length > INT32_MAX - BATCH_LENGTH_FIELD_END)
        return ERR_CORRUPT;
    b.bytes = (struct bytes){p, length + BATCH_LENGTH_FIELD_END};
    b.base_offset = get_i64(p);
    b.leader_epoch = get_i32(p + 12);
    b.crc = get_u32(p + 17);
    b.attributes = get_u16(p + 21);
    b.last_offset_delta = get_i32(p + 23);
    b.base_timestamp_ms = get_i64(p + 27);
    b.max_timestamp_ms = get_i64(p + 35);
    b.producer_id = get_i64(p + 43);
    b.producer_epoch = get_i16(p + 51);
    b.base_sequence = get_i32(p + 53);
    b.count = get_i32(p + 57);
    if (b.base_offset < 0 || b.last_offset_delta < 0)
        return ERR_CORRUPT;
    if (b.base_offset > INT64_MAX - 1 - b.last_offset_delta)
        return ERR_CORRUPT;
    b.last_offset = b.base_offset + b.last_offset_delta;
    *out = b;
    return 0;
}
