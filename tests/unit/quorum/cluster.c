#include "cluster.h"

#include "quorum/internal.h"
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- telling -------------------------------------------------------------------------------- */

static void on_dir_failed(struct log_dir *dir, struct io *io, const struct fail *why, void *ctx)
{
    ((struct member *)ctx)->failed = true;
}

static void write_line(struct telemetry_sink *sink, enum log_level level, const char *room, const char *line)
{
    struct member *m = container_of(sink, struct member, sink);

    if (strstr(line, "votes are asked for") != NULL || strstr(line, "belongs to cluster") != NULL)
        text_printf(&m->asked, "%s\n", line);
    if (getenv("RIG_VERBOSE") != NULL)
        fprintf(stderr, "%10.6f node %d %s: %s\n", (double)sim_now_ns(m->cluster->sim) / 1e9, m->id, room, line);
}

/* ---- starting ---------------------------------------------------------------------------- */

static void fill_options(struct member *m)
{
    struct cluster *c = m->cluster;

    m->options = (struct quorum_open){
        .io = m->io,
        .telemetry = m->telemetry,
        .memory = &m->memory,
        .dir = m->dir,
        .cluster_id = m->stranger ? STR("another") : STR(CLUSTER_ID),
        .node_id = m->id,
        .directory_id = m->directory_id,
        .can_vote = m->can_vote,
        .auto_join = m->auto_join,
        .self = m->endpoint,
        .bootstrap_servers = m->bootstrap ? STR("n1:9093,n2:9093,n3:9093") : STR_NULL,
        .election_timeout_ms = 1000,
        .election_backoff_max_ms = 1000,
        .fetch_timeout_ms = 2000,
        .request_timeout_ms = 2000,
        .retry_backoff_ms = 20,
        .fetch_bytes_max = 4096,
        .snapshot_fetch_bytes_max = 1000,
        .snapshot_bytes = 20 << 20,
        .snapshot_interval_ms = 3600000,
        .retention_bytes = m->retention_bytes,
        .retention_ms = -1,
        .segment_bytes = m->segment_bytes,
        .listener = member_listener(m),
    };
    if (!c->dynamic && !m->bootstrap)
        m->options.static_voters = c->voters;
}

static void start_run(struct flow *f)
{
    struct member *m = container_of(f, struct member, flow);
    struct io_address address = {.port = CLUSTER_PORT};

    FLOW_BEGIN(f);
    FLOW_TRY(f, "open the directory", log_dir_open(m->io, m->telemetry, "/data", &m->dir, &m->fail, &f->op));
    m->dir->failed = on_dir_failed;
    m->dir->failed_ctx = m;
    fill_options(m);
    FLOW_TRY(f, "open the quorum", quorum_open(&m->options, &m->q, &m->fail, &f->op));
    FLOW_TRY(f, "listen", io_listen(m->io, &address, NULL, &m->listener, NULL, &f->op));
    FLOW_END(f);
    m->phase = MEMBER_UP;
    flow_done(f, 0);
    if (sim_node_is_up(m->node))
        member_accept(m);
    return;
failed:
    m->opened = f->result;
    m->phase = MEMBER_UP; /* as far as it came: member_stop takes it away */
    flow_done(f, f->result);
}

void member_start(struct member *m)
{
    ASSERT(m->phase == MEMBER_DOWN);
    if (!sim_node_is_up(m->node))
        sim_node_start(m->node, 1);
    m->io = sim_node_io(m->node, 0);
    m->phase = MEMBER_STARTING;
    m->fail = (struct fail){0};
    m->dir = NULL;
    m->q = NULL;
    m->listener = NULL;
    m->opened = 0;
    m->failed = m->from_snapshot = false;
    m->count = 0;
    m->next = m->leader = m->caught_up = m->claimed = -1;
    m->epoch = 0;
    m->sink = (struct telemetry_sink){.write = write_line, .level = LOG_DEBUG};
    m->telemetry = telemetry_new(&m->sink);
    m->memory = (struct log_memory){.limit_bytes = 64 << 20};
    flow_start(&m->flow, start_run, NULL);
}

/* ---- stopping ---------------------------------------------------------------------------- */

static void stop_run(struct flow *f)
{
    struct member *m = container_of(f, struct member, flow);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(m->io, &f->op));
    if (m->q != NULL) {
        FLOW_WAIT(f, "close the quorum", quorum_close(m->q, &f->op));
        m->q = NULL;
        m->clean = f->result >= 0;
    }
    member_close_connections(m);
    if (m->listener != NULL)
        FLOW_WAIT(f, "close the listener", io_listener_close(m->listener, &f->op));
    while (m->accepting || !list_empty(&m->connections)) {
        member_close_connections(m);
        FLOW_WAIT(f, "its connections", io_yield(m->io, &f->op));
    }
    if (m->dir != NULL)
        FLOW_WAIT(f, "close the directory", log_dir_close(m->dir, m->clean, -1, &f->op));
    FLOW_END(f);
    flow_done(f, 0);
    log_memory_deinit(&m->memory);
    telemetry_free(m->telemetry);
    m->phase = MEMBER_DOWN;
}

void member_stop(struct member *m)
{
    struct cluster *c = m->cluster;

    if (m->phase == MEMBER_DOWN)
        return;
    CLUSTER_UNTIL(c, 600000, m->phase != MEMBER_STARTING && !m->snapshotting);
    m->phase = MEMBER_STOPPING;
    m->clean = false;
    flow_start(&m->flow, stop_run, NULL);
    CLUSTER_UNTIL(c, 600000, m->phase == MEMBER_DOWN);
    if (sim_node_is_up(m->node))
        sim_node_kill(m->node);
    while (sim_node_in_flight(m->node) > 0 && sim_step(c->sim))
        ;
    sim_node_forget(m->node);
}

void member_kill(struct member *m)
{
    if (sim_node_is_up(m->node))
        sim_node_kill(m->node);
    member_stop(m);
}

void member_power_cut(struct member *m)
{
    if (sim_node_is_up(m->node))
        sim_node_power_cut(m->node);
    member_stop(m);
}

/* ---- the cluster ------------------------------------------------------------------------- */

struct member *cluster_member(struct cluster *c, int32_t id)
{
    ASSERT(id >= 1 && id <= (int32_t)c->count);
    return &c->members[id - 1];
}

static void write_checkpoint(struct cluster *c, struct member *m)
{
    struct text content = {0};

    CHECK_EQ(metadata_snapshot_build((struct raft_snapshot_id){0, 0}, &c->voters, 0, 0, NULL, 0, &content), 0);
    CHECK_EQ(sim_disk_put(m->node, "/data/__cluster_metadata-0/00000000000000000000-0000000000.checkpoint",
                          bytes_of_str(text_str(&content))),
             0);
    text_deinit(&content);
}

static void member_init(struct cluster *c, int32_t id)
{
    struct member *m = cluster_member(c, id);
    char name[16];

    m->cluster = c;
    m->id = id;
    m->directory_id = (struct uuid){{0xd0, [15] = (uint8_t)id}};
    m->can_vote = true;
    m->retention_bytes = 100 << 20;
    m->segment_bytes = 1 << 20;
    list_init(&m->connections);
    snprintf(name, sizeof(name), "n%d", id);
    m->node = sim_node_new(c->sim, name);
    CHECK_EQ(sim_disk_mkdir(m->node, "/data"), 0);
    m->endpoint = (struct raft_voter){
        .id = id, .directory_id = m->directory_id, .endpoint_count = 1, .kraft_version_max = 1};
    strcpy(m->endpoint.endpoints[0].name, "CONTROLLER");
    snprintf(m->endpoint.endpoints[0].host, sizeof(m->endpoint.endpoints[0].host), "%s", sim_node_host(m->node));
    m->endpoint.endpoints[0].port = CLUSTER_PORT;
}

void cluster_init(struct cluster *c, uint64_t seed, const struct sim_options *options, uint32_t count, uint32_t voters,
                  bool dynamic)
{
    memset(c, 0, sizeof(*c));
    c->sim = sim_new(seed, options);
    c->count = count;
    c->dynamic = dynamic;
    c->voters.count = voters;
    c->voters.kraft_version = dynamic ? 1 : 0;
    for (uint32_t i = 1; i <= count; i++)
        member_init(c, (int32_t)i);
    for (uint32_t i = 0; i < voters; i++) {
        c->voters.voters[i] = c->members[i].endpoint;
        if (!dynamic)
            c->voters.voters[i].directory_id = UUID_ZERO;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (dynamic && i < voters)
            write_checkpoint(c, &c->members[i]);
        c->members[i].bootstrap = i >= voters && dynamic;
    }
}

void cluster_end(struct cluster *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        member_kill(&c->members[i]);
    for (uint32_t i = 0; i < c->count; i++) {
        free(c->members[i].values);
        text_deinit(&c->members[i].asked);
    }
    free(c->truth);
    sim_free(c->sim);
}

void cluster_start(struct cluster *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        member_start(&c->members[i]);
}

bool member_is_well(const struct member *m)
{
    return m->phase == MEMBER_UP && m->q != NULL && !m->failed && sim_node_is_up(m->node);
}

struct member *cluster_leader(struct cluster *c)
{
    struct member *found = NULL;

    for (uint32_t i = 0; i < c->count; i++) {
        struct member *m = &c->members[i];
        if (member_is_well(m) && m->claimed == m->epoch && m->leader == m->id &&
            (found == NULL || m->epoch > found->epoch))
            found = m;
    }
    return found;
}

void cluster_pass(struct cluster *c, int64_t ms)
{
    sim_run_until(c->sim, sim_now_ns(c->sim) + ms * 1000000);
}

static int append_value(struct member *m, int64_t value)
{
    struct text framed = {0};
    char number[24];
    int64_t last;

    snprintf(number, sizeof(number), "%lld", (long long)value);
    frame_text(number, &framed);
    struct bytes bytes = bytes_of_str(text_str(&framed));
    int error = quorum_append(m->q, m->epoch, &bytes, 1, &last);
    text_deinit(&framed);
    return error;
}

bool member_append(struct member *m)
{
    return member_is_well(m) && append_value(m, m->cluster->next_value++) == 0;
}

static void snapshot_done(struct op *op, int64_t result)
{
    struct member *m = container_of(op, struct member, snapshot_op);

    m->snapshotting = false;
    m->snapshot_result = result;
}

bool member_snapshot(struct member *m)
{
    struct text *framed;
    struct bytes *bytes;
    char number[24];

    if (!member_is_well(m) || m->snapshotting || m->next <= 0)
        return false;
    framed = calloc((size_t)m->count + 1, sizeof(*framed));
    bytes = calloc((size_t)m->count + 1, sizeof(*bytes));
    ASSERT(framed != NULL && bytes != NULL);
    for (uint32_t i = 0; i < m->count; i++) {
        snprintf(number, sizeof(number), "%lld", (long long)m->values[i]);
        frame_text(number, &framed[i]);
        bytes[i] = bytes_of_str(text_str(&framed[i]));
    }
    m->snapshotting = true;
    op_init(&m->snapshot_op, snapshot_done);
    quorum_snapshot(m->q, (struct raft_snapshot_id){m->next, m->last_epoch}, 0, bytes, m->count, &m->snapshot_op);
    for (uint32_t i = 0; i < m->count; i++)
        text_deinit(&framed[i]);
    free(framed);
    free(bytes);
    return true;
}

bool cluster_agrees(struct cluster *c, uint32_t count)
{
    for (uint32_t i = 0; i < c->count; i++) {
        const struct member *m = &c->members[i];
        if (m->phase != MEMBER_DOWN && (!member_is_well(m) || m->count != c->truth_count))
            return false;
    }
    return c->truth_count >= count;
}

/* What a leader takes that is none any more is lost: then it is appended once more. */
void cluster_commit(struct cluster *c, uint32_t count)
{
    uint32_t wanted = c->truth_count + count;
    int64_t end_ns = sim_now_ns(c->sim) + INT64_C(120000) * 1000000;

    while (!cluster_agrees(c, wanted)) {
        struct member *m = cluster_leader(c);
        if (sim_now_ns(c->sim) > end_ns)
            check_fail(__FILE__, __LINE__, "it never comes to %u more committed numbers", count);
        for (uint32_t n = c->truth_count; m != NULL && n < wanted; n++)
            (void)member_append(m);
        for (int64_t at_ns = sim_now_ns(c->sim) + 300 * 1000000;
             !cluster_agrees(c, wanted) && sim_now_ns(c->sim) < at_ns && sim_step(c->sim);)
            ;
    }
}

void member_cut_off(struct member *m, bool cut)
{
    for (uint32_t i = 0; i < m->cluster->count; i++) {
        struct sim_node *other = m->cluster->members[i].node;
        if (other == m->node)
            continue;
        (cut ? sim_net_cut : sim_net_heal)(m->node, other);
        (cut ? sim_net_cut : sim_net_heal)(other, m->node);
    }
}

/* ---- asking ------------------------------------------------------------------------------ */

static void asked_ready(struct quorum_call *call)
{
    container_of(call, struct asked, call)->done = true;
}

void member_ask(struct member *m, struct asked *a, int16_t api_key, int16_t version, const void *request)
{
    const struct message *response = api_find(api_key)->response;

    a->done = false;
    arena_init(&a->arena, 0);
    a->call = (struct quorum_call){.api_key = api_key,
                                   .api_version = version,
                                   .request = request,
                                   .arena = &a->arena,
                                   .listener = STR("CONTROLLER"),
                                   .ready = asked_ready};
    a->call.response = arena_take(&a->arena, message_struct_bytes(response));
    message_init(response, a->call.response);
    quorum_handle(m->q, &a->call);
    CHECK(!a->done);
}

void asked_end(struct asked *a)
{
    arena_deinit(&a->arena);
}
