/* facts.c - look up error codes, APIs and features. */

#include "protocol/facts.h"

static const struct kerr_row *kerr_row(int16_t code)
{
    int16_t known = code < kerr_low || code > kerr_high ? KERR_UNKNOWN_SERVER_ERROR : code;

    return &kerr_rows[known - kerr_low];
}

const char *kerr_name(int16_t code)
{
    return kerr_row(code)->name;
}

bool kerr_is_retriable(int16_t code)
{
    return kerr_row(code)->retriable;
}

bool kerr_needs_metadata(int16_t code)
{
    return kerr_row(code)->needs_metadata;
}

const struct api *api_find(int16_t key)
{
    if (key < 0 || key >= API_KEY_COUNT || api_rows[key].name == NULL)
        return NULL;
    return &api_rows[key];
}

const char *api_name(int16_t key)
{
    const struct api *api = api_find(key);

    return api == NULL ? "Unknown" : api->name;
}

enum feature_id feature_find(struct str name)
{
    for (int i = 0; i < FEATURE_COUNT; i++) {
        if (str_equal(name, str_of(features[i].name)))
            return (enum feature_id)i;
    }
    return FEATURE_COUNT;
}

const struct metadata_version *metadata_version_find(int16_t level)
{
    int i = level - metadata_version_rows[0].level;

    return i < 0 || i >= metadata_version_count ? NULL : &metadata_version_rows[i];
}

/* "3.7" names 3.7-IV4 and all others that begin with "3.7-"; the last is meant. */
const struct metadata_version *metadata_version_find_by_name(struct str name)
{
    for (int i = metadata_version_count - 1; i >= 0; i--) {
        struct str full = str_of(metadata_version_rows[i].name);
        bool release_alone = name.n > 0 && str_starts(full, name) && full.p[name.n] == '-';

        if (release_alone || str_equal(full, name))
            return &metadata_version_rows[i];
    }
    return NULL;
}
