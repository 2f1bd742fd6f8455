/* A node with a real quorum in the simulator; the shards are played by the test, which decides when
 * a publication ends. */
#define _GNU_SOURCE
#include <stdio.h>

#include "check.h"
#include "node/internal.h"
#include "protocol/create_topics.h"
#include "simulator/simulator.h"

#define SEC INT64_C(1000000000)

struct lab {
    struct sim *sim;
    struct sim_node *machine;
    struct io *io;
    struct config *settings;
    struct telemetry *telemetry;
    struct log_memory memory;
    struct log_dir *dir;
    struct node_options options;
    struct node *node;
    struct fail fail, fatal;
    struct text states;
    bool hold;                    /* publications wait for the test */
    int64_t publish_result;
    const struct image *before, *after;
    struct op *publishing;        /* under way */
    uint32_t publications;
    struct listener advertised;
    uint64_t fail_at;             /* this disk operation of the node's start; 0 none */
};

struct wait {
    struct op op;
    bool done;
    int64_t result;
};

#define UNTIL(lab, condition)                                                                \
    do {                                                                                     \
        int64_t until_limit_ = sim_now_ns((lab)->sim) + 600 * SEC;                           \
        while (!(condition)) {                                                               \
            if (sim_now_ns((lab)->sim) > until_limit_ || !sim_step((lab)->sim))              \
                check_fail(__FILE__, __LINE__, "it never comes to: %s", #condition);         \
        }                                                                                    \
    } while (0)

static void wait_done(struct op *op, int64_t result)
{
    struct wait *w = container_of(op, struct wait, op);

    ASSERT(!w->done);
    w->done = true;
    w->result = result;
}

static struct op *wait_begin(struct wait *w)
{
    *w = (struct wait){0};
    op_init(&w->op, wait_done);
    return &w->op;
}

static int64_t wait_end(struct lab *lab, struct wait *w)
{
    UNTIL(lab, w->done);
    return w->result;
}

/* ---- the shards ------------------------------------------------------------------------------ */

static void publication_ends(struct lab *lab)
{
    struct op *op = lab->publishing;

    image_unref(lab->before);
    lab->before = lab->after;
    lab->after = NULL;
    lab->publishing = NULL;
    io_complete(lab->io, op, lab->publish_result);
}

static void on_publish(void *ctx, const struct image *before, const struct image *after,
                       struct op *op)
{
    struct lab *lab = ctx;

    CHECK(lab->publishing == NULL);                        /* P1: one at a time */
    CHECK(before == lab->before);                          /* in order */
    CHECK(before == NULL || image_offset(after) > image_offset(before));
    lab->after = image_ref(after);
    lab->publishing = op;
    lab->publications++;
    /* The first image that is shown has the registration in it. */
    CHECK(!lab->options.is_broker || image_broker_find(after, 1) != NULL);
    if (!lab->hold)
        publication_ends(lab);
}

static void on_state(void *ctx, enum broker_state state)
{
    struct lab *lab = ctx;

    text_printf(&lab->states, "%d ", (int)state);
}

static void on_fatal(void *ctx, const struct fail *why)
{
    struct lab *lab = ctx;

    CHECK_EQ(lab->fatal.error, 0);
    lab->fatal = *why;
}

static void on_dir_failed(struct log_dir *dir, struct io *io, const struct fail *why, void *ctx)
{
    struct lab *lab = ctx;

    node_give_up(lab->node, why);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void set(struct lab *lab, const char *name, const char *value)
{
    ASSERT(config_set(lab->settings, CONFIG_STATIC_BROKER, str_of(name), str_of(value), NULL) == 0);
}

static void lab_init(struct lab *lab, uint64_t seed)
{
    *lab = (struct lab){.memory.limit_bytes = 32 << 20};
    lab->sim = sim_new(seed, NULL);
    lab->machine = sim_node_new(lab->sim, "one");
    lab->settings = config_new(&broker_settings);
    set(lab, "process.roles", "broker,controller");
    set(lab, "node.id", "1");
    set(lab, "controller.listener.names", "CONTROLLER");
    set(lab, "controller.quorum.voters", "1@one:9093");
    lab->advertised = (struct listener){.name = "PLAINTEXT", .host = "one", .port = 9092};
}

static int64_t lab_start(struct lab *lab)
{
    struct wait w;

    sim_node_start(lab->machine, 1);
    lab->io = sim_node_io(lab->machine, 0);
    lab->telemetry = telemetry_new(NULL);
    lab->fail = lab->fatal = (struct fail){0};
    text_clear(&lab->states);
    log_dir_open(lab->io, lab->telemetry, "/data", &lab->dir, &lab->fail, wait_begin(&w));
    CHECK_EQ(wait_end(lab, &w), 0);
    lab->dir->failed = on_dir_failed;
    lab->dir->failed_ctx = lab;
    lab->dir->directory_id = (struct uuid){{7}};
    lab->options = (struct node_options){
        .io = lab->io,
        .telemetry = lab->telemetry,
        .settings = lab->settings,
        .cluster_id = STR("bWlsbHJhY2Vub2RldGVzdA"),
        .node_id = 1,
        .is_broker = config_has_role(lab->settings, STR("broker")),
        .is_controller = true,
        .dirs = &lab->dir,
        .dir_count = 1,
        .memory = &lab->memory,
        .advertised = &lab->advertised,
        .advertised_count = 1,
        .previous_broker_epoch = -1,
        .publish = on_publish,
        .state = on_state,
        .fatal = on_fatal,
        .ctx = lab,
    };
    sim_fail_at(lab->machine, lab->fail_at, -EIO);
    node_start(&lab->options, &lab->node, &lab->fail, wait_begin(&w));
    int64_t result = wait_end(lab, &w);
    sim_fail_at(lab->machine, 0, -EIO);
    return result;
}

static void lab_leave(struct lab *lab, bool controlled)
{
    struct wait w;

    node_leave(lab->node, controlled, wait_begin(&w));
    CHECK_EQ(wait_end(lab, &w), 0);
}

/* After lab_leave. */
static int64_t lab_close(struct lab *lab)
{
    struct wait w;

    node_close(lab->node, wait_begin(&w));
    int64_t result = wait_end(lab, &w);
    log_dir_close(lab->dir, result == 0, -1, wait_begin(&w));
    wait_end(lab, &w);
    log_memory_deinit(&lab->memory);
    image_unref(lab->before);
    lab->before = NULL;
    telemetry_free(lab->telemetry);
    sim_node_kill(lab->machine);
    return result;
}

static void lab_deinit(struct lab *lab)
{
    text_deinit(&lab->states);
    config_free(lab->settings);
    sim_free(lab->sim);
}

/* ---- a request to the controller ------------------------------------------------------------- */

struct creation {
    struct controller_call call;
    struct arena arena;
    struct create_topics_request request;
    struct create_topics_request_topics topic;
    struct create_topics_response response;
    bool done;
    enum kerr error;
};

static void created(struct controller_call *call, enum kerr error)
{
    struct creation *c = container_of(call, struct creation, call);

    CHECK(!c->done);
    c->done = true;
    c->error = error;
}

static void create(struct lab *lab, struct creation *c, const char *name)
{
    *c = (struct creation){0};
    arena_init(&c->arena, 0);
    create_topics_request_init(&c->request);
    create_topics_response_init(&c->response);
    create_topics_request_topics_init(&c->topic);
    c->topic.name = str_of(name);
    c->topic.num_partitions = 1;
    c->topic.replication_factor = 1;
    c->request.topics = &c->topic;
    c->request.topics_count = 1;
    c->call = (struct controller_call){
        .api_key = API_CREATE_TOPICS,
        .api_version = 7,
        .request = &c->request,
        .response = &c->response,
        .arena = &c->arena,
        .principal = &principal_anonymous,
        .authorizer = &authorizer_allow_all,
        .now_ms = io_now_ms(lab->io),
        .wall_ms = io_wall_ms(lab->io),
        .ready = created,
    };
    node_forward(lab->node, &c->call);
}

/* ---- tests ----------------------------------------------------------------------------------- */

TEST(node, the_broker_runs_when_its_shards_show_that_it_is_unfenced)
{
    struct lab lab;

    lab_init(&lab, 1);
    CHECK_EQ(lab_start(&lab), 0);
    CHECK_TEXT(text_str(&lab.states), "1 2 3 ");
    CHECK(lab.publications >= 2);
    const struct image_broker *b = image_broker_find(lab.before, 1);
    CHECK(b != NULL && !b->fenced);
    int64_t epoch = node_broker_epoch(lab.node);
    CHECK_EQ(b->epoch, epoch);
    CHECK(node_image(lab.node) == lab.before);
    lab_leave(&lab, true);
    CHECK_TEXT(text_str(&lab.states), "1 2 3 6 7 ");
    CHECK_EQ(lab_close(&lab), 0);

    CHECK_EQ(lab_start(&lab), 0);
    CHECK(node_broker_epoch(lab.node) > epoch);
    lab_leave(&lab, true);
    CHECK_EQ(lab_close(&lab), 0);
    lab_deinit(&lab);
}

/* P2: whoever was told "created" can see the topic. */
TEST(node, an_answer_leaves_when_its_records_are_visible)
{
    struct lab lab;
    struct creation a, b;

    lab_init(&lab, 2);
    CHECK_EQ(lab_start(&lab), 0);
    lab.hold = true;
    create(&lab, &a, "a");
    UNTIL(&lab, lab.publishing != NULL);
    CHECK(image_topic_find(lab.after, STR("a")) != NULL);
    create(&lab, &b, "b");
    sim_run_until(lab.sim, sim_now_ns(lab.sim) + SEC);
    CHECK(!a.done && !b.done);
    CHECK(image_topic_find(lab.after, STR("b")) == NULL);
    publication_ends(&lab);
    UNTIL(&lab, a.done);
    CHECK(!b.done);
    CHECK_EQ(a.error, KERR_NONE);
    UNTIL(&lab, lab.publishing != NULL);
    CHECK(image_topic_find(lab.after, STR("b")) != NULL);
    publication_ends(&lab);
    UNTIL(&lab, b.done);
    CHECK_EQ(b.error, KERR_NONE);
    CHECK(image_topic_find(node_image(lab.node), STR("b")) != NULL);
    arena_deinit(&a.arena);
    arena_deinit(&b.arena);
    lab.hold = false;
    lab_leave(&lab, true);
    CHECK_EQ(lab_close(&lab), 0);
    lab_deinit(&lab);
}

TEST(node, leaving_waits_for_the_publication_under_way_and_answers_everybody)
{
    struct lab lab;
    struct creation a, b, late;
    struct wait left;

    lab_init(&lab, 3);
    CHECK_EQ(lab_start(&lab), 0);
    lab.hold = true;
    create(&lab, &a, "a");
    UNTIL(&lab, lab.publishing != NULL);
    create(&lab, &b, "b");
    node_leave(lab.node, true, wait_begin(&left));
    UNTIL(&lab, a.done && b.done);
    sim_run_until(lab.sim, sim_now_ns(lab.sim) + SEC);
    CHECK(!left.done);
    create(&lab, &late, "late");
    UNTIL(&lab, late.done);
    CHECK_EQ(late.error, KERR_NOT_CONTROLLER);
    uint32_t publications = lab.publications;
    publication_ends(&lab);
    UNTIL(&lab, left.done);
    sim_run_until(lab.sim, sim_now_ns(lab.sim) + SEC);
    CHECK_EQ(lab.publications, publications); /* at rest */
    CHECK_TEXT(text_str(&lab.states), "1 2 3 6 7 ");
    CHECK_EQ(lab_close(&lab), 0);
    arena_deinit(&a.arena);
    arena_deinit(&b.arena);
    arena_deinit(&late.arena);
    lab_deinit(&lab);
}

TEST(node, an_image_that_the_shards_cannot_apply_is_fatal)
{
    struct lab lab;
    struct creation a;

    lab_init(&lab, 4);
    CHECK_EQ(lab_start(&lab), 0);
    lab.publish_result = -ENOSPC;
    create(&lab, &a, "a");
    UNTIL(&lab, lab.fatal.error != 0);
    CHECK_EQ(lab.fatal.error, -ENOSPC);
    CHECK(strstr(lab.fatal.text, "cannot be applied") != NULL);
    CHECK(a.done); /* nobody waits for ever */
    lab_leave(&lab, true); /* at once */
    lab_close(&lab);
    arena_deinit(&a.arena);
    lab_deinit(&lab);
}

TEST(node, a_start_whose_first_image_cannot_be_applied_fails)
{
    struct lab lab;

    lab_init(&lab, 5);
    lab.publish_result = -EIO;
    CHECK_EQ(lab_start(&lab), -EIO);
    CHECK(strstr(lab.fail.text, "cannot be applied") != NULL);
    CHECK_EQ(lab.fatal.error, 0);
    lab_leave(&lab, false);
    lab_close(&lab);
    lab_deinit(&lab);
}

/* Every disk operation of a start fails once: it ends, with words or well. */
TEST(node, trouble_with_the_disk_ends_a_start)
{
    uint32_t failed = 0;

    for (uint64_t n = 1; n < 80; n++) {
        struct lab lab;

        lab_init(&lab, n);
        lab.fail_at = n;
        int64_t result = lab_start(&lab);
        CHECK(result == 0 || lab.fail.text[0] != 0);
        failed += result < 0;
        lab_leave(&lab, false);
        lab_close(&lab);
        lab_deinit(&lab);
    }
    CHECK(failed > 5);
}

TEST(node, a_damaged_batch_is_not_applied)
{
    struct lab lab;
    struct creation a;
    struct text log = {0};

    lab_init(&lab, 6);
    CHECK_EQ(lab_start(&lab), 0);
    create(&lab, &a, "a");
    UNTIL(&lab, a.done);
    arena_deinit(&a.arena);
    CHECK_EQ(sim_disk_get(lab.machine, "/data/__cluster_metadata-0/00000000000000000000.log", &log),
             0);
    size_t second = 12 + get_u32(log.p + 8), end = second + 12 + get_u32(log.p + second + 8);
    CHECK(end <= log.n);
    log.p[end - 1] ^= 1;
    loader_committed(lab.node, (struct bytes){(uint8_t *)log.p, (int32_t)end});
    CHECK(strstr(lab.fatal.text, "checksum") != NULL);
    lab_leave(&lab, true);
    lab_close(&lab);
    text_deinit(&log);
    lab_deinit(&lab);
}

/* Whether there is a snapshot that says that it holds this image, and has a topic's name in it. */
static bool snapshot_names(struct lab *lab, const struct image *of, const char *topic)
{
    struct text content = {0};
    char path[96];

    snprintf(path, sizeof path, "/data/__cluster_metadata-0/%020" PRId64 "-%010" PRId32 ".checkpoint",
             image_offset(of) + 1, image_epoch(of));
    sim_disk_get(lab->machine, path, &content);
    bool names = content.n > 0 && memmem(content.p, content.n, topic, strlen(topic)) != NULL;
    text_deinit(&content);
    return names;
}

/* Kafka's rule: a snapshot of end offset N is the state as of N - 1. */
TEST(node, a_snapshot_has_the_last_records_below_its_end)
{
    struct lab lab;
    struct creation a;

    lab_init(&lab, 11);
    set(&lab, "metadata.log.max.record.bytes.between.snapshots", "1");
    CHECK_EQ(lab_start(&lab), 0);
    UNTIL(&lab, !lab.node->snapshotting);
    lab.hold = true; /* so it is loaded, and not shown */
    create(&lab, &a, "the-last-topic");
    UNTIL(&lab, lab.publishing != NULL && !lab.node->snapshotting);
    CHECK(image_topic_find(lab.after, STR("the-last-topic")) != NULL);
    CHECK(snapshot_names(&lab, lab.after, "the-last-topic"));
    lab.hold = false;
    publication_ends(&lab);
    UNTIL(&lab, a.done);
    arena_deinit(&a.arena);
    lab_leave(&lab, true);
    CHECK_EQ(lab_close(&lab), 0);
    lab_deinit(&lab);
}

TEST(node, a_controller_that_is_no_broker_runs_and_answers)
{
    struct lab lab;
    struct creation a;

    lab_init(&lab, 7);
    set(&lab, "process.roles", "controller");
    CHECK_EQ(lab_start(&lab), 0);
    CHECK_TEXT(text_str(&lab.states), "1 3 ");
    CHECK(lab.before != NULL);
    create(&lab, &a, "a");
    UNTIL(&lab, a.done);
    CHECK_EQ(a.response.topics[0].error_code, KERR_INVALID_REPLICATION_FACTOR); /* no broker */
    arena_deinit(&a.arena);
    lab_leave(&lab, true);
    CHECK_EQ(lab_close(&lab), 0);
    lab_deinit(&lab);
}

TEST(node, blocks_of_producer_ids_do_not_overlap)
{
    struct lab lab;
    struct producer_id_block last = {-1, 0};

    lab_init(&lab, 8);
    for (int life = 0; life < 2; life++) {
        CHECK_EQ(lab_start(&lab), 0);
        for (int i = 0; i < 3; i++) {
            struct producer_id_block block;
            struct wait w;
            node_allocate_producer_ids(lab.node, &block, wait_begin(&w));
            CHECK_EQ(wait_end(&lab, &w), 0);
            CHECK(block.count > 0);
            CHECK(block.first >= last.first + last.count);
            last = block;
        }
        lab_leave(&lab, true);
        CHECK_EQ(lab_close(&lab), 0);
    }
    lab_deinit(&lab);
}
