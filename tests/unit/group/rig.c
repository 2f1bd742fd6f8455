#include "rig.h"

#include "protocol/consumer_protocol_subscription.h"
#include "protocol/partition_record.h"
#include "protocol/topic_record.h"

#include <stdlib.h>

/* ---- the log -------------------------------------------------------------------------------- */

void rig_append_raw(struct rig *r, struct bytes bytes)
{
    size_t at = r->log.n;
    struct batch b;

    text_add(&r->log, bytes.p, (size_t)bytes.n);
    batch_stamp((uint8_t *)r->log.p + at, r->end, 1);
    CHECK(batch_read((struct bytes){(const uint8_t *)r->log.p + at, bytes.n}, &b, NULL) == bytes.n);
    r->end = b.last_offset + 1;
    if (bytes.n > r->largest_batch)
        r->largest_batch = bytes.n;
    if (!r->holds)
        r->high_watermark = r->end;
}

static enum kerr log_append(void *log, struct batch_builder *builder, int64_t *end)
{
    struct rig *r = log;
    struct text batch = {0};

    if (r->refuses != KERR_NONE)
        return r->refuses;
    CHECK(batch_builder_finish(builder, &batch) == 0);
    rig_append_raw(r, bytes_of_str(text_str(&batch)));
    text_deinit(&batch);
    *end = r->end;
    return KERR_NONE;
}

static int64_t log_end(void *log)
{
    return ((struct rig *)log)->end;
}

static int64_t log_start(void *log)
{
    return ((struct rig *)log)->start;
}

static int64_t log_high_watermark(void *log)
{
    return ((struct rig *)log)->high_watermark;
}

static void log_read(void *log, int64_t offset, uint32_t max_bytes, struct text *out, struct op *op)
{
    struct rig *r = log;
    struct bytes rest = {(const uint8_t *)r->log.p, (int32_t)r->log.n};
    struct batch b;
    int32_t given = 0;

    while (batch_next(&rest, &b) > 0) {
        if (b.last_offset < offset || b.last_offset >= r->high_watermark)
            continue;
        if (r->chunk_batches > 0 && given == r->chunk_batches)
            break;
        text_add(out, b.bytes.p, (size_t)b.bytes.n);
        given++;
    }
    CHECK(r->reading == NULL);
    r->reading = op;
    r->reading_result = (int64_t)out->n;
}

/* ---- life ----------------------------------------------------------------------------------- */

static void load_done(struct op *op, int64_t result)
{
    container_of(op, struct rig, load)->loaded = result;
}

static void partition_new(struct rig *r)
{
    struct coordinator_log log = {
        .append = log_append,
        .end = log_end,
        .start = log_start,
        .high_watermark = log_high_watermark,
        .read = log_read,
        .log = r,
    };

    r->p = group_partition_new(0, &r->settings, &log, r->telemetry, &r->prng);
}

int64_t rig_try_load(struct rig *r)
{
    op_init(&r->load, load_done);
    r->loaded = 1;
    group_partition_load(r->p, r->now_ms, RIG_WALL_MS + r->now_ms, &r->load);
    for (int i = 0; i < 1000 && r->loaded == 1 && r->reading != NULL; i++) {
        struct op *op = r->reading;
        r->reading = NULL;
        op->done(op, r->reading_result);
    }
    return r->loaded;
}

void rig_load(struct rig *r)
{
    CHECK_EQ(rig_try_load(r), 0);
}

void rig_init_empty(struct rig *r)
{
    *r = (struct rig){
        .settings =
            {
                .session_timeout_min_ms = 6000,
                .session_timeout_max_ms = 1800000,
                .initial_rebalance_delay_ms = 3000,
                .size_max = INT32_MAX,
                .offset_metadata_max = 4096,
                .offsets_retention_ms = 7 * 24 * 3600 * (int64_t)1000,
                .retention_check_interval_ms = 600000,
                .commit_timeout_ms = 5000,
            },
    };
    arena_init(&r->arena, 0);
    r->telemetry = telemetry_new(NULL);
    prng_init(&r->prng, 1);
    r->image = image_empty();
    partition_new(r);
}

void rig_init(struct rig *r)
{
    rig_init_empty(r);
    rig_topic(r, "orders", 3);
    rig_topic(r, "other", 1);
    rig_load(r);
}

void rig_reload(struct rig *r)
{
    group_partition_unload(r->p);
    group_partition_free(r->p);
    partition_new(r);
    rig_load(r);
}

void rig_end(struct rig *r)
{
    group_partition_unload(r->p);
    group_partition_free(r->p);
    for (struct call *c = r->calls, *next; c != NULL; c = next) {
        next = c->next;
        arena_deinit(&c->arena);
        free(c);
    }
    telemetry_free(r->telemetry);
    image_unref(r->image);
    arena_deinit(&r->arena);
    text_deinit(&r->log);
}

/* ---- time ----------------------------------------------------------------------------------- */

void rig_commit(struct rig *r)
{
    r->high_watermark = r->end;
    group_partition_committed(r->p, r->high_watermark);
}

void rig_settle(struct rig *r)
{
    if (!r->holds)
        rig_commit(r);
    group_tick(r->p, r->now_ms, RIG_WALL_MS + r->now_ms);
    if (!r->holds)
        rig_commit(r);
}

void rig_pass(struct rig *r, int64_t ms)
{
    int64_t until = r->now_ms + ms;

    rig_settle(r);
    for (int i = 0; i < 100000; i++) {
        int64_t due = group_deadline_ms(r->p);
        if (due > until)
            break;
        if (due > r->now_ms)
            r->now_ms = due;
        rig_settle(r);
    }
    r->now_ms = until;
    rig_settle(r);
}

void rig_marker(struct rig *r, int64_t producer_id, bool commit)
{
    struct batch_builder b;
    struct text batch = {0};

    batch_builder_init(&b);
    b.producer_id = producer_id;
    b.producer_epoch = 0;
    b.attributes = BATCH_CONTROL | BATCH_TRANSACTIONAL;
    batch_builder_add_control(&b, commit ? CONTROL_COMMIT : CONTROL_ABORT, RIG_WALL_MS + r->now_ms,
                              (struct bytes){(const uint8_t *)"\0\0\0\0\0\0", 6});
    CHECK(batch_builder_finish(&b, &batch) == 0);
    rig_append_raw(r, bytes_of_str(text_str(&batch)));
    text_deinit(&batch);
    batch_builder_deinit(&b);
    group_partition_marker(r->p, producer_id, commit, RIG_WALL_MS + r->now_ms);
    rig_settle(r);
}

/* ---- topics --------------------------------------------------------------------------------- */

struct uuid rig_topic_id(const char *name)
{
    struct uuid id = {{0xab}};

    for (size_t i = 0; name[i] != '\0' && i < 15; i++)
        id.b[i + 1] = (uint8_t)name[i];
    return id;
}

static void edit_apply(struct image_edit *e, const struct message *message, const void *record)
{
    uint8_t bytes[500];
    struct fail f = {0};
    int64_t n = message_metadata_size(message, 0, record);

    CHECK(n > 0 && n < (int64_t)sizeof(bytes));
    message_metadata_write(message, 0, record, bytes);
    if (image_edit_apply(e, (struct bytes){bytes, (int32_t)n}, &f) < 0)
        check_fail(__FILE__, __LINE__, "%s", f.text);
}

void rig_topic(struct rig *r, const char *name, int32_t partitions)
{
    struct image_edit *e = image_edit_begin(r->image);
    struct topic_record topic;
    int32_t node = 1;
    struct image *after;

    topic_record_init(&topic);
    topic.name = str_of(name);
    topic.topic_id = rig_topic_id(name);
    edit_apply(e, &topic_record_message, &topic);
    for (int32_t i = 0; i < partitions; i++) {
        struct partition_record partition;

        partition_record_init(&partition);
        partition.partition_id = i;
        partition.topic_id = topic.topic_id;
        partition.replicas = partition.isr = &node;
        partition.replicas_count = partition.isr_count = 1;
        partition.leader = 1;
        edit_apply(e, &partition_record_message, &partition);
    }
    after = image_edit_finish(e, image_offset(r->image) + 1, 1, 0);
    image_unref(r->image);
    r->image = after;
}

/* ---- asking --------------------------------------------------------------------------------- */

static void call_ready(struct group_call *call)
{
    struct call *c = container_of(call, struct call, call);

    CHECK(!c->done); /* exactly once */
    c->done = true;
}

struct call *rig_ask(struct rig *r, enum api_key key, int16_t version, const void *request)
{
    struct call *c = calloc(1, sizeof(*c));
    const struct api *api = api_find((int16_t)key);

    c->rig = r;
    c->next = r->calls;
    r->calls = c;
    arena_init(&c->arena, 0);
    c->response = arena_take(&c->arena, message_struct_bytes(api->response));
    message_init(api->response, c->response);
    c->call = (struct group_call){
        .api_key = (int16_t)key,
        .api_version = version,
        .request = request,
        .response = c->response,
        .arena = &c->arena,
        .client_id = STR("app"),
        .client_host = STR("/127.0.0.1"),
        .now_ms = r->now_ms,
        .wall_ms = RIG_WALL_MS + r->now_ms,
        .image = r->image,
        .authorized_operations = 0x108,
        .topic_allowed = r->topic_allowed,
        .ready = call_ready,
    };
    group_handle(r->p, &c->call);
    CHECK(!c->done); /* never inside */
    rig_settle(r);
    /* Whatever is answered can be written in its version. */
    if (c->done && message_size(api->response, version, c->response) < 0)
        check_fail(__FILE__, __LINE__, "%s v%d: %s cannot be written", api->name, version,
                   message_obstacle(api->response, version, c->response));
    return c;
}

void *rig_take(struct rig *r, const struct message *message)
{
    void *m = arena_take(&r->arena, message_struct_bytes(message));

    message_init(message, m);
    return m;
}

struct str rig_str(struct rig *r, const char *text)
{
    return arena_str(&r->arena, str_of(text));
}

struct call *rig_join_with(struct rig *r, const char *group, const char *member,
                           const char *instance, const char *protocols, int16_t version)
{
    struct join_group_request *q = rig_take(r, &join_group_request_message);
    struct str rest = rig_str(r, protocols), part;

    q->group_id = rig_str(r, group);
    q->member_id = rig_str(r, member);
    q->group_instance_id = rig_str(r, instance);
    q->protocol_type = STR("consumer");
    q->session_timeout_ms = 10000;
    q->rebalance_timeout_ms = 60000;
    q->protocols = arena_take_array(&r->arena, 10, sizeof(*q->protocols));
    while (str_cut(&rest, ',', &part)) {
        struct join_group_request_protocols *to = &q->protocols[q->protocols_count++];
        struct str name;

        join_group_request_protocols_init(to);
        str_cut(&part, '=', &name);
        to->name = name;
        to->metadata = bytes_of_str(part);
    }
    return rig_ask(r, API_JOIN_GROUP, version, q);
}

struct call *rig_join(struct rig *r, const char *group, const char *member, int16_t version)
{
    return rig_join_with(r, group, member, NULL, "range=meta", version);
}

const char *rig_text(struct rig *r, struct str s)
{
    return arena_printf(&r->arena, "%.*s", STR_ARG(s)).p;
}

const char *rig_assign(struct rig *r, struct str a, const char *to_a, struct str b,
                       const char *to_b)
{
    if (str_is_null(b))
        return arena_printf(&r->arena, "%.*s=%s", STR_ARG(a), to_a).p;
    return arena_printf(&r->arena, "%.*s=%s,%.*s=%s", STR_ARG(a), to_a, STR_ARG(b), to_b).p;
}

struct call *rig_sync(struct rig *r, const char *group, struct str member, int32_t generation,
                      const char *assignments)
{
    struct sync_group_request *q = rig_take(r, &sync_group_request_message);
    struct str rest = rig_str(r, assignments == NULL ? "" : assignments), part;

    q->group_id = rig_str(r, group);
    q->member_id = arena_str(&r->arena, member);
    q->generation_id = generation;
    q->assignments = arena_take_array(&r->arena, 100, sizeof(*q->assignments));
    while (str_cut(&rest, ',', &part)) {
        struct sync_group_request_assignments *to = &q->assignments[q->assignments_count++];
        struct str name;

        sync_group_request_assignments_init(to);
        str_cut(&part, '=', &name);
        to->member_id = name;
        to->assignment = bytes_of_str(part);
    }
    return rig_ask(r, API_SYNC_GROUP, 3, q);
}

enum kerr rig_heartbeat(struct rig *r, const char *group, struct str member, int32_t generation)
{
    struct heartbeat_request *q = rig_take(r, &heartbeat_request_message);
    struct call *c;

    q->group_id = rig_str(r, group);
    q->member_id = arena_str(&r->arena, member);
    q->generation_id = generation;
    c = rig_ask(r, API_HEARTBEAT, 4, q);
    CHECK(c->done);
    return (enum kerr)((struct heartbeat_response *)c->response)->error_code;
}

enum kerr rig_leave(struct rig *r, const char *group, struct str member)
{
    struct leave_group_request *q = rig_take(r, &leave_group_request_message);
    struct call *c;

    q->group_id = rig_str(r, group);
    q->member_id = arena_str(&r->arena, member);
    c = rig_ask(r, API_LEAVE_GROUP, 2, q);
    CHECK(c->done);
    return (enum kerr)((struct leave_group_response *)c->response)->error_code;
}

enum kerr rig_commit_offset(struct rig *r, const char *group, struct str member, int32_t generation,
                            const char *topic, int32_t partition, int64_t offset)
{
    struct offset_commit_request *q = rig_take(r, &offset_commit_request_message);
    struct offset_commit_request_topics *t = arena_take(&r->arena, sizeof(*t));
    struct call *c;

    offset_commit_request_topics_init(t);
    t->name = rig_str(r, topic);
    t->partitions = arena_take(&r->arena, sizeof(*t->partitions));
    t->partitions_count = 1;
    offset_commit_request_topics_partitions_init(t->partitions);
    t->partitions->partition_index = partition;
    t->partitions->committed_offset = offset;
    t->partitions->committed_metadata = STR("note");
    q->group_id = rig_str(r, group);
    q->member_id = arena_str(&r->arena, member);
    q->generation_id_or_member_epoch = generation;
    q->topics = t;
    q->topics_count = 1;
    c = rig_ask(r, API_OFFSET_COMMIT, 8, q);
    if (!c->done)
        return KERR_REQUEST_TIMED_OUT; /* for those who look before it is committed */
    return (enum kerr)((struct offset_commit_response *)c->response)
        ->topics[0]
        .partitions[0]
        .error_code;
}

enum kerr rig_txn_commit(struct rig *r, const char *group, int64_t producer_id, const char *topic,
                         int32_t partition, int64_t offset)
{
    struct txn_offset_commit_request *q = rig_take(r, &txn_offset_commit_request_message);
    struct txn_offset_commit_request_topics *t = arena_take(&r->arena, sizeof(*t));
    struct call *c;

    txn_offset_commit_request_topics_init(t);
    t->name = rig_str(r, topic);
    t->partitions = arena_take(&r->arena, sizeof(*t->partitions));
    t->partitions_count = 1;
    txn_offset_commit_request_topics_partitions_init(t->partitions);
    t->partitions->partition_index = partition;
    t->partitions->committed_offset = offset;
    q->transactional_id = STR("tx");
    q->group_id = rig_str(r, group);
    q->producer_id = producer_id;
    q->topics = t;
    q->topics_count = 1;
    c = rig_ask(r, API_TXN_OFFSET_COMMIT, 3, q);
    CHECK(c->done);
    return (enum kerr)((struct txn_offset_commit_response *)c->response)
        ->topics[0]
        .partitions[0]
        .error_code;
}

int64_t rig_offset(struct rig *r, const char *group, const char *topic, int32_t partition,
                   bool stable, enum kerr *error)
{
    struct offset_fetch_request *q = rig_take(r, &offset_fetch_request_message);
    struct offset_fetch_request_groups *g = arena_take(&r->arena, sizeof(*g));
    const struct offset_fetch_response *answered;
    struct call *c;

    offset_fetch_request_groups_init(g);
    g->group_id = rig_str(r, group);
    g->topics = arena_take(&r->arena, sizeof(*g->topics));
    g->topics_count = 1;
    offset_fetch_request_groups_topics_init(g->topics);
    g->topics->name = rig_str(r, topic);
    g->topics->partition_indexes = arena_take(&r->arena, 4);
    g->topics->partition_indexes[0] = partition;
    g->topics->partition_indexes_count = 1;
    q->groups = g;
    q->groups_count = 1;
    q->require_stable = stable;
    c = rig_ask(r, API_OFFSET_FETCH, 8, q);
    CHECK(c->done);
    answered = c->response;
    CHECK_EQ(answered->groups[0].error_code, KERR_NONE);
    if (error != NULL)
        *error = (enum kerr)answered->groups[0].topics[0].partitions[0].error_code;
    return answered->groups[0].topics[0].partitions[0].committed_offset;
}

const char *rig_state(struct rig *r, const char *group)
{
    struct describe_groups_request *q = rig_take(r, &describe_groups_request_message);
    const struct describe_groups_response_groups *g;
    struct str *id = arena_take(&r->arena, sizeof(*id));
    struct text line = {0};
    struct call *c;

    *id = rig_str(r, group);
    q->groups = id;
    q->groups_count = 1;
    c = rig_ask(r, API_DESCRIBE_GROUPS, 5, q);
    CHECK(c->done);
    g = ((struct describe_groups_response *)c->response)->groups;
    text_printf(&line, "%.*s", STR_ARG(g->group_state));
    if (g->protocol_data.n > 0)
        text_printf(&line, " %.*s", STR_ARG(g->protocol_data));
    for (int32_t i = 0; i < g->members_count; i++)
        text_printf(&line, " %.*s", STR_ARG(str_of_bytes(g->members[i].member_assignment)));
    struct str kept = arena_printf(&r->arena, "%.*s", STR_ARG(text_str(&line)));
    text_deinit(&line);
    return kept.p;
}

static struct str stabilize(struct rig *r, const char *group, struct call *c)
{
    struct str id;

    rig_pass(r, r->settings.initial_rebalance_delay_ms);
    CHECK(c->done);
    CHECK_EQ(join_of(c)->error_code, KERR_NONE);
    id = join_of(c)->member_id;
    c = rig_sync(r, group, id, join_of(c)->generation_id, NULL);
    CHECK(c->done);
    CHECK_EQ(sync_of(c)->error_code, KERR_NONE);
    return id;
}

struct str rig_member(struct rig *r, const char *group)
{
    return stabilize(r, group, rig_join(r, group, "", 3));
}

struct str rig_reader(struct rig *r, const char *group, const char *topic)
{
    struct join_group_request *q = rig_take(r, &join_group_request_message);
    struct consumer_protocol_subscription subscription;
    struct str name = rig_str(r, topic);
    uint8_t *bytes = arena_take(&r->arena, 200);
    int64_t n;

    consumer_protocol_subscription_init(&subscription);
    subscription.topics = &name;
    subscription.topics_count = 1;
    n = consumer_protocol_subscription_size(&subscription, 3);
    CHECK(n > 0 && n < 198);
    put_u16(bytes, 3);
    consumer_protocol_subscription_write(&subscription, 3, bytes + 2);
    q->group_id = rig_str(r, group);
    q->member_id = STR("");
    q->protocol_type = STR("consumer");
    q->session_timeout_ms = q->rebalance_timeout_ms = 1800000;
    q->protocols = arena_take(&r->arena, sizeof(*q->protocols));
    q->protocols_count = 1;
    join_group_request_protocols_init(q->protocols);
    q->protocols->name = STR("range");
    q->protocols->metadata = (struct bytes){bytes, (int32_t)n + 2};
    return stabilize(r, group, rig_ask(r, API_JOIN_GROUP, 3, q));
}

void rig_live(struct rig *r, const char *group, struct str member, int32_t generation, int64_t ms)
{
    for (int64_t passed = 0; passed < ms; passed += 1790000) {
        rig_pass(r, 1790000);
        CHECK_EQ(rig_heartbeat(r, group, member, generation), KERR_NONE);
    }
}

enum kerr rig_delete(struct rig *r, const char *group)
{
    struct delete_groups_request *q = rig_take(r, &delete_groups_request_message);
    struct str *id = arena_take(&r->arena, sizeof(*id));
    struct call *c;

    *id = rig_str(r, group);
    q->groups_names = id;
    q->groups_names_count = 1;
    c = rig_ask(r, API_DELETE_GROUPS, 2, q);
    CHECK(c->done);
    return (enum kerr)((struct delete_groups_response *)c->response)->results[0].error_code;
}

/* ---- what was written ----------------------------------------------------------------------- */

static void dump_record(const struct record *record, struct arena *arena, struct text *out)
{
    struct message_framed k, v;

    text_printf(out, "%" PRId64 ": ", record->offset);
    if (message_key_read(record->key, MESSAGE_GROUP_KEY, arena, &k) < 0) {
        text_printf(out, "not a key\n");
        return;
    }
    message_print(k.message, k.version, k.value, out);
    text_printf(out, " = ");
    if (record->value.n < 0) {
        text_printf(out, "null");
    } else {
        CHECK(message_value_read(record->value, MESSAGE_GROUP_VALUE, k.message->key, arena, &v) >=
              0);
        text_printf(out, "v%d ", v.version);
        message_print(v.message, v.version, v.value, out);
    }
    text_printf(out, "\n");
}

const char *rig_dump(struct rig *r)
{
    struct bytes rest = {(const uint8_t *)r->log.p, (int32_t)r->log.n};
    struct text out = {0};
    struct batch b;

    while (r->log.n > 0 && batch_next(&rest, &b) > 0) {
        struct records records;
        struct record record;

        if (batch_is_control(&b))
            continue;
        CHECK(records_begin(&records, &b, 1 << 20) == 0);
        while (records_next(&records, &record) > 0)
            dump_record(&record, &r->arena, &out);
        records_end(&records);
    }
    struct str kept = arena_printf(&r->arena, "%.*s", STR_ARG(text_str(&out)));
    text_deinit(&out);
    return kept.p;
}
