#include "broker/groups.h"

#include <stdlib.h>

#include "compression/compression.h"

#define OFFSETS_TOPIC STR("__consumer_offsets")

/* A coordinator partition at work. */
struct host {
    struct list node; /* in groups->hosts */
    struct groups *groups;
    struct replica *replica; /* held */
    struct group_partition *partition;
    struct io_timer timer;
    struct op load;
    bool loading, ending;
    /* a read of the loader */
    struct log_read read;
    struct arena arena;
    struct text batch; /* scratch of appends */
};

struct groups {
    struct broker_shard *shard;
    struct list hosts;
    struct group_settings settings;
    enum codec codec; /* offsets.topic.compression.codec, whose numbers are those of batches */
    struct op *closed;
};

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

static struct host *host_find(struct groups *g, int32_t partition)
{
    LIST_EACH(it, &g->hosts) {
        struct host *h = container_of(it, struct host, node);
        if (!h->ending && replica_partition(h->replica) == partition)
            return h;
    }
    return NULL;
}

static void timer_fired(struct io_timer *t);

/* The partition may wait for an earlier moment now. */
static void host_wind(struct host *h)
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

static void load_done(struct op *op, int64_t result)
{
    struct host *h = container_of(op, struct host, load);

    h->loading = false;
    if (h->ending) {
        host_free(h);
        return;
    }
    if (result < 0)
        say(h->groups->shard->telemetry, LOG_ERROR, "broker",
            "the groups of __consumer_offsets-%d cannot be loaded: %s; they are unavailable until "
            "this partition can be read (restart, or repair the log)",
            replica_partition(h->replica), error_text((int)result));
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

int32_t groups_partition(const struct image *image, struct str group_id)
{
    const struct image_topic *topic = image_topic_find(image, OFFSETS_TOPIC);

    return topic == NULL ? -1 : group_partition_of(group_id, topic->partition_count);
}

/* ---- questions ------------------------------------------------------------------------------- */

/* What a part still waits for, and, for groups_ask_all, the asks that it made itself. */
struct asking {
    uint32_t left;
    struct group_ask *asks;
    uint32_t count;
};

static void ask_ready(struct group_call *call)
{
    struct group_ask *ask = container_of(call, struct group_ask, call);
    struct asking *state = ask->part->state;

    ask->asked = NULL;
    if (--state->left == 0)
        scatter_part_done(ask->part);
}

static bool topic_allowed(const struct group_call *call, struct str topic)
{
    const struct group_ask *ask = container_of(call, const struct group_ask, call);
    const struct request *r = ask->part->scatter->request;

    return request_authorize(r, r->key == API_OFFSET_FETCH ? ACL_DESCRIBE : ACL_READ,
                             RESOURCE_TOPIC, topic);
}

static void ask_host(struct scatter_part *part, struct group_ask *ask, struct host *h)
{
    const struct request *r = part->scatter->request;
    struct io *io = part->shard->io;
    struct asking *state = part->state;

    ask->part = part;
    ask->call = (struct group_call){
        .api_key = r->key,
        .api_version = r->version,
        .request = ask->request,
        .response = ask->response,
        .arena = &part->arena,
        .client_id = r->client_id,
        /* as Java writes it */
        .client_host = arena_printf(&part->arena, "/%.*s", STR_ARG(request_host(r))),
        .now_ms = io_now_ms(io),
        .wall_ms = io_wall_ms(io),
        .image = part->shard->image,
        .authorized_operations = ask->authorized_operations,
        .topic_allowed = topic_allowed,
        .ready = ask_ready,
    };
    state->left++;
    ask->asked = h->partition;
    group_handle(h->partition, &ask->call);
    host_wind(h);
}

static void ask_begin(struct scatter_part *part, struct group_ask *ask)
{
    struct host *h = host_find(part->shard->groups,
                               groups_partition(part->shard->image, ask->group_id));

    if (h == NULL)
        ask->error = KERR_NOT_COORDINATOR;
    else
        ask_host(part, ask, h);
}

static void part_ask(struct scatter_part *part)
{
    struct asking *state = arena_take(&part->arena, sizeof *state);

    part->state = state;
    state->left = 1;
    for (uint32_t i = 0; i < part->count; i++)
        ask_begin(part, part->items[i]);
    if (--state->left == 0)
        scatter_part_done(part);
}

void groups_ask(struct request *r, struct group_ask *asks, uint32_t count,
                void (*joined)(struct scatter *s))
{
    struct scatter *s = scatter_new(r, part_ask, joined);
    const struct image_topic *topic = image_topic_find(r->shard->image, OFFSETS_TOPIC);

    r->state = s;
    for (uint32_t i = 0; i < count; i++) {
        if (asks[i].error != KERR_NONE)
            continue;
        if (topic == NULL) {
            asks[i].error = KERR_COORDINATOR_NOT_AVAILABLE;
            continue;
        }
        int32_t partition = group_partition_of(asks[i].group_id, topic->partition_count);
        scatter_add(s, shard_of(r->shard->broker, topic->id, partition), &asks[i]);
    }
    scatter_run(s);
}

/* ---- the connection is gone ------------------------------------------------------------------ */

static void part_forget(struct scatter_part *part)
{
    struct asking *state = part->state;

    for (uint32_t i = 0; i < part->count; i++) {
        struct group_ask *ask = part->items[i];
        if (ask->asked == NULL || !group_cancel(ask->asked, &ask->call))
            continue;
        ask->asked = NULL;
        if (--state->left == 0)
            scatter_part_done(part);
    }
}

void groups_cancel(struct request *r)
{
    if (r->state != NULL)
        scatter_interrupt(r->state, part_forget);
}

/* ---- all of them ----------------------------------------------------------------------------- */

struct ask_all {
    void (*merge)(struct request *r, const void *response);
    void (*done)(struct request *r);
};

static void part_ask_all(struct scatter_part *part)
{
    const struct request *r = part->scatter->request;
    struct asking *state = arena_take(&part->arena, sizeof *state);

    part->state = state;
    LIST_EACH(it, &part->shard->groups->hosts)
        state->count += container_of(it, struct host, node)->ending ? 0 : 1;
    state->asks = arena_take_array(&part->arena, state->count, sizeof *state->asks);
    state->left = 1;
    uint32_t i = 0;
    LIST_EACH(it, &part->shard->groups->hosts) {
        struct host *h = container_of(it, struct host, node);
        if (h->ending)
            continue;
        struct group_ask *ask = &state->asks[i++];
        ask->request = r->message;
        ask->response = arena_take(&part->arena, message_struct_bytes(r->response_message));
        message_init(r->response_message, ask->response);
        ask_host(part, ask, h);
    }
    if (--state->left == 0)
        scatter_part_done(part);
}

static void all_joined(struct scatter *s)
{
    const struct ask_all *all = s->state;

    for (uint32_t shard = 0; shard < s->home->broker->shard_count; shard++) {
        const struct asking *state = s->parts[shard].state;
        for (uint32_t i = 0; i < state->count; i++)
            all->merge(s->request, state->asks[i].response);
    }
    all->done(s->request);
}

void groups_ask_all(struct request *r, void (*merge)(struct request *r, const void *response),
                    void (*done)(struct request *r))
{
    struct scatter *s = scatter_new(r, part_ask_all, all_joined);
    struct ask_all *all = arena_take(&r->arena, sizeof *all);

    *all = (struct ask_all){merge, done};
    s->state = all;
    scatter_everywhere(s);
    scatter_run(s);
}

/* ---- one group, the whole request ------------------------------------------------------------ */

struct ask_one {
    struct group_ask ask;
    void (*failed)(struct request *r, enum kerr error);
};

static void one_joined(struct scatter *s)
{
    struct request *r = s->request;
    struct ask_one *one = container_of(r->asked, struct ask_one, ask);

    if (one->ask.error != KERR_NONE)
        one->failed(r, one->ask.error);
    request_answer(r);
}

void groups_ask_one(struct request *r, struct str group_id, enum acl_operation operation,
                    void (*failed)(struct request *r, enum kerr error))
{
    struct ask_one *one = arena_take(&r->arena, sizeof *one);

    if (!request_authorize(r, operation, RESOURCE_GROUP, group_id)) {
        failed(r, KERR_GROUP_AUTHORIZATION_FAILED);
        request_answer(r);
        return;
    }
    one->ask = (struct group_ask){
        .group_id = group_id,
        .request = r->message,
        .response = r->response,
    };
    one->failed = failed;
    r->asked = &one->ask;
    groups_ask(r, &one->ask, 1, one_joined);
}
