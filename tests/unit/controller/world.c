#include "world.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/alter_partition.h"
#include "protocol/broker_heartbeat.h"
#include "protocol/broker_registration.h"
#include "protocol/create_topics.h"
#include "protocol/feature_level_record.h"

/* ---- the log -----------------------------------------------------------------------------------
 */

static void note_record(struct world *w, struct bytes framed)
{
    struct message_framed record = {0};
    struct arena arena;

    arena_init(&arena, 0);
    CHECK(message_metadata_read(framed, MESSAGE_METADATA, &arena, &record) >= 0);
    text_printf(&w->records, "%s v%d ", record.message->name, record.version);
    message_print(record.message, record.version, record.value, &w->records);
    text_printf(&w->records, "\n");
    arena_deinit(&arena);
}

static int append(void *log, int32_t epoch, const struct bytes *framed, uint32_t count,
                  int64_t *last_offset)
{
    struct world *w = log;
    struct image_edit *e;
    struct image *next;
    struct fail f = {0};

    CHECK(count > 0);
    if (w->append_error != 0)
        return w->append_error;
    e = image_edit_begin(w->standby);
    for (uint32_t i = 0; i < count; i++) {
        note_record(w, framed[i]);
        if (image_edit_apply(e, framed[i], &f) < 0)
            check_fail(__FILE__, __LINE__, "%s", f.text);
    }
    w->end += count;
    w->appends++;
    next = image_edit_finish(e, w->end - 1, epoch, 0);
    image_unref(w->standby);
    w->standby = next;
    *last_offset = w->end - 1;
    return 0;
}

static int16_t kraft_version(void *log)
{
    const struct world *w = log;

    return w->kraft_version;
}

static enum kerr upgrade(void *log, int32_t epoch, bool validate_only)
{
    struct world *w = log;

    CHECK(w->kraft_version == 0);
    if (!validate_only && w->upgrade_error == KERR_NONE) {
        w->kraft_version = 1;
        w->end += 2; /* kraft.version, voters */
    }
    return w->upgrade_error;
}

static void told(void *ctx, const struct controller_news *news)
{
    struct world *w = ctx;

    if (!str_is_null(news->topic))
        text_printf(&w->news, "%.*s-%d ", STR_ARG(news->topic), news->partition);
    text_printf(&w->news, "%.*s%s%s\n", STR_ARG(news->words), news->loud ? "" : " (quiet)", news->bad ? " (bad)" : "");
}

static struct text read_bootstrap(void)
{
    char piece[1024];
    struct text content = {0};
    FILE *file = fopen(TEST_DIR "/bootstrap-4.3.1.checkpoint", "rb");
    size_t n;

    CHECK(file != NULL);
    while ((n = fread(piece, 1, sizeof(piece), file)) > 0)
        text_add(&content, piece, n);
    fclose(file);
    return content;
}

/* ---- begin and end -----------------------------------------------------------------------------
 */

void world_begin(struct world *w, bool claim)
{
    struct image_edit *e;
    struct image *empty = image_empty();
    struct controller_settings settings;
    struct controller_log log = {append, kraft_version, upgrade, w};

    *w = (struct world){.now_ms = 1000};
    prng_init(&w->prng, 1);
    arena_init(&w->arena, 0);
    w->settings = config_new(&broker_settings);
    w->bootstrap = read_bootstrap();
    settings = (struct controller_settings){
        .node_id = 1,
        .cluster_id = STR("cluster"),
        .broker = w->settings,
        .session_timeout_ms = 9000,
        .idle_interval_ms = 500,
        .bootstrap = bytes_of_str(text_str(&w->bootstrap)),
        .told = told,
        .told_ctx = w,
    };
    w->c = controller_new(&settings, &log, &w->prng);
    e = image_edit_begin(empty);
    image_unref(empty);
    w->end = 3; /* leader change, kraft.version, voters */
    w->standby = image_edit_finish(e, w->end - 1, 1, 0);
    if (claim) {
        world_claim(w, 1);
        world_commit(w);
        text_clear(&w->records);
    }
}

void world_add(struct world *w, const struct message *message, const void *record)
{
    uint8_t framed[200];
    struct image_edit *e = image_edit_begin(w->standby);
    struct fail f = {0};
    struct image *next;
    int32_t size = (int32_t)message_metadata_size(message, 0, record);

    message_metadata_write(message, 0, record, framed);
    if (image_edit_apply(e, (struct bytes){framed, size}, &f) < 0)
        check_fail(__FILE__, __LINE__, "%s", f.text);
    next = image_edit_finish(e, w->end++, 1, 0);
    image_unref(w->standby);
    w->standby = next;
}

void world_begin_at(struct world *w, int16_t metadata_version)
{
    struct feature_level_record level;

    world_begin(w, false);
    feature_level_record_init(&level);
    level.name = STR("metadata.version");
    level.feature_level = metadata_version;
    world_add(w, &feature_level_record_message, &level);
    world_claim(w, 2);
    world_commit(w);
}

void world_claim(struct world *w, int32_t epoch)
{
    struct image *at = image_ref(w->standby);

    controller_claim(w->c, at, epoch, w->now_ms);
    image_unref(at);
}

void world_end(struct world *w)
{
    controller_free(w->c);
    image_unref(w->standby);
    config_free(w->settings);
    text_deinit(&w->records);
    text_deinit(&w->news);
    text_deinit(&w->bootstrap);
    arena_deinit(&w->arena);
}

struct str world_records(struct world *w)
{
    struct str copy = arena_str(&w->arena, text_str(&w->records));

    text_clear(&w->records);
    return copy;
}

struct uuid world_id(uint8_t n)
{
    struct uuid id = UUID_ZERO;

    id.b[0] = n;
    return id;
}

/* ---- calls -------------------------------------------------------------------------------------
 */

struct asked {
    struct controller_call call;
    enum kerr error;
    bool done;
};

static void asked_ready(struct controller_call *call, enum kerr error)
{
    struct asked *a = container_of(call, struct asked, call);

    CHECK(!a->done);
    a->done = true;
    a->error = error;
}

void world_commit(struct world *w)
{
    controller_committed(w->c, w->end);
    (void)controller_tick(w->c, w->now_ms);
}

/* The standby has replayed the same records and must say the same. */
static void check_standby(struct world *w)
{
    struct text ours = {0}, theirs = {0};
    struct str a, b;

    if (!controller_is_active(w->c))
        return;
    image_print(controller_latest(w->c), &ours);
    image_print(w->standby, &theirs);
    a = text_str(&ours);
    b = text_str(&theirs);
    CHECK(str_equal(
        (struct str){strchr(ours.p, '\n'), a.n - (int32_t)(strchr(ours.p, '\n') - ours.p)},
        (struct str){strchr(theirs.p, '\n'), b.n - (int32_t)(strchr(theirs.p, '\n') - theirs.p)}));
    text_deinit(&ours);
    text_deinit(&theirs);
}

struct str world_news(struct world *w)
{
    struct str copy = arena_str(&w->arena, text_str(&w->news));

    text_clear(&w->news);
    return copy;
}

enum kerr world_ask(struct world *w, int16_t api_key, int16_t version, const void *request,
                    void *response)
{
    struct asked a = {
        .call =
            {
                .api_key = api_key,
                .api_version = version,
                .request = request,
                .response = response,
                .arena = &w->arena,
                .principal = &principal_anonymous,
                .authorizer = &authorizer_allow_all,
                .now_ms = w->now_ms,
                .wall_ms = 1700000000000 + w->now_ms,
                .ready = asked_ready,
            },
    };

    controller_handle(w->c, &a.call);
    CHECK(!a.done);
    world_commit(w);
    CHECK(a.done);
    check_standby(w);
    return a.error;
}

/* ---- what most tests need ----------------------------------------------------------------------
 */

int64_t world_register(struct world *w, int32_t id, uint8_t incarnation, int64_t previous_epoch,
                       bool two)
{
    static const char *const names[] = {
        "eligible.leader.replicas.version",
        "group.version",
        "kraft.version",
        "metadata.version",
        "share.version",
        "streams.version",
        "transaction.version",
    };
    static const int16_t high[] = {1, 1, 1, 30, 1, 1, 2};
    struct broker_registration_request_features list[array_count(names)];
    struct broker_registration_request_listeners listener;
    struct uuid dirs[] = {world_id((uint8_t)(id * 10)), world_id((uint8_t)(id * 10 + 1))};
    struct broker_registration_request m;
    struct broker_registration_response a;

    broker_registration_request_init(&m);
    broker_registration_response_init(&a);
    broker_registration_request_listeners_init(&listener);
    listener.name = STR("PLAINTEXT");
    listener.host = STR("localhost");
    listener.port = 9092;
    for (size_t i = 0; i < array_count(names); i++) {
        broker_registration_request_features_init(&list[i]);
        list[i].name = str_of(names[i]);
        list[i].min_supported_version = i == 3 ? 7 : 0;
        list[i].max_supported_version = high[i];
    }
    m.broker_id = id;
    m.cluster_id = STR("cluster");
    m.incarnation_id = world_id(incarnation);
    if (w->ours)
        m.incarnation_id.b[6] = controller_incarnation(&w->prng).b[6];
    m.listeners = &listener;
    m.listeners_count = 1;
    m.features = list;
    m.features_count = array_count(names);
    m.rack = !w->racks ? STR_NULL : id % 2 == 1 ? STR("odd") : STR("even");
    m.log_dirs = dirs;
    m.log_dirs_count = two ? 2 : 1;
    m.previous_broker_epoch = previous_epoch;
    CHECK_EQ(world_ask(w, API_BROKER_REGISTRATION, 4, &m, &a), KERR_NONE);
    return a.error_code == KERR_NONE ? a.broker_epoch : -(int64_t)a.error_code;
}

enum kerr world_beat(struct world *w, int32_t id, int64_t epoch, bool want_fence, bool want_stop)
{
    struct broker_heartbeat_request m;
    struct broker_heartbeat_response a;

    broker_heartbeat_request_init(&m);
    broker_heartbeat_response_init(&a);
    m.broker_id = id;
    m.broker_epoch = epoch;
    m.current_metadata_offset = w->end - 1;
    m.want_fence = want_fence;
    m.want_shut_down = want_stop;
    CHECK_EQ(world_ask(w, API_BROKER_HEARTBEAT, 2, &m, &a), KERR_NONE);
    return (enum kerr)a.error_code;
}

int64_t world_broker(struct world *w, int32_t id)
{
    int64_t epoch = world_register(w, id, (uint8_t)(id * 10 + 5), -1, true);

    CHECK(epoch >= 0);
    CHECK_EQ(world_beat(w, id, epoch, false, false), KERR_NONE);
    CHECK(!image_broker_find(controller_latest(w->c), id)->fenced);
    text_clear(&w->records);
    w->epochs[id] = epoch;
    return epoch;
}

struct str world_create(struct world *w, const char *name, int32_t partitions, int16_t factor,
                        enum kerr *error)
{
    struct create_topics_request m;
    struct create_topics_request_topics t;
    struct create_topics_response a;

    create_topics_request_init(&m);
    create_topics_request_topics_init(&t);
    create_topics_response_init(&a);
    t.name = str_of(name);
    t.num_partitions = partitions;
    t.replication_factor = factor;
    m.topics = &t;
    m.topics_count = 1;
    *error = world_ask(w, API_CREATE_TOPICS, 7, &m, &a);
    if (*error != KERR_NONE)
        return STR_NULL;
    CHECK_EQ(a.topics_count, 1);
    *error = (enum kerr)a.topics[0].error_code;
    return a.topics[0].error_message;
}

void world_create_on(struct world *w, const char *name, const int32_t *brokers, int32_t count)
{
    struct create_topics_request m;
    struct create_topics_request_topics t;
    struct create_topics_request_topics_assignments assignment;
    struct create_topics_response a;

    create_topics_request_init(&m);
    create_topics_request_topics_init(&t);
    create_topics_request_topics_assignments_init(&assignment);
    create_topics_response_init(&a);
    assignment.broker_ids = (int32_t *)(uintptr_t)brokers;
    assignment.broker_ids_count = count;
    t.name = str_of(name);
    t.num_partitions = t.replication_factor = -1;
    t.assignments = &assignment;
    t.assignments_count = 1;
    m.topics = &t;
    m.topics_count = 1;
    CHECK_EQ(world_ask(w, API_CREATE_TOPICS, 7, &m, &a), KERR_NONE);
    CHECK_EQ(a.topics[0].error_code, KERR_NONE);
    text_clear(&w->records);
}

/* ---- partitions --------------------------------------------------------------------------------
 */

const struct image_partition *world_partition(const struct world *w, const char *topic,
                                              int32_t partition)
{
    return &image_topic_find(controller_latest(w->c), str_of(topic))->partitions[partition];
}

static void show_ids(struct text *out, const char *what, const int32_t *ids, int32_t count)
{
    if (count > 0)
        text_printf(out, " %s", what);
    for (int32_t i = 0; i < count; i++)
        text_printf(out, " %d", ids[i]);
}

struct str world_show_partition(struct world *w, const struct image_partition *p)
{
    struct text out = {0};
    struct str shown;

    text_printf(&out, "%d@%d.%d", p->leader, p->leader_epoch, p->partition_epoch);
    show_ids(&out, "on", p->replicas, p->replica_count);
    show_ids(&out, "isr", p->isr, p->isr_count);
    show_ids(&out, "elr", p->elr, p->elr_count);
    show_ids(&out, "last", p->last_elr, p->last_elr_count);
    show_ids(&out, "adding", p->adding, p->adding_count);
    show_ids(&out, "removing", p->removing, p->removing_count);
    if (p->recovery_state != 0)
        text_printf(&out, " recovering");
    shown = arena_str(&w->arena, text_str(&out));
    text_deinit(&out);
    return shown;
}

struct str world_show(struct world *w, const char *topic)
{
    return world_show_partition(w, world_partition(w, topic, 0));
}

struct proposal world_proposal(const struct world *w, const char *topic, int32_t partition,
                               const int32_t *isr, int32_t count)
{
    const struct image *i = controller_latest(w->c);
    const struct image_partition *at = world_partition(w, topic, partition);
    struct proposal p = {
        .sender = at->leader,
        .topic = image_topic_find(i, str_of(topic))->id,
        .partition = partition,
        .leader_epoch = at->leader_epoch,
        .partition_epoch = at->partition_epoch,
        .version = 3,
        .count = count,
    };

    p.sender_epoch = at->leader < 0 ? -1 : image_broker_find(i, at->leader)->epoch;
    for (int32_t n = 0; n < count; n++) {
        const struct image_broker *b = image_broker_find(i, isr[n]);
        p.isr[n] = isr[n];
        p.epochs[n] = b == NULL ? -1 : b->epoch;
    }
    return p;
}

enum kerr world_propose(struct world *w, const struct proposal *p)
{
    struct alter_partition_request m;
    struct alter_partition_request_topics t;
    struct alter_partition_request_topics_partitions part;
    struct alter_partition_request_topics_partitions_new_isr_with_epochs members[PROPOSED_MAX];
    struct alter_partition_response a;
    const struct alter_partition_response_topics_partitions *answer;

    alter_partition_request_init(&m);
    alter_partition_request_topics_init(&t);
    alter_partition_request_topics_partitions_init(&part);
    alter_partition_response_init(&a);
    for (int32_t i = 0; i < p->count; i++) {
        alter_partition_request_topics_partitions_new_isr_with_epochs_init(&members[i]);
        members[i].broker_id = p->isr[i];
        members[i].broker_epoch = p->epochs[i];
    }
    m.broker_id = p->sender;
    m.broker_epoch = p->sender_epoch;
    m.topics = &t;
    m.topics_count = 1;
    t.topic_id = p->topic;
    t.partitions = &part;
    t.partitions_count = 1;
    part.partition_index = p->partition;
    part.leader_epoch = p->leader_epoch;
    part.partition_epoch = p->partition_epoch;
    part.leader_recovery_state = p->recovery;
    if (p->version >= 3) {
        part.new_isr_with_epochs = members;
        part.new_isr_with_epochs_count = p->count;
    } else {
        part.new_isr = (int32_t *)(uintptr_t)p->isr;
        part.new_isr_count = p->count;
    }
    CHECK_EQ(world_ask(w, API_ALTER_PARTITION, p->version, &m, &a), KERR_NONE);
    if (a.error_code != KERR_NONE)
        return (enum kerr)a.error_code;
    answer = &a.topics[0].partitions[0];
    if (answer->error_code == KERR_NONE) { /* what is in force */
        const struct image_partition *at =
            image_partition_find(controller_latest(w->c), p->topic, p->partition);
        CHECK_EQ(answer->leader_id, at->leader);
        CHECK_EQ(answer->leader_epoch, at->leader_epoch);
        CHECK_EQ(answer->partition_epoch, at->partition_epoch);
        CHECK_EQ(answer->leader_recovery_state, at->recovery_state);
        CHECK_EQ(answer->isr_count, at->isr_count);
        for (int32_t i = 0; i < at->isr_count; i++)
            CHECK_EQ(answer->isr[i], at->isr[i]);
    }
    return (enum kerr)answer->error_code;
}
