/* Stop: no new connections and requests of clients ► leave the cluster ► their connections closed ► coordinators closed ►
 * no more compaction, checks of old segments and checkpoints ► logs closed ► quorum closed ► last checkpoints ► clean
 * markers. A directory that has failed is not marked clean; after any other trouble on the way none is.
 *
 * Controllers' listeners serve until the quorum is closed: to leave the cluster wants the quorum, which may want this
 * node's vote, and the other brokers want its controller until there is another.
 */
#include "broker/start.h"

#include <stdlib.h>

#include "broker/cleaning.h"
#include "broker/connections.h"
#include "broker/everywhere.h"
#include "broker/forward.h"
#include "broker/groups.h"
#include "broker/memory.h"
#include "broker/metrics.h"
#include "broker/peers.h"
#include "broker/space.h"

/* ---- per shard ------------------------------------------------------------------------------- */

struct closing_listeners {
    struct op op;
    struct broker_shard *shard;
    uint8_t kind;
    struct list *at; /* the listener that is closed */
    struct op *waiter;
};

/* One after another. They stay in memory: sessions look at theirs until the last one is gone. */
static void close_listeners_from(struct closing_listeners *c);

static void listener_closed(struct op *op, int64_t result)
{
    struct closing_listeners *c = container_of(op, struct closing_listeners, op);

    c->at = c->at->next;
    close_listeners_from(c);
}

static void close_listeners_from(struct closing_listeners *c)
{
    struct op *waiter = c->waiter;

    for (; c->at != &c->shard->listeners; c->at = c->at->next) {
        struct broker_listener *l = container_of(c->at, struct broker_listener, node);
        if (l->kind != c->kind || l->socket == NULL) /* that never came to listen */
            continue;
        op_init(&c->op, listener_closed);
        listener_close(l, &c->op);
        return;
    }
    io_complete(c->shard->io, waiter, 0);
    free(c);
}

static void stop_listening(struct broker_shard *shard, uint8_t kind, struct op *op)
{
    struct closing_listeners *c = calloc(1, sizeof *c);

    ASSERT(c != NULL);
    c->shard = shard;
    c->kind = kind;
    c->at = shard->listeners.next;
    c->waiter = op;
    close_listeners_from(c);
}

static void stop_listening_to_clients(struct broker_shard *shard, void *ctx, struct op *op)
{
    stop_listening(shard, LISTENER_BROKER, op);
}

static void stop_listening_to_nodes(struct broker_shard *shard, void *ctx, struct op *op)
{
    stop_listening(shard, LISTENER_CONTROLLER, op);
}

static void rest_sessions(struct broker_shard *shard, void *ctx, struct op *op)
{
    sessions_rest(shard, op);
}

static void stop_clients(struct broker_shard *shard, void *ctx, struct op *op)
{
    sessions_close(shard, LISTENER_BROKER, op);
}

static void stop_nodes(struct broker_shard *shard, void *ctx, struct op *op)
{
    memory_stop(shard);
    sessions_close(shard, LISTENER_CONTROLLER, op);
}

static void stop_groups(struct broker_shard *shard, void *ctx, struct op *op)
{
    groups_close(shard->groups, op);
}

/* The last thing that a shard does: what it has sent home arrives before its answer. */
static void stop_shard(struct broker_shard *shard, void *ctx, struct op *op)
{
    log_memory_deinit(&shard->log_memory);
    io_complete(shard->io, op, 0);
}

static void stop_replicas(struct broker_shard *shard, void *ctx, struct op *op)
{
    replicas_close(shard->replicas, op);
}

static void rest_peers(struct broker_shard *shard, void *ctx, struct op *op)
{
    peers_rest(shard, op);
}

static void stop_peers(struct broker_shard *shard, void *ctx, struct op *op)
{
    peers_stop(shard, op);
}

/* ---- the flow -------------------------------------------------------------------------------- */

static void note_trouble(struct life *l, int64_t result)
{
    if (result < 0 && l->trouble == 0)
        l->trouble = result;
}

static void note_offline(struct life *l, int64_t result)
{
    if (result < 0 && l->offline == 0)
        l->offline = result;
}

/* A start that was cancelled, or failed, before it came to open the logs leaves a directory as it was found: an end that is
 * not clean would cost the broker its seat among those who have all records (KIP-966). */
static bool is_as_found(const struct life *l)
{
#ifdef MUTANT_BROKER_START_TAKES_MARKER
    return false;
#endif
    return !l->published && l->broker->dirs[l->dir]->clean;
}

static bool is_clean(const struct life *l)
{
    return (l->running || is_as_found(l)) && l->trouble == 0 && log_dir_is_online(l->broker->dirs[l->dir]);
}

/* The epoch under which a directory was last this broker's. */
static int64_t epoch_of(const struct life *l)
{
    return l->broker_epoch < 0 ? l->broker->dirs[l->dir]->broker_epoch : l->broker_epoch;
}

static void broker_free(struct broker *b)
{
    struct life *l = b->life;

    for (uint32_t i = 0; i < b->shard_count; i++) {
        struct broker_shard *s = &b->shards[i];
        if (s->replicas != NULL)
            replicas_free(s->replicas);
        for (struct list *node; (node = list_take_head(&s->listeners)) != NULL;)
            free(container_of(node, struct broker_listener, node));
        groups_free(s->groups);
        image_unref(s->image);
        config_free((struct config *)(uintptr_t)s->settings);
        metrics_free(s->metrics);
        free(s->loan.borrowed);
        telemetry_free(s->telemetry);
    }
    connections_deinit(b);
    for (uint32_t d = 0; d < b->dir_count; d++)
        free(b->paths[d]);
    for (uint32_t d = 0; d < b->missing_count; d++)
        free(b->missing[d]);
    free(b->paths);
    free(b->missing);
    free(b->dirs);
    free(b->listeners);
    free(b->advertised);
    free(b->controller_listeners);
    free(b->shards);
    text_deinit(&l->text);
    free(l->meta);
    free(l->formatted);
    free(l->path);
    free(l->lines);
    free(l);
    free(b);
}

/* Clients, and the cluster: until here leaderships are still this broker's to give away. */
static void leave_run(struct flow *f)
{
    struct life *l = container_of(f, struct life, stage);
    struct broker *b = l->broker;

    FLOW_BEGIN(f);
    if (l->space != NULL)
        FLOW_WAIT(f, "stop looking at the space", space_watch_stop(l->space, &f->op));
    if (l->has_listeners)
        FLOW_WAIT(f, "stop listening", everywhere(b, stop_listening_to_clients, NULL, &f->op));
    if (l->running && !b->failed)
        FLOW_WAIT(f, "answer what has begun", everywhere(b, rest_sessions, NULL, &f->op));
    if (b->node != NULL) {
        FLOW_WAIT(f, "leave the cluster", node_leave(b->node, l->running && !b->failed, &f->op));
        l->broker_epoch = node_broker_epoch(b->node);
    }
    l->stopping = true;
    FLOW_WAIT(f, "close connections", everywhere(b, stop_clients, NULL, &f->op));
    FLOW_END(f);
    flow_done(f, 0);
}

/* What works on the logs, then the logs, with what their checkpoints will say. */
static void close_logs_run(struct flow *f)
{
    struct life *l = container_of(f, struct life, stage);
    struct broker *b = l->broker;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "stop the coordinators", everywhere(b, stop_groups, NULL, &f->op));
    if (l->running)
        FLOW_WAIT(f, "stop the cleaners", cleaning_stop(b, &f->op));
    if (l->retention != NULL)
        FLOW_WAIT(f, "stop retention", retention_stop(l->retention, &f->op));
    if (b->checkpoints != NULL)
        FLOW_WAIT(f, "stop checkpoints", checkpoints_stop(b->checkpoints, &f->op));
    b->checkpoints = NULL; /* moves that are under way ask for it */
    l->lines = calloc(b->dir_count + 1, sizeof *l->lines);
    ASSERT(l->lines != NULL);
    if (b->shards[0].replicas != NULL) {
        FLOW_WAIT(f, "gather checkpoints", checkpoint_gather_last(b, l->lines, &f->op));
        note_trouble(l, f->result);
        FLOW_WAIT(f, "withdraw what the controller was asked", everywhere(b, rest_peers, NULL, &f->op));
        FLOW_WAIT(f, "close the logs", everywhere(b, stop_replicas, NULL, &f->op));
        note_trouble(l, f->result);
        FLOW_WAIT(f, "close connections to brokers", everywhere(b, stop_peers, NULL, &f->op));
    }
    FLOW_END(f);
    flow_done(f, 0);
}

/* The quorum, and with it the last that other nodes may ask for. */
static void close_quorum_run(struct flow *f)
{
    struct life *l = container_of(f, struct life, stage);
    struct broker *b = l->broker;

    FLOW_BEGIN(f);
    if (b->node != NULL) {
        FLOW_WAIT(f, "answer who asks the controller", forward_rest(b, &f->op));
        FLOW_WAIT(f, "close the quorum", node_close(b->node, &f->op));
        b->node = NULL;
        note_trouble(l, f->result);
    }
    if (l->has_listeners)
        FLOW_WAIT(f, "stop listening to nodes", everywhere(b, stop_listening_to_nodes, NULL, &f->op));
    FLOW_WAIT(f, "close their connections", everywhere(b, stop_nodes, NULL, &f->op));
    FLOW_END(f);
    flow_done(f, 0);
}

/* The directory l->dir. It is marked clean when nothing has failed, its checkpoints included. */
static void close_dir_run(struct flow *f)
{
    struct life *l = container_of(f, struct life, stage);
    struct log_dir *dir = l->broker->dirs[l->dir];
    struct checkpoint_lines *lines = &l->lines[l->dir];

    FLOW_BEGIN(f);
    l->clean = is_clean(l);
    if (!log_dir_is_online(dir))
        note_offline(l, ERR_OFFLINE);
    if (l->clean && l->running) {
        FLOW_WAIT(f, "write checkpoints",
                  log_dir_checkpoint(dir, &lines->recovery_point, &lines->log_start, &lines->high_watermark, &f->op));
        note_offline(l, f->result);
        l->clean = f->result >= 0;
    }
    if (l->clean && l->running) {
        FLOW_WAIT(f, "write the cleaner's checkpoint", log_dir_checkpoint_cleaner(dir, &lines->cleaner, &f->op));
        note_offline(l, f->result);
        l->clean = f->result >= 0;
    }
    checkpoint_lines_free(lines);
    FLOW_WAIT(f, "close the directory", log_dir_close(dir, l->clean, epoch_of(l), &f->op));
    note_offline(l, f->result);
    FLOW_END(f);
    flow_done(f, 0);
}

static void stop_run(struct flow *f)
{
    struct life *l = container_of(f, struct life, flow);
    struct broker *b = l->broker;

    FLOW_BEGIN(f);
    if (l->running)
        say(b->shards[0].telemetry, LOG_INFO, "broker", "Kafka Server stopping: node %d", b->node_id);
    FLOW_WAIT(f, "leave", flow_start(&l->stage, leave_run, &f->op));
    FLOW_WAIT(f, "logs", flow_start(&l->stage, close_logs_run, &f->op));
    FLOW_WAIT(f, "quorum", flow_start(&l->stage, close_quorum_run, &f->op));
    for (l->dir = 0; l->dir < b->dir_count; l->dir++) {
        if (b->dirs[l->dir] != NULL)
            FLOW_WAIT(f, "a directory", flow_start(&l->stage, close_dir_run, &f->op));
    }
    if (l->running)
        say(b->shards[0].telemetry, LOG_INFO, "broker", "Kafka Server stopped: node %d", b->node_id);
    FLOW_WAIT(f, "stop the shards", everywhere(b, stop_shard, NULL, &f->op));
    FLOW_END(f);
    struct op *parent = f->parent;
    int64_t result = l->trouble < 0 ? l->trouble : l->offline;
    broker_free(b);
    parent->done(parent, result);
}

void broker_stop(struct broker *b, struct op *op)
{
    io_timer_clear(&b->life->start_limit);
    flow_start(&b->life->flow, stop_run, op);
}
