/* protocol/facts.h - the generated tables behind protocol.h: private to this room. */
#pragma once

#include "protocol/protocol.h"

struct kerr_row {
    const char *name;
    bool retriable;
    bool needs_metadata;
};

extern const int16_t kerr_low, kerr_high;   /* codes of the first and the last row */
extern const struct kerr_row kerr_rows[];

extern const struct api api_rows[API_KEY_COUNT]; /* name NULL = withdrawn */

extern const struct metadata_version metadata_version_rows[]; /* ascending, without gaps */
extern const int metadata_version_count;
