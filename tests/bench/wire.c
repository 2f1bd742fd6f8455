#define _GNU_SOURCE
#include "bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "protocol/api_versions.h"
#include "protocol/create_topics.h"
#include "protocol/fetch.h"
#include "protocol/metadata.h"

#define LEADERS_TIMEOUT_NS (20 * INT64_C(1000000000))

static void pause_ns(int64_t ns)
{
    struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};

    nanosleep(&t, NULL);
}

int wire_connect(const struct plan *plan)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)plan->port)};
    int one = 1, fd;

    if (inet_pton(AF_INET, plan->host, &address.sin_addr) != 1)
        die("%s is not an IPv4 address", plan->host);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket: %s", error_text(-errno));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

static bool send_all(int fd, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        p += sent;
        n -= (size_t)sent;
    }
    return true;
}

static bool receive_all(int fd, uint8_t *p, size_t n)
{
    return recv(fd, p, n, MSG_WAITALL) == (ssize_t)n;
}

static bool receive_frame(int fd, struct frame *frame, int32_t *n)
{
    uint8_t length[4];

    if (!receive_all(fd, length, sizeof(length)))
        return false;
    *n = get_i32(length);
    if (*n < 4 || *n > FRAME_BYTES_MAX)
        die("the broker announces a response of %d bytes", *n);
    if ((size_t)*n > frame->capacity) {
        free(frame->p);
        frame->capacity = (size_t)*n + (size_t)*n / 2;
        frame->p = malloc(frame->capacity);
        if (frame->p == NULL)
            die("out of memory");
    }
    return receive_all(fd, frame->p, (size_t)*n);
}

bool wire_call(int fd, enum api_key key, int16_t version, const void *request, struct frame *frame,
               struct arena *arena, void *response)
{
    const struct api *api = api_find((int16_t)key);
    struct request_header header;
    int64_t header_bytes, body_bytes;
    int32_t n, correlation_id;

    request_header_init(&header);
    header.request_api_key = (int16_t)key;
    header.request_api_version = version;
    header.client_id = STR("bench_load");
    header_bytes = request_header_size(&header);
    body_bytes = message_size(api->request, version, request);
    ASSERT(header_bytes > 0);
    ASSERT(body_bytes >= 0);

    arena_reset(arena);
    uint8_t *out = arena_take_raw(arena, 4 + (size_t)(header_bytes + body_bytes));
    put_u32(out, (uint32_t)(header_bytes + body_bytes));
    request_header_write(&header, out + 4);
    message_write(api->request, version, request, out + 4 + header_bytes);
    if (!send_all(fd, out, 4 + (size_t)(header_bytes + body_bytes)) ||
        !receive_frame(fd, frame, &n))
        return false;

    int used =
        response_header_read((struct bytes){frame->p, n}, (int16_t)key, version, &correlation_id);
    if (used < 0 || correlation_id != 0)
        die("%s: the response's header makes no sense", api->name);
    frame->body = (struct bytes){frame->p + used, n - used};
    int rc = message_read(api->response, frame->body, version, arena, response);
    if (rc < 0)
        die("%s: the response cannot be read: %s", api->name, error_text(rc));
    return true;
}

/* ---- before the load ------------------------------------------------------------------------ */

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

static void ask_versions(struct asker *a, struct versions *versions)
{
    struct api_versions_request request;
    struct api_versions_response response;

    api_versions_request_init(&request);
    ask(a, API_API_VERSIONS, 0, &request, &response);
    if (response.error_code != 0)
        die("ApiVersions: %s", kerr_name(response.error_code));
    *versions = (struct versions){
        .produce = agree(&response, API_PRODUCE),
        .fetch = agree(&response, API_FETCH),
        .metadata = agree(&response, API_METADATA),
        .create_topics = agree(&response, API_CREATE_TOPICS),
    };
}

static void create_topic(struct asker *a, const struct plan *plan, int16_t version)
{
    struct create_topics_request_topics topic;
    struct create_topics_request request;
    struct create_topics_response response;

    create_topics_request_topics_init(&topic);
    topic.name = str_of(plan->topic);
    topic.num_partitions = (int32_t)plan->partitions;
    topic.replication_factor = 1;
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

void wire_prepare(const struct plan *plan, struct versions *versions, struct uuid *topic_id)
{
    struct asker a = {.fd = wire_connect(plan)};

    if (a.fd < 0)
        die("cannot connect to %s:%" PRId64 ": %s", plan->host, plan->port, error_text(a.fd));
    ask_versions(&a, versions);
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

int64_t wire_wait_ready(const struct plan *plan)
{
    int64_t deadline_ns = clock_ns() + plan->wait_ready_ns;

    while (!is_ready(plan)) {
        if (clock_ns() > deadline_ns)
            die("no broker answers at %s:%" PRId64, plan->host, plan->port);
        pause_ns(500000);
    }
    return clock_ns();
}
