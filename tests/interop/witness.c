/* A program on libmillrace that tells what it was told, while its cluster is troubled by others (peers.py).
 *
 *     witness BOOTSTRAP TOPIC PARTITIONS RATE READ_MS [NAME=VALUE...]
 *
 * One thread produces numbers 0, 1, ... to partitions in turn, RATE a second, as long as standard input is open; a line
 * there is answered with "mark NUMBER". Another one reads them through a group, until all that was acknowledged has
 * come, or READ_MS have passed since the producer's end. Standard output has what both have heard, a line each:
 *
 *     acked NUMBER PARTITION OFFSET                    failed NUMBER PARTITION DEFINITE ADVICE CODE KAFKA_CODE TEXT
 *     refused NUMBER CODE TEXT                         read PARTITION OFFSET NUMBER
 *     event KIND ADVICE TEXT                           poll CODE ADVICE TEXT
 *     mark NUMBER                                      overrun CALL MS: by how much the latest came after its limit
 *     health WHO STATE REASON: when it changes         closed WHO CODE
 *     sent COUNT                                       committed CODE
 *     memory KB: the most that it has had
 */
#include <millrace/client.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define NUMBERS_MAX 200000
#define PRODUCE_MS 3000
#define POLL_MS 300
#define COMMIT_MS 5000
#define CLOSE_MS 15000
#define SMALL_BYTES 60
#define LARGE_BYTES 20000
#define LARGE_EVERY 50

enum call { CALL_PRODUCE, CALL_ACK, CALL_POLL, CALL_COMMIT, CALL_CLOSE_PRODUCER, CALL_CLOSE_CONSUMER, CALLS };

static struct witness {
    struct mr_producer *producer;
    struct mr_consumer *consumer;
    int32_t partitions;
    int64_t rate, read_ms, delivery_ms;
    pthread_mutex_t lock;
    int64_t begun_ms[NUMBERS_MAX];
    bool acked[NUMBERS_MAX], seen[NUMBERS_MAX];
    int64_t missing;       /* acknowledged and not read */
    int64_t ended_ms;      /* of the producer; 0 = it goes on */
    int64_t overruns[CALLS];
    char health[2][300];
} w = {.lock = PTHREAD_MUTEX_INITIALIZER, .delivery_ms = 120000};

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

static int die(const char *what, const struct mr_error *e)
{
    fprintf(stderr, "witness: %s: %s\n", what, e->text);
    exit(2);
}

static void took(enum call call, int64_t began_ms, int64_t limit_ms)
{
    int64_t over_ms = now_ms() - began_ms - limit_ms;

    pthread_mutex_lock(&w.lock);
    if (over_ms > w.overruns[call])
        w.overruns[call] = over_ms;
    pthread_mutex_unlock(&w.lock);
}

static void tell_health(int who, const struct mr_health *h)
{
    static const char *const names[] = {"producer", "consumer"};
    char text[sizeof w.health[0]];

    snprintf(text, sizeof text, "%d %s", h->state, h->reason);
    if (strcmp(text, w.health[who]) == 0)
        return;
    memcpy(w.health[who], text, sizeof text);
    printf("health %s %s\n", names[who], text);
}

/* ---- producing -------------------------------------------------------------------------------- */

static void note_acked(int64_t number)
{
    pthread_mutex_lock(&w.lock);
    w.acked[number] = true;
    w.missing += !w.seen[number];
    pthread_mutex_unlock(&w.lock);
}

static void acked(void *ctx, const struct mr_ack *a)
{
    const struct mr_error *e = &a->error;

    for (int32_t i = 0; i < a->count; i++) {
        int64_t number = (int64_t)mr_ack_tag(a, i) - 1;
        took(CALL_ACK, w.begun_ms[number], w.delivery_ms);
        if (e->code != MR_OK) {
            printf("failed %lld %d %d %d %d %d %s\n", (long long)number, a->partition, e->definite, e->advice, e->code,
                   e->kafka_code, e->text);
            continue;
        }
        printf("acked %lld %d %lld\n", (long long)number, a->partition, (long long)a->base_offset + i);
        note_acked(number);
    }
}

/* Wait so long for what Python says; false: standard input has ended. */
static bool listen_for(int64_t ms, int64_t number)
{
    struct pollfd in = {.fd = 0, .events = POLLIN};
    char text[64];

    if (poll(&in, 1, (int)ms) <= 0)
        return true;
    if (read(0, text, sizeof text) <= 0)
        return false;
    printf("mark %lld\n", (long long)number);
    fflush(stdout);
    return true;
}

static void produce_one(struct mr_topic *topic, int64_t number)
{
    static char value[LARGE_BYTES];
    struct mr_error e;
    int n = snprintf(value, sizeof value, "%lld ", (long long)number);

    memset(value + n, '.', sizeof value - (size_t)n);
    struct mr_record r = {
        .topic = topic,
        .partition = (int32_t)(number % w.partitions),
        .key = MR_NULL,
        .value = mr_bytes(value, number % LARGE_EVERY == 0 ? LARGE_BYTES : SMALL_BYTES),
        .timestamp_ms = MR_NOW,
        .tag = (uint64_t)number + 1,
    };
    w.begun_ms[number] = now_ms();
    int rc = mr_produce(w.producer, &r, PRODUCE_MS, &e);
    took(CALL_PRODUCE, w.begun_ms[number], PRODUCE_MS);
    if (rc < 0)
        printf("refused %lld %d %s\n", (long long)number, rc, e.text);
}

static void produce(const char *topic_name)
{
    struct mr_topic *topic = mr_producer_topic(w.producer, topic_name);
    int64_t number = 0, began_ms = now_ms();
    struct mr_health h;
    struct mr_error e;

    while (number < NUMBERS_MAX && listen_for(1000 / w.rate, number)) {
        for (; number < NUMBERS_MAX && number * 1000 < (now_ms() - began_ms) * w.rate; number++)
            produce_one(topic, number);
        mr_producer_health(w.producer, &h);
        tell_health(0, &h);
    }
    printf("sent %lld\n", (long long)number);
    began_ms = now_ms();
    int rc = mr_producer_close(w.producer, CLOSE_MS, &e);
    took(CALL_CLOSE_PRODUCER, began_ms, CLOSE_MS);
    printf("closed producer %d\n", rc);
    pthread_mutex_lock(&w.lock);
    w.ended_ms = now_ms();
    pthread_mutex_unlock(&w.lock);
}

/* ---- reading ---------------------------------------------------------------------------------- */

static void event(void *ctx, struct mr_consumer *c, const struct mr_event *event)
{
    printf("event %d %d %s\n", event->kind, event->error.advice, event->error.text);
    for (uint32_t i = 0; event->error.advice == MR_SEEK && i < event->count; i++)
        (void)mr_seek(c, event->partitions[i], MR_BEGINNING, NULL);
}

static void read_chunk(struct mr_chunk *k)
{
    struct mr_read r;
    struct mr_error e;
    int rc;

    while ((rc = mr_chunk_next(k, &r, &e)) == 1) {
        int64_t number = atoll(r.value.p); /* a space is behind it */
        printf("read %d %lld %lld\n", mr_chunk_partition(k), (long long)r.offset, (long long)number);
        if (number < 0 || number >= NUMBERS_MAX)
            continue;
        pthread_mutex_lock(&w.lock);
        w.missing -= w.acked[number] && !w.seen[number];
        w.seen[number] = true;
        pthread_mutex_unlock(&w.lock);
    }
    if (rc < 0)
        printf("poll %d %d %s\n", rc, e.advice, e.text);
    mr_chunk_release(k, MR_DONE_ALL);
}

static bool goes_on(void)
{
    bool yes;

    pthread_mutex_lock(&w.lock);
    yes = w.ended_ms == 0 || (w.missing > 0 && now_ms() < w.ended_ms + w.read_ms);
    pthread_mutex_unlock(&w.lock);
    return yes;
}

static void *consume(void *arg)
{
    struct mr_health h;
    struct mr_chunk *k;
    struct mr_error e;
    int64_t began_ms;

    while (goes_on()) {
        began_ms = now_ms();
        int rc = mr_poll(w.consumer, POLL_MS, &k, &e);
        took(CALL_POLL, began_ms, POLL_MS);
        if (rc == 1)
            read_chunk(k);
        else if (rc < 0)
            printf("poll %d %d %s\n", rc, e.advice, e.text);
        mr_consumer_health(w.consumer, &h);
        tell_health(1, &h);
    }
    began_ms = now_ms();
    printf("committed %d\n", mr_commit(w.consumer, COMMIT_MS, &e));
    took(CALL_COMMIT, began_ms, COMMIT_MS);
    began_ms = now_ms();
    printf("closed consumer %d\n", mr_consumer_close(w.consumer, CLOSE_MS, &e));
    took(CALL_CLOSE_CONSUMER, began_ms, CLOSE_MS);
    return NULL;
}

/* ---- from start to end ------------------------------------------------------------------------- */

static struct mr_settings *settings_of(int argc, char **argv)
{
    struct mr_settings *s = mr_settings_new();
    struct mr_error e;

    if (mr_set(s, "bootstrap.servers", argv[1], &e) < 0 || mr_set(s, "group.id", "witness", &e) < 0 ||
        mr_set(s, "auto.offset.reset", "earliest", &e) < 0 || mr_set(s, "auto.commit.interval.ms", "300", &e) < 0)
        die("settings", &e);
    for (int i = 6; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (value == NULL)
            exit(2);
        *value++ = '\0';
        if (mr_set(s, argv[i], value, &e) < 0)
            die("settings", &e);
        if (strcmp(argv[i], "delivery.timeout.ms") == 0)
            w.delivery_ms = atoll(value);
    }
    return s;
}

/* Of this program alone: getrusage begins with what its parent had. */
static long memory_most_kb(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[128];
    long kb = -1;

    while (kb < 0 && f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, "VmHWM:", 6) == 0)
            kb = strtol(line + 6, NULL, 10);
    }
    if (f != NULL)
        fclose(f);
    return kb;
}

static void tell_end(void)
{
    static const char *const names[CALLS] = {"produce", "ack", "poll", "commit", "close producer", "close consumer"};

    for (int i = 0; i < CALLS; i++)
        printf("overrun %s %lld\n", names[i], (long long)w.overruns[i]);
    printf("memory %ld\n", memory_most_kb());
}

int main(int argc, char **argv)
{
    struct mr_producer_hooks producer_hooks = {.acked = acked};
    struct mr_consumer_hooks consumer_hooks = {.event = event};
    pthread_t consumer;
    struct mr_error e;

    if (argc < 6) {
        fprintf(stderr, "usage: witness BOOTSTRAP TOPIC PARTITIONS RATE READ_MS [NAME=VALUE...]\n");
        return 2;
    }
    w.partitions = atoi(argv[3]);
    w.rate = atoll(argv[4]);
    w.read_ms = atoll(argv[5]);
    struct mr_settings *s = settings_of(argc, argv);
    w.producer = mr_producer_open(s, &producer_hooks, NULL, &e);
    if (w.producer == NULL)
        die("producer", &e);
    w.consumer = mr_consumer_open(s, &consumer_hooks, NULL, &e);
    if (w.consumer == NULL || mr_subscribe(w.consumer, (const char *const[]){argv[2]}, 1, &e) < 0)
        die("consumer", &e);
    mr_settings_free(s);
    if (pthread_create(&consumer, NULL, consume, NULL) != 0)
        return 2;
    produce(argv[2]);
    pthread_join(consumer, NULL);
    tell_end();
    return 0;
}
