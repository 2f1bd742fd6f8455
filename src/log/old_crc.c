/* Apart, because zlib's header has names that are ours as well. */
#include "log/old_crc.h"

#include <zlib.h>

uint32_t old_crc(const void *p, size_t n)
{
    return (uint32_t)crc32_z(0, p, n);
}
