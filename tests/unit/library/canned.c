#define _GNU_SOURCE
#include "canned.h"

#include "protocol/api_versions.h"
#include "protocol/find_coordinator.h"
#include "protocol/metadata.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 16

static struct {
    int listener, count;
    uint16_t port;
    pthread_t accepting, serving[CONNECTIONS_MAX];
    canned_handler *handler;
} canned;

/* ---- what it answers itself ---------------------------------------------------------------------- */

static void answer_versions(const struct canned_request *q)
{
    struct api_versions_response *a = q->response;

    a->api_keys = arena_take_array(q->arena, API_KEY_COUNT, sizeof *a->api_keys);
    for (int16_t key = 0; key < API_KEY_COUNT; key++) {
        const struct api *api = api_find(key);
        if (api == NULL || api->request == NULL)
            continue;
        struct api_versions_response_api_keys *k = &a->api_keys[a->api_keys_count++];
        api_versions_response_api_keys_init(k);
        k->api_key = key;
        k->min_version = api->request->low;
        k->max_version = api->request->high;
    }
}

static void answer_topic(const struct canned_request *q, struct metadata_response_topics *t, struct str name)
{
    int32_t *here = arena_take_array(q->arena, 1, sizeof *here);

    *here = 1;
    metadata_response_topics_init(t);
    t->name = name;
    t->partitions = arena_take_array(q->arena, 2, sizeof *t->partitions);
    t->partitions_count = 2;
    for (int32_t i = 0; i < 2; i++) {
        metadata_response_topics_partitions_init(&t->partitions[i]);
        t->partitions[i].partition_index = i;
        t->partitions[i].leader_id = 1;
        t->partitions[i].leader_epoch = 0;
        t->partitions[i].replica_nodes = t->partitions[i].isr_nodes = here;
        t->partitions[i].replica_nodes_count = t->partitions[i].isr_nodes_count = 1;
    }
}

static void answer_metadata(const struct canned_request *q)
{
    const struct metadata_request *m = q->message;
    struct metadata_response *a = q->response;
    int32_t count = m->topics_count < 0 ? 0 : m->topics_count;

    a->brokers = arena_take_array(q->arena, 1, sizeof *a->brokers);
    a->brokers_count = 1;
    metadata_response_brokers_init(a->brokers);
    a->brokers->node_id = a->controller_id = 1;
    a->brokers->host = STR("127.0.0.1");
    a->brokers->port = canned.port;
    a->cluster_id = STR("canned");
    a->topics = arena_take_array(q->arena, (size_t)count, sizeof *a->topics);
    a->topics_count = count;
    for (int32_t i = 0; i < count; i++)
        answer_topic(q, &a->topics[i], m->topics[i].name);
}

static void answer_coordinators(const struct canned_request *q)
{
    const struct find_coordinator_request *m = q->message;
    struct find_coordinator_response *a = q->response;

    a->coordinators = arena_take_array(q->arena, (size_t)m->coordinator_keys_count, sizeof *a->coordinators);
    a->coordinators_count = m->coordinator_keys_count;
    for (int32_t i = 0; i < m->coordinator_keys_count; i++) {
        find_coordinator_response_coordinators_init(&a->coordinators[i]);
        a->coordinators[i].key = m->coordinator_keys[i];
        a->coordinators[i].node_id = 1;
        a->coordinators[i].host = STR("127.0.0.1");
        a->coordinators[i].port = canned.port;
    }
}

static void answer(const struct canned_request *q)
{
    switch (q->api_key) {
    case API_API_VERSIONS:
        answer_versions(q);
        break;
    case API_METADATA:
        answer_metadata(q);
        break;
    case API_FIND_COORDINATOR:
        answer_coordinators(q);
        break;
    default:
        canned.handler(q);
    }
}

/* ---- sockets ----------------------------------------------------------------------------------------- */

static bool read_all(int fd, uint8_t *into, size_t n)
{
    while (n > 0) {
        ssize_t got = read(fd, into, n);
        if (got <= 0)
            return false;
        into += got;
        n -= (size_t)got;
    }
    return true;
}

static void send_answer(int fd, const struct canned_request *q, int32_t correlation_id)
{
    const struct message *m = api_find(q->api_key)->response;
    uint32_t header = response_header_size(q->api_key, q->version);
    int64_t n = message_size(m, q->version, q->response);

    CHECK(n >= 0);
    uint8_t *bytes = arena_take(q->arena, 4 + header + (size_t)n);
    put_u32(bytes, header + (uint32_t)n);
    response_header_write(q->api_key, q->version, correlation_id, bytes + 4);
    message_write(m, q->version, q->response, bytes + 4 + header);
    CHECK_EQ(write(fd, bytes, 4 + header + (size_t)n), 4 + header + n);
}

static bool serve_one(int fd)
{
    struct request_header h;
    uint8_t length[4];
    struct arena arena;

    if (!read_all(fd, length, sizeof length))
        return false;
    struct bytes frame = {.n = get_i32(length)};
    arena_init(&arena, 0);
    uint8_t *bytes = arena_take(&arena, (size_t)frame.n);
    frame.p = bytes;
    bool whole = read_all(fd, bytes, (size_t)frame.n);
    if (whole) {
        int used = request_header_read(frame, &h);
        CHECK(used > 0);
        const struct api *api = api_find(h.request_api_key);
        void *message = arena_take(&arena, message_struct_bytes(api->request));
        struct bytes body = {frame.p + used, frame.n - used};
        CHECK_EQ(message_read(api->request, body, h.request_api_version, &arena, message), body.n);
        struct canned_request q = {h.request_api_key, h.request_api_version, message,
                                   arena_take(&arena, message_struct_bytes(api->response)), &arena};
        message_init(api->response, q.response);
        answer(&q);
        send_answer(fd, &q, h.correlation_id);
    }
    arena_deinit(&arena);
    return whole;
}

static void *serve(void *arg)
{
    int fd = (int)(intptr_t)arg;

    while (serve_one(fd)) {
    }
    close(fd);
    return NULL;
}

static void *accept_all(void *arg)
{
    int fd;

    while (canned.count < CONNECTIONS_MAX && (fd = accept(canned.listener, NULL, NULL)) >= 0) {
        CHECK_EQ(pthread_create(&canned.serving[canned.count], NULL, serve, (void *)(intptr_t)fd), 0);
        canned.count++;
    }
    return NULL;
}

void canned_start(struct lab *lab, canned_handler *handler)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;

    *lab = (struct lab){0};
    canned.handler = handler;
    canned.count = 0;
    canned.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(canned.listener, (struct sockaddr *)&at, sizeof at), 0);
    CHECK_EQ(listen(canned.listener, CONNECTIONS_MAX), 0);
    CHECK_EQ(getsockname(canned.listener, (struct sockaddr *)&at, &n), 0);
    canned.port = ntohs(at.sin_port);
    snprintf(lab->address, sizeof lab->address, "127.0.0.1:%u", canned.port);
    CHECK_EQ(pthread_create(&canned.accepting, NULL, accept_all, NULL), 0);
}

void canned_stop(void)
{
    CHECK_EQ(shutdown(canned.listener, SHUT_RDWR), 0); /* ends the accept */
    CHECK_EQ(pthread_join(canned.accepting, NULL), 0);
    close(canned.listener);
    for (int i = 0; i < canned.count; i++)
        CHECK_EQ(pthread_join(canned.serving[i], NULL), 0);
}

struct mr_admin *canned_admin(struct lab *lab, canned_handler *handler)
{
    canned_start(lab, handler);
    return lab_admin(lab, NULL);
}

void canned_end(struct lab *lab, struct mr_admin *a)
{
    CHECK_OK(lab, mr_admin_close(a, &lab->e));
    canned_stop();
}
