/* The one administrator. Everything that changes topics goes through it, one thing after another, so
 * that it knows what must be: it asks until it is told, and remembers whether it was in doubt. */
#include <stdlib.h>

#include "clients.h"
#include "protocol/create_partitions.h"
#include "protocol/create_topics.h"
#include "protocol/delete_topics.h"
#include "protocol/incremental_alter_configs.h"
#include "protocol/metadata.h"

#define RESOURCE_TOPIC_TYPE 2
#define OPERATION_SET 0
#define OPERATION_DELETE 1

enum verdict { VERDICT_DONE, VERDICT_AGAIN };
enum deed { DEED_REST, DEED_CREATE, DEED_GROW, DEED_ALTER, DEED_DELETE };

struct admin {
    struct client client;
    struct peer *peer;
    struct flow flow;
    struct rpc rpc;
    struct topic *topic;   /* what it works on */
    enum deed deed;
    uint32_t at;           /* of the lasting topics, how many it has made */
    bool in_doubt;         /* an earlier try may have acted */
    bool was_in_doubt;     /* one to change a setting may act yet */
    bool seen;
    int32_t partitions;
    int64_t retention_ms;  /* -1 = take the setting away */
};

struct client *admin_client(struct admin *a) { return &a->client; }

/* What a try came to. `already`: the error that only a try in doubt explains. The broker that was asked may have asked
 * several controllers for it, as Kafka's does. */
static enum verdict judge(struct admin *a, const char *what, int16_t error, int16_t already)
{
    struct client *c = &a->client;

    if (error == KERR_NONE || (error == already && (a->in_doubt || world_is_cluster(c->world))))
        return VERDICT_DONE;
    if (error == KERR_REQUEST_TIMED_OUT || error == KERR_NOT_CONTROLLER)
        a->in_doubt = true;
    client_turn(c, a->peer);
    /* Also from a node that is about to stop, or where too few are there: they take no partitions. */
    if (error != KERR_INVALID_REPLICATION_FACTOR || world_is_calm(c->world))
        expect_passing(c, what, error);
    return VERDICT_AGAIN;
}

static bool try_failed(struct admin *a, int64_t result)
{
    if (result == 0)
        return false;
    a->in_doubt = a->in_doubt || a->rpc.call.sent;
    client_turn(&a->client, a->peer);
    return true;
}

/* ---- create ------------------------------------------------------------------------------------------ */

static void begin_create(struct admin *a)
{
    struct create_topics_request_topics_configs policy;
    struct create_topics_request_topics topic;
    struct create_topics_request m;

    create_topics_request_init(&m);
    create_topics_request_topics_init(&topic);
    topic.name = str_of(a->topic->name);
    topic.num_partitions = a->topic->partition_count;
    topic.replication_factor = (int16_t)a->client.world->plan.replicas;
    if (a->topic->compacted) {
        create_topics_request_topics_configs_init(&policy);
        policy.name = STR("cleanup.policy");
        policy.value = STR("compact,delete");
        topic.configs = &policy;
        topic.configs_count = 1;
    }
    m.topics = &topic;
    m.topics_count = 1;
    m.timeout_ms = 1000;
    rpc_begin(&a->rpc, &a->client, a->peer, API_CREATE_TOPICS,
              client_draw_version(&a->client, API_CREATE_TOPICS, 2, 7), &m, &a->flow.op);
}

static enum verdict take_create(struct admin *a)
{
    const struct create_topics_response *answer = a->rpc.answer;

    if (answer->topics_count != 1)
        broken(a->client.world, "CreateTopics of one topic was answered with %d", answer->topics_count);
    return judge(a, "CreateTopics", answer->topics[0].error_code, KERR_TOPIC_ALREADY_EXISTS);
}

/* ---- what is there? ----------------------------------------------------------------------------------- */

static void begin_metadata(struct admin *a)
{
    struct metadata_request m;

    metadata_request_init(&m);
    m.topics = NULL;
    m.topics_count = -1;
    m.allow_auto_topic_creation = false;
    rpc_begin(&a->rpc, &a->client, a->peer, API_METADATA, client_draw_version(&a->client, API_METADATA, 10, 13), &m,
              &a->flow.op);
}

/* The topic is there, with all its partitions led. */
static bool take_metadata(struct admin *a)
{
    const struct metadata_response *m = a->rpc.answer;

    truth_metadata(a->client.world->truth, &a->client, m);
    for (int32_t i = 0; i < m->topics_count; i++) {
        const struct metadata_response_topics *t = &m->topics[i];
        int32_t led = 0;
        if (!uuid_equal(t->topic_id, a->topic->id) || t->error_code != KERR_NONE)
            continue;
        for (int32_t p = 0; p < t->partitions_count; p++)
            led += t->partitions[p].leader_id > 0;
        return led == t->partitions_count && led == a->partitions;
    }
    return false;
}

/* ---- grow, change, delete -------------------------------------------------------------------------------- */

static void begin_grow(struct admin *a)
{
    struct create_partitions_request_topics topic;
    struct create_partitions_request m;

    create_partitions_request_init(&m);
    create_partitions_request_topics_init(&topic);
    topic.name = str_of(a->topic->name);
    topic.count = a->partitions;
    topic.assignments = NULL;
    topic.assignments_count = -1;
    m.topics = &topic;
    m.topics_count = 1;
    m.timeout_ms = 1000;
    rpc_begin(&a->rpc, &a->client, a->peer, API_CREATE_PARTITIONS,
              client_draw_version(&a->client, API_CREATE_PARTITIONS, 0, 3), &m, &a->flow.op);
}

static enum verdict take_grow(struct admin *a)
{
    const struct create_partitions_response *answer = a->rpc.answer;

    if (answer->results_count != 1)
        broken(a->client.world, "CreatePartitions of one topic was answered with %d", answer->results_count);
    return judge(a, "CreatePartitions", answer->results[0].error_code, KERR_INVALID_PARTITIONS);
}

static void begin_alter(struct admin *a)
{
    struct incremental_alter_configs_request_resources_configs config;
    struct incremental_alter_configs_request_resources resource;
    struct incremental_alter_configs_request m;
    char value[32];

    incremental_alter_configs_request_init(&m);
    incremental_alter_configs_request_resources_init(&resource);
    incremental_alter_configs_request_resources_configs_init(&config);
    snprintf(value, sizeof value, "%" PRId64, a->retention_ms);
    config.name = STR("retention.ms");
    config.value = a->retention_ms < 0 ? STR_NULL : str_of(value);
    config.config_operation = a->retention_ms < 0 ? OPERATION_DELETE : OPERATION_SET;
    resource.resource_name = str_of(a->topic->name);
    resource.resource_type = RESOURCE_TOPIC_TYPE;
    resource.configs = &config;
    resource.configs_count = 1;
    m.resources = &resource;
    m.resources_count = 1;
    rpc_begin(&a->rpc, &a->client, a->peer, API_INCREMENTAL_ALTER_CONFIGS,
              client_draw_version(&a->client, API_INCREMENTAL_ALTER_CONFIGS, 0, 1), &m, &a->flow.op);
}

static enum verdict take_alter(struct admin *a)
{
    const struct incremental_alter_configs_response *answer = a->rpc.answer;

    if (answer->responses_count != 1)
        broken(a->client.world, "IncrementalAlterConfigs was answered with %d", answer->responses_count);
    return judge(a, "IncrementalAlterConfigs", answer->responses[0].error_code, KERR_NONE);
}

static void begin_delete(struct admin *a)
{
    int16_t version = client_draw_version(&a->client, API_DELETE_TOPICS, 1, 6);
    struct delete_topics_request_topics topic;
    struct delete_topics_request m;
    struct str name = str_of(a->topic->name);

    delete_topics_request_init(&m);
    delete_topics_request_topics_init(&topic);
    topic.topic_id = a->topic->id;
    topic.name = STR_NULL;
    m.topics = &topic;
    m.topics_count = version >= 6 ? 1 : 0;
    m.topic_names = &name;
    m.topic_names_count = version >= 6 ? 0 : 1;
    m.timeout_ms = 1000;
    rpc_begin(&a->rpc, &a->client, a->peer, API_DELETE_TOPICS, version, &m, &a->flow.op);
}

static enum verdict take_delete(struct admin *a)
{
    const struct delete_topics_response *answer = a->rpc.answer;
    int16_t error;

    if (answer->responses_count != 1)
        broken(a->client.world, "DeleteTopics of one topic was answered with %d", answer->responses_count);
    error = answer->responses[0].error_code;
    return judge(a, "DeleteTopics", error == KERR_UNKNOWN_TOPIC_ID ? KERR_UNKNOWN_TOPIC_OR_PARTITION : error,
                 KERR_UNKNOWN_TOPIC_OR_PARTITION);
}

/* ---- what next? --------------------------------------------------------------------------------------------- */

static struct topic *any_topic(struct admin *a, bool lasting)
{
    struct truth *t = a->client.world->truth;
    uint32_t from = (uint32_t)client_below(&a->client, t->topic_count);

    for (uint32_t i = 0; i < t->topic_count; i++) {
        struct topic *topic = t->topics[(from + i) % t->topic_count];
        if (topic->state == TOPIC_LIVES && (lasting || !topic->lasting))
            return topic;
    }
    return NULL;
}

static struct topic *new_topic(struct admin *a)
{
    struct truth *t = a->client.world->truth;
    char name[16];

    if (t->topic_count == TOPICS_MAX)
        return NULL;
    /* In a cluster a request may wait in one node while another deletes the topic: no name is used again. */
    snprintf(name, sizeof name, "passing-%u", world_is_cluster(a->client.world) ? t->topic_count
                                                                               : (unsigned)client_below(&a->client, 3));
    if (truth_topic_find(t, str_of(name)) != NULL)
        return NULL;
    return truth_topic_new(t, name, 1 + (int32_t)client_below(&a->client, 3));
}

static enum deed choose(struct admin *a)
{
    struct client *c = &a->client;

    a->in_doubt = false;
    a->topic = NULL;
    if (!c->world->plan.admin_changes || c->world->calm_ns != 0)
        return DEED_REST;
    switch (client_below(c, 5)) {
    case 0:
        a->topic = new_topic(a);
        if (a->topic != NULL)
            a->partitions = a->topic->partition_count;
        return a->topic == NULL ? DEED_REST : DEED_CREATE;
    case 1:
        a->topic = any_topic(a, true);
        if (a->topic == NULL || a->topic->partition_count == PARTITIONS_MAX)
            return DEED_REST;
        a->partitions = a->topic->partition_count + 1;
        return DEED_GROW;
    case 2:
        a->topic = any_topic(a, true);
        a->retention_ms = client_below(c, 4) == 0 ? -1 : 3600000 + (int64_t)client_below(c, 1000000);
        return a->topic == NULL ? DEED_REST : DEED_ALTER;
    case 3:
        a->topic = any_topic(a, false);
        return a->topic == NULL ? DEED_REST : DEED_DELETE;
    default:
        return DEED_REST;
    }
}

/* After trouble wait longer than anything of the old connection can still take effect. */
static int64_t pause_ns(struct admin *a)
{
    return a->in_doubt ? client_ms(&a->client, 250, 400) : client_ms(&a->client, 10, 100);
}

/* One deed, until it is done. */
static void begin_deed(struct admin *a, enum deed deed)
{
    switch (deed) {
    case DEED_CREATE:
        begin_create(a);
        return;
    case DEED_GROW:
        begin_grow(a);
        return;
    case DEED_ALTER:
        a->topic->retention_unsure = true;
        begin_alter(a);
        return;
    case DEED_DELETE:
        a->topic->state = TOPIC_DYING;
        begin_delete(a);
        return;
    case DEED_REST:
        break;
    }
    UNREACHABLE("deed");
}

static enum verdict take_deed(struct admin *a, enum deed deed)
{
    enum verdict verdict;

    switch (deed) {
    case DEED_CREATE:
        return take_create(a);
    case DEED_GROW:
        return take_grow(a);
    case DEED_ALTER:
        verdict = take_alter(a);
        if (verdict == VERDICT_DONE) {
            a->topic->retention_ms = a->retention_ms;
            a->topic->retention_unsure = world_is_cluster(a->client.world) && (a->in_doubt || a->was_in_doubt);
            a->was_in_doubt = a->was_in_doubt || a->in_doubt;
        }
        return verdict;
    case DEED_DELETE:
        verdict = take_delete(a);
        if (verdict == VERDICT_DONE)
            a->topic->state = TOPIC_GONE;
        return verdict;
    case DEED_REST:
        break;
    }
    UNREACHABLE("deed");
}

static struct topic *first_topic(struct admin *a)
{
    const struct plan *p = &a->client.world->plan;
    char name[16];

    if (a->at == p->topics)
        return NULL;
    snprintf(name, sizeof name, "lasting-%u", a->at);
    a->topic = truth_topic_new(a->client.world->truth, name, p->partitions[a->at]);
    a->topic->compacted = p->compacts[a->at];
    a->topic->lasting = true;
    a->partitions = a->topic->partition_count;
    a->at++;
    return a->topic;
}

static bool is_visible(enum deed deed)
{
    return deed != DEED_CREATE && deed != DEED_GROW;
}

static void admin_run(struct flow *f)
{
    struct admin *a = container_of(f, struct admin, flow);
    struct client *c = &a->client;
    enum verdict verdict;

    FLOW_BEGIN(f);
    while (!c->stop || a->deed != DEED_REST) {
        a->in_doubt = false;
        a->deed = first_topic(a) != NULL ? DEED_CREATE : c->stop ? DEED_REST : choose(a);
        while (a->deed != DEED_REST) {
            FLOW_WAIT(f, "ask", begin_deed(a, a->deed));
            verdict = try_failed(a, f->result) ? VERDICT_AGAIN : take_deed(a, a->deed);
            if (verdict == VERDICT_DONE)
                break;
            FLOW_WAIT(f, "back off", client_sleep(c, pause_ns(a), &f->op));
        }
        a->seen = is_visible(a->deed);
        while (!a->seen) {
            FLOW_WAIT(f, "metadata", begin_metadata(a));
            a->seen = f->result == 0 && take_metadata(a);
            if (!a->seen)
                client_turn(c, a->peer);
            if (!a->seen)
                FLOW_WAIT(f, "back off", client_sleep(c, client_ms(c, 5, 50), &f->op));
        }
        if (a->deed == DEED_CREATE || a->deed == DEED_GROW) {
            a->topic->partition_count = a->partitions;
            a->topic->state = TOPIC_LIVES;
        }
        a->deed = DEED_REST;
        FLOW_WAIT(f, "pause", client_sleep(c, a->at < c->world->plan.topics ? 1 : client_ms(c, 10, 200), &f->op));
    }
    FLOW_WAIT(f, "close", peer_close(a->peer, &f->op));
    FLOW_END(f);
    c->stopped = true;
}

struct admin *admin_new(struct world *w)
{
    struct admin *a = calloc(1, sizeof *a);

    ASSERT(a != NULL);
    client_init(&a->client, w, "admin", false);
    a->peer = client_connect(&a->client, 1500, 1);
    return a;
}

void admin_begin(struct admin *a)
{
    flow_start(&a->flow, admin_run, NULL);
}

void admin_free(struct admin *a)
{
    rpc_deinit(&a->rpc);
    client_deinit(&a->client);
    free(a);
}
