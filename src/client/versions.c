/* What is said first on a connection: ApiVersions (KIP-35), with who we are (KIP-511) and whom we mean (KIP-1242). */
#include "client/internal.h"

#include "protocol/api_versions.h"

#define SOFTWARE_NAME "millrace"

static void asked(struct op *op, int64_t result);

static void ask(struct client_link *l, int16_t version)
{
    struct api_versions_request m;
    const struct metadata *known = &l->client->metadata;
    uint8_t body[1024];

    api_versions_request_init(&m);
    m.client_software_name = STR(SOFTWARE_NAME);
    m.client_software_version = STR(MILLRACE_VERSION);
    if (l->client->settings.check_cluster && l->role != LINK_BOOTSTRAP) {
        m.cluster_id = str_of(known->cluster_id);
        m.node_id = l->id;
    }
    int64_t n = api_versions_request_size(&m, version);
    ASSERT(n >= 0 && n <= (int64_t)sizeof body); /* CLUSTER_ID_MAX */
    api_versions_request_write(&m, version, body);
    l->ask_version = version;
    l->ask = (struct peer_call){.api_key = API_API_VERSIONS, .api_version = version};
    op_init(&l->ask.op, asked);
    peer_send(l->peer, &l->ask, (struct bytes){body, (int32_t)n});
}

void link_ask_versions(struct client_link *l)
{
    ask(l, api_find(API_API_VERSIONS)->high);
}

/* ---- answers ------------------------------------------------------------------------------------- */

static void take_ranges(struct client_link *l, const struct api_versions_response *m)
{
    for (int i = 0; i < API_KEY_COUNT; i++)
        l->versions[i] = (struct link_version){0, -1};
    for (int32_t i = 0; i < m->api_keys_count; i++) {
        const struct api_versions_response_api_keys *k = &m->api_keys[i];
        if (k->api_key >= 0 && k->api_key < API_KEY_COUNT)
            l->versions[k->api_key] = (struct link_version){k->min_version, k->max_version};
    }
}

static void take_features(struct metadata *known, const struct api_versions_response *m)
{
    if (m->finalized_features_epoch < known->features_epoch)
        return; /* from a broker that lags behind */
    known->features_epoch = m->finalized_features_epoch;
    for (int i = 0; i < FEATURE_COUNT; i++)
        known->feature_levels[i] = -1;
    for (int32_t i = 0; i < m->finalized_features_count; i++) {
        enum feature_id id = feature_find(m->finalized_features[i].name);
        if (id < FEATURE_COUNT)
            known->feature_levels[id] = m->finalized_features[i].max_version_level;
    }
}

/* A node that does not know our version answers in version 0, with the versions of this API where it is not that old
 * (KIP-511). */
static void ask_lower(struct client_link *l, struct bytes body, struct arena *arena)
{
    struct api_versions_response m;
    int16_t version = 0;

    if (l->ask_version > 0 && api_versions_response_read(body, 0, arena, &m) >= 0) {
        for (int32_t i = 0; i < m.api_keys_count; i++) {
            if (m.api_keys[i].api_key == API_API_VERSIONS)
                version = m.api_keys[i].max_version;
        }
    }
    if (l->ask_version == 0) {
        peer_drop(l->peer, ERR_VERSION);
        return;
    }
    if (version >= l->ask_version || version < 0)
        version = 0;
    ask(l, version);
}

static int take(struct client_link *l, struct bytes body, struct arena *arena)
{
    struct api_versions_response m;
    int used = api_versions_response_read(body, l->ask_version, arena, &m);

    if (used < 0)
        return ERR_CORRUPT;
    if (m.error_code == KERR_REBOOTSTRAP_REQUIRED) {
        rebootstrap(l->client, "a broker is not the one, or not in the cluster, that it was taken for");
        return ERR_FENCED;
    }
    if (m.error_code != KERR_NONE)
        return ERR_VERSION;
    link_throttle(l, API_API_VERSIONS, l->ask_version, &m);
    take_ranges(l, &m);
    take_features(&l->client->metadata, &m);
    return 0;
}

static void asked(struct op *op, int64_t result)
{
    struct client_link *l = container_of(op, struct client_link, ask.op);
    struct buf *answer = l->ask.answer;
    struct bytes body = l->ask.body;
    struct arena arena;

    if (result < 0)
        return; /* the connection ends, or has ended: `closed` comes */
    arena_init(&arena, 0);
    if (body.n >= 2 && get_i16(body.p) == KERR_UNSUPPORTED_VERSION) {
        ask_lower(l, body, &arena);
    } else {
        int error = take(l, body, &arena);
        if (error < 0)
            peer_drop(l->peer, error);
        else
            link_ready(l);
    }
    arena_deinit(&arena);
    buf_unref(answer);
}

/* ---- choice --------------------------------------------------------------------------------------- */

static int choose(const struct client_link *l, int16_t key, int16_t low, int16_t high)
{
    const struct api *api = api_find(key);
    struct link_version node = l->versions[key];

    if (high > api->high)
        high = api->high;
    if (api->request->unstable && high == api->high)
        high--;
    if (high > node.high)
        high = node.high;
    if (low < api->low)
        low = api->low;
    return high < low || high < node.low ? ERR_VERSION : high;
}

int link_choose_version(const struct client_link *l, const struct client_call *call)
{
    return choose(l, call->api_key, call->version_low, call->version_high > 0 ? call->version_high : INT16_MAX);
}

int16_t client_version(const struct client *c, int32_t node_id, int16_t api_key)
{
    const struct client_link *l = link_find(c, LINK_DATA, node_id);

    if (l == NULL || l->phase != LINK_READY)
        return -1;
    int version = choose(l, api_key, 0, INT16_MAX);
    return version < 0 ? -1 : (int16_t)version;
}

int16_t client_feature(const struct client *c, struct str feature)
{
    enum feature_id id = feature_find(feature);

    return id == FEATURE_COUNT ? -1 : (int16_t)c->metadata.feature_levels[id];
}
