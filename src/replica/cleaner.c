/* Compaction of a shard's logs, as Kafka's LogCleaner: the dirtiest one, then the next, until none is dirty enough;
 * then a pause of log.cleaner.backoff.ms.
 *
 *      gather ─► measure each ─► the one to clean ─► log_compact ─► its directory's checkpoint is due
 *        ▲                       none: pause              │
 *        └────────────────────────────────────────────────┘
 *
 * One log at a time. A log that cannot be read is left alone until the next start, and holds up no other.
 */
#include "replica/internal.h"

#include <stdlib.h>

/* A compacted log and what was measured of it. */
struct candidate {
    struct replica *replica; /* held */
    struct log_dirt_rules rules;
    struct log_dirt dirt;
    struct compaction_log log;
};

struct cleaner {
    struct flow flow;
    struct replicas *rs;
    void (*cleaned)(void *ctx, struct log_dir *dir);
    void *ctx;
    struct replica **replicas; /* held: the set changes while it is gone through */
    uint32_t count, i;
    struct candidate now, best; /* best.replica NULL: none */
    struct log_compaction how;
    struct log_compacted done;
    struct fail fail;
    int64_t began_ns;
    struct io_timer pause;
    bool pausing;
    struct op *stopping;
};

static struct io *io_of(const struct cleaner *c)
{
    return c->rs->options.io;
}

/* ---- the choice ---------------------------------------------------------------------------------- */

static bool is_wanted(const struct replica *r)
{
    return r->log != NULL && !r->uncleanable && cleanup_has(r->settings, STR("compact"));
}

static void gather_one(void *ctx, struct replica *r)
{
    struct cleaner *c = ctx;

    if (!is_wanted(r))
        return;
    replica_hold(r);
    c->replicas[c->count++] = r;
}

static void gather(struct cleaner *c)
{
    c->replicas = calloc(replicas_count(c->rs) + 1, sizeof *c->replicas);
    ASSERT(c->replicas != NULL);
    c->count = 0;
    c->best = (struct candidate){0};
    replicas_each(c->rs, gather_one, c);
}

/* The replica may be another's by now: then it is passed over. */
static bool begin_measure(struct cleaner *c)
{
    struct replica *r = c->replicas[c->i];
    struct candidate *x = &c->now;

    if (c->stopping != NULL || !is_wanted(r))
        return false;
    *x = (struct candidate){.replica = r};
    x->log.ratio_min = config_f64(r->settings, TOPIC_MIN_CLEANABLE_DIRTY_RATIO);
    x->log.lag_max_ms = config_i64(r->settings, TOPIC_MAX_COMPACTION_LAG_MS);
    x->rules = (struct log_dirt_rules){
        .stable_end = replica_last_stable_offset(r),
        .lag_min_ms = config_i64(r->settings, TOPIC_MIN_COMPACTION_LAG_MS),
        .wall_ms = io_wall_ms(io_of(c)),
        .since = x->log.lag_max_ms < INT64_MAX,
    };
    return true;
}

static void leave_alone(struct cleaner *c, struct replica *r, const char *why)
{
    r->uncleanable = true;
    say(c->rs->options.telemetry, LOG_ERROR, "replica",
        "Marking %s-%d in %s as uncleanable: it is not compacted until the next start, but served: %s", r->topic,
        r->partition, r->dir->path, why);
}

/* `result` is that of the measure. */
static void take_measure(struct cleaner *c, int64_t result)
{
    struct candidate *x = &c->now;
    int64_t now_ms = x->rules.wall_ms;

    if (x->replica->log == NULL || result == ERR_CLOSED || result == -ERANGE)
        return;
    if (result < 0) {
        leave_alone(c, x->replica, error_text((int)result));
        return;
    }
    x->log.clean_bytes = x->dirt.clean_bytes;
    x->log.cleanable_bytes = x->dirt.cleanable_bytes;
    x->log.dirty_since_ms = x->dirt.dirty_since_ms;
    if (x->dirt.first_uncleanable <= x->dirt.first_dirty || !compaction_is_due(&x->log, now_ms))
        return;
    if (c->best.replica != NULL && !compaction_before(&x->log, &c->best.log, now_ms))
        return;
    c->best = *x;
}

/* All but the best, which stays held. */
static void release_others(struct cleaner *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->replicas[i] != c->best.replica)
            replica_release(c->replicas[i]);
    }
    free(c->replicas);
    c->replicas = NULL;
}

/* ---- the work ------------------------------------------------------------------------------------ */

static bool begin_compaction(struct cleaner *c)
{
    const struct replica *r = c->best.replica;
    const struct config *broker = c->rs->broker;
    uint32_t shards = io_shard_count(io_of(c));
    int64_t end = c->best.dirt.first_uncleanable;

    if (r == NULL || r->log == NULL || c->stopping != NULL)
        return false;
    if (end > replica_last_stable_offset(r)) /* its log was cut while others were measured */
        end = replica_last_stable_offset(r);
    c->began_ns = io_now_ns(io_of(c));
    c->fail = (struct fail){0};
    /* What Kafka shares between threads is shared between shards: each cleans one log at a time. */
    c->how = (struct log_compaction){
        .first_uncleanable = end,
        .delete_retention_ms = config_i64(r->settings, TOPIC_DELETE_RETENTION_MS),
        .map_bytes_max = (uint64_t)config_i64(broker, BROKER_LOG_CLEANER_DEDUPE_BUFFER_SIZE) / shards,
        .load_factor = config_f64(broker, BROKER_LOG_CLEANER_IO_BUFFER_LOAD_FACTOR),
        .buffer_bytes = (uint32_t)config_i64(broker, BROKER_LOG_CLEANER_IO_BUFFER_SIZE) / shards,
        .bytes_per_second = config_f64(broker, BROKER_LOG_CLEANER_IO_MAX_BYTES_PER_SECOND) / shards,
    };
    return true;
}

#define MB (1024.0 * 1024.0)

static void say_cleaned(const struct cleaner *c)
{
    const struct replica *r = c->best.replica;
    const struct compaction_counts *n = &c->done.counts;
    double seconds = (double)(io_now_ns(io_of(c)) - c->began_ns) / 1e9;
    double kept = n->bytes_read == 0 ? 0 : 100.0 * (double)n->bytes_kept / (double)n->bytes_read;

    say(c->rs->options.telemetry, LOG_INFO, "replica",
        "Log cleaner %u cleaned log %s-%d (dirty section = [%lld, %lld]): %.1f MB read and %.1f MB (%.1f%%) written in "
        "%.1f seconds, %llu of %llu records kept, %u segments became %u, %.1f%% of the map used", io_shard(io_of(c)),
        r->topic, r->partition, (long long)c->best.dirt.first_dirty, (long long)c->done.first_dirty,
        (double)n->bytes_read / MB, (double)n->bytes_kept / MB, kept, seconds, (unsigned long long)n->records_kept,
        (unsigned long long)n->records_read, c->done.segments_before, c->done.segments_after, n->map_used * 100);
    if (n->without_key > 0)
        say(c->rs->options.telemetry, LOG_WARN, "replica",
            "%s-%d: %llu records without a key were dropped; they are from a time when cleanup.policy had no compact",
            r->topic, r->partition, (unsigned long long)n->without_key);
}

static void take_result(struct cleaner *c, int64_t result)
{
    struct replica *r = c->best.replica;

    if (result >= 0) {
        say_cleaned(c);
        c->cleaned(c->ctx, r->dir);
        return;
    }
    if (result == -ECANCELED || r->log == NULL || __atomic_load_n(&r->dir->has_failed, __ATOMIC_ACQUIRE))
        return;
    if (result == -ENOMEM)
        say(c->rs->options.telemetry, LOG_WARN, "replica", "%s-%d waits for compaction: %s", r->topic, r->partition,
            c->fail.text);
    else
        leave_alone(c, r, c->fail.text);
}

/* ---- the flow ------------------------------------------------------------------------------------ */

static void pause_over(struct io_timer *t)
{
    struct cleaner *c = container_of(t, struct cleaner, pause);

    c->pausing = false;
    c->flow.op.done(&c->flow.op, 0);
}

static void pause_begin(struct cleaner *c)
{
    int64_t ms = config_i64(c->rs->broker, BROKER_LOG_CLEANER_BACKOFF_MS);

    c->pausing = true;
    /* never more than one search in a turn, whatever is set */
    io_timer_set(io_of(c), &c->pause, io_now_ns(io_of(c)) + (ms < 1 ? 1 : ms) * 1000000, pause_over);
}

static void cleaner_end(struct cleaner *c)
{
    struct op *stopping = c->stopping;

    free(c);
    stopping->done(stopping, 0);
}

static void clean_run(struct flow *f)
{
    struct cleaner *c = container_of(f, struct cleaner, flow);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(io_of(c), &f->op));
    while (c->stopping == NULL) {
        gather(c);
        for (c->i = 0; c->i < c->count; c->i++) {
            if (!begin_measure(c))
                continue;
            FLOW_WAIT(f, "measure a log",
                      log_measure_dirt(c->now.replica->log, &c->now.rules, &c->now.dirt, &f->op));
            take_measure(c, f->result);
        }
        release_others(c);
        f->result = -ECANCELED;
        if (begin_compaction(c)) {
            FLOW_WAIT(f, "compact a log",
                      log_compact(c->best.replica->log, &c->how, &c->done, &c->fail, &f->op));
            take_result(c, f->result);
        }
        if (c->best.replica != NULL)
            replica_release(c->best.replica);
        if (f->result < 0 && c->stopping == NULL)
            FLOW_WAIT(f, "pause", pause_begin(c));
    }
    FLOW_END(f);
    cleaner_end(c);
}

struct cleaner *cleaner_start(struct replicas *rs, void (*cleaned)(void *ctx, struct log_dir *dir), void *ctx)
{
    struct cleaner *c = calloc(1, sizeof *c);

    ASSERT(c != NULL);
    c->rs = rs;
    c->cleaned = cleaned;
    c->ctx = ctx;
    flow_start(&c->flow, clean_run, NULL);
    return c;
}

void cleaner_stop(struct cleaner *c, struct op *op)
{
    c->stopping = op;
    c->how.cancelled = true;
    if (!c->pausing)
        return;
    c->pausing = false;
    io_timer_clear(&c->pause);
    io_complete(io_of(c), &c->flow.op, 0);
}

/* ---- its checkpoint ------------------------------------------------------------------------------ */

void replicas_cleaner_checkpoint(const struct replicas *rs, const struct log_dir *dir, struct checkpoint *cleaner)
{
    MAP_EACH(node, &rs->by_id) {
        const struct replica *r = container_of(node, struct replica, node);
        if (r->log == NULL || r->dir != dir || !cleanup_has(r->settings, STR("compact")))
            continue;
        if (log_first_dirty(r->log) > 0)
            checkpoint_add(cleaner, str_of(r->topic), r->partition, log_first_dirty(r->log));
    }
}
