/* What the quorum is opened with, from settings and from where this node listens. */
#include "node/internal.h"

#include <stdlib.h>

#define KRAFT_VERSION_MAX 1 /* of kraft.version: static and dynamic quorums */

/* As `storage format` names this node to the others: all interfaces are reached by a name. */
struct str controller_host(const struct listener *l)
{
    return str_of(l->host[0] == '\0' ? "localhost" : l->host);
}

static void set_endpoint(struct raft_endpoint *e, struct str name, struct str host, uint16_t port)
{
    snprintf(e->name, sizeof e->name, "%.*s", STR_ARG(name));
    snprintf(e->host, sizeof e->host, "%.*s", STR_ARG(host));
    e->port = port;
}

static void fill_self(const struct node *n, struct raft_voter *self)
{
    const struct node_options *o = &n->options;

    self->id = o->node_id;
    self->directory_id = o->dirs[o->metadata_dir]->directory_id;
    self->kraft_version_max = KRAFT_VERSION_MAX;
    if (!o->is_controller)
        return;
    for (uint32_t i = 0; i < o->controller_listener_count && i < RAFT_ENDPOINTS_MAX; i++) {
        const struct listener *l = &o->controller_listeners[i];
        set_endpoint(&self->endpoints[self->endpoint_count++], str_of(l->name), controller_host(l), l->port);
    }
}

/* controller.quorum.voters: the voters of a static quorum. */
static int fill_voters(struct node *n, struct raft_voters *v, struct quorum_voter *parsed)
{
    struct str text = config_str(n->options.settings, BROKER_CONTROLLER_QUORUM_VOTERS);
    struct str names = config_str(n->options.settings, BROKER_CONTROLLER_LISTENER_NAMES), name;
    int count = quorum_voters_parse(text, parsed, QUORUM_VOTERS_MAX, n->fail);

    if (count < 0)
        return count;
    if (count > RAFT_VOTERS_MAX)
        return fail_set(n->fail, ERR_LIMIT, "controller.quorum.voters names more than %d voters",
                        RAFT_VOTERS_MAX);
    if (!str_cut(&names, ',', &name))
        name = STR("CONTROLLER");
    for (int i = 0; i < count; i++) {
        struct raft_voter *voter = &v->voters[i];
        voter->id = parsed[i].id;
        voter->endpoint_count = 1;
        set_endpoint(&voter->endpoints[0], str_trim(name), str_of(parsed[i].host), parsed[i].port);
    }
    v->count = (uint32_t)count;
    return 0;
}

static void fill_limits(const struct config *c, struct quorum_open *out)
{
    out->election_timeout_ms = config_i64(c, BROKER_CONTROLLER_QUORUM_ELECTION_TIMEOUT_MS);
    out->election_backoff_max_ms = config_i64(c, BROKER_CONTROLLER_QUORUM_ELECTION_BACKOFF_MAX_MS);
    out->fetch_timeout_ms = config_i64(c, BROKER_CONTROLLER_QUORUM_FETCH_TIMEOUT_MS);
    out->request_timeout_ms = config_i64(c, BROKER_CONTROLLER_QUORUM_REQUEST_TIMEOUT_MS);
    out->retry_backoff_ms = config_i64(c, BROKER_CONTROLLER_QUORUM_RETRY_BACKOFF_MS);
    out->fetch_bytes_max = (uint32_t)config_i64(c, BROKER_CONTROLLER_QUORUM_FETCH_MAX_BYTES);
    out->snapshot_fetch_bytes_max = (uint32_t)config_i64(c, BROKER_CONTROLLER_QUORUM_FETCH_SNAPSHOT_MAX_BYTES);
    out->snapshot_bytes = config_i64(c, BROKER_METADATA_LOG_MAX_RECORD_BYTES_BETWEEN_SNAPSHOTS);
    out->snapshot_interval_ms = config_i64(c, BROKER_METADATA_LOG_MAX_SNAPSHOT_INTERVAL_MS);
    out->retention_bytes = config_i64(c, BROKER_METADATA_MAX_RETENTION_BYTES);
    out->retention_ms = config_i64(c, BROKER_METADATA_MAX_RETENTION_MS);
    out->segment_bytes = (uint32_t)config_i64(c, BROKER_METADATA_LOG_SEGMENT_BYTES);
    out->segment_ms = config_i64(c, BROKER_METADATA_LOG_SEGMENT_MS);
}

int quorum_settings(struct node *n, struct quorum_open *out)
{
    const struct node_options *o = &n->options;
    struct quorum_voter *parsed = calloc(QUORUM_VOTERS_MAX, sizeof *parsed);

    ASSERT(parsed != NULL);
    *out = (struct quorum_open){
        .io = n->io,
        .telemetry = n->telemetry,
        .dir = o->dirs[o->metadata_dir],
        .memory = o->memory,
        .cluster_id = o->cluster_id,
        .node_id = o->node_id,
        .directory_id = o->dirs[o->metadata_dir]->directory_id,
        .can_vote = o->is_controller,
        .bootstrap_servers = config_str(o->settings, BROKER_CONTROLLER_QUORUM_BOOTSTRAP_SERVERS),
        .auto_join = config_bool(o->settings, BROKER_CONTROLLER_QUORUM_AUTO_JOIN_ENABLE),
    };
    fill_self(n, &out->self);
    fill_limits(o->settings, out);
    int rc = fill_voters(n, &out->static_voters, parsed);
    free(parsed);
    return rc;
}
