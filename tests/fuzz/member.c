/* Answers of foreign bytes (support/foreign.h) to a member of a group: what coordinator and leaders say of it, of
 * offsets and epochs, and records. Nothing crashes, every call ends by its limit, and so does a close.
 *
 *   data[0]   1 this member leads the group, 2 cooperative, 4 its name is fixed
 */
#include "consumer/consumer.h"
#include "foreign.h"

#include "assignor/consumer_protocol.h"
#include "protocol/join_group.h"
#include "protocol/list_offsets.h"
#include "protocol/offset_commit.h"
#include "protocol/offset_fetch.h"
#include "protocol/sync_group.h"

#define LIMIT_MS 800
#define LATE_MS 1500 /* to end a connection, and what was sent on it */
#define CALLS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool leads; /* of the input that is tried */

/* ---- a good coordinator, a good leader ------------------------------------------------------------------ */

static struct bytes subscription(struct arena *arena)
{
    struct consumer_protocol_subscription s;
    struct bytes out = BYTES_NULL;
    static struct str topic = {"t", 1};

    consumer_protocol_subscription_init(&s);
    s.topics = &topic;
    s.topics_count = 1;
    ASSERT(subscription_write(&s, CONSUMER_PROTOCOL_VERSION, arena, &out) == 0);
    return out;
}

static void good_join(struct join_group_response *a, struct arena *arena)
{
    a->generation_id = 5;
    a->protocol_type = CONSUMER_PROTOCOL_TYPE;
    a->protocol_name = STR("range");
    a->member_id = STR("m");
    a->leader = leads ? STR("m") : STR("another");
    if (!leads)
        return;
    a->members = arena_take(arena, sizeof *a->members);
    join_group_response_members_init(a->members);
    a->members->member_id = STR("m");
    a->members->metadata = subscription(arena);
    a->members_count = 1;
}

static void good_sync(struct sync_group_response *a, struct arena *arena)
{
    static int32_t all[FOREIGN_PARTITIONS] = {0, 1};
    struct consumer_protocol_assignment_assigned_partitions t;
    struct consumer_protocol_assignment m;

    consumer_protocol_assignment_init(&m);
    consumer_protocol_assignment_assigned_partitions_init(&t);
    t.topic = STR("t");
    t.partitions = all;
    t.partitions_count = FOREIGN_PARTITIONS;
    m.assigned_partitions = &t;
    m.assigned_partitions_count = 1;
    ASSERT(assignment_write(&m, 0, arena, &a->assignment) == 0);
}

static void good_offsets(const struct list_offsets_request *q, struct list_offsets_response *a, struct arena *arena)
{
    if (q->topics_count < 1)
        return;
    a->topics = arena_take(arena, sizeof *a->topics);
    list_offsets_response_topics_init(a->topics);
    a->topics_count = 1;
    a->topics->name = q->topics->name;
    a->topics->partitions_count = q->topics->partitions_count;
    a->topics->partitions =
        arena_take_array(arena, (size_t)q->topics->partitions_count, sizeof *a->topics->partitions);
    for (int32_t i = 0; i < q->topics->partitions_count; i++) {
        list_offsets_response_topics_partitions_init(&a->topics->partitions[i]);
        a->topics->partitions[i].partition_index = q->topics->partitions[i].partition_index;
        a->topics->partitions[i].offset = 3;
    }
}

/* Nothing is committed. */
static void good_committed(int16_t version, const struct offset_fetch_request *q, struct offset_fetch_response *a,
                           struct arena *arena)
{
    const struct offset_fetch_request_groups_topics *asked;
    struct offset_fetch_response_groups_topics *t;

    if (version < 8 || q->groups_count < 1 || q->groups->topics_count < 1)
        return;
    asked = q->groups->topics;
    a->groups = arena_take(arena, sizeof *a->groups);
    offset_fetch_response_groups_init(a->groups);
    a->groups_count = 1;
    a->groups->group_id = q->groups->group_id;
    t = arena_take(arena, sizeof *t);
    offset_fetch_response_groups_topics_init(t);
    a->groups->topics = t;
    a->groups->topics_count = 1;
    t->name = asked->name;
    t->partitions_count = asked->partition_indexes_count;
    t->partitions = arena_take_array(arena, (size_t)t->partitions_count, sizeof *t->partitions);
    for (int32_t i = 0; i < t->partitions_count; i++) {
        offset_fetch_response_groups_topics_partitions_init(&t->partitions[i]);
        t->partitions[i].partition_index = asked->partition_indexes[i];
        t->partitions[i].committed_offset = -1;
        t->partitions[i].metadata = STR("");
    }
}

static void good(int16_t api_key, int16_t version, const void *request, void *response, struct arena *arena)
{
    if (api_key == API_JOIN_GROUP)
        good_join(response, arena);
    if (api_key == API_SYNC_GROUP)
        good_sync(response, arena);
    if (api_key == API_LIST_OFFSETS)
        good_offsets(request, response, arena);
    if (api_key == API_OFFSET_FETCH)
        good_committed(version, request, response, arena);
}

/* ---- the member ------------------------------------------------------------------------------------------- */

struct ask {
    struct consumer_call call;
    struct consumer_offset offset;
    bool done;
};

static void ask_done(struct op *op, int64_t result)
{
    struct ask *a = container_of(op, struct ask, call.op);

    ASSERT(!a->done);
    a->done = true;
}

static void on_event(void *ctx, const struct consumer_event *e) {}
static void on_ready(void *ctx) {}

static struct consumer *consumer_open(struct foreign *f, uint8_t choice)
{
    static const struct consumer_hooks hooks = {.event = on_event, .ready = on_ready};
    struct consumer_settings s = {
        .client = {.bootstrap_servers = STR("near:9092"), .client_id = STR("fuzz"), .client_rack = STR_NULL,
                   .request_timeout_ms = 300, .reconnect_backoff_ms = 10, .reconnect_backoff_max_ms = 50,
                   .retry_backoff_ms = 10, .retry_backoff_max_ms = 50, .connection_setup_timeout_ms = 300,
                   .connection_setup_timeout_max_ms = 300, .connections_max_idle_ms = -1,
                   .metadata_max_age_ms = 200, .metadata_max_idle_ms = 60000, .rebootstrap_trigger_ms = 60000,
                   .frame_bytes_max = 1 << 20, .in_flight_max = 5},
        .group_id = STR("g"),
        .group_instance_id = (choice & 4) != 0 ? STR("fixed") : STR_NULL,
        .assignors = {(choice & 2) != 0 ? STR("cooperative-sticky") : STR("range")},
        .assignor_count = 1,
        .session_timeout_ms = 300,
        .heartbeat_interval_ms = 50,
        .max_poll_interval_ms = 600,
        .enable_auto_commit = true,
        .auto_commit_interval_ms = 100,
        .auto_offset_reset = CONSUMER_RESET_EARLIEST,
        .fetch_min_bytes = 1,
        .fetch_max_bytes = 1 << 20,
        .fetch_max_wait_ms = 50,
        .max_partition_fetch_bytes = 1 << 16,
        .default_api_timeout_ms = LIMIT_MS,
        .check_crcs = true,
        .buffer_bytes = 1 << 20,
        .max_poll_records = 500,
        .plain_bytes_max = 1 << 16,
    };

    return consumer_new(f->far_io, f->telemetry, &s, &hooks, NULL);
}

static void read_all(struct consumer *c)
{
    struct consumer_chunk *k;
    struct record record;

    consumer_polled(c);
    while ((k = consumer_take(c)) != NULL) {
        while (consumer_chunk_next(k, &record) > 0)
            ASSERT(record.offset >= k->first);
        consumer_chunk_release(k, k->next);
    }
}

static void use(struct foreign *f, struct consumer *c)
{
    struct ask asks[CALLS] = {0};
    struct str topic = STR("t");

    ASSERT(consumer_subscribe(c, &topic, 1, NULL) == 0);
    for (int i = 0; i < CALLS; i++) {
        asks[i].offset = (struct consumer_offset){.partition = {STR("t"), 1}, .timestamp_ms = CONSUMER_END, .offset = 1};
        asks[i].call = (struct consumer_call){.offsets = &asks[i].offset, .count = 1};
        op_init(&asks[i].call.op, ask_done);
    }
    consumer_committed(c, &asks[0].call);
    consumer_offsets_for(c, &asks[1].call);
    consumer_commit(c, &asks[2].call);
    for (int i = 0; i < 10; i++) {
        foreign_pass(f, LIMIT_MS / 10);
        read_all(c);
    }
    foreign_pass(f, LATE_MS);
    for (int i = 0; i < CALLS; i++)
        ASSERT(asks[i].done);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct foreign_wait close;
    struct consumer *c;
    struct foreign f;
    int64_t began_ns;

    if (!foreign_open(&f, data, size))
        return 0;
    leads = (data[0] & 1) != 0;
    f.good = good;
    c = consumer_open(&f, data[0]);
    ASSERT(c != NULL);
    use(&f, c);
    began_ns = sim_now_ns(f.sim);
    consumer_close(c, LIMIT_MS, foreign_wait_begin(&close));
    foreign_wait_end(&f, &close);
    ASSERT(sim_now_ns(f.sim) - began_ns <= (LIMIT_MS + LATE_MS) * INT64_C(1000000));
    foreign_close(&f);
    return 0;
}
