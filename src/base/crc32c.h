/* base/crc32c.h - CRC-32C (Castagnoli), with the processor's instruction where it has one. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Checksum of `n` bytes that follow bytes whose checksum is `crc` (0 for none before). */
uint32_t crc32c(uint32_t crc, const void *p, size_t n);

/* The same by tables: what crc32c uses where the instruction is missing. */
uint32_t crc32c_portable(uint32_t crc, const void *p, size_t n);
