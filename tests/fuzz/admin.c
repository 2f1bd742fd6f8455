/* Answers of foreign bytes (support/foreign.h) to an operator: one call of each way by which requests go (leaders,
 * coordinators, the controller, every broker, any). Each ends once, by its limit. */
#include "admin/admin.h"
#include "foreign.h"

#define LIMIT_MS 1000
#define LATE_MS 1500 /* to end a connection, and what was sent on it */
#define CALLS 5

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct ask {
    struct admin_call call;
    struct foreign_wait wait;
};

static struct admin *admin_open(struct foreign *f)
{
    struct admin_options options = {
        .client = {.bootstrap_servers = STR("near:9092"), .client_id = STR("fuzz"), .client_rack = STR_NULL,
                   .request_timeout_ms = 300, .reconnect_backoff_ms = 10, .reconnect_backoff_max_ms = 50,
                   .retry_backoff_ms = 10, .retry_backoff_max_ms = 50, .connection_setup_timeout_ms = 300,
                   .connection_setup_timeout_max_ms = 300, .connections_max_idle_ms = -1,
                   .metadata_max_age_ms = 200, .metadata_max_idle_ms = 60000, .rebootstrap_trigger_ms = 60000,
                   .frame_bytes_max = 1 << 20, .in_flight_max = 5},
        .api_timeout_ms = LIMIT_MS,
        .unreachable_ms = LIMIT_MS,
        .retries = UINT32_MAX,
    };

    return admin_new(f->far_io, f->telemetry, &options, NULL);
}

/* ---- what is asked ------------------------------------------------------------------------------------ */

static struct list_offsets_request offsets;
static struct describe_groups_request groups;
static struct create_topics_request topics;
static struct describe_log_dirs_request dirs;
static struct describe_configs_request configs;

static void make_requests(void)
{
    static struct list_offsets_request_topics offsets_topic;
    static struct list_offsets_request_topics_partitions offsets_partitions[FOREIGN_PARTITIONS];
    static struct create_topics_request_topics new_topic;
    static struct describe_configs_request_resources resource;
    static struct str names[2] = {{"g", 1}, {"h", 1}};

    list_offsets_request_init(&offsets);
    list_offsets_request_topics_init(&offsets_topic);
    for (int32_t i = 0; i < FOREIGN_PARTITIONS; i++) {
        list_offsets_request_topics_partitions_init(&offsets_partitions[i]);
        offsets_partitions[i].partition_index = i;
    }
    offsets_topic.name = STR("t");
    offsets_topic.partitions = offsets_partitions;
    offsets_topic.partitions_count = FOREIGN_PARTITIONS;
    offsets.topics = &offsets_topic;
    offsets.topics_count = 1;
    describe_groups_request_init(&groups);
    groups.groups = names;
    groups.groups_count = 2;
    create_topics_request_init(&topics);
    create_topics_request_topics_init(&new_topic);
    new_topic.name = STR("new");
    topics.topics = &new_topic;
    topics.topics_count = 1;
    describe_log_dirs_request_init(&dirs);
    describe_configs_request_init(&configs);
    describe_configs_request_resources_init(&resource);
    resource.resource_type = 2;
    resource.resource_name = STR("t");
    configs.resources = &resource;
    configs.resources_count = 1;
}

static void use(struct foreign *f, struct admin *a)
{
    static const int16_t keys[CALLS] = {API_LIST_OFFSETS, API_DESCRIBE_GROUPS, API_CREATE_TOPICS,
                                        API_DESCRIBE_LOG_DIRS, API_DESCRIBE_CONFIGS};
    const void *requests[CALLS] = {&offsets, &groups, &topics, &dirs, &configs};
    struct ask asks[CALLS];

    memset(asks, 0, sizeof asks);
    make_requests();
    for (int i = 0; i < CALLS; i++)
        admin_send(a, &asks[i].call, keys[i], requests[i], foreign_wait_begin(&asks[i].wait));
    foreign_pass(f, LIMIT_MS + LATE_MS);
    for (int i = 0; i < CALLS; i++) {
        ASSERT(asks[i].wait.done);
        for (uint32_t p = 0; p < asks[i].call.part_count; p++)
            ASSERT(asks[i].call.parts[p]->response != NULL || asks[i].wait.result < 0);
        admin_call_release(&asks[i].call);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct foreign_wait close;
    struct foreign f;
    struct admin *a;

    if (!foreign_open(&f, data, size))
        return 0;
    a = admin_open(&f);
    ASSERT(a != NULL);
    use(&f, a);
    admin_close(a, foreign_wait_begin(&close));
    foreign_wait_end(&f, &close);
    foreign_close(&f);
    return 0;
}
