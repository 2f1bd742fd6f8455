/* Our own producer in the real world: threads append under a lock, one shard sends.
 *
 *     producer_load BOOTSTRAP TOPIC RECORDS BYTES THREADS [KEY=VALUE...]     its settings; keys=1: with keys
 *
 * The value of a record is "THREAD NUMBER" and dots up to BYTES; its key "THREAD-NUMBER%1000". Ends with a line of
 * counts, and with 1 when a record was not acknowledged.
 *
 *     valgrind --tool=callgrind build/sim/tests/bench/producer_load ...      instructions of everything
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "io_epoll/io_epoll.h"
#include "producer/producer.h"

#define BYTES_MAX (1 << 20)

struct load {
    struct config *config; /* has the text of settings */
    struct io_epoll_world *world;
    struct client *client;
    struct producer *producer;
    struct producer_topic *topic;
    pthread_mutex_t lock;
    pthread_cond_t room;
    struct io_message message; /* of `wake` */
    bool message_sent;         /* under the lock */
    int64_t records;           /* of each thread */
    int32_t bytes;
    uint32_t threads, appending;
    bool keys;
    uint64_t acked, failed, batches;
    struct op op;
    int64_t result;
    bool ended;
};

struct writer {
    struct load *load;
    pthread_t thread;
    uint32_t number;
};

static int64_t clock_ms(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- hooks -------------------------------------------------------------------------------------------------- */

static void lock(void *ctx)
{
    pthread_mutex_lock(&((struct load *)ctx)->lock);
}

static void unlock(void *ctx)
{
    pthread_mutex_unlock(&((struct load *)ctx)->lock);
}

static void acked(void *ctx, const struct producer_ack *a)
{
    struct load *l = ctx;

    l->batches++;
    if (a->error.code == KERR_NONE) {
        l->acked += (uint64_t)a->count;
        return;
    }
    if (l->failed == 0)
        fprintf(stderr, "%.*s\n", STR_ARG(a->error.text));
    l->failed += (uint64_t)a->count;
}

static void room(void *ctx)
{
    pthread_cond_broadcast(&((struct load *)ctx)->room);
}

static void run_message(struct io *io, struct io_message *m)
{
    struct load *l = container_of(m, struct load, message);

    lock(l);
    l->message_sent = false;
    unlock(l);
    producer_run(l->producer);
}

static void wake(void *ctx)
{
    struct load *l = ctx;

    if (l->message_sent)
        return;
    l->message_sent = true;
    l->message.run = run_message;
    io_epoll_post(l->world, 0, &l->message);
}

/* ---- threads ------------------------------------------------------------------------------------------------- */

static void append_one(struct load *l, const struct producer_record *r)
{
    int rc;

    pthread_mutex_lock(&l->lock);
    while ((rc = producer_append(l->producer, r, clock_ms(CLOCK_MONOTONIC_COARSE), clock_ms(CLOCK_REALTIME_COARSE))) ==
           -EAGAIN)
        pthread_cond_wait(&l->room, &l->lock);
    pthread_mutex_unlock(&l->lock);
    if (rc < 0) {
        fprintf(stderr, "append: %s\n", error_text(rc));
        exit(1);
    }
}

static void *write_records(void *arg)
{
    struct writer *w = arg;
    struct load *l = w->load;
    char *value = malloc((size_t)l->bytes + 64), key[64];
    struct producer_record r = {.topic = l->topic, .partition = -1, .key = BYTES_NULL, .timestamp_ms = -1};

    memset(value, '.', (size_t)l->bytes + 64);
    for (int64_t i = 0; i < l->records; i++) {
        int n = snprintf(value, 64, "%u %lld", w->number, (long long)i);
        value[n] = '.';
        r.value = (struct bytes){(const uint8_t *)value, n > l->bytes ? n : l->bytes};
        if (l->keys)
            r.key = (struct bytes){(const uint8_t *)key, snprintf(key, sizeof key, "%u-%lld", w->number,
                                                                   (long long)i % 1000)};
        append_one(l, &r);
    }
    free(value);
    pthread_mutex_lock(&l->lock);
    l->appending--;
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* ---- from start to end ----------------------------------------------------------------------------------------- */

static void ended(struct op *op, int64_t result)
{
    struct load *l = container_of(op, struct load, op);

    l->ended = true;
    l->result = result;
}

static void wait_end(struct load *l)
{
    while (!l->ended)
        io_epoll_turn(l->world, 100 * INT64_C(1000000));
    l->ended = false;
}

static bool is_appending(struct load *l)
{
    bool yes;

    lock(l);
    yes = l->appending > 0;
    unlock(l);
    return yes;
}

static void die(const char *what)
{
    fprintf(stderr, "producer_load: %s\n", what);
    exit(2);
}

/* The words behind the fifth are settings. */
static void read_settings(struct load *l, int argc, char **argv, struct client_settings *client,
                          struct producer_settings *producer)
{
    struct config *c = config_new(&producer_settings);
    struct fail f = {0};

    if (config_set(c, CONFIG_STATIC_BROKER, STR("bootstrap.servers"), str_of(argv[1]), &f) < 0)
        die(f.text);
    for (int i = 6; i < argc; i++) {
        struct str rest = str_of(argv[i]), name;
        (void)str_cut(&rest, '=', &name);
        if (str_equal(name, STR("keys")))
            l->keys = true;
        else if (config_set(c, CONFIG_STATIC_BROKER, name, rest, &f) < 0)
            die(f.text);
    }
    if (client_settings_read(c, client, &f) < 0 || producer_settings_read(c, producer, &f) < 0)
        die(f.text);
    client->bootstrap_servers = str_of(argv[1]);
    client->client_id = STR("producer_load");
    l->config = c;
}

static void produce(struct load *l)
{
    struct writer *writers = calloc(l->threads, sizeof *writers);

    l->appending = l->threads;
    for (uint32_t i = 0; i < l->threads; i++) {
        writers[i] = (struct writer){.load = l, .number = i};
        if (pthread_create(&writers[i].thread, NULL, write_records, &writers[i]) != 0)
            die("no thread");
    }
    while (is_appending(l))
        io_epoll_turn(l->world, 10 * INT64_C(1000000));
    for (uint32_t i = 0; i < l->threads; i++)
        pthread_join(writers[i].thread, NULL);
    free(writers);
}

int main(int argc, char **argv)
{
    struct load l = {.lock = PTHREAD_MUTEX_INITIALIZER, .room = PTHREAD_COND_INITIALIZER};
    struct producer_hooks hooks = {acked, room, NULL, wake, lock, unlock};
    struct telemetry *t = telemetry_new(NULL);
    struct client_settings client;
    struct producer_settings settings;
    struct fail f = {0};
    int64_t began_ms;

    if (argc < 6)
        die("BOOTSTRAP TOPIC RECORDS BYTES THREADS [KEY=VALUE...]");
    read_settings(&l, argc, argv, &client, &settings);
    l.threads = (uint32_t)atoi(argv[5]);
    l.records = atoll(argv[3]) / l.threads;
    l.bytes = atoi(argv[4]);
    if (l.bytes < 0 || l.bytes > BYTES_MAX)
        die("BYTES is 0 to 1048576");
    if (io_epoll_new(1, NULL, &l.world) < 0 || io_epoll_start(l.world, NULL, NULL) < 0)
        die("no world");
    l.client = client_new(io_epoll_shard(l.world, 0), t, &client, &f);
    if (l.client == NULL)
        die(f.text);
    l.producer = producer_new(io_epoll_shard(l.world, 0), l.client, &settings, &hooks, &l, &f);
    if (l.producer == NULL)
        die(f.text);
    l.topic = producer_topic(l.producer, str_of(argv[2]));
    began_ms = clock_ms(CLOCK_MONOTONIC);
    produce(&l);
    op_init(&l.op, ended);
    producer_close(l.producer, 60000, &l.op);
    wait_end(&l);
    printf("%llu acknowledged, %llu failed, %llu batches, %lld ms\n", (unsigned long long)l.acked,
           (unsigned long long)l.failed, (unsigned long long)l.batches,
           (long long)(clock_ms(CLOCK_MONOTONIC) - began_ms));
    op_init(&l.op, ended);
    client_close(l.client, &l.op);
    wait_end(&l);
    io_epoll_free(l.world);
    telemetry_free(t);
    config_free(l.config);
    return l.acked == (uint64_t)l.records * l.threads ? 0 : 1;
}
