#define _GNU_SOURCE
#include "client_gaps.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "usage: PROGRAM WORK --cluster HOST:PORT,.. --topic NAME [OPTION VALUE]... [--set NAME=VALUE]...\n"
    "\n"
    "  produce   write so many records, and wait until all are acknowledged\n"
    "  consume   read so many records, which are all that there are\n"
    "  both      write and read at once; what is timed are the last two thirds of what is read\n"
    "  hold      write some, say so, wait for a line, queue so many, say so, wait for a line, wait until all are\n"
    "            acknowledged: between the lines the broker is to be silent\n"
    "  many      write so many records by several producers\n"
    "  gaps      write at a fixed rate; for each line of the input say how long nothing was acknowledged\n"
    "\n"
    "  --cluster HOST:PORT,..  bootstrap.servers\n"
    "  --topic NAME            of --partitions N (1) partitions; `both` needs one that is empty\n"
    "  --records N             100000\n"
    "  --record-bytes N        100 bytes in the value of a record\n"
    "  --producers N           50, in `many`\n"
    "  --rate N                0 records a second: in `many`, 0: as fast as they are taken; in `gaps`, of each partition\n"
    "  --set NAME=VALUE        a setting of the library\n";

#define WARM_RECORDS 1000 /* in `hold`: after them everything is there that is made once */

_Noreturn void die(const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

/* ---- the command line -------------------------------------------------------------------------- */

static int64_t number_of(const char *option, const char *text, int64_t low)
{
    char *end;
    long long n = strtoll(text, &end, 10);

    if (end == text || *end != '\0' || n < low)
        die("%s %s: a number from %lld on is needed", option, text, (long long)low);
    return n;
}

static void add_setting(struct work *w, char *text)
{
    char *equals = strchr(text, '=');

    if (equals == NULL || w->setting_count == SETTINGS_MAX)
        die("--set %s: NAME=VALUE is needed, at most %d of them", text, SETTINGS_MAX);
    *equals = '\0';
    w->settings[w->setting_count++] = (struct setting){text, equals + 1};
}

static void take_option(struct work *w, const char *option, char *text)
{
    if (strcmp(option, "--cluster") == 0)
        w->cluster = text;
    else if (strcmp(option, "--topic") == 0)
        w->topic = text;
    else if (strcmp(option, "--set") == 0)
        add_setting(w, text);
    else if (strcmp(option, "--partitions") == 0)
        w->partitions = number_of(option, text, 1);
    else if (strcmp(option, "--records") == 0)
        w->records = number_of(option, text, 1);
    else if (strcmp(option, "--record-bytes") == 0)
        w->record_bytes = number_of(option, text, NUMBER_BYTES);
    else if (strcmp(option, "--producers") == 0)
        w->producers = number_of(option, text, 1);
    else if (strcmp(option, "--rate") == 0)
        w->rate = number_of(option, text, 0);
    else
        die("there is no option %s; see --help", option);
}

static void work_parse(int argc, char **argv, struct work *w)
{
    *w = (struct work){.partitions = 1, .records = 100000, .record_bytes = 100, .producers = 50};
    for (int i = 2; i < argc; i += 2) {
        if (i + 1 == argc)
            die("%s needs a value; see --help", argv[i]);
        take_option(w, argv[i], argv[i + 1]);
    }
    if (w->cluster == NULL || w->topic == NULL)
        die("--cluster and --topic are needed; see --help");
}

/* ---- figures ----------------------------------------------------------------------------------- */

static int64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Of this process, all threads together. */
struct usage {
    int64_t at_ns;
    double cpu_s;   /* user and system */
    long switches;  /* of contexts, wanted or not */
};

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static struct usage usage_now(void)
{
    struct rusage r;

    getrusage(RUSAGE_SELF, &r);
    return (struct usage){clock_ns(), seconds_of(r.ru_utime) + seconds_of(r.ru_stime), r.ru_nvcsw + r.ru_nivcsw};
}

static int threads_now(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    int threads = -1;

    while (f != NULL && fgets(line, sizeof(line), f) != NULL)
        (void)sscanf(line, "Threads: %d", &threads);
    if (f != NULL)
        fclose(f);
    return threads;
}

static long rss_bytes(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long pages = 0;

    if (f == NULL || fscanf(f, "%*d %ld", &pages) != 1)
        die("/proc/self/statm cannot be read");
    fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

/* What is taken from malloc, touched or not. */
static size_t heap_bytes(void)
{
    struct mallinfo2 m = mallinfo2();

    return m.uordblks + m.hblkhd;
}

static void print_figures(struct usage from, uint64_t records, int threads)
{
    struct usage to = usage_now();

    printf("{\"seconds\": %.6f, \"records\": %llu, \"cpu_s\": %.6f, \"switches\": %ld, \"threads\": %d}\n",
           (double)(to.at_ns - from.at_ns) / 1e9, (unsigned long long)records, to.cpu_s - from.cpu_s,
           to.switches - from.switches, threads);
}

/* ---- the work ---------------------------------------------------------------------------------- */

static uint8_t *value_new(const struct work *w)
{
    uint8_t *value = malloc((size_t)w->record_bytes);
    uint32_t random = 1;

    if (value == NULL)
        die("out of memory");
    for (int64_t i = 0; i < w->record_bytes; i++) {
        random = random * 1664525 + 1013904223;
        value[i] = (uint8_t)(random >> 24);
    }
    return value;
}

static void put_one(struct sender *s, const struct work *w, uint8_t *value, int64_t number)
{
    memcpy(value, &number, NUMBER_BYTES);
    sender_put(s, -1, value, (size_t)w->record_bytes);
}

static void put(struct sender *s, const struct work *w, int64_t from, int64_t to)
{
    uint8_t *value = value_new(w);

    for (int64_t i = from; i < to; i++)
        put_one(s, w, value, i);
    free(value);
}

/* The first one is acknowledged before the others are put: then nothing waits for what is not known yet. */
static void put_all(struct sender *s, const struct work *w, int64_t records)
{
    put(s, w, 0, 1);
    sender_flush(s);
    put(s, w, 1, records);
}

static void produce(const struct work *w)
{
    struct sender *s = sender_open(w);
    struct usage from = usage_now();

    put_all(s, w, w->records);
    int threads = threads_now();
    sender_flush(s);
    print_figures(from, (uint64_t)w->records, threads);
    sender_close(s);
}

static void check_sum(const struct work *w, const struct sum *sum)
{
    uint64_t n = (uint64_t)w->records;

    if (sum->records != n || sum->bytes != n * (uint64_t)w->record_bytes)
        die("%llu records came with %llu bytes, not %llu", (unsigned long long)sum->records,
            (unsigned long long)sum->bytes, (unsigned long long)n);
    if (sum->numbers != n * (n - 1) / 2)
        die("what came is not what was sent: a record is missing, and another one came twice");
}

static void consume(const struct work *w)
{
    struct receiver *r = receiver_open(w);
    struct usage from = usage_now();
    struct sum sum = {0};

    while (sum.records < (uint64_t)w->records)
        receiver_take(r, &sum);
    print_figures(from, sum.records, threads_now());
    check_sum(w, &sum);
    receiver_close(r);
}

static void *put_in_thread(void *arg)
{
    const struct work *w = arg;
    struct sender *s = sender_open(w);

    put_all(s, w, w->records);
    sender_flush(s);
    sender_close(s);
    return NULL;
}

static void both(const struct work *w)
{
    struct receiver *r = receiver_open(w);
    struct sum sum = {0};
    struct usage from = {0};
    uint64_t begin = 0;
    pthread_t writer;

    if (pthread_create(&writer, NULL, put_in_thread, (void *)(uintptr_t)w) != 0)
        die("no thread");
    while (sum.records < (uint64_t)w->records) {
        receiver_take(r, &sum);
        if (begin == 0 && sum.records >= (uint64_t)w->records / 3) {
            begin = sum.records;
            from = usage_now();
        }
    }
    print_figures(from, sum.records - begin, threads_now());
    check_sum(w, &sum);
    pthread_join(writer, NULL);
    receiver_close(r);
}

static void say_memory(const char *when)
{
    printf("{\"when\": \"%s\", \"rss\": %ld, \"heap\": %zu}\n", when, rss_bytes(), heap_bytes());
    fflush(stdout);
}

static void wait_for_line(void)
{
    int c;

    while ((c = getchar()) != '\n') {
        if (c == EOF)
            die("whoever is to stop the broker is gone");
    }
}

static void hold(const struct work *w)
{
    struct sender *s = sender_open(w);

    put_all(s, w, WARM_RECORDS);
    sender_flush(s);
    say_memory("warm");
    wait_for_line();
    put(s, w, 0, w->records); /* nobody acknowledges */
    sleep(1); /* what can leave has left, and is in the kernel's memory as well */
    say_memory("held");
    wait_for_line();
    sender_flush(s);
    say_memory("acknowledged");
    sender_close(s);
}

static void sleep_until(int64_t at_ns)
{
    struct timespec at = {.tv_sec = at_ns / 1000000000, .tv_nsec = at_ns % 1000000000};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {
    }
}

static void many(const struct work *w)
{
    struct sender **senders = calloc((size_t)w->producers, sizeof(*senders));
    uint8_t *value = value_new(w);

    if (senders == NULL)
        die("out of memory");
    for (int64_t i = 0; i < w->producers; i++)
        senders[i] = sender_open(w);
    for (int64_t i = 0; i < w->producers; i++)
        put_one(senders[i], w, value, i);
    for (int64_t i = 0; i < w->producers; i++)
        sender_flush(senders[i]);
    struct usage from = usage_now();
    for (int64_t i = 0; i < w->records; i++) {
        if (w->rate > 0)
            sleep_until(from.at_ns + i * INT64_C(1000000000) / w->rate);
        put_one(senders[i % w->producers], w, value, i);
    }
    int threads = threads_now();
    for (int64_t i = 0; i < w->producers; i++)
        sender_flush(senders[i]);
    print_figures(from, (uint64_t)w->records, threads);
    for (int64_t i = 0; i < w->producers; i++)
        sender_close(senders[i]);
    free(value);
    free(senders);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(const struct work *w);
    } works[] = {{"produce", produce}, {"consume", consume}, {"both", both}, {"hold", hold}, {"many", many},
                 {"gaps", gaps}};
    struct work w;

    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return argc < 2;
    }
    for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
        if (strcmp(argv[1], works[i].name) != 0)
            continue;
        work_parse(argc, argv, &w);
        works[i].run(&w);
        return 0;
    }
    die("there is no work %s; see --help", argv[1]);
}
