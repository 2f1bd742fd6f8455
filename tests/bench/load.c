/* load.c - bench_load: put a Kafka broker under load and say what it did, as JSON.
 *
 *   options -> topic, leaders -> baseline -> warm up -> measure -> last answers -> sync -> JSON
 */
#define _GNU_SOURCE
#include "bench.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

uint64_t load_consumed(struct load *load)
{
    uint64_t sum = 0;

    for (int64_t g = 0; g < load->plan.groups; g++)
        sum += atomic_load_explicit(&load->consumed_bytes[g], memory_order_relaxed);
    return sum;
}

uint64_t load_consumed_least(struct load *load)
{
    uint64_t least = UINT64_MAX;

    for (int64_t g = 0; g < load->plan.groups; g++) {
        uint64_t n = atomic_load_explicit(&load->consumed_bytes[g], memory_order_relaxed);
        least = n < least ? n : least;
    }
    return least;
}

struct sample load_sample(struct load *load)
{
    return (struct sample){
        .cpu = cpu_now(load->plan.broker_pid),
        .requests = load->requests,
        .acked_bytes = load->acked_bytes,
        .consumed_bytes = load_consumed(load),
        .at_ns = clock_ns(),
    };
}

/* What neither broker nor client did: the kernel's threads, interrupts, and whatever else runs. */
static double other_cpu(const struct cpu *a, const struct cpu *b)
{
    return b->machine - a->machine - (b->broker - a->broker) - (b->client - a->client);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void print_histogram(const char *name, const struct histogram *h)
{
    printf(", \"%s\": {\"count\": %" PRIu64 ", \"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f"
           ", \"longest\": %.1f}",
           name, h->total, (double)histogram_quantile(h, 0.5) / 1e3,
           (double)histogram_quantile(h, 0.99) / 1e3, (double)histogram_quantile(h, 0.999) / 1e3,
           (double)h->longest_ns / 1e3);
}

static void print_offsets(const char *name, const int64_t *offsets, int64_t n)
{
    printf("\"%s\": [", name);
    for (int64_t i = 0; i < n; i++)
        printf("%s%" PRId64, i == 0 ? "" : ", ", offsets[i]);
    printf("]}\n");
}

/* `whole` spans everything from before the load to the end of a sync behind it: what the kernel did
 * for the broker, writing back what it had buffered, is in the other CPU of that. */
static void print(struct load *load, const struct sample *before, const struct sample *after)
{
    const struct sample *a = &load->begin, *b = &load->end;
    double plain = (double)load->pattern.plain_bytes / load->pattern.bytes;

    printf("{\"seconds\": %.6f, \"requests\": %" PRIu64 ", \"records\": %" PRIu64
           ", \"produced_bytes\": %" PRIu64 ", \"consumed_bytes\": %" PRIu64
           ", \"plain_per_byte\": %.4f",
           (double)(b->at_ns - a->at_ns) / 1e9, b->requests - a->requests,
           (b->requests - a->requests) * (uint64_t)load->pattern.count,
           b->acked_bytes - a->acked_bytes, b->consumed_bytes - a->consumed_bytes, plain);
    printf(", \"broker_cpu_s\": %.6f, \"broker_system_cpu_s\": %.2f, \"client_cpu_s\": %.6f",
           b->cpu.broker - a->cpu.broker, b->cpu.broker_system - a->cpu.broker_system,
           b->cpu.client - a->cpu.client);
    print_histogram("latency_us", &load->latency);
    print_histogram("received_us", &load->received);
    printf(", \"whole\": {\"seconds\": %.6f, \"requests\": %" PRIu64
           ", \"produced_bytes\": %" PRIu64 ", \"consumed_bytes\": %" PRIu64
           ", \"broker_cpu_s\": %.6f, \"client_cpu_s\": %.6f"
           ", \"other_cpu_s\": %.2f, \"idle_cpu\": %.4f}",
           (double)(after->at_ns - before->at_ns) / 1e9, after->requests - before->requests,
           after->acked_bytes - before->acked_bytes, after->consumed_bytes - before->consumed_bytes,
           after->cpu.broker - before->cpu.broker, after->cpu.client - before->cpu.client,
           other_cpu(&before->cpu, &after->cpu), load->idle_cpu);
    printf(", \"batch_bytes\": %d, \"lag_bytes_longest\": %" PRIu64
           ", \"versions\": {\"produce\": %d, \"fetch\": %d}, ",
           load->pattern.bytes, load->lag_bytes_longest, load->versions.produce,
           load->versions.fetch);
    print_offsets("ends", load->ends, load->plan.partitions);
}

/* ---- the order of things --------------------------------------------------------------------- */

static void measure_idle(struct load *load)
{
    struct timespec pause = {.tv_sec = load->plan.baseline_ns / 1000000000,
                             .tv_nsec = load->plan.baseline_ns % 1000000000};

    if (load->plan.baseline_ns == 0)
        return;
    struct cpu a = cpu_now(load->plan.broker_pid);
    nanosleep(&pause, NULL);
    struct cpu b = cpu_now(load->plan.broker_pid);
    load->idle_cpu = other_cpu(&a, &b) / ((double)load->plan.baseline_ns / 1e9);
}

static void produce_and_consume(struct load *load)
{
    struct consumers *consumers = consumers_start(load);

    produce(load);
    consumers_await(consumers);
    consumers_end(consumers);
}

/* Consume what is there already. */
static void catch_up(struct load *load)
{
    load->acked_bytes = (uint64_t)load->plan.read_bytes;
    load->begin = load_sample(load);
    struct consumers *consumers = consumers_start(load);
    consumers_await(consumers);
    load->end = load_sample(load);
    consumers_end(consumers);
}

static void run(struct load *load)
{
    struct sample before, after;

    ask_prepare(&load->plan, &load->versions, &load->topic_id);
    pattern_init(&load->pattern, &load->plan);
    measure_idle(load);
    atomic_store(&load->crc_checked, load->plan.read_bytes == 0);
    before = load_sample(load);
    if (load->plan.read_bytes > 0)
        catch_up(load);
    else
        produce_and_consume(load);
    sync();
    after = load_sample(load);
    print(load, &before, &after);
}

static void wait_acks(struct load *load)
{
    static struct acks acks;

    pattern_init(&load->pattern, &load->plan);
    ask_wait_acks(&load->plan, &load->pattern, &acks);
    printf("{\"first_ack_ns\": %" PRId64 ", \"last_ack_ns\": %" PRId64 ", ", acks.first_ns,
           acks.last_ns);
    print_offsets("offsets", acks.offsets, load->plan.partitions);
}

int main(int argc, char **argv)
{
    static struct load load;

    plan_parse(argc, argv, &load.plan);
    if (load.plan.wait_ready_ns >= 0)
        printf("{\"ready_ns\": %" PRId64 "}\n", ask_wait_ready(&load.plan));
    else if (load.plan.wait_acks_ns >= 0)
        wait_acks(&load);
    else
        run(&load);
    return 0;
}
