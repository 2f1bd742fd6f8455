#define _GNU_SOURCE
#include "bench.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "protocol/api_versions.h"
#include "protocol/create_topics.h"
#include "protocol/fetch.h"
#include "protocol/metadata.h"
#include "protocol/produce.h"

#define LEADERS_TIMEOUT_NS (20 * INT64_C(1000000000))
#define RETRY_NS 500000

static void pause_ns(int64_t ns)
{
    struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};

    nanosleep(&t, NULL);
}

struct asker {
    int fd;
    struct frame frame;
    struct arena arena;
};

static void ask(struct asker *a, enum api_key key, int16_t version, const void *request,
                void *response)
{
    if (!wire_call(a->fd, key, version, request, &a->frame, &a->arena, response))
        die("%s: the broker closed the connection", api_name((int16_t)key));
}

static void asker_end(struct asker *a)
{
    close(a->fd);
    free(a->frame.p);
    arena_deinit(&a->arena);
}

static int16_t agree(const struct api_versions_response *offered, enum api_key key)
{
    const struct api *api = api_find((int16_t)key);

    for (int32_t i = 0; i < offered->api_keys_count; i++) {
        const struct api_versions_response_api_keys *k = &offered->api_keys[i];
        if (k->api_key != (int16_t)key)
            continue;
        int16_t version = k->max_version < api->high ? k->max_version : api->high;
        if (version >= k->min_version && api_has_version(api, version))
            return version;
    }
    die("the broker offers no version of %s that this program knows", api->name);
}

/* False when the connection ended. */
static bool ask_versions(struct asker *a, struct versions *versions)
{
    struct api_versions_request request;
    struct api_versions_response response;

    api_versions_request_init(&request);
    if (!wire_call(a->fd, API_API_VERSIONS, 0, &request, &a->frame, &a->arena, &response))
        return false;
    if (response.error_code != 0)
        die("ApiVersions: %s", kerr_name(response.error_code));
    *versions = (struct versions){
        .produce = agree(&response, API_PRODUCE),
        .fetch = agree(&response, API_FETCH),
        .metadata = agree(&response, API_METADATA),
        .create_topics = agree(&response, API_CREATE_TOPICS),
    };
    return true;
}

/* The settings that the plan names; they point into its text. -> how many */
static int read_configs(const struct plan *plan, struct create_topics_request_topics_configs *out)
{
    struct str rest = str_of(plan->config), part;
    int count = 0;

    while (str_cut(&rest, ',', &part)) {
        if (count == CONFIGS_MAX)
            die("--config: %d settings at most", CONFIGS_MAX);
        create_topics_request_topics_configs_init(&out[count]);
        if (!str_cut(&part, '=', &out[count].name) || part.n <= 0)
            die("--config %s: KEY=VALUE is needed", plan->config);
        out[count++].value = part;
    }
    return count;
}

static void create_topic(struct asker *a, const struct plan *plan, int16_t version)
{
    struct create_topics_request_topics_configs configs[CONFIGS_MAX];
    struct create_topics_request_topics topic;
    struct create_topics_request request;
    struct create_topics_response response;

    create_topics_request_topics_init(&topic);
    topic.name = str_of(plan->topic);
    topic.num_partitions = (int32_t)plan->partitions;
    topic.replication_factor = 1;
    topic.configs = configs;
    topic.configs_count = read_configs(plan, configs);
    create_topics_request_init(&request);
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 20000;
    ask(a, API_CREATE_TOPICS, version, &request, &response);
    if (response.topics_count != 1)
        die("CreateTopics: an answer with %d topics", response.topics_count);
    if (response.topics[0].error_code != 0)
        die("CreateTopics: %s %.*s", kerr_name(response.topics[0].error_code),
            STR_ARG(response.topics[0].error_message));
}

/* Every partition has a leader, and that is the broker that we are connected to. */
static bool all_led(const struct plan *plan, const struct metadata_response *m)
{
    if (m->topics_count != 1 || m->topics[0].error_code != 0)
        return false;
    const struct metadata_response_topics *topic = &m->topics[0];
    if (topic->partitions_count != plan->partitions)
        return false;
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        if (topic->partitions[i].error_code != 0 || topic->partitions[i].leader_id < 0)
            return false;
        for (int32_t j = 0; j < m->brokers_count; j++) {
            if (m->brokers[j].node_id == topic->partitions[i].leader_id &&
                m->brokers[j].port != plan->port)
                die("partition %d is led by another broker", topic->partitions[i].partition_index);
        }
    }
    return true;
}

static struct uuid await_leaders(struct asker *a, const struct plan *plan, int16_t version)
{
    struct metadata_request_topics topic;
    struct metadata_request request;
    struct metadata_response response;
    int64_t deadline_ns = clock_ns() + LEADERS_TIMEOUT_NS;

    metadata_request_topics_init(&topic);
    topic.name = str_of(plan->topic);
    metadata_request_init(&request);
    request.topics = &topic;
    request.topics_count = 1;
    request.allow_auto_topic_creation = false;
    for (;;) {
        ask(a, API_METADATA, version, &request, &response);
        if (all_led(plan, &response))
            return response.topics[0].topic_id;
        if (clock_ns() > deadline_ns)
            die("not all partitions of %s have a leader", plan->topic);
        pause_ns(10000000);
    }
}

/* Partitions for which a fetch at offset 0 is not served yet: a broker may name itself leader in
 * Metadata a moment before it is. */
static int unserved(struct asker *a, const struct fetch_request *request, int16_t version)
{
    struct fetch_response response;
    int count = 0;

    ask(a, API_FETCH, version, request, &response);
    for (int32_t i = 0; i < response.responses_count; i++) {
        for (int32_t j = 0; j < response.responses[i].partitions_count; j++) {
            int16_t code = response.responses[i].partitions[j].error_code;
            if (code != 0 && !kerr_is_retriable(code))
                die("Fetch: %s", kerr_name(code));
            count += code != 0;
        }
    }
    return count;
}

static void await_service(struct asker *a, const struct plan *plan, struct uuid topic_id,
                          int16_t version)
{
    struct fetch_request_topics_partitions *partitions;
    struct fetch_request_topics topic;
    struct fetch_request request;
    int64_t deadline_ns = clock_ns() + LEADERS_TIMEOUT_NS;

    partitions = calloc((size_t)plan->partitions, sizeof(*partitions));
    if (partitions == NULL)
        die("out of memory");
    for (int i = 0; i < plan->partitions; i++) {
        fetch_request_topics_partitions_init(&partitions[i]);
        partitions[i].partition = i;
        partitions[i].partition_max_bytes = 1;
    }
    fetch_request_topics_init(&topic);
    topic.topic = str_of(plan->topic);
    topic.topic_id = topic_id;
    topic.partitions = partitions;
    topic.partitions_count = (int32_t)plan->partitions;
    fetch_request_init(&request);
    request.replica_id = -1;
    request.topics = &topic;
    request.topics_count = 1;
    while (unserved(a, &request, version) > 0) {
        if (clock_ns() > deadline_ns)
            die("not all partitions of %s are served by their leader", plan->topic);
        pause_ns(10000000);
    }
    free(partitions);
}

void ask_prepare(const struct plan *plan, struct versions *versions, struct uuid *topic_id)
{
    struct asker a = {.fd = wire_connect(plan)};

    if (a.fd < 0)
        die("cannot connect to %s:%" PRId64 ": %s", plan->host, plan->port, error_text(a.fd));
    if (!ask_versions(&a, versions))
        die("ApiVersions: the broker closed the connection");
    if (plan->read_bytes == 0)
        create_topic(&a, plan, versions->create_topics);
    *topic_id = await_leaders(&a, plan, versions->metadata);
    await_service(&a, plan, *topic_id, versions->fetch);
    asker_end(&a);
}

/* ---- ready ----------------------------------------------------------------------------------- */

/* One attempt: is there somebody who names a broker? */
static bool is_ready(const struct plan *plan)
{
    struct asker a = {.fd = wire_connect(plan)};
    struct metadata_request request;
    struct metadata_response response;
    bool ready = false;

    if (a.fd < 0)
        return false;
    metadata_request_init(&request);
    if (wire_call(a.fd, API_METADATA, 1, &request, &a.frame, &a.arena, &response))
        ready = response.brokers_count > 0;
    asker_end(&a);
    return ready;
}

int64_t ask_wait_ready(const struct plan *plan)
{
    int64_t deadline_ns = clock_ns() + plan->wait_ready_ns;

    while (!is_ready(plan)) {
        if (clock_ns() > deadline_ns)
            die("no broker answers at %s:%" PRId64, plan->host, plan->port);
        pause_ns(RETRY_NS);
    }
    return clock_ns();
}

/* ---- acknowledgements, again ----------------------------------------------------------------- */

/* False when the broker does not know the topic (yet) or the connection ended. */
static bool find_topic(struct asker *a, const struct plan *plan, int16_t version,
                       struct uuid *topic_id)
{
    struct metadata_request_topics topic;
    struct metadata_request request;
    struct metadata_response response;

    metadata_request_topics_init(&topic);
    topic.name = str_of(plan->topic);
    metadata_request_init(&request);
    request.topics = &topic;
    request.topics_count = 1;
    request.allow_auto_topic_creation = false;
    if (!wire_call(a->fd, API_METADATA, version, &request, &a->frame, &a->arena, &response))
        return false;
    if (response.topics_count != 1 || response.topics[0].error_code != 0)
        return false;
    *topic_id = response.topics[0].topic_id;
    return true;
}

/* The offset that the batch got; -1 when it has to be tried again. */
static int64_t try_batch(struct asker *a, const struct plan *plan, int16_t version,
                         struct uuid topic_id, int partition, struct bytes batch)
{
    struct produce_request_topic_data_partition_data data;
    struct produce_request_topic_data topic;
    struct produce_request request;
    struct produce_response response;

    produce_request_topic_data_partition_data_init(&data);
    data.index = partition;
    data.records = batch;
    produce_request_topic_data_init(&topic);
    topic.name = str_of(plan->topic);
    topic.topic_id = topic_id;
    topic.partition_data = &data;
    topic.partition_data_count = 1;
    produce_request_init(&request);
    request.acks = (int16_t)plan->acks;
    request.timeout_ms = 30000;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    if (!wire_call(a->fd, API_PRODUCE, version, &request, &a->frame, &a->arena, &response))
        return -1;
    if (response.responses_count != 1 || response.responses[0].partition_responses_count != 1)
        die("an answer to Produce is not about one partition");
    const struct produce_response_responses_partition_responses *r =
        &response.responses[0].partition_responses[0];
    if (r->error_code == 0)
        return r->base_offset;
    if (!kerr_is_retriable(r->error_code))
        die("Produce: partition %d: %s", partition, kerr_name(r->error_code));
    return -1;
}

/* One connection's attempt at the partitions that have not acknowledged yet; -> none is left. */
static bool try_acks(const struct plan *plan, struct bytes batch, struct acks *acks)
{
    struct asker a = {.fd = wire_connect(plan)};
    struct versions versions;
    struct uuid topic_id;
    bool all = true;

    if (a.fd < 0)
        return false;
    if (!ask_versions(&a, &versions) || !find_topic(&a, plan, versions.metadata, &topic_id)) {
        asker_end(&a);
        return false;
    }
    for (int i = 0; i < plan->partitions; i++) {
        if (acks->offsets[i] >= 0)
            continue;
        acks->offsets[i] = try_batch(&a, plan, versions.produce, topic_id, i, batch);
        if (acks->offsets[i] < 0) {
            all = false;
            continue;
        }
        acks->last_ns = clock_ns();
        if (acks->first_ns == 0)
            acks->first_ns = acks->last_ns;
    }
    asker_end(&a);
    return all;
}

void ask_wait_acks(const struct plan *plan, const struct pattern *pattern, struct acks *acks)
{
    int64_t deadline_ns = clock_ns() + plan->wait_acks_ns;
    uint8_t *batch = malloc((size_t)pattern->bytes);

    if (batch == NULL)
        die("out of memory");
    pattern_stamp(pattern, clock_wall_ms(), 0, 0, batch);
    memcpy(batch + pattern->prefix_bytes, pattern->rest.p, (size_t)pattern->rest.n);
    acks->first_ns = 0;
    for (int64_t i = 0; i < plan->partitions; i++)
        acks->offsets[i] = -1;
    while (!try_acks(plan, (struct bytes){batch, pattern->bytes}, acks)) {
        if (clock_ns() > deadline_ns)
            die("not every partition of %s acknowledges", plan->topic);
        pause_ns(RETRY_NS);
    }
    free(batch);
}
