#define _GNU_SOURCE
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

_Noreturn void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    _exit(1); /* other threads may still be at work: nothing of theirs is to be torn down */
}

int64_t clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t clock_wall_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- CPU time ------------------------------------------------------------------------------- */

static double seconds_of(struct timespec t)
{
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* /proc/PID/stat counts in hundredths of a second. The kernel's clock of the process is the same
 * sum of user and system time, ended threads included, but exact: a fast broker uses so little in a
 * few seconds that hundredths would be coarse. */
static double process_cpu(int pid)
{
    clockid_t clock_id;
    struct timespec t;

    if (clock_getcpuclockid(pid, &clock_id) != 0 || clock_gettime(clock_id, &t) != 0)
        die("process %d is gone", pid);
    return seconds_of(t);
}

static void read_file(const char *path, char *text, size_t capacity)
{
    FILE *f = fopen(path, "r");

    if (f == NULL)
        die("cannot read %s", path);
    size_t n = fread(text, 1, capacity - 1, f);
    text[n] = '\0';
    fclose(f);
}

static double process_system_cpu(int pid)
{
    char path[64], text[1024];
    unsigned long long system;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    read_file(path, text, sizeof(text));
    /* The name in parentheses may hold anything: count from its end. Fields 3 to 13, then 15. */
    const char *behind_name = strrchr(text, ')');
    if (behind_name == NULL ||
        sscanf(behind_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %llu", &system) !=
            1)
        die("%s is not as expected", path);
    return (double)system / (double)sysconf(_SC_CLK_TCK);
}

static double machine_cpu(void)
{
    char text[512];
    unsigned long long user, nice, system, irq, softirq;

    read_file("/proc/stat", text, sizeof(text));
    if (sscanf(text, "cpu %llu %llu %llu %*u %*u %llu %llu", &user, &nice, &system, &irq,
               &softirq) != 5)
        die("/proc/stat is not as expected");
    return (double)(user + nice + system + irq + softirq) / (double)sysconf(_SC_CLK_TCK);
}

struct cpu cpu_now(int64_t broker_pid)
{
    struct timespec self;
    struct cpu cpu = {0};

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &self);
    cpu.client = seconds_of(self);
    cpu.machine = machine_cpu();
    if (broker_pid != 0) {
        cpu.broker = process_cpu((int)broker_pid);
        cpu.broker_system = process_system_cpu((int)broker_pid);
    }
    return cpu;
}

/* ---- histogram ------------------------------------------------------------------------------- */

/* A value below 2^SUB_BITS has a bucket of its own. Above, each power of two is divided into
 * 2^SUB_BITS buckets: the highest bit says which power, the bits behind it which bucket. */
static uint32_t bucket_of(uint64_t ns)
{
    if (ns < 1u << HISTOGRAM_SUB_BITS)
        return (uint32_t)ns;
    uint32_t power = 63 - (uint32_t)__builtin_clzll(ns);
    uint32_t sub = (uint32_t)(ns >> (power - HISTOGRAM_SUB_BITS)) - (1u << HISTOGRAM_SUB_BITS);
    return ((power - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS) + sub;
}

/* The largest value in a bucket. */
static int64_t bucket_end(uint32_t bucket)
{
    uint32_t octave = bucket >> HISTOGRAM_SUB_BITS;
    uint64_t sub = bucket & ((1u << HISTOGRAM_SUB_BITS) - 1);

    if (octave == 0)
        return (int64_t)sub;
    return (int64_t)(((sub + (1u << HISTOGRAM_SUB_BITS) + 1) << (octave - 1)) - 1);
}

void histogram_add(struct histogram *h, int64_t ns)
{
    ns = ns < 0 ? 0 : ns;
    h->counts[bucket_of((uint64_t)ns)]++;
    h->total++;
    if (ns > h->longest_ns)
        h->longest_ns = ns;
}

void histogram_merge(struct histogram *h, const struct histogram *other)
{
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        h->counts[i] += other->counts[i];
    h->total += other->total;
    if (other->longest_ns > h->longest_ns)
        h->longest_ns = other->longest_ns;
}

int64_t histogram_quantile(const struct histogram *h, double share)
{
    uint64_t wanted = (uint64_t)((double)h->total * share + 0.5), seen = 0;

    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->counts[i];
        if (seen > 0 && seen >= wanted)
            return bucket_end(i) < h->longest_ns ? bucket_end(i) : h->longest_ns;
    }
    return 0;
}
