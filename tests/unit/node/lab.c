#include "lab.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/broker_heartbeat.h"
#include "protocol/broker_registration.h"
#include "protocol/broker_registration_change_record.h"
#include "protocol/controller_registration.h"
#include "protocol/create_topics.h"
#include "protocol/register_broker_record.h"

/* ---- the controllers ------------------------------------------------------------------------------ */

static bool leads(const struct lab *lab, const struct script_request *r)
{
    return lab->quorum->leader == r->broker;
}

static void add_registration(struct lab *lab, const struct broker_registration_request *m)
{
    struct register_broker_record r;

    register_broker_record_init(&r);
    r.broker_id = m->broker_id;
    r.incarnation_id = m->incarnation_id;
    r.broker_epoch = lab->broker_epoch;
    r.fenced = lab->fenced;
    if (lab->metadata_version >= METADATA_VERSION_DIRECTORIES) {
        r.log_dirs = m->log_dirs;
        r.log_dirs_count = m->log_dirs_count;
    }
    lab_add(lab, &register_broker_record_message, 3, &r);
}

static void registration(struct script_request *r, void *ctx)
{
    struct lab *lab = ctx;
    struct broker_registration_response *a = r->response;

    a->error_code = (int16_t)(leads(lab, r) ? lab->refuse : KERR_NOT_CONTROLLER);
    if (a->error_code != KERR_NONE)
        return;
    if (lab->quorum->end == 0)
        lab_add_metadata_version(lab);
    if (!lab->amends) {
        lab->broker_epoch = lab->quorum->end + (lab->quorum->end == 0 ? 1 : 0);
        lab->fenced = true;
    }
    add_registration(lab, r->message);
    lab_commit(lab);
    a->broker_epoch = lab->broker_epoch;
}

static void unfence(struct lab *lab)
{
    struct broker_registration_change_record r;

    broker_registration_change_record_init(&r);
    r.broker_id = NODE_ID;
    r.broker_epoch = lab->broker_epoch;
    r.fenced = -1;
    lab_add(lab, &broker_registration_change_record_message, 0, &r);
    lab_commit(lab);
    lab->fenced = false;
}

static void note_beat(struct lab *lab, const struct broker_heartbeat_request *m)
{
    int64_t now_ns = sim_now_ns(script_sim(lab->s));

    int64_t ms = lab->last_beat_ns == 0 ? 0 : (now_ns - lab->last_beat_ns) / 1000000;

    text_printf(&lab->beats, "+%" PRId64 " fence=%d down=%d offset=%" PRId64 "\n", (ms + 5) / 10 * 10, m->want_fence,
                m->want_shut_down, m->current_metadata_offset);
    lab->last_beat_ns = now_ns;
}

static void heartbeat(struct script_request *r, void *ctx)
{
    struct lab *lab = ctx;
    const struct broker_heartbeat_request *m = r->message;
    struct broker_heartbeat_response *a = r->response;

    a->error_code = (int16_t)(leads(lab, r) ? lab->refuse : KERR_NOT_CONTROLLER);
    note_beat(lab, m);
    if (a->error_code != KERR_NONE)
        return;
    CHECK_EQ(m->broker_epoch, lab->broker_epoch);
    if (lab->fenced && !m->want_fence && m->current_metadata_offset >= lab->broker_epoch)
        unfence(lab);
    lab->wants_to_go += m->want_shut_down;
    a->is_caught_up = m->current_metadata_offset >= lab->broker_epoch;
    a->is_fenced = lab->fenced;
    a->should_shut_down = lab->lets_go_at > 0 && lab->wants_to_go >= lab->lets_go_at;
}

static void controller_registration(struct script_request *r, void *ctx)
{
    struct controller_registration_response *a = r->response;

    a->error_code = leads(ctx, r) ? KERR_NONE : KERR_NOT_CONTROLLER;
}

static void note_carried_out(struct lab *lab, struct script_request *r, const struct request_header *h,
                             struct bytes body)
{
    struct create_topics_request m;

    if (h->request_api_key != API_CREATE_TOPICS)
        return;
    CHECK(create_topics_request_read(body, h->request_api_version, &r->arena, &m) == body.n);
    text_printf(&lab->carried_out, "<%.*s>", STR_ARG(m.topics[0].name));
}

uint32_t lab_carried_out(const struct lab *lab, const struct question *q)
{
    const struct create_topics_request *m = q->request;
    uint32_t count = 0;
    char name[64];

    if (q->call.api_key != API_CREATE_TOPICS)
        return 0;
    snprintf(name, sizeof name, "<%.*s>", STR_ARG(m->topics[0].name));
    for (const char *at = lab->carried_out.p; at != NULL && (at = strstr(at, name)) != NULL; at++)
        count++;
    return count;
}

/* What is inside is answered with nothing but its defaults. */
static void envelope(struct script_request *r, void *ctx)
{
    struct lab *lab = ctx;
    const struct envelope_request *m = r->message;
    struct envelope_response *a = r->response;
    struct request_header header;
    int used = request_header_read(r->frame.bytes, &header);

    ASSERT(used > 0 && r->frame.bytes.n - used <= (int32_t)sizeof lab->envelope);
    lab->envelope_bytes = r->frame.bytes.n - used;
    memcpy(lab->envelope, r->frame.bytes.p + used, (size_t)lab->envelope_bytes);
    a->error_code = leads(lab, r) ? lab->envelope_error : KERR_NOT_CONTROLLER;
    if (a->error_code != KERR_NONE)
        return;
    used = request_header_read(m->request_data, &header);
    CHECK(used > 0);
    note_carried_out(lab, r, &header, (struct bytes){m->request_data.p + used, m->request_data.n - used});
    const struct message *message = api_find(header.request_api_key)->response;
    void *inner = arena_take(&r->arena, message_struct_bytes(message));
    message_init(message, inner);
    int64_t n = message_size(message, header.request_api_version, inner);
    uint32_t head = response_header_size(header.request_api_key, header.request_api_version);
    uint8_t *bytes = arena_take(&r->arena, head + (size_t)n);
    response_header_write(header.request_api_key, header.request_api_version, header.correlation_id, bytes);
    message_write(message, header.request_api_version, inner, bytes + head);
    a->response_data = (struct bytes){bytes, (int32_t)(head + (uint32_t)n)};
}

/* ---- the node's surroundings ---------------------------------------------------------------------- */

void lab_publish(struct lab *lab)
{
    struct op *op = lab->publishing;

    image_unref(lab->before);
    lab->before = lab->after;
    lab->after = NULL;
    lab->publishing = NULL;
    io_complete(lab->io, op, 0);
}

static void on_publish(void *ctx, const struct image *before, const struct image *after, struct op *op)
{
    struct lab *lab = ctx;

    CHECK(lab->publishing == NULL);
    CHECK(before == lab->before);
    CHECK(!lab->options.is_broker || image_broker_find(after, NODE_ID) != NULL);
    lab->after = image_ref(after);
    lab->publishing = op;
    if (!lab->hold)
        lab_publish(lab);
}

static void on_state(void *ctx, enum broker_state state)
{
    text_printf(&((struct lab *)ctx)->states, "%d ", (int)state);
}

static void on_open(void *ctx)
{
    struct lab *lab = ctx;

    CHECK(lab->before == NULL && script_count(lab->s, 0, API_BROKER_REGISTRATION) == 0);
    lab->opened = true;
}

static void on_fatal(void *ctx, const struct fail *why)
{
    ((struct lab *)ctx)->fatal = *why;
}

static void on_line(struct telemetry_sink *sink, enum log_level level, const char *room, const char *line)
{
    struct lab *lab = container_of(sink, struct lab, sink);

    text_printf(&lab->said, "%s: %s\n", log_level_name(level), line);
}

uint32_t lab_lines(const struct lab *lab, const char *part)
{
    uint32_t count = 0;

    for (const char *at = lab->said.p; at != NULL && (at = strstr(at, part)) != NULL; at++)
        count++;
    return count;
}

/* ---- life ----------------------------------------------------------------------------------------- */

void lab_set(struct lab *lab, const char *name, const char *value)
{
    ASSERT(config_set(lab->settings, CONFIG_STATIC_BROKER, str_of(name), str_of(value), NULL) == 0);
}

void lab_init(struct lab *lab, uint64_t seed, const char *roles)
{
    *lab = (struct lab){.memory.limit_bytes = 32 << 20, .broker_epoch = -1, .metadata_version = LAB_METADATA_VERSION};
    lab->s = script_new(seed, 2);
    lab->io = script_io(lab->s);
    lab->settings = config_new(&broker_settings);
    lab_set(lab, "process.roles", roles);
    lab_set(lab, "node.id", "7");
    lab_set(lab, "controller.listener.names", "CONTROLLER");
    lab_set(lab, "controller.quorum.voters", "1@b1:9092,2@b2:9092,7@machine:9093");
    script_on(lab->s, 0, API_BROKER_REGISTRATION, registration, lab);
    script_on(lab->s, 0, API_BROKER_HEARTBEAT, heartbeat, lab);
    script_on(lab->s, 0, API_CONTROLLER_REGISTRATION, controller_registration, lab);
    script_on(lab->s, 0, API_ENVELOPE, envelope, lab);
}

static void describe_node(struct lab *lab)
{
    lab->advertised = (struct listener){.name = "PLAINTEXT", .host = "machine", .port = 9092};
    lab->controller_listener = (struct listener){.name = "CONTROLLER", .port = 9093};
    lab->options = (struct node_options){
        .io = lab->io,
        .telemetry = lab->telemetry,
        .settings = lab->settings,
        .cluster_id = STR("bWlsbHJhY2Vub2RldGVzdA"),
        .node_id = NODE_ID,
        .is_broker = config_has_role(lab->settings, STR("broker")),
        .is_controller = config_has_role(lab->settings, STR("controller")),
        .dirs = &lab->dir,
        .dir_count = 1,
        .memory = &lab->memory,
        .advertised = &lab->advertised,
        .advertised_count = 1,
        .controller_listeners = &lab->controller_listener,
        .controller_listener_count = 1,
        .previous_broker_epoch = -1,
        .publish = on_publish,
        .open = on_open,
        .state = on_state,
        .fatal = on_fatal,
        .ctx = lab,
    };
}

void lab_open(struct lab *lab)
{
    struct script_wait w;

    lab->sink = (struct telemetry_sink){.write = on_line, .level = LOG_INFO};
    lab->telemetry = telemetry_new(&lab->sink);
    log_dir_open(lab->io, lab->telemetry, "/data", &lab->dir, &lab->fail, script_wait_begin(&w));
    CHECK_EQ(script_wait_end(lab->s, &w), 0);
    lab->dir->directory_id = (struct uuid){{7}};
    describe_node(lab);
    node_start(&lab->options, &lab->node, &lab->fail, script_wait_begin(&lab->started));
    SCRIPT_UNTIL(lab->s, lab->opened || lab->started.done);
    lab->quorum = lab_quorum_opened;
}

void lab_run(struct lab *lab)
{
    lab_open(lab);
    lab_lead(lab, 1, 1);
    CHECK_EQ(script_wait_end(lab->s, &lab->started), 0);
}

void lab_end(struct lab *lab)
{
    struct script_wait w;

    if (!lab->node->quiet) {
        node_leave(lab->node, false, script_wait_begin(&w));
        CHECK_EQ(script_wait_end(lab->s, &w), 0);
    }
    node_close(lab->node, script_wait_begin(&w));
    CHECK_EQ(script_wait_end(lab->s, &w), 0);
    log_dir_close(lab->dir, true, -1, script_wait_begin(&w));
    CHECK_EQ(script_wait_end(lab->s, &w), 0);
    log_memory_deinit(&lab->memory);
    image_unref(lab->before);
    telemetry_free(lab->telemetry);
    config_free(lab->settings);
    script_free(lab->s);
    lab_quorum_free(lab->quorum);
    text_deinit(&lab->said);
    text_deinit(&lab->states);
    text_deinit(&lab->beats);
    text_deinit(&lab->carried_out);
}

/* ---- a client's request --------------------------------------------------------------------------- */

static void answered(struct controller_call *call, enum kerr error)
{
    struct question *q = container_of(call, struct question, call);

    CHECK(!q->done);
    q->done = true;
    q->error = error;
}

/* A new topic each time: the controller has something to write. */
static void ask_for_topic(struct question *q)
{
    static int number;
    struct create_topics_request *m = q->request;

    m->topics = arena_take(&q->arena, sizeof *m->topics);
    m->topics_count = 1;
    create_topics_request_topics_init(m->topics);
    m->topics->name = arena_printf(&q->arena, "topic-%d", number++);
    m->topics->num_partitions = 1;
    m->topics->replication_factor = 1;
}

void question_init(struct question *q, int16_t api_key)
{
    const struct api *api = api_find(api_key);

    *q = (struct question){0};
    arena_init(&q->arena, 0);
    q->request = arena_take(&q->arena, message_struct_bytes(api->request));
    q->response = arena_take(&q->arena, message_struct_bytes(api->response));
    message_init(api->request, q->request);
    message_init(api->response, q->response);
    if (api_key == API_CREATE_TOPICS)
        ask_for_topic(q);
    q->call = (struct controller_call){
        .api_key = api_key,
        .api_version = api->high,
        .request = q->request,
        .response = q->response,
        .arena = &q->arena,
        .principal = &principal_anonymous,
        .authorizer = &authorizer_allow_all,
        .client_id = STR("a client"),
        .host = STR("10.0.0.5"),
        .ready = answered,
    };
}

void question_forward(struct lab *lab, struct question *q)
{
    node_forward(lab->node, &q->call);
    CHECK(!q->done); /* never inside */
}

void question_end(struct question *q)
{
    arena_deinit(&q->arena);
}
