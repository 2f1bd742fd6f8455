/* log/old_crc.h - CRC-32 (IEEE), the checksum of messages of magic 0 and 1. */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint32_t old_crc(const void *p, size_t n);
