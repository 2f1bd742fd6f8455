/* What the brokers of script.h know, and say by themselves. */
#include "script_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/api_versions.h"
#include "protocol/describe_cluster.h"
#include "protocol/find_coordinator.h"
#include "protocol/metadata.h"

/* ---- what is true ------------------------------------------------------------------------------------ */

struct script_topic *script_topic_find(struct script *s, struct str name)
{
    for (uint32_t i = 0; i < s->topic_count; i++) {
        if (str_equal(str_of(s->topics[i].name), name))
            return &s->topics[i];
    }
    return NULL;
}

struct script_topic *script_topic(struct script *s, const char *name, int32_t partitions)
{
    script_topic_gone(s, name);
    s->topics = realloc(s->topics, (s->topic_count + 1) * sizeof *s->topics);
    struct script_topic *t = &s->topics[s->topic_count++];
    *t = (struct script_topic){.id = uuid_random(sim_prng(s->sim)), .partition_count = partitions};
    snprintf(t->name, sizeof t->name, "%s", name);
    t->partitions = calloc((size_t)partitions + 1, sizeof *t->partitions);
    for (int32_t i = 0; i < partitions; i++)
        t->partitions[i].leader = 1 + i % (int32_t)s->broker_count;
    return t;
}

void script_topic_gone(struct script *s, const char *name)
{
    struct script_topic *t = script_topic_find(s, str_of(name));

    if (t == NULL)
        return;
    free(t->partitions);
    *t = s->topics[--s->topic_count];
}

void script_move(struct script *s, const char *topic, int32_t partition, int32_t leader)
{
    struct script_topic *t = script_topic_find(s, str_of(topic));

    ASSERT(t != NULL && partition < t->partition_count);
    t->partitions[partition].leader = leader;
    t->partitions[partition].epoch++;
}

void script_coordinator(struct script *s, int32_t broker, int16_t error)
{
    s->coordinator = broker;
    s->coordinator_error = error;
}

void script_controller(struct script *s, int32_t broker)
{
    s->controller = broker;
}

void script_cluster_id(struct script *s, const char *id)
{
    snprintf(s->cluster_id, sizeof s->cluster_id, "%s", id);
}

void script_hide(struct script *s, int32_t broker, bool hidden)
{
    s->brokers[broker].hidden = hidden;
}

void script_rack(struct script *s, int32_t broker, const char *rack)
{
    s->brokers[broker].rack = rack;
}

static struct str host_of(struct script_request *r, int32_t broker)
{
    return broker <= 0 ? STR("") : arena_printf(&r->arena, "b%d", broker);
}

/* ---- answers ------------------------------------------------------------------------------------------ */

static void api_versions(struct script_request *r, void *ctx)
{
    const struct script_broker *b = &r->script->brokers[r->broker];
    struct api_versions_response *a = r->response;

    if (r->message == NULL) { /* a version that the broker does not know (KIP-511) */
        a->error_code = KERR_UNSUPPORTED_VERSION;
        r->version = 0;
    }
    a->api_keys = arena_take_array(&r->arena, API_KEY_COUNT, sizeof *a->api_keys);
    a->api_keys_count = 0;
    for (int16_t key = 0; key < API_KEY_COUNT; key++) {
        if (b->high[key] < b->low[key] || (r->message == NULL && key != API_API_VERSIONS))
            continue;
        struct api_versions_response_api_keys *k = &a->api_keys[a->api_keys_count++];
        api_versions_response_api_keys_init(k);
        k->api_key = key;
        k->min_version = b->low[key];
        k->max_version = b->high[key];
    }
}

static void answer_brokers(struct script_request *r, struct metadata_response *a)
{
    const struct script *s = r->script;

    a->brokers = arena_take_array(&r->arena, s->broker_count, sizeof *a->brokers);
    a->brokers_count = 0;
    for (int32_t id = 1; id <= (int32_t)s->broker_count; id++) {
        if (s->brokers[id].hidden)
            continue;
        struct metadata_response_brokers *b = &a->brokers[a->brokers_count++];
        metadata_response_brokers_init(b);
        b->node_id = id;
        b->rack = str_of(s->brokers[id].rack);
        b->host = host_of(r, id);
        b->port = SCRIPT_PORT;
    }
}

static void answer_topic(struct script_request *r, struct metadata_response_topics *a, struct str name,
                         const struct script_topic *t)
{
    metadata_response_topics_init(a);
    a->name = name;
    a->error_code = t == NULL ? KERR_UNKNOWN_TOPIC_OR_PARTITION : t->error;
    if (a->error_code != KERR_NONE)
        return;
    if (r->version >= 10)
        a->topic_id = t->id;
    a->partitions = arena_take_array(&r->arena, (size_t)t->partition_count, sizeof *a->partitions);
    a->partitions_count = t->partition_count;
    for (int32_t i = 0; i < t->partition_count; i++) {
        struct metadata_response_topics_partitions *p = &a->partitions[i];
        int32_t *nodes = arena_take_array(&r->arena, 1, sizeof *nodes);
        metadata_response_topics_partitions_init(p);
        nodes[0] = t->partitions[i].leader;
        p->error_code = t->partitions[i].error;
        p->partition_index = i;
        p->leader_id = t->partitions[i].error == KERR_LEADER_NOT_AVAILABLE ? -1 : t->partitions[i].leader;
        if (r->version >= 7)
            p->leader_epoch = t->partitions[i].epoch;
        p->replica_nodes = p->isr_nodes = nodes;
        p->replica_nodes_count = p->isr_nodes_count = 1;
    }
}

static void metadata(struct script_request *r, void *ctx)
{
    const struct metadata_request *m = r->message;
    struct metadata_response *a = r->response;
    struct script *s = r->script;
    bool all = m->topics_count < 0 || (r->version == 0 && m->topics_count == 0);
    int32_t n = all ? (int32_t)s->topic_count : m->topics_count;

    answer_brokers(r, a);
    if (r->version >= 2)
        a->cluster_id = str_of(s->cluster_id);
    a->controller_id = s->controller;
    a->topics = arena_take_array(&r->arena, (size_t)n, sizeof *a->topics);
    a->topics_count = n;
    for (int32_t i = 0; i < n; i++) {
        struct str name = all ? str_of(s->topics[i].name) : m->topics[i].name;
        answer_topic(r, &a->topics[i], name, script_topic_find(s, name));
    }
}

static void describe_cluster(struct script_request *r, void *ctx)
{
    struct describe_cluster_response *a = r->response;
    struct script *s = r->script;

    if (r->version >= 1)
        a->endpoint_type = ((const struct describe_cluster_request *)r->message)->endpoint_type;
    a->cluster_id = str_of(s->cluster_id);
    a->controller_id = s->controller;
    a->brokers = arena_take_array(&r->arena, s->broker_count, sizeof *a->brokers);
    for (int32_t id = 1; id <= (int32_t)s->broker_count; id++) {
        if (s->brokers[id].hidden)
            continue;
        struct describe_cluster_response_brokers *b = &a->brokers[a->brokers_count++];
        describe_cluster_response_brokers_init(b);
        b->broker_id = id;
        b->host = host_of(r, id);
        b->port = SCRIPT_PORT;
    }
}

static void find_coordinator(struct script_request *r, void *ctx)
{
    const struct find_coordinator_request *m = r->message;
    struct find_coordinator_response *a = r->response;
    const struct script *s = r->script;
    int32_t id = s->coordinator_error == KERR_NONE ? s->coordinator : -1;

    if (r->version < 4) {
        a->error_code = s->coordinator_error;
        a->node_id = id;
        a->host = host_of(r, id);
        a->port = id < 0 ? -1 : SCRIPT_PORT;
        return;
    }
    a->coordinators = arena_take_array(&r->arena, (size_t)m->coordinator_keys_count, sizeof *a->coordinators);
    a->coordinators_count = m->coordinator_keys_count;
    for (int32_t i = 0; i < m->coordinator_keys_count; i++) {
        struct find_coordinator_response_coordinators *c = &a->coordinators[i];
        find_coordinator_response_coordinators_init(c);
        c->key = m->coordinator_keys[i];
        c->error_code = s->coordinator_error;
        c->node_id = id;
        c->host = host_of(r, id);
        c->port = id < 0 ? -1 : SCRIPT_PORT;
    }
}

script_handler *script_default(int16_t api_key)
{
    switch (api_key) {
    case API_API_VERSIONS:
        return api_versions;
    case API_METADATA:
        return metadata;
    case API_DESCRIBE_CLUSTER:
        return describe_cluster;
    case API_FIND_COORDINATOR:
        return find_coordinator;
    default:
        return NULL;
    }
}
