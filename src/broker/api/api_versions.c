/* ApiVersions (key 18): which APIs this listener serves in which versions, and the cluster's features (KIP-35, KIP-511,
 * KIP-584). What is advertised is what the table of APIs serves.
 */
#include "broker/api/api.h"
#include "broker/session.h"
#include "protocol/api_versions.h"

/* Feature ranges that this node supports; the controller refuses a broker whose range misses a finalized level. */
static void answer_features(struct request *r, struct api_versions_response *a)
{
    uint32_t n = node_feature_count();

    a->supported_features = arena_take_array(&r->arena, n, sizeof *a->supported_features);
    for (uint32_t i = 0; i < n; i++) {
        struct image_feature f = node_feature_at(i);
        /* Before version 4 clients cannot cope with a range that begins at 0. */
        if (f.min == 0 && r->version < 4)
            continue;
        struct api_versions_response_supported_features *out =
            &a->supported_features[a->supported_features_count++];
        api_versions_response_supported_features_init(out);
        out->name = f.name;
        out->min_version = f.min;
        out->max_version = f.max;
    }
}

static void add_finalized(struct api_versions_response *a, struct str name, int16_t level)
{
    struct api_versions_response_finalized_features *out = &a->finalized_features[a->finalized_features_count++];

    api_versions_response_finalized_features_init(out);
    out->name = name;
    out->min_version_level = level;
    out->max_version_level = level;
}

static void answer_finalized(struct request *r, struct api_versions_response *a)
{
    const struct image *image = r->shard->image;
    uint32_t n = image_feature_count(image);

    a->finalized_features_epoch = image_offset(image);
    a->finalized_features = arena_take_array(&r->arena, n + 1, sizeof *a->finalized_features);
    for (uint32_t i = 0; i < n; i++) {
        const struct image_feature *f = image_feature_at(image, i);
        add_finalized(a, arena_str(&r->arena, f->name), f->max);
    }
    if (r->shard->kraft_version > 0) /* the quorum's own: no record of the metadata has it */
        add_finalized(a, STR("kraft.version"), r->shard->kraft_version);
}

static void answer_apis(struct request *r, struct api_versions_response *a)
{
    uint8_t kind = request_listener(r)->kind;

    a->api_keys = arena_take_array(&r->arena, broker_api_count, sizeof *a->api_keys);
    for (uint32_t i = 0; i < broker_api_count; i++) {
        const struct api *api = api_find(broker_apis[i].key);
        if ((broker_apis[i].listeners & kind) == 0)
            continue;
        /* To a version that we do not know, only this API's own range matters. */
        if (r->unsupported_version && api->key != API_API_VERSIONS)
            continue;
        struct api_versions_response_api_keys *out = &a->api_keys[a->api_keys_count++];
        api_versions_response_api_keys_init(out);
        out->api_key = api->key;
        out->min_version = api->offered_low;
        out->max_version = api->offered_high;
    }
}

/* Names and versions of client software are letters, digits, dots and dashes (KIP-511). */
static bool is_software_word(struct str s)
{
    for (int32_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        bool inner = c == '-' || c == '.';
        if (!letter && !(inner && i > 0 && i < s.n - 1))
            return false;
    }
    return s.n > 0;
}

void api_versions_handle(struct request *r)
{
    const struct api_versions_request *m = r->message;
    struct api_versions_response *a = r->response;

    if (r->unsupported_version) {
        a->error_code = KERR_UNSUPPORTED_VERSION;
        answer_apis(r, a);
        request_answer(r);
        return;
    }
    if (r->version >= 3 && (!is_software_word(m->client_software_name) ||
                            !is_software_word(m->client_software_version))) {
        a->error_code = KERR_INVALID_REQUEST;
        request_answer(r);
        return;
    }
    answer_apis(r, a);
    answer_features(r, a);
    answer_finalized(r, a);
    request_answer(r);
}
