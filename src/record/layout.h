/* record/layout.h - where a batch's fields are (the picture is in record.h). For this room only. */
#pragma once

#include "base/base.h"

enum batch_layout {
    AT_BASE_OFFSET = 0,
    AT_LENGTH = 8,
    AT_LEADER_EPOCH = 12,
    AT_MAGIC = 16,
    AT_CRC = 17,
    AT_ATTRIBUTES = 21,
    AT_LAST_OFFSET_DELTA = 23,
    AT_BASE_TIMESTAMP = 27,
    AT_MAX_TIMESTAMP = 35,
    AT_PRODUCER_ID = 43,
    AT_PRODUCER_EPOCH = 51,
    AT_BASE_SEQUENCE = 53,
    AT_COUNT = 57,
    AT_RECORDS = 61,
};

#define NO_TIMESTAMP (-1)

/* What the checksum of a batch of `n` bytes should be (R2). */
static inline uint32_t batch_crc(const uint8_t *batch, size_t n)
{
    return crc32c(0, batch + AT_ATTRIBUTES, n - AT_ATTRIBUTES);
}
