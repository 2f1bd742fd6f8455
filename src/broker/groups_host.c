/* The coordinator partitions that a shard hosts: their logs, loading, time. */
#include "broker/groups_host.h"

#include <stdlib.h>

#include "compression/compression.h"

/* ---- the log below a coordinator ------------------------------------------------------------- */

static enum kerr host_append(void *log, struct batch_builder *builder, int64_t *end)
{
    struct host *h = log;
    struct batch batch;
    struct replica_appended appended;

    if (replica_log(h->replica) == NULL)
        return KERR_NOT_COORDINATOR;
    text_clear(&h->batch);
    builder->attributes |= (uint16_t)h->groups->codec;
    builder->level = codec_level_default(h->groups->codec);
    if (batch_builder_finish(builder, &h->batch) < 0)
        return KERR_UNKNOWN_SERVER_ERROR;
    int n =
        batch_read((struct bytes){(const uint8_t *)h->batch.p, (int32_t)h->batch.n}, &batch, NULL);
    ASSERT(n == (int)h->batch.n);
    enum kerr error = replica_append(h->replica, &batch, -1, &appended);
    if (error == KERR_NOT_LEADER_OR_FOLLOWER || error == KERR_KAFKA_STORAGE_ERROR)
        return KERR_NOT_COORDINATOR;
    if (error == KERR_NOT_ENOUGH_REPLICAS)
        return KERR_COORDINATOR_NOT_AVAILABLE;
    if (error != KERR_NONE)
        return error;
    *end = appended.last_offset + 1;
    return KERR_NONE;
}

static int64_t host_end(void *log)
{
    return log_end(replica_log(((struct host *)log)->replica));
}

static int64_t host_start(void *log)
{
    return log_start(replica_log(((struct host *)log)->replica));
}

static int64_t host_high_watermark(void *log)
{
    return replica_high_watermark(((struct host *)log)->replica);
}

static void host_read(void *log, int64_t offset, uint32_t max_bytes, struct text *out,
                      struct op *op)
{
    struct host *h = log;

    if (replica_log(h->replica) == NULL) {
        io_complete(h->groups->shard->io, op, -ECANCELED);
        return;
    }
    arena_reset(&h->arena);
    h->read = (struct log_read){
        .offset = offset,
        .limit = replica_high_watermark(h->replica),
        .max_bytes = max_bytes,
        .first_whole = true,
        .arena = &h->arena,
    };
    log_read_bytes(replica_log(h->replica), &h->read, out, op);
}

/* ---- hosts ----------------------------------------------------------------------------------- */

struct host *host_find(struct groups *g, int32_t partition)
{
    LIST_EACH(it, &g->hosts) {
        struct host *h = container_of(it, struct host, node);
        if (!h->ending && replica_partition(h->replica) == partition)
            return h;
    }
    return NULL;
}

static void timer_fired(struct io_timer *t);

void host_wind(struct host *h)
{
    int64_t due_ms = group_deadline_ms(h->partition);

    if (due_ms == INT64_MAX)
        io_timer_clear(&h->timer);
    else
        io_timer_set(h->groups->shard->io, &h->timer, due_ms * 1000000, timer_fired);
}

static void timer_fired(struct io_timer *t)
{
    struct host *h = container_of(t, struct host, timer);
    struct io *io = h->groups->shard->io;

    group_tick(h->partition, io_now_ms(io), io_wall_ms(io));
    host_wind(h);
}

static void host_free(struct host *h)
{
    struct groups *g = h->groups;

    io_timer_clear(&h->timer);
    list_remove(&h->node);
    group_partition_free(h->partition);
    arena_deinit(&h->arena);
    text_deinit(&h->batch);
    replica_release(h->replica);
    free(h);
    if (list_empty(&g->hosts) && g->closed != NULL) {
        struct op *op = g->closed;
        g->closed = NULL;
        io_complete(g->shard->io, op, 0);
    }
}

static void host_end_now(struct host *h)
{
    h->ending = true;
    io_timer_clear(&h->timer);
    group_partition_unload(h->partition);
    if (!h->loading)
        host_free(h);
}

static void loaded(struct host *h)
{
    int64_t took_ms = io_now_ms(h->groups->shard->io) - h->load_began_ms;

    if (took_ms > h->groups->load_ms_max)
        h->groups->load_ms_max = took_ms;
    if (host_start(h) < host_end(h)) /* fifty of a new topic are no news */
        say(h->groups->shard->telemetry, LOG_INFO, "broker",
            "the groups of __consumer_offsets-%d are loaded in %" PRId64 " ms, from offset %" PRId64 " to %" PRId64
            ": this broker is their coordinator", replica_partition(h->replica), took_ms, host_start(h), host_end(h));
}

static void load_done(struct op *op, int64_t result)
{
    struct host *h = container_of(op, struct host, load);

    h->loading = false;
    if (h->ending) {
        host_free(h);
        return;
    }
    h->phase = result < 0 ? COORDINATOR_FAILED : COORDINATOR_ACTIVE;
    if (result < 0)
        say(h->groups->shard->telemetry, LOG_ERROR, "broker",
            "the groups of __consumer_offsets-%d cannot be loaded: %s; they are unavailable until "
            "this partition can be read (restart, or repair the log)",
            replica_partition(h->replica), error_text((int)result));
    else
        loaded(h);
    host_wind(h);
}

static void host_begin(struct groups *g, struct replica *r)
{
    struct host *h = calloc(1, sizeof *h);
    struct io *io = g->shard->io;

    ASSERT(h != NULL);
    h->groups = g;
    h->replica = r;
    replica_hold(r);
    arena_init(&h->arena, 0);
    struct coordinator_log log = {
        .append = host_append,
        .end = host_end,
        .start = host_start,
        .high_watermark = host_high_watermark,
        .read = host_read,
        .log = h,
    };
    h->partition = group_partition_new(replica_partition(r), &g->settings, &log,
                                       g->shard->telemetry, io_prng(io));
    list_add_tail(&g->hosts, &h->node);
    h->loading = true;
    h->load_began_ms = io_now_ms(io);
    op_init(&h->load, load_done);
    group_partition_load(h->partition, io_now_ms(io), io_wall_ms(io), &h->load);
}

void groups_leading(struct groups *g, struct replica *r, bool leads)
{
    if (!str_equal(replica_topic(r), OFFSETS_TOPIC))
        return;
    if (leads) {
        host_begin(g, r);
        return;
    }
    struct host *h = host_find(g, replica_partition(r));
    if (h != NULL)
        host_end_now(h);
}

void groups_committed(struct groups *g, struct replica *r)
{
    struct host *h;

    if (!str_equal(replica_topic(r), OFFSETS_TOPIC))
        return;
    h = host_find(g, replica_partition(r));
    if (h == NULL)
        return;
    group_partition_committed(h->partition, replica_high_watermark(r));
    host_wind(h);
}

void groups_topic_deleted(struct groups *g, const struct image_topic *topic)
{
    struct io *io = g->shard->io;

    LIST_EACH(it, &g->hosts) {
        struct host *h = container_of(it, struct host, node);
        if (h->ending)
            continue;
        group_topics_deleted(h->partition, &topic->id, &topic->name, 1, io_now_ms(io),
                             io_wall_ms(io));
        host_wind(h);
    }
}

static struct group_settings settings_from(const struct config *c)
{
    return (struct group_settings){
        .session_timeout_min_ms = config_i64(c, BROKER_GROUP_MIN_SESSION_TIMEOUT_MS),
        .session_timeout_max_ms = config_i64(c, BROKER_GROUP_MAX_SESSION_TIMEOUT_MS),
        .initial_rebalance_delay_ms = config_i64(c, BROKER_GROUP_INITIAL_REBALANCE_DELAY_MS),
        .size_max = (int32_t)config_i64(c, BROKER_GROUP_MAX_SIZE),
        .offset_metadata_max = (int32_t)config_i64(c, BROKER_OFFSET_METADATA_MAX_BYTES),
        .offsets_retention_ms = config_i64(c, BROKER_OFFSETS_RETENTION_MINUTES) * 60000,
        .retention_check_interval_ms =
            config_i64(c, BROKER_OFFSETS_RETENTION_CHECK_INTERVAL_MS),
        .commit_timeout_ms = config_i64(c, BROKER_OFFSETS_COMMIT_TIMEOUT_MS),
    };
}

struct groups *groups_new(struct broker_shard *shard)
{
    struct groups *g = calloc(1, sizeof *g);

    ASSERT(g != NULL);
    g->shard = shard;
    g->settings = settings_from(shard->settings);
    g->codec = (enum codec)config_i64(shard->settings, BROKER_OFFSETS_TOPIC_COMPRESSION_CODEC);
    list_init(&g->hosts);
    return g;
}

struct groups_numbers groups_numbers(const struct groups *g)
{
    struct groups_numbers n = {.load_ms_max = g->load_ms_max};

    LIST_EACH (it, &g->hosts) {
        const struct host *h = container_of(it, struct host, node);
        if (!h->ending)
            n.by_phase[h->phase]++;
    }
    return n;
}

void groups_free(struct groups *g)
{
    ASSERT(list_empty(&g->hosts));
    free(g);
}

void groups_close(struct groups *g, struct op *op)
{
    if (list_empty(&g->hosts)) {
        io_complete(g->shard->io, op, 0);
        return;
    }
    g->closed = op;
    LIST_EACH(it, &g->hosts) {
        struct host *h = container_of(it, struct host, node);
        if (!h->ending)
            host_end_now(h);
    }
}
