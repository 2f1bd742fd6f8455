/* The work `gaps`: how long no record is acknowledged, of each partition and of all, while somebody else makes trouble. */
#include "client_gaps.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PARTITIONS_MAX 1024
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

/* What is acknowledged, one after the other. */
struct lane {
    int64_t last_ns;    /* when the last one was */
    int64_t longest_ns; /* that passed without one, since the last report */
    uint64_t acked;     /* since the last report */
};

/* Acknowledgements may come on a thread of the library's. */
struct gaps {
    pthread_mutex_t lock;
    int64_t partitions;
    struct lane all, lanes[PARTITIONS_MAX];
};

static int64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void lane_reach(struct lane *l, int64_t now_ns)
{
    if (now_ns - l->last_ns > l->longest_ns)
        l->longest_ns = now_ns - l->last_ns;
}

static void lane_acked(struct lane *l, int64_t now_ns, int count)
{
    lane_reach(l, now_ns);
    l->last_ns = now_ns;
    l->acked += (uint64_t)count;
}

static void acked(void *ctx, int32_t partition, int count)
{
    struct gaps *g = ctx;
    int64_t now_ns = clock_ns();

    if (partition < 0 || partition >= g->partitions)
        die("partition %d was acknowledged, of %lld", (int)partition, (long long)g->partitions);
    pthread_mutex_lock(&g->lock);
    lane_acked(&g->all, now_ns, count);
    lane_acked(&g->lanes[partition], now_ns, count);
    pthread_mutex_unlock(&g->lock);
}

static void print_lane(struct lane *l, int64_t now_ns)
{
    lane_reach(l, now_ns); /* one that goes on counts, too */
    printf("{\"gap_ms\": %.3f, \"acked\": %llu}", (double)l->longest_ns / (double)NS_PER_MS, (unsigned long long)l->acked);
    l->longest_ns = 0;
    l->acked = 0;
}

/* What has been since the last report. */
static void report(struct gaps *g)
{
    int64_t now_ns;

    pthread_mutex_lock(&g->lock);
    now_ns = clock_ns();
    printf("{\"all\": ");
    print_lane(&g->all, now_ns);
    printf(", \"partitions\": [");
    for (int64_t p = 0; p < g->partitions; p++) {
        printf("%s", p > 0 ? ", " : "");
        print_lane(&g->lanes[p], now_ns);
    }
    printf("]}\n");
    pthread_mutex_unlock(&g->lock);
    fflush(stdout);
}

/* Answer each line that has come. -> false: nobody asks any more */
static bool answer_lines(struct gaps *g)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    char bytes[64];

    while (poll(&in, 1, 0) > 0) {
        ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));
        if (n <= 0)
            return false;
        for (ssize_t i = 0; i < n; i++) {
            if (bytes[i] == '\n')
                report(g);
        }
    }
    return true;
}

void gaps(const struct work *w)
{
    static struct gaps g = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct work watched = *w;
    uint8_t *value = calloc(1, (size_t)w->record_bytes);
    int64_t begun_ns = clock_ns();

    if (value == NULL)
        die("out of memory");
    if (w->partitions > PARTITIONS_MAX || w->rate < 1)
        die("gaps: --rate is needed, and %d partitions at most", PARTITIONS_MAX);
    g.partitions = w->partitions;
    g.all.last_ns = begun_ns;
    for (int64_t p = 0; p < w->partitions; p++)
        g.lanes[p].last_ns = begun_ns;
    watched.acked = acked;
    watched.acked_ctx = &g;
    struct sender *s = sender_open(&watched);
    for (int64_t i = 0; answer_lines(&g); i++) {
        memcpy(value, &i, NUMBER_BYTES);
        for (int32_t p = 0; p < w->partitions; p++)
            sender_put(s, p, value, (size_t)w->record_bytes);
        int64_t due_ns = begun_ns + (i + 1) * NS_PER_S / w->rate;
        for (int64_t now_ns; (now_ns = clock_ns()) < due_ns;)
            sender_wait(s, due_ns - now_ns);
    }
    sender_flush(s);
    sender_close(s);
    free(value);
}
