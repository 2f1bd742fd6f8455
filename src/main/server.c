#define _GNU_SOURCE
#include "main/server.h"

#include <malloc.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/broker.h"
#include "cli/cli.h"
#include "io_epoll/io_epoll.h"
#include "main/background.h"
#include "main/load.h"
#include "main/page.h"
#include "main/sink.h"

#define OVERRIDES_MAX 256
#define HOST_NAME_BYTES 256

extern char **environ;

static const char usage[] =
    "usage: millrace server [FILE] [--override KEY=VALUE]...\n"
    "\n"
    "Run a node from a server.properties file with Kafka's keys. A directory is prepared with\n"
    "`millrace storage format` first. Without FILE, one whole node on 127.0.0.1:9092 (controller on\n"
    "127.0.0.1:9093) with its data in ./data, formatted when it is empty.\n"
    "\n"
    "  --override KEY=VALUE   set one setting over the file's\n"
    "  -daemon                go on in the background; what it says goes to $LOG_DIR/kafkaServer.out\n"
    "                         (./logs without LOG_DIR)\n"
    "  --version              the version of Kafka that it is like, and millrace's\n"
    "\n"
    "KAFKA_* environment variables set settings as in Kafka's container image (KAFKA_LOG_DIRS).\n"
    "When it serves, one line goes to standard output:\n"
    "  ready node=1 listeners=PLAINTEXT://127.0.0.1:9092\n"
    "SIGTERM and SIGINT stop it cleanly; a second one ends it at once.\n"
    "`millrace settings` lists the settings that act.\n";

struct server {
    struct io_epoll_world *world;
    struct io *shards[IO_EPOLL_SHARDS_MAX];
    struct broker_options options;
    struct broker *broker;
    struct page *page;             /* NULL: metrics are not served */
    struct telemetry *telemetry;   /* for lines of this room */
    struct fail fail;
    char host_name[HOST_NAME_BYTES];
    struct text ready;             /* the line that says so, when all is served */
    struct op start, stop, page_stop;
    bool starting, stopping, stop_asked;
    int exit_code;
};

/* ---- words ------------------------------------------------------------------------------------------- */

struct words {
    const char *file;
    const char *overrides[OVERRIDES_MAX];
    int override_count;
    bool background;
};

/* 0 go on; otherwise the exit code, +1. */
static int parse(int argc, char **argv, struct words *w)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(usage, stdout);
            return 1;
        }
        if (strcmp(argv[i], "--version") == 0) {
            printf("%s (millrace %s)\n", KAFKA_VERSION, MILLRACE_VERSION);
            return 1;
        }
        if (strcmp(argv[i], "-daemon") == 0) {
            w->background = true;
            continue;
        }
        if (strcmp(argv[i], "--override") == 0) {
            if (i + 1 == argc || w->override_count == OVERRIDES_MAX) {
                fprintf(stderr, "millrace server: --override needs KEY=VALUE\n");
                return 3;
            }
            w->overrides[w->override_count++] = argv[++i];
            continue;
        }
        if (argv[i][0] == '-' || w->file != NULL) {
            fprintf(stderr, "millrace server: unknown argument %s; see millrace server --help\n",
                    argv[i]);
            return 3;
        }
        w->file = argv[i];
    }
    return 0;
}

/* ---- life --------------------------------------------------------------------------------------------- */

static void stopped(struct op *op, int64_t result)
{
    struct server *s = container_of(op, struct server, stop);

    if (result < 0 && s->exit_code == 0) {
        fprintf(stderr, "millrace: stopped, but not cleanly: %s\n", error_text((int)result));
        s->exit_code = 1;
    }
    io_epoll_stop(s->world);
}

static void page_stopped(struct op *op, int64_t result)
{
    struct server *s = container_of(op, struct server, page_stop);

    op_init(&s->stop, stopped);
    broker_stop(s->broker, &s->stop);
}

static void begin_stop(struct server *s)
{
    s->stopping = true;
    op_init(&s->page_stop, page_stopped);
    if (s->page == NULL)
        io_yield(s->shards[0], &s->page_stop);
    else
        page_stop(s->page, s->shards[0], &s->page_stop);
}

static int serve_metrics(struct server *s)
{
    struct str listener = config_str(s->options.settings, BROKER_MILLRACE_METRICS_LISTENER);

    if (listener.n <= 0)
        return 0;
    return page_start(s->world, s->broker, s->telemetry, listener, &s->page, &s->fail);
}

static void started(struct op *op, int64_t result)
{
    struct server *s = container_of(op, struct server, start);

    s->starting = false;
    if (result == 0)
        result = serve_metrics(s);
    if (result == 0) {
        fputs(s->ready.p, stdout);
        fflush(stdout);
    }
    if (result < 0 && !(result == -ECANCELED && s->stop_asked)) {
        fprintf(stderr, "millrace: %s\n", s->fail.text);
        s->exit_code = 1;
    }
    if (result < 0 || s->stop_asked)
        begin_stop(s);
}

static void on_signal(struct io *io, int signal, void *arg)
{
    struct server *s = arg;

    if (s->stop_asked)
        _exit(128 + signal);
    s->stop_asked = true;
    if (s->starting)
        broker_start_cancel(s->broker);
    else if (!s->stopping)
        begin_stop(s);
}

static void ready(void *ctx, int32_t node_id, const char *listeners)
{
    struct server *s = ctx;

    text_printf(&s->ready, "ready node=%d listeners=%s\n", node_id, listeners);
}

/* Nothing that was acknowledged depends on what this process would still do. */
static void fatal(void *ctx, const struct fail *why)
{
    fprintf(stderr, "millrace: %s\n", why->text);
    _exit(1);
}

static void shard_start(struct io *io, void *arg)
{
    struct server *s = arg;

    if (io_shard(io) != 0)
        return;
    s->starting = true;
    op_init(&s->start, started);
    broker_start(&s->options, &s->broker, &s->fail, &s->start);
}

/* millrace.shards; 0: one up to two processors, else one for each two. */
static uint32_t shard_count(const struct config *c)
{
    int64_t asked = config_i64(c, BROKER_MILLRACE_SHARDS);
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    if (asked > 0)
        return (uint32_t)asked;
    return processors <= 2 ? 1 : (uint32_t)processors / 2;
}

static bool any_without_host(const struct listener *l, int count)
{
    for (int i = 0; i < count; i++) {
        if (l[i].host[0] == '\0')
            return true;
    }
    return false;
}

/* The name that others are told of a listener on all interfaces: this machine's, in full. Asked for only where there is
 * such a listener, because the answer may be long in coming. */
static void find_host_name(const struct config *c, char name[HOST_NAME_BYTES])
{
    struct listener all[LISTENERS_MAX];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_CANONNAME}, *found;
    int count = config_listeners(c, all, LISTENERS_MAX, NULL);
    bool wanted = any_without_host(all, count);

    count = config_advertised_listeners(c, all, LISTENERS_MAX, NULL);
    if (!wanted && !any_without_host(all, count))
        return;
    if (gethostname(name, HOST_NAME_BYTES - 1) != 0 || getaddrinfo(name, NULL, &hints, &found) != 0) {
        name[0] = '\0';
        return;
    }
    if (found->ai_canonname != NULL)
        snprintf(name, HOST_NAME_BYTES, "%s", found->ai_canonname);
    freeaddrinfo(found);
}

static int run(struct server *s, const struct config *settings, bool format_empty)
{
    uint32_t shards = shard_count(settings);
    int rc = io_epoll_new(shards, NULL, &s->world);

    if (rc == 0)
        rc = io_epoll_on_signal(s->world, on_signal, s);
    if (rc < 0) {
        fprintf(stderr, "millrace: cannot start: %s\n", error_text(rc));
        io_epoll_free(s->world);
        return 1;
    }
    find_host_name(settings, s->host_name);
    for (uint32_t i = 0; i < shards; i++)
        s->shards[i] = io_epoll_shard(s->world, i);
    s->options = (struct broker_options){
        .shards = s->shards,
        .shard_count = shards,
        .sink = &stderr_sink,
        .settings = settings,
        .format_empty = format_empty,
        .software_version = STR(MILLRACE_VERSION),
        .host_name = str_of(s->host_name),
        .ready = ready,
        .fatal = fatal,
        .ctx = s,
    };
    rc = io_epoll_run(s->world, shard_start, s);
    if (rc < 0) {
        fprintf(stderr, "millrace: cannot start threads: %s\n", error_text(rc));
        s->exit_code = 1;
    }
    page_free(s->page);
    text_deinit(&s->ready);
    io_epoll_free(s->world);
    return s->exit_code;
}

/* Large frames and tail blocks come and go: memory that the allocator gave back to the system each time would be taken
 * from it anew page by page, a fault for each. What it keeps is a small part of the smallest budget. */
#define ALLOCATOR_KEEPS_BYTES (8 << 20)
#define ALLOCATOR_MAPS_BYTES (4 << 20) /* larger ones are mapped, and unmapped, on their own */

static void tune_allocator(void)
{
    mallopt(M_TRIM_THRESHOLD, ALLOCATOR_KEEPS_BYTES);
    mallopt(M_MMAP_THRESHOLD, ALLOCATOR_MAPS_BYTES);
}

int server_main(int argc, char **argv)
{
    struct words words = {0};
    struct telemetry *telemetry;
    struct config *settings = NULL;
    struct fail fail = {0};
    static struct server server;
    int rc = parse(argc, argv, &words);

    if (rc > 0)
        return rc - 1;
    tune_allocator();
    telemetry = telemetry_new(&stderr_sink);
    struct load load = {
        .file = words.file,
        .overrides = words.overrides,
        .override_count = words.override_count,
        .environment = environ,
        .telemetry = telemetry,
    };
    rc = load_settings(&load, &settings, &fail);
    if (rc < 0) {
        fprintf(stderr, "millrace: %s\n", fail.text);
        telemetry_free(telemetry);
        return 1;
    }
    if (words.background && background_begin() < 0) {
        config_free(settings);
        telemetry_free(telemetry);
        return 1;
    }
    server.telemetry = telemetry;
    rc = run(&server, settings, words.file == NULL);
    config_free(settings);
    telemetry_free(telemetry);
    return rc;
}
