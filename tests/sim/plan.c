/* What a seed draws. The plan has a stream of its own: what the world does is the simulator's. */
#include "plan.h"

#define MS INT64_C(1000000)

/* ---- settings ---------------------------------------------------------------------------------- */

/* Segments roll by a full index or by time, because Kafka allows none below 1 MiB. */
void plan_draw_settings(struct prng *g, struct plan *p)
{
    struct text *t = &p->settings;

    text_printf(t, "auto.create.topics.enable=false\ngroup.min.session.timeout.ms=100\n");
    text_printf(t, "log.dirs=/data/a%s%s\n", p->dirs > 1 ? ",/data/b" : "", p->dirs > 2 ? ",/data/c" : "");
    text_printf(t, "millrace.durability=%s\n", p->durable ? "durable" : "relaxed");
    /* Chunks of two to eight pages, so that they are used again and again. */
    if (plan_one_in(g, 2))
        text_printf(t, "millrace.journal.bytes=%u\n", (unsigned)plan_between(g, 1, 4) * 131072 * p->shards);
    text_printf(t, "log.index.interval.bytes=%u\n", (unsigned)plan_between(g, 0, 3) * 300);
    text_printf(t, "log.index.size.max.bytes=%u\n",
                plan_one_in(g, 3) ? 10485760 : (unsigned)plan_between(g, 3, 40) * 12);
    if (plan_one_in(g, 3))
        text_printf(t, "log.roll.ms=%u\n", (unsigned)plan_between(g, 50, 1500));
    text_printf(t, "offsets.commit.timeout.ms=%u\n", (unsigned)plan_between(g, 500, 2000));
    text_printf(t, "offsets.topic.num.partitions=%u\n", (unsigned)plan_between(g, 1, 3));
    text_printf(t, "log.flush.offset.checkpoint.interval.ms=%u\n", (unsigned)plan_between(g, 50, 3000));
    text_printf(t, "log.flush.start.offset.checkpoint.interval.ms=%u\n",
                (unsigned)plan_between(g, 50, 3000));
    text_printf(t, "replica.high.watermark.checkpoint.interval.ms=%u\n",
                (unsigned)plan_between(g, 50, 3000));
    text_printf(t, "log.segment.delete.delay.ms=%u\n", (unsigned)plan_between(g, 0, 1000));
    text_printf(t, "group.initial.rebalance.delay.ms=%u\n", (unsigned)plan_between(g, 0, 200));
    text_printf(t, "metadata.log.max.record.bytes.between.snapshots=%u\n",
                plan_one_in(g, 2) ? 20971520 : (unsigned)plan_between(g, 500, 4000));
    text_printf(t, "metadata.max.idle.interval.ms=%u\n", (unsigned)plan_between(g, 100, 700));
    if (plan_one_in(g, 8))
        text_printf(t, "log.message.timestamp.type=LogAppendTime\n");
}

/* How often it is looked for what is too much; nothing is too old, here. */
void plan_draw_checks(struct prng *g, struct plan *p)
{
    struct text *t = &p->settings;

    p->retention_bytes = plan_one_in(g, 4) ? (int64_t)plan_between(g, 0, 20000) : -1;
    text_printf(t, "log.retention.bytes=%" PRId64 "\n", p->retention_bytes);
    text_printf(t, "log.initial.task.delay.ms=%u\n", (unsigned)plan_between(g, 0, 1000));
    text_printf(t, "log.retention.check.interval.ms=%u\n", (unsigned)plan_between(g, 20, 1000));
    text_printf(t, "producer.id.expiration.check.interval.ms=%u\n", (unsigned)plan_between(g, 20, 1000));
}

/* Often, in small pieces, and at once; small segments also where the plan had none. */
void plan_draw_compaction(struct prng *g, struct plan *p)
{
    struct text *t = &p->settings;
    bool any = false;

    for (uint32_t i = 0; i < p->topics; i++) {
        p->compacts[i] = plan_one_in(g, 3);
        any |= p->compacts[i];
    }
    if (!any)
        return;
    text_printf(t, "log.cleaner.backoff.ms=%u\n", (unsigned)plan_between(g, 0, 500));
    text_printf(t, "log.cleaner.io.buffer.size=%u\n", (unsigned)plan_between(g, 0, 30000));
    text_printf(t, "log.cleaner.min.cleanable.ratio=0.%u\n", (unsigned)plan_between(g, 0, 5));
    text_printf(t, "log.index.size.max.bytes=%u\n", (unsigned)plan_between(g, 3, 20) * 12);
    if (plan_one_in(g, 4))
        text_printf(t, "log.cleaner.io.max.bytes.per.second=%u\n", (unsigned)plan_between(g, 10000, 1000000));
}

/* ---- of one node ------------------------------------------------------------------------------- */

/* NAME@HOST:PORT of static voters, or HOST:PORT of bootstrap servers. */
static void print_controllers(const struct plan *p, struct text *out)
{
    const char *comma = "";

    for (uint32_t i = 0; i < p->node_count; i++) {
        if (!p->nodes[i].is_controller)
            continue;
        text_printf(out, "%s", comma);
        if (!p->dynamic_quorum)
            text_printf(out, "%u@", i + 1);
        text_printf(out, "%s:9093", p->nodes[i].name);
        comma = ",";
    }
}

void plan_settings(const struct plan *p, uint32_t at, struct text *out)
{
    const struct plan_node *n = &p->nodes[at];

    text_printf(out, "process.roles=%s%s%s\nnode.id=%u\n", n->is_broker ? "broker" : "",
                n->is_broker && n->is_controller ? "," : "", n->is_controller ? "controller" : "", at + 1);
    text_printf(out, "listeners=");
    if (n->is_broker)
        text_printf(out, "PLAINTEXT://%s:9092", n->name);
    if (n->is_controller)
        text_printf(out, "%sCONTROLLER://%s:9093", n->is_broker ? "," : "", n->name);
    text_printf(out, "\ncontroller.listener.names=CONTROLLER\n%s=",
                p->dynamic_quorum ? "controller.quorum.bootstrap.servers" : "controller.quorum.voters");
    print_controllers(p, out);
    text_printf(out, "\noffsets.topic.replication.factor=%d\n", p->replicas);
    if (p->racks && n->is_broker)
        text_printf(out, "broker.rack=rack-%u\n", at % 3);
    text_add_str(out, text_str(&p->settings));
}

/* ---- faults --------------------------------------------------------------------------------------- */

static enum fault_kind draw_kind(struct prng *g, const struct plan *p)
{
    for (;;) {
        enum fault_kind kind = (enum fault_kind)prng_below(g, FAULT_KINDS_ALONE);
        if (kind == FAULT_POWER_CUT && !p->durable && !p->lossy)
            continue;
        if ((kind == FAULT_DISK_ERROR || kind == FAULT_DISK_FULL || kind == FAULT_DIR) && !p->disk_trouble)
            continue;
        if (kind == FAULT_DIR && p->dirs == 1)
            continue;
        return kind;
    }
}

/* A sync that failed leaves page cache and disk apart: from a kill nobody could go on. */
static uint32_t crash_how(struct prng *g, const struct plan *p)
{
    if (!p->durable && !p->lossy)
        return SIM_CRASH_KILL;
    return p->disk_trouble || plan_one_in(g, 2) ? SIM_CRASH_POWER : SIM_CRASH_KILL;
}

void plan_draw_fault(struct prng *g, const struct plan *p, struct fault *f)
{
    f->kind = draw_kind(g, p);
    f->nodes = 1;
    f->at_ns = (int64_t)prng_below(g, (uint64_t)p->chaos_ns);
    f->lasts_ns = (int64_t)plan_between(g, 5, 1500) * MS;
    switch (f->kind) {
    case FAULT_CRASH_AT_IO:
        f->n = plan_between(g, 1, 120);
        f->factor = crash_how(g, p) | (plan_one_in(g, 2) ? SIM_CRASH_AFTER : 0);
        break;
    case FAULT_SLOW_DISK:
        /* Together with outliers a sync begun in such a time would be under way long after it. */
        f->factor = (uint32_t)plan_between(g, 2, p->weather.outlier_ppm > 0 ? 5 : 40);
        break;
    case FAULT_DISK_ERROR:
        f->n = plan_between(g, 1, 300);
        break;
    case FAULT_DISK_FULL:
        f->n = prng_below(g, 60000);
        break;
    case FAULT_DIR:
        f->n = plan_one_in(g, 8) ? 0 : plan_between(g, 1, p->dirs - 1); /* seldom that of the metadata log */
        break;
    case FAULT_CUT:
        f->n = prng_below(g, 64);
        f->factor = (uint32_t)plan_between(g, 1, 3);
        break;
    case FAULT_RESET:
        f->n = prng_below(g, 64);
        break;
    default:
        break;
    }
}

static void draw_faults(struct prng *g, struct plan *p)
{
    static const uint32_t most[] = {0, 2, 5, 9, 14, 24};

    p->fault_count = (uint32_t)prng_below(g, most[prng_below(g, array_count(most))] + 1);
    for (uint32_t i = 0; i < p->fault_count; i++)
        plan_draw_fault(g, p, &p->faults[i]);
    /* The very first start is worth a crash of its own. */
    if (p->fault_count > 0 && plan_one_in(g, 6)) {
        p->faults[0].kind = FAULT_CRASH_AT_IO;
        p->faults[0].at_ns = 0;
        p->faults[0].n = plan_between(g, 1, 80);
        p->faults[0].factor = crash_how(g, p);
    }
}

bool plan_disk_fails(const struct sim_options *weather)
{
    for (int kind = 0; kind < SIM_LISTEN; kind++) {
        if (weather->fail_ppm[kind] > 0)
            return true;
    }
    return false;
}

/* ---- all of it --------------------------------------------------------------------------------------- */

void plan_draw(uint64_t seed, struct plan *out)
{
    struct prng g;
    struct plan p = {.weather = sim_options_swarm(seed)};

    prng_init(&g, seed ^ 0x706c616e);
    p.shards = 1 + (uint32_t)prng_below(&g, SIM_SHARDS_MAX);
    p.dirs = plan_one_in(&g, 2) ? 2 + (uint32_t)prng_below(&g, 2) : 1;
    p.durable = !plan_one_in(&g, 3);
    p.disk_trouble = plan_disk_fails(&p.weather) || plan_one_in(&g, 6);
    p.topics = 1 + (uint32_t)prng_below(&g, TOPICS_AT_START_MAX);
    for (uint32_t i = 0; i < p.topics; i++)
        p.partitions[i] = 1 + (int32_t)prng_below(&g, 3);
    p.producers = 1 + (uint32_t)prng_below(&g, 3);
    p.readers = (uint32_t)prng_below(&g, 3);
    p.members = (uint32_t)prng_below(&g, 4);
    p.admin_changes = !plan_one_in(&g, 3);
    p.session_ms = (int32_t)plan_between(&g, 300, 1500);
    p.chaos_ns = (int64_t)plan_between(&g, 300, 3000) * MS;
    p.restart_ns_max = (int64_t)plan_between(&g, 1, 400) * MS;
    p.last_stop = p.durable ? (enum fault_kind)prng_below(&g, 3)
                            : plan_one_in(&g, 2) ? FAULT_KILL : FAULT_STOP;
    plan_draw_settings(&g, &p);
    draw_faults(&g, &p);
    p.deletes = plan_one_in(&g, 3);
    p.moves = p.dirs > 1 && !plan_one_in(&g, 3);
    plan_draw_checks(&g, &p);
    plan_draw_compaction(&g, &p);
    p.writers = (uint32_t)prng_below(&g, 3);
    p.subscribers = (uint32_t)prng_below(&g, 3);
    p.node_count = 1;
    p.replicas = 1;
    p.nodes[0] = (struct plan_node){"broker", true, true};
    *out = p;
}

void plan_deinit(struct plan *p)
{
    text_deinit(&p->settings);
}

const char *const fault_names[FAULT_KINDS] = {
    [FAULT_KILL] = "kill",
    [FAULT_POWER_CUT] = "power cut",
    [FAULT_STOP] = "stop",
    [FAULT_CRASH_AT_IO] = "crash at disk change",
    [FAULT_SLOW_DISK] = "slow disk",
    [FAULT_DISK_ERROR] = "disk error",
    [FAULT_DISK_FULL] = "disk full",
    [FAULT_DIR] = "directory fails",
    [FAULT_CUT] = "network cut",
    [FAULT_RESET] = "connection reset",
    [FAULT_LINK] = "link cut",
    [FAULT_ISOLATE] = "isolation",
    [FAULT_PAUSE] = "pause",
    [FAULT_ROLL] = "rolling restart",
    [FAULT_CLOCK] = "clock",
};

static void print_nodes(const struct plan *p, FILE *out)
{
    fprintf(out, "plan: %u nodes, %d replicas, %s quorum%s%s:", p->node_count, p->replicas,
            p->dynamic_quorum ? "a dynamic" : "a static", p->storm ? ", a storm" : "", p->lossy ? ", lossy" : "");
    for (uint32_t i = 0; i < p->node_count; i++)
        fprintf(out, " %s%s%s", p->nodes[i].name, p->nodes[i].is_broker ? " broker" : "",
                p->nodes[i].is_controller ? " controller" : "");
    fprintf(out, "\n");
}

void plan_print(const struct plan *p, FILE *out)
{
    static const char *const aims[] = {"nodes", "a leader or", "its followers or", "the controller or",
                                       "another controller or", "who asks for another ISR, else"};

    print_nodes(p, out);
    fprintf(out, "plan: %u shards, %u topics, %u producers, %u writers, %u readers, %u members and %u subscribers of "
                 "session %d ms%s%s%s%s%s%s%s\n",
            p->shards, p->topics, p->producers, p->writers, p->readers, p->members, p->subscribers, p->session_ms,
            p->admin_changes ? ", topics change" : "", p->deletes ? ", records are deleted" : "",
            p->moves ? ", partitions move" : "", p->shuffles ? ", replicas move" : "",
            p->throttles ? ", throttles" : "", p->straggles ? ", straggles" : "",
            p->disk_trouble ? ", disk trouble" : "");
    fprintf(out, "%.*s", STR_ARG(text_str(&p->settings)));
    for (uint32_t i = 0; i < p->fault_count; i++) {
        const struct fault *f = &p->faults[i];
        fprintf(out, "fault: %8.3f ms  %s of %s %#x n=%" PRIu64 " factor=%u for %.3f ms\n", (double)f->at_ns / 1e6,
                fault_names[f->kind], aims[f->aim], f->nodes, f->n, f->factor, (double)f->lasts_ns / 1e6);
    }
    fprintf(out, "all heals at %.3f ms; the last stop is a %s\n", (double)p->chaos_ns / 1e6,
            fault_names[p->last_stop]);
}
