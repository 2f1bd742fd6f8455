/* load.c - bench_load: put a Kafka broker under load and say what it did, as JSON.
 *
 *   options -> topic, leaders -> warm up -> measure -> last answers -> sync -> JSON
 */
#define _GNU_SOURCE
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char usage[] =
    "usage: bench_load --port PORT [OPTION VALUE]...\n"
    "       bench_load --port PORT --wait-ready SECONDS\n"
    "\n"
    "Create a topic on a broker, produce to it (and consume from it), print figures as JSON.\n"
    "The second form waits until a Metadata answer names a broker and prints the time of it.\n"
    "\n"
    "  --host ADDRESS        127.0.0.1\n"
    "  --topic NAME          bench; it must not exist\n"
    "  --partitions N        16\n"
    "  --connections N       4 connections of the producer; partitions are dealt out to them\n"
    "  --consumers N         0 connections that consume everything\n"
    "  --window N            4 requests in flight per connection\n"
    "  --acks 1|-1           1\n"
    "  --record-bytes N      1024 bytes in the value of a record\n"
    "  --batch-bytes N       262144 bytes that a batch takes at most; 0: one record\n"
    "  --rate N              0 requests a second, open loop; 0: as fast as answers come\n"
    "  --lag-bytes N         67108864 bytes that consumers may be behind\n"
    "  --warmup SECONDS      2 seconds that are not counted\n"
    "  --seconds SECONDS     5 seconds that are\n"
    "  --bytes-max N         0 bytes after which the measurement ends early; 0: never\n"
    "  --pid PID             0 process whose CPU time is read: the broker's\n";

/* How an option's text becomes a field of the plan. */
enum option_kind { TEXT, NUMBER, SECONDS };

struct option {
    const char *name;
    enum option_kind kind;
    size_t offset;     /* in struct plan */
    int64_t low, high; /* of a NUMBER */
};

#define OF(field) offsetof(struct plan, field)

static const struct option options[] = {
    {"--host", TEXT, OF(host), 0, 0},
    {"--port", NUMBER, OF(port), 1, 65535},
    {"--topic", TEXT, OF(topic), 0, 0},
    {"--partitions", NUMBER, OF(partitions), 1, PARTITIONS_MAX},
    {"--connections", NUMBER, OF(connections), 1, CONNECTIONS_MAX},
    {"--consumers", NUMBER, OF(consumers), 0, CONNECTIONS_MAX},
    {"--window", NUMBER, OF(window), 1, WINDOW_MAX},
    {"--acks", NUMBER, OF(acks), -1, 1},
    {"--record-bytes", NUMBER, OF(record_bytes), 1, BATCH_BYTES_MAX},
    {"--batch-bytes", NUMBER, OF(batch_bytes), 0, BATCH_BYTES_MAX},
    {"--rate", NUMBER, OF(rate), 0, 1000000},
    {"--lag-bytes", NUMBER, OF(lag_bytes_max), 1, INT64_C(1) << 40},
    {"--warmup", SECONDS, OF(warmup_ns), 0, 0},
    {"--seconds", SECONDS, OF(measure_ns), 0, 0},
    {"--bytes-max", NUMBER, OF(bytes_max), 0, INT64_MAX},
    {"--pid", NUMBER, OF(broker_pid), 0, INT32_MAX},
    {"--wait-ready", SECONDS, OF(wait_ready_ns), 0, 0},
};

static void set(struct plan *plan, const struct option *o, const char *text)
{
    void *field = (char *)plan + o->offset;
    int64_t value;
    double seconds;
    char *end;

    switch (o->kind) {
    case TEXT:
        *(const char **)field = text;
        return;
    case NUMBER:
        if (str_to_i64(str_of(text), o->low, o->high, &value) < 0)
            die("%s %s: a number from %" PRId64 " to %" PRId64 " is needed", o->name, text, o->low,
                o->high);
        *(int64_t *)field = value;
        return;
    case SECONDS:
        seconds = strtod(text, &end);
        if (end == text || *end != '\0' || !(seconds >= 0 && seconds <= 3600))
            die("%s %s: seconds, from 0 to 3600, are needed", o->name, text);
        *(int64_t *)field = (int64_t)(seconds * 1e9);
        return;
    }
}

static const struct option *find_option(const char *name)
{
    for (size_t i = 0; i < array_count(options); i++) {
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    }
    die("there is no option %s; see --help", name);
}

static void parse(int argc, char **argv, struct plan *plan)
{
    *plan = (struct plan){
        .host = "127.0.0.1",
        .topic = "bench",
        .partitions = 16,
        .connections = 4,
        .window = 4,
        .acks = 1,
        .record_bytes = 1024,
        .batch_bytes = 262144,
        .lag_bytes_max = 64 << 20,
        .warmup_ns = INT64_C(2000000000),
        .measure_ns = INT64_C(5000000000),
        .wait_ready_ns = -1,
    };
    for (int i = 1; i < argc; i += 2) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            exit(0);
        }
        const struct option *o = find_option(argv[i]);
        if (i + 1 == argc)
            die("%s needs a value; see --help", o->name);
        set(plan, o, argv[i + 1]);
    }
    if (plan->port == 0)
        die("--port is needed; see --help");
    if (plan->acks == 0)
        die("--acks 0: there would be no answers to count");
    if (plan->consumers > plan->partitions)
        die("%" PRId64 " consumers have nothing to do with %" PRId64 " partitions", plan->consumers,
            plan->partitions);
    if (plan->consumers > 0 && plan->rate > 0)
        die("consumers are for the closed loop: with --rate nothing would hold them together");
}

/* `whole` spans everything from before the load to the end of a sync behind it: what the kernel did
 * for the broker, writing back what it had buffered, is in the machine's share of that. */
static void print(const struct load *load, const struct cpu *before, const struct cpu *after)
{
    const struct sample *a = &load->begin, *b = &load->end;
    const struct histogram *h = &load->latency;

    printf("{\"seconds\": %.6f, \"requests\": %" PRIu64 ", \"records\": %" PRIu64
           ", \"produced_bytes\": %" PRIu64 ", \"consumed_bytes\": %" PRIu64,
           (double)(b->at_ns - a->at_ns) / 1e9, b->requests - a->requests,
           (b->requests - a->requests) * (uint64_t)load->pattern.count,
           b->acked_bytes - a->acked_bytes, b->consumed_bytes - a->consumed_bytes);
    printf(", \"broker_cpu_s\": %.6f, \"broker_system_cpu_s\": %.2f, \"client_cpu_s\": %.6f",
           b->cpu.broker - a->cpu.broker, b->cpu.broker_system - a->cpu.broker_system,
           b->cpu.client - a->cpu.client);
    printf(", \"latency_us\": {\"count\": %" PRIu64 ", \"p50\": %.1f, \"p99\": %.1f"
           ", \"p999\": %.1f, \"longest\": %.1f}",
           h->total, (double)histogram_quantile(h, 0.5) / 1e3,
           (double)histogram_quantile(h, 0.99) / 1e3, (double)histogram_quantile(h, 0.999) / 1e3,
           (double)h->longest_ns / 1e3);
    printf(", \"whole\": {\"produced_bytes\": %" PRIu64 ", \"broker_cpu_s\": %.6f"
           ", \"client_cpu_s\": %.6f, \"other_cpu_s\": %.2f}",
           load->acked_bytes, after->broker - before->broker, after->client - before->client,
           after->machine - before->machine - (after->broker - before->broker) -
               (after->client - before->client));
    printf(", \"batch_bytes\": %d, \"lag_bytes_longest\": %" PRIu64
           ", \"versions\": {\"produce\": %d, \"fetch\": %d}}\n",
           load->pattern.bytes, load->lag_bytes_longest, load->versions.produce,
           load->versions.fetch);
}

static void run(struct load *load)
{
    struct cpu before, after;

    wire_prepare(&load->plan, &load->versions, &load->topic_id);
    pattern_init(&load->pattern, &load->plan);
    atomic_store(&load->crc_checked, true);
    before = cpu_now(load->plan.broker_pid);
    struct consumers *consumers = consumers_start(load);
    produce(load);
    consumers_finish(consumers);
    sync();
    after = cpu_now(load->plan.broker_pid);
    print(load, &before, &after);
}

int main(int argc, char **argv)
{
    static struct load load;

    parse(argc, argv, &load.plan);
    if (load.plan.wait_ready_ns >= 0)
        printf("{\"ready_ns\": %" PRId64 "}\n", wire_wait_ready(&load.plan));
    else
        run(&load);
    return 0;
}
