/* Moves partitions between the log directories while all else goes on. One after another; a move is told to be under
 * way, not to have ended. When all has healed it sends each lasting partition somewhere once more, and is through when
 * every one is there, and nowhere else. */
#include <stdlib.h>

#include "clients.h"
#include "protocol/alter_replica_log_dirs.h"
#include "protocol/describe_log_dirs.h"

struct mover {
    struct client client;
    struct peer *peer;
    struct flow flow;
    struct rpc rpc;
    struct part *part;     /* what it works on; NULL = nothing */
    uint32_t to;           /* world_dirs */
    uint32_t topic;        /* of the last round */
    int32_t partition;
    bool through;
};

struct client *mover_client(struct mover *m) { return &m->client; }
bool mover_is_through(const struct mover *m) { return m->through; }

/* ---- move ------------------------------------------------------------------------------------ */

static struct part *any_part(struct mover *m)
{
    struct truth *t = m->client.world->truth;
    struct topic *topic;

    if (t->topic_count == 0)
        return NULL;
    topic = t->topics[client_below(&m->client, t->topic_count)];
    if (topic->state != TOPIC_LIVES)
        return NULL;
    return &topic->parts[client_below(&m->client, (uint64_t)topic->partition_count)];
}

static uint32_t any_dir(struct mover *m)
{
    return (uint32_t)client_below(&m->client, m->client.world->plan.dirs);
}

static void choose(struct mover *m)
{
    m->part = any_part(m);
    m->to = any_dir(m);
}

static void begin_move(struct mover *m)
{
    struct alter_replica_log_dirs_request_dirs_topics topic;
    struct alter_replica_log_dirs_request_dirs dir;
    struct alter_replica_log_dirs_request request;

    alter_replica_log_dirs_request_init(&request);
    alter_replica_log_dirs_request_dirs_init(&dir);
    alter_replica_log_dirs_request_dirs_topics_init(&topic);
    topic.name = str_of(m->part->topic->name);
    topic.partitions = &m->part->partition;
    topic.partitions_count = 1;
    dir.path = str_of(world_dirs[m->to]);
    dir.topics = &topic;
    dir.topics_count = 1;
    request.dirs = &dir;
    request.dirs_count = 1;
    rpc_begin(&m->rpc, &m->client, m->peer, API_ALTER_REPLICA_LOG_DIRS,
              client_draw_version(&m->client, API_ALTER_REPLICA_LOG_DIRS, 1, 2), &request, &m->flow.op);
}

/* True when it is under way. */
static bool take_move(struct mover *m)
{
    const struct alter_replica_log_dirs_response *a = m->rpc.answer;
    struct client *c = &m->client;
    int16_t error;

    if (a->results_count != 1 || a->results[0].partitions_count != 1)
        broken(c->world, "AlterReplicaLogDirs of one partition was answered with %d topics", a->results_count);
    error = a->results[0].partitions[0].error_code;
    if (error == KERR_NONE)
        return true;
    if (error != KERR_REPLICA_NOT_AVAILABLE) /* a node that has just started, or a topic that has just gone */
        expect_passing(c, "AlterReplicaLogDirs", error);
    return false;
}

/* ---- where is it? ---------------------------------------------------------------------------- */

static void begin_describe(struct mover *m)
{
    struct describe_log_dirs_request request;

    describe_log_dirs_request_init(&request);
    request.topics = NULL;
    request.topics_count = -1;
    rpc_begin(&m->rpc, &m->client, m->peer, API_DESCRIBE_LOG_DIRS,
              client_draw_version(&m->client, API_DESCRIBE_LOG_DIRS, 1, 5), &request, &m->flow.op);
}

/* How often the partition is in that directory: its log, and a copy that is under way. */
static void count_in(const struct describe_log_dirs_response_results *dir, const struct part *part, uint32_t *logs,
                     uint32_t *copies)
{
    for (int32_t t = 0; t < dir->topics_count; t++) {
        const struct describe_log_dirs_response_results_topics *topic = &dir->topics[t];
        if (!str_equal(topic->name, str_of(part->topic->name)))
            continue;
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            if (topic->partitions[p].partition_index == part->partition)
                ++*(topic->partitions[p].is_future_key ? copies : logs);
        }
    }
}

/* True when it is where it was sent. */
static bool take_describe(struct mover *m)
{
    const struct describe_log_dirs_response *a = m->rpc.answer;
    uint32_t logs = 0, copies = 0, there = 0;

    for (int32_t d = 0; d < a->results_count; d++) {
        uint32_t before = logs;
        count_in(&a->results[d], m->part, &logs, &copies);
        if (str_equal(a->results[d].log_dir, str_of(world_dirs[m->to])))
            there = logs - before;
    }
    if (logs > 1 || copies > 1)
        broken(m->client.world, "%s-%d is in %u log directories, and copied into %u", m->part->topic->name,
               m->part->partition, logs, copies);
    return there == 1 && copies == 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static bool is_last_round(const struct mover *m)
{
    const struct world *w = m->client.world;

    return w->phase == PHASE_SETTLE && world_is_ready(w);
}

/* The next lasting partition; false when there is none. Topics that are yet to be made stop it: it looks again. */
static bool next_of_all(struct mover *m)
{
    struct truth *t = m->client.world->truth;

    for (; m->topic < t->topic_count; m->topic++, m->partition = 0) {
        struct topic *topic = t->topics[m->topic];
        if (!topic->lasting || m->partition >= topic->partition_count)
            continue;
        m->part = topic->state == TOPIC_LIVES ? &topic->parts[m->partition++] : NULL;
        m->to = any_dir(m);
        return true;
    }
    return false;
}

static void mover_run(struct flow *f)
{
    struct mover *m = container_of(f, struct mover, flow);
    struct client *c = &m->client;

    FLOW_BEGIN(f);
    while (!is_last_round(m)) {
        choose(m);
        if (m->part != NULL && c->world->calm_ns == 0) {
            FLOW_WAIT(f, "move", begin_move(m));
            if (f->result == 0)
                (void)take_move(m);
            FLOW_WAIT(f, "describe", begin_describe(m));
            if (f->result == 0)
                (void)take_describe(m);
        }
        FLOW_WAIT(f, "pause", client_sleep(c, client_ms(c, 1, 300), &f->op));
    }
    while (next_of_all(m)) {
        while (m->part != NULL) {
            FLOW_WAIT(f, "move once more", begin_move(m));
            if (f->result < 0 || !take_move(m)) {
                FLOW_WAIT(f, "back off", client_sleep(c, client_ms(c, 10, 50), &f->op));
                continue;
            }
            FLOW_WAIT(f, "look where it is", begin_describe(m));
            if (f->result == 0 && take_describe(m))
                break;
            FLOW_WAIT(f, "back off", client_sleep(c, client_ms(c, 10, 50), &f->op));
        }
        if (m->part == NULL)
            FLOW_WAIT(f, "wait for a topic", client_sleep(c, client_ms(c, 10, 50), &f->op));
    }
    m->through = true;
    while (!c->stop)
        FLOW_WAIT(f, "rest", client_sleep(c, client_ms(c, 10, 100), &f->op));
    FLOW_WAIT(f, "close", peer_close(m->peer, &f->op));
    FLOW_END(f);
    c->stopped = true;
}

struct mover *mover_new(struct world *w)
{
    struct mover *m = calloc(1, sizeof *m);

    ASSERT(m != NULL);
    client_init(&m->client, w, "mover", false);
    m->peer = client_connect(&m->client, 1500, 1);
    return m;
}

void mover_begin(struct mover *m)
{
    flow_start(&m->flow, mover_run, NULL);
}

void mover_free(struct mover *m)
{
    if (m == NULL)
        return;
    rpc_deinit(&m->rpc);
    client_deinit(&m->client);
    free(m);
}
