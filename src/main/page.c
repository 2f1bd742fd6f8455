#define _GNU_SOURCE
#include "main/page.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "config/config.h"
#include "main/http.h"

/* How long the HTTP thread waits for the shards; a scraper's own limit is about as long. */
#define ANSWER_SECONDS_MAX 10
/* No name of a topic is longer. */
#define TOPIC_BYTES_MAX 249

struct page {
    struct http http;
    struct io_epoll_world *world;
    struct broker *broker;
    struct MHD_Daemon *daemon;
    pthread_mutex_t lock;
    bool stopping;      /* no more messages to the shards */
    uint32_t under_way; /* messages that have not come to their end there */
    struct op *stopped; /* home shard: of page_stop */
};

/* One request on its way; shared by the two threads, freed by the last of them. */
struct visit {
    struct io_message message;
    struct page *page;
    struct op op;
    char topic[TOPIC_BYTES_MAX + 1]; /* empty: the metrics are asked for */
    int32_t partition;
    struct text text;
    int64_t result;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done, abandoned;
};

static void visit_free(struct visit *v)
{
    pthread_mutex_destroy(&v->lock);
    pthread_cond_destroy(&v->changed);
    text_deinit(&v->text);
    free(v);
}

/* ---- home shard ---------------------------------------------------------------------------------------- */

static void gathered(struct op *op, int64_t result)
{
    struct visit *v = container_of(op, struct visit, op);
    struct page *p = v->page;

    pthread_mutex_lock(&p->lock);
    bool last = --p->under_way == 0 && p->stopped != NULL;
    pthread_mutex_unlock(&p->lock);
    pthread_mutex_lock(&v->lock);
    v->result = result;
    v->done = true;
    bool abandoned = v->abandoned;
    pthread_cond_signal(&v->changed);
    pthread_mutex_unlock(&v->lock);
    if (abandoned)
        visit_free(v);
    if (last)
        p->stopped->done(p->stopped, 0);
}

static void visit_arrived(struct io *io, struct io_message *m)
{
    struct visit *v = container_of(m, struct visit, message);

    op_init(&v->op, gathered);
    if (v->topic[0] != '\0')
        broker_why(v->page->broker, str_of(v->topic), v->partition, &v->text, &v->op);
    else
        broker_metrics(v->page->broker, &v->text, &v->op);
}

/* ---- HTTP thread ----------------------------------------------------------------------------------------- */

/* Of /why/TOPIC-NUMBER. */
static bool parse_partition(const char *url, struct visit *out)
{
    static const char path[] = "/why/";
    const char *name = url + strlen(path), *dash = strrchr(url, '-');
    int64_t partition;

    if (strncmp(url, path, strlen(path)) != 0 || dash == NULL || dash <= name || dash - name > TOPIC_BYTES_MAX)
        return false;
    if (dash[1] < '0' || dash[1] > '9' || str_to_i64(str_of(dash + 1), 0, INT32_MAX, &partition) < 0)
        return false;
    memcpy(out->topic, name, (size_t)(dash - name));
    out->partition = (int32_t)partition;
    return true;
}

static struct visit *visit_new(const char *url)
{
    struct visit *v = calloc(1, sizeof *v);

    if (v == NULL || strcmp(url, "/metrics") == 0 || parse_partition(url, v))
        return v;
    free(v);
    return NULL;
}

/* Takes `v`, and gives it back when it is under way. */
static struct visit *visit_send(struct page *p, struct visit *v)
{
    v->page = p;
    v->message.run = visit_arrived;
    pthread_mutex_init(&v->lock, NULL);
    pthread_cond_init(&v->changed, NULL);
    pthread_mutex_lock(&p->lock);
    bool stopping = p->stopping;
    if (!stopping) {
        p->under_way++;
        io_epoll_post(p->world, 0, &v->message);
    }
    pthread_mutex_unlock(&p->lock);
    if (stopping) {
        visit_free(v);
        return NULL;
    }
    return v;
}

/* True when the text is there; false when the shards were too slow: then the shard frees the visit. */
static bool visit_wait(struct visit *v)
{
    struct timespec until;
    int rc = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ANSWER_SECONDS_MAX;
    pthread_mutex_lock(&v->lock);
    while (!v->done && rc == 0)
        rc = pthread_cond_timedwait(&v->changed, &v->lock, &until);
    bool done = v->done;
    v->abandoned = !done;
    pthread_mutex_unlock(&v->lock);
    return done;
}

static enum MHD_Result reply(const struct page *p, struct MHD_Connection *c, unsigned status, const char *type,
                             struct str body)
{
    struct MHD_Response *r = p->http.MHD_create_response_from_buffer(
        (size_t)body.n, (void *)(uintptr_t)body.p, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result rc;

    if (r == NULL)
        return MHD_NO;
    p->http.MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    rc = p->http.MHD_queue_response(c, status, r);
    p->http.MHD_destroy_response(r);
    return rc;
}

static enum MHD_Result reply_words(const struct page *p, struct MHD_Connection *c, unsigned status, struct str words)
{
    return reply(p, c, status, "text/plain; charset=utf-8", words);
}

static enum MHD_Result answer(void *ctx, struct MHD_Connection *c, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *data_bytes, void **state)
{
    enum MHD_Result rc;
    struct visit *v;

    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0)
        return reply_words(ctx, c, MHD_HTTP_METHOD_NOT_ALLOWED, STR("only GET is served here\n"));
    v = visit_new(url);
    if (v == NULL)
        return reply_words(ctx, c, MHD_HTTP_NOT_FOUND,
                           STR("metrics are at /metrics, why a partition is as it is at /why/TOPIC-NUMBER\n"));
    v = visit_send(ctx, v);
    if (v == NULL)
        return reply_words(ctx, c, MHD_HTTP_SERVICE_UNAVAILABLE, STR("the broker stops\n"));
    if (!visit_wait(v))
        return reply_words(ctx, c, MHD_HTTP_SERVICE_UNAVAILABLE, STR("the broker is too busy\n"));
    if (v->topic[0] == '\0')
        rc = reply(ctx, c, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", text_str(&v->text));
    else if (v->result == 0)
        rc = reply_words(ctx, c, MHD_HTTP_OK, text_str(&v->text));
    else
        rc = reply_words(ctx, c, MHD_HTTP_NOT_FOUND, STR("there is no such partition\n"));
    visit_free(v);
    return rc;
}

/* ---- life --------------------------------------------------------------------------------------------------- */

static int resolve(const char *host, uint16_t port, struct addrinfo **out)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    char service[8];

    snprintf(service, sizeof service, "%u", port);
    return getaddrinfo(host[0] == 0 ? NULL : host, service, &hints, out);
}

int page_start(struct io_epoll_world *world, struct broker *broker, struct telemetry *t,
               struct str listener, struct page **out, struct fail *f)
{
    char host[256];
    uint16_t port;
    struct addrinfo *at;
    struct page *p;

    if (host_port_parse(listener, host, &port) < 0 || resolve(host, port, &at) != 0)
        return fail_set(f, -EINVAL, "millrace.metrics.listener is \"%.*s\": HOST:PORT is expected",
                        STR_ARG(listener));
    p = calloc(1, sizeof *p);
    ASSERT(p != NULL);
    if (http_load(&p->http, f) < 0) {
        freeaddrinfo(at);
        free(p);
        return f->error;
    }
    p->world = world;
    p->broker = broker;
    pthread_mutex_init(&p->lock, NULL);
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL |
                     (at->ai_family == AF_INET6 ? MHD_USE_IPv6 : 0);
    p->daemon = p->http.MHD_start_daemon(flags, 0, NULL, NULL, answer, p, MHD_OPTION_SOCK_ADDR, at->ai_addr,
                                         MHD_OPTION_CONNECTION_LIMIT, 16u, MHD_OPTION_CONNECTION_TIMEOUT, 30u,
                                         MHD_OPTION_END);
    freeaddrinfo(at);
    if (p->daemon == NULL) {
        free(p);
        return fail_set(f, -EADDRINUSE,
                        "cannot serve metrics on %.*s (millrace.metrics.listener): is the port in use?",
                        STR_ARG(listener));
    }
    port = p->http.MHD_get_daemon_info(p->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    say(t, LOG_INFO, "main", "metrics at http://%s:%u/metrics", host[0] == 0 ? "localhost" : host, port);
    *out = p;
    return 0;
}

void page_stop(struct page *p, struct io *io, struct op *op)
{
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    bool quiet = p->under_way == 0;
    if (!quiet)
        p->stopped = op;
    pthread_mutex_unlock(&p->lock);
    if (quiet)
        io_complete(io, op, 0);
}

void page_free(struct page *p)
{
    if (p == NULL)
        return;
    p->http.MHD_stop_daemon(p->daemon);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
