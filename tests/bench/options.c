#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "usage: bench_load --port PORT [OPTION VALUE]...\n"
    "       bench_load --port PORT --wait-ready SECONDS\n"
    "       bench_load --port PORT --wait-acks SECONDS [OPTION VALUE]...\n"
    "\n"
    "Create a topic on a broker, produce to it (and consume from it), print figures as JSON.\n"
    "The second form waits until a Metadata answer names a broker and prints the time of it; the\n"
    "third waits until each partition of a topic has acknowledged one batch.\n"
    "\n"
    "  --host ADDRESS        127.0.0.1\n"
    "  --topic NAME          bench; it must not exist, save for --read-bytes and --wait-acks\n"
    "  --config KEY=VALUE,.. settings of the topic\n"
    "  --partitions N        16\n"
    "  --connections N       4 connections of the producer; partitions are dealt out to them\n"
    "  --groups N            1; each consumes everything\n"
    "  --consumers N         0 connections of each group\n"
    "  --window N            4 requests in flight per connection\n"
    "  --acks 1|-1           1\n"
    "  --record-bytes N      1024 bytes in the value of a record\n"
    "  --batch-bytes N       262144 bytes that a batch takes at most; 0: one record\n"
    "  --codec NAME          none; else the values are text\n"
    "  --keys N              0; else so many different keys, each of which has one partition, and\n"
    "                        each connection sends to every partition\n"
    "  --rate N              0 requests a second, open loop; 0: as fast as answers come\n"
    "  --lag-bytes N         67108864 bytes that consumers may be behind, in the closed loop\n"
    "  --baseline SECONDS    0 seconds before the load, to see what else the machine does\n"
    "  --warmup SECONDS      2 seconds that are not counted\n"
    "  --seconds SECONDS     5 seconds that are\n"
    "  --bytes-max N         0 bytes after which the measurement ends early; 0: never\n"
    "  --read-bytes N        0; else produce nothing, and consume so many bytes from the start\n"
    "  --until-killed 0|1    0; 1: a broker that goes away is the end, and no failure\n"
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
    {"--config", TEXT, OF(config), 0, 0},
    {"--partitions", NUMBER, OF(partitions), 1, PARTITIONS_MAX},
    {"--connections", NUMBER, OF(connections), 1, CONNECTIONS_MAX},
    {"--groups", NUMBER, OF(groups), 1, GROUPS_MAX},
    {"--consumers", NUMBER, OF(consumers), 0, CONNECTIONS_MAX},
    {"--window", NUMBER, OF(window), 1, WINDOW_MAX},
    {"--acks", NUMBER, OF(acks), -1, 1},
    {"--record-bytes", NUMBER, OF(record_bytes), STAMP_BYTES, BATCH_BYTES_MAX},
    {"--batch-bytes", NUMBER, OF(batch_bytes), 0, BATCH_BYTES_MAX},
    {"--codec", TEXT, OF(codec), 0, 0},
    {"--keys", NUMBER, OF(keys), 0, INT32_MAX},
    {"--rate", NUMBER, OF(rate), 0, 1000000},
    {"--lag-bytes", NUMBER, OF(lag_bytes_max), 1, INT64_C(1) << 40},
    {"--baseline", SECONDS, OF(baseline_ns), 0, 0},
    {"--warmup", SECONDS, OF(warmup_ns), 0, 0},
    {"--seconds", SECONDS, OF(measure_ns), 0, 0},
    {"--bytes-max", NUMBER, OF(bytes_max), 0, INT64_MAX},
    {"--read-bytes", NUMBER, OF(read_bytes), 0, INT64_MAX},
    {"--until-killed", NUMBER, OF(until_killed), 0, 1},
    {"--pid", NUMBER, OF(broker_pid), 0, INT32_MAX},
    {"--wait-ready", SECONDS, OF(wait_ready_ns), 0, 0},
    {"--wait-acks", SECONDS, OF(wait_acks_ns), 0, 0},
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

static void check(const struct plan *plan)
{
    if (plan->port == 0)
        die("--port is needed; see --help");
    if (plan->acks == 0)
        die("--acks 0: there would be no answers to count");
    if (plan->consumers > plan->partitions)
        die("%" PRId64 " consumers have nothing to do with %" PRId64 " partitions", plan->consumers,
            plan->partitions);
    if (plan->read_bytes > 0 && plan->consumers == 0)
        die("--read-bytes needs --consumers");
    if (plan->until_killed && (plan->consumers > 0 || plan->broker_pid > 0))
        die("--until-killed: no --consumers and no --pid, they end with the broker");
    if (plan->keys > 0 && plan->batch_bytes > 0)
        die("--keys needs --batch-bytes 0: a batch of one record has one key");
}

void plan_parse(int argc, char **argv, struct plan *plan)
{
    *plan = (struct plan){
        .host = "127.0.0.1",
        .topic = "bench",
        .config = "",
        .codec = "none",
        .partitions = 16,
        .connections = 4,
        .groups = 1,
        .window = 4,
        .acks = 1,
        .record_bytes = 1024,
        .batch_bytes = 262144,
        .lag_bytes_max = 64 << 20,
        .warmup_ns = INT64_C(2000000000),
        .measure_ns = INT64_C(5000000000),
        .wait_ready_ns = -1,
        .wait_acks_ns = -1,
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
    check(plan);
}
