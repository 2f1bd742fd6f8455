/* How fast moves may be: settings of topics and brokers while they last. */
#include "cli/throttles.h"

#include <errno.h>
#include <stdlib.h>

/* IncrementalAlterConfigs' types of resources and operations. */
enum { RESOURCE_TOPIC = 2, RESOURCE_BROKER = 4 };
enum { SET = 0, DELETE = 1 };

#define CONFIGS_MAX 3

static const char *const of_brokers[] = {"leader.replication.throttled.rate", "follower.replication.throttled.rate",
                                         "replica.alter.log.dirs.io.max.bytes.per.second"};
static const char *const of_topics[] = {"leader.replication.throttled.replicas",
                                        "follower.replication.throttled.replicas"};
#define DIRS_RATE 2 /* of of_brokers */

/* ---- the request ------------------------------------------------------------------------------
 */

static void configs_begin(struct throttles *x, uint32_t resources)
{
    incremental_alter_configs_request_init(&x->configs);
    x->configs.resources = arena_take_array(&x->tool->arena, resources + 1, sizeof(*x->configs.resources));
    ASSERT(x->configs.resources != NULL);
}

static struct incremental_alter_configs_request_resources *add_resource(struct throttles *x, int8_t type,
                                                                        struct str name)
{
    struct incremental_alter_configs_request_resources *r = &x->configs.resources[x->configs.resources_count++];

    incremental_alter_configs_request_resources_init(r);
    r->resource_type = type;
    r->resource_name = name;
    r->configs = arena_take_array(&x->tool->arena, CONFIGS_MAX, sizeof(*r->configs));
    ASSERT(r->configs != NULL);
    return r;
}

static void add_config(struct incremental_alter_configs_request_resources *r, const char *name, int8_t operation,
                       struct str value)
{
    struct incremental_alter_configs_request_resources_configs *c = &r->configs[r->configs_count++];

    incremental_alter_configs_request_resources_configs_init(c);
    c->name = str_of(name);
    c->config_operation = operation;
    c->value = value;
}

static int configs_answer(struct throttles *x)
{
    for (uint32_t i = 0; i < x->tool->call.part_count; i++) {
        const struct incremental_alter_configs_response *r = admin_incremental_alter_configs_answer(&x->tool->call, i);
        for (int32_t k = 0; r != NULL && k < r->responses_count; k++) {
            if (r->responses[k].error_code != KERR_NONE)
                return answer_fails(x->tool, r->responses[k].error_code, r->responses[k].error_message);
        }
    }
    return 0;
}

/* ---- what moves from where to where -------------------------------------------------------------
 */

/* A partition that moves, or is to. */
struct way {
    struct str topic;
    int32_t partition;
    int32_t *from, *to;
    uint32_t from_count, to_count;
};

static void take_way(struct arena *a, struct way *w, const int32_t *from, uint32_t from_count,
                     const int32_t *leaving_out, uint32_t out_count, const int32_t *to, uint32_t to_count)
{
    w->from = arena_take_array(a, from_count + 1, sizeof(*w->from));
    w->to = arena_take_array(a, to_count + 1, sizeof(*w->to));
    ASSERT(w->from != NULL);
    ASSERT(w->to != NULL);
    w->from_count = w->to_count = 0;
    for (uint32_t i = 0; i < from_count; i++) {
        if (!ids_contain(leaving_out, out_count, from[i]))
            w->from[w->from_count++] = from[i];
    }
    for (uint32_t i = 0; i < to_count; i++) {
        if (!ids_contain(w->from, w->from_count, to[i]))
            w->to[w->to_count++] = to[i];
    }
}

static int compare_ways(const void *a, const void *b)
{
    const struct way *x = a, *y = b;
    int order = str_compare(x->topic, y->topic);

    return order != 0 ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

static uint32_t moving_count(const struct list_partition_reassignments_response *r)
{
    uint32_t count = 0;

    for (int32_t t = 0; t < r->topics_count; t++)
        count += (uint32_t)r->topics[t].partitions_count;
    return count;
}

/* Those that move already, and those of the file, sorted; where one is both, it moves from where it
 * was before. */
static struct way *take_ways(struct throttles *x, uint32_t *count)
{
    const struct list_partition_reassignments_response *r = x->moving;
    struct arena *a = &x->tool->arena;
    struct way *ways = arena_take_array(a, moving_count(r) + x->asked->count + 1, sizeof(*ways));
    uint32_t n = 0;

    ASSERT(ways != NULL);
    for (uint32_t i = 0; i < x->asked->count; i++) {
        const struct placement *p = &x->asked->all[i], *now = placements_find(x->current, p->topic, p->partition);
        moving_ptr m = moving_find(r, p->topic, p->partition);
        ways[n] = (struct way){.topic = p->topic, .partition = p->partition};
        if (m != NULL)
            take_way(a, &ways[n], m->replicas, (uint32_t)m->replicas_count, m->adding_replicas,
                     (uint32_t)m->adding_replicas_count, p->replicas, p->replica_count);
        else
            take_way(a, &ways[n], now->replicas, now->replica_count, NULL, 0, p->replicas, p->replica_count);
        n++;
    }
    for (int32_t t = 0; t < r->topics_count; t++) {
        for (int32_t i = 0; i < r->topics[t].partitions_count; i++) {
            moving_ptr m = &r->topics[t].partitions[i];
            if (placements_find(x->asked, r->topics[t].name, m->partition_index) != NULL)
                continue;
            ways[n] = (struct way){.topic = r->topics[t].name, .partition = m->partition_index};
            take_way(a, &ways[n++], m->replicas, (uint32_t)m->replicas_count, m->adding_replicas,
                     (uint32_t)m->adding_replicas_count, m->adding_replicas, (uint32_t)m->adding_replicas_count);
        }
    }
    qsort(ways, n, sizeof(*ways), compare_ways);
    *count = n;
    return ways;
}

static int compare_texts(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

/* "0:1,0:2,10:1" of `count` partitions of one topic, in the order of texts, as Kafka's. */
static struct str replicas_text(struct arena *a, const struct way *ways, uint32_t count, bool from)
{
    struct str *all, s = STR("");
    uint32_t n = 0;

    for (uint32_t i = 0; i < count; i++)
        n += from ? ways[i].from_count : ways[i].to_count;
    all = arena_take_array(a, n + 1, sizeof(*all));
    ASSERT(all != NULL);
    n = 0;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < (from ? ways[i].from_count : ways[i].to_count); k++)
            all[n++] = arena_printf(a, "%d:%d", ways[i].partition, (from ? ways[i].from : ways[i].to)[k]);
    }
    if (n > 0)
        qsort(all, n, sizeof(*all), compare_texts);
    for (uint32_t i = 0; i < n; i++)
        s = arena_printf(a, "%.*s%s%.*s", STR_ARG(s), i == 0 ? "" : ",", STR_ARG(all[i]));
    return s;
}

/* ---- set --------------------------------------------------------------------------------------
 */

static void make_topics(struct throttles *x)
{
    uint32_t count, next;
    struct way *ways = take_ways(x, &count);

    configs_begin(x, count);
    for (uint32_t i = 0; i < count; i = next) {
        for (next = i + 1; next < count && str_equal(ways[next].topic, ways[i].topic); next++)
            ;
        struct incremental_alter_configs_request_resources *r = add_resource(x, RESOURCE_TOPIC, ways[i].topic);
        add_config(r, of_topics[0], SET, replicas_text(&x->tool->arena, &ways[i], next - i, true));
        add_config(r, of_topics[1], SET, replicas_text(&x->tool->arena, &ways[i], next - i, false));
    }
}

static bool is_away(const struct throttles *x, int32_t id)
{
    for (int32_t i = 0; i < x->nodes->brokers_count; i++) {
        if (x->nodes->brokers[i].broker_id == id)
            return x->nodes->brokers[i].is_fenced;
    }
    return true;
}

static void make_brokers(struct throttles *x, int32_t *ids, uint32_t count, uint32_t first, uint32_t end, int64_t rate)
{
    struct arena *a = &x->tool->arena;

    count = ids_unique(ids, count);
    configs_begin(x, count);
    for (uint32_t i = 0; i < count; i++) {
        if (x->quiet && is_away(x, ids[i]))
            continue;
        struct incremental_alter_configs_request_resources *r =
            add_resource(x, RESOURCE_BROKER, arena_printf(a, "%d", ids[i]));
        for (uint32_t k = first; k < end; k++)
            add_config(r, of_brokers[k], rate < 0 ? DELETE : SET,
                       rate < 0 ? STR_NULL : arena_printf(a, "%lld", (long long)rate));
    }
}

static void make_ways_brokers(struct throttles *x)
{
    uint32_t count, n = 0, capacity = 0;
    struct way *ways = take_ways(x, &count);

    for (uint32_t i = 0; i < count; i++)
        capacity += ways[i].from_count + ways[i].to_count;
    int32_t *ids = arena_take_array(&x->tool->arena, capacity + 1, sizeof(*ids));
    ASSERT(ids != NULL);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < ways[i].from_count; k++)
            ids[n++] = ways[i].from[k];
        for (uint32_t k = 0; k < ways[i].to_count; k++)
            ids[n++] = ways[i].to[k];
    }
    make_brokers(x, ids, n, 0, DIRS_RATE, x->rate);
}

static void make_dirs_brokers(struct throttles *x)
{
    int32_t *ids = arena_take_array(&x->tool->arena, x->target_count + 1, sizeof(*ids));

    ASSERT(ids != NULL);
    for (uint32_t i = 0; i < x->target_count; i++)
        ids[i] = x->targets[i].broker;
    make_brokers(x, ids, x->target_count, DIRS_RATE, DIRS_RATE + 1, x->dirs_rate);
}

/* Send x->configs. */
static void alter(struct throttles *x, struct op *op)
{
    admin_call_release(&x->tool->call);
    admin_incremental_alter_configs(x->tool->admin, &x->tool->call, &x->configs, op);
}

static int altered(struct throttles *x, int64_t result)
{
    int error = result < 0 ? call_trouble(x->tool, &x->tool->call) : configs_answer(x);

    admin_call_release(&x->tool->call);
    return error;
}

void throttles_set_run(struct flow *f)
{
    struct throttles *x = container_of(f, struct throttles, flow);
    struct text *out = &x->tool->cli->out;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "begin", io_yield(x->tool->io, &f->op));
    if (x->rate >= 0) {
        make_topics(x);
        FLOW_WAIT(f, "topics", alter(x, &f->op));
        if ((f->result = altered(x, f->result)) < 0)
            goto failed;
        make_ways_brokers(x);
        FLOW_WAIT(f, "brokers", alter(x, &f->op));
        if ((f->result = altered(x, f->result)) < 0)
            goto failed;
        if (!x->quiet)
            text_printf(out, "The inter-broker throttle limit was set to %lld B/s\n", (long long)x->rate);
    }
    if (x->dirs_rate >= 0) {
        make_dirs_brokers(x);
        if (x->configs.resources_count > 0) {
            FLOW_WAIT(f, "directories", alter(x, &f->op));
            if ((f->result = altered(x, f->result)) < 0)
                goto failed;
        }
        text_printf(out, "The replica-alter-dir throttle limit was set to %lld B/s\n", (long long)x->dirs_rate);
    }
    FLOW_END(f);
failed:
    flow_done(f, f->result);
}

/* ---- clear ------------------------------------------------------------------------------------
 */

/* All brokers that are there, and those of the file: which of them had a part in earlier moves
 * nobody knows. */
static void make_clear_brokers(struct throttles *x)
{
    const struct describe_cluster_response *r = x->nodes;
    uint32_t n = 0, capacity = (uint32_t)r->brokers_count;

    for (uint32_t i = 0; i < x->asked->count; i++)
        capacity += x->asked->all[i].replica_count;
    int32_t *ids = arena_take_array(&x->tool->arena, capacity + 1, sizeof(*ids));
    ASSERT(ids != NULL);
    for (int32_t i = 0; i < r->brokers_count; i++)
        ids[n++] = r->brokers[i].broker_id;
    for (uint32_t i = 0; i < x->asked->count; i++) {
        for (uint32_t k = 0; k < x->asked->all[i].replica_count; k++)
            ids[n++] = x->asked->all[i].replicas[k];
    }
    n = ids_unique(ids, n);
    make_brokers(x, ids, n, 0, x->quiet ? DIRS_RATE : array_count(of_brokers), -1);
    if (!x->quiet)
        text_printf(&x->tool->cli->out, "Clearing broker-level throttles on broker%s %.*s\n", n == 1 ? "" : "s",
                    STR_ARG(ids_join(&x->tool->arena, ids, n)));
}

static void make_clear_topics(struct throttles *x)
{
    struct str names = STR("");

    configs_begin(x, x->asked->count);
    for (uint32_t i = 0; i < x->asked->count; i++) {
        if (i > 0 && str_equal(x->asked->all[i].topic, x->asked->all[i - 1].topic))
            continue;
        if (x->quiet && placements_find(x->current, x->asked->all[i].topic, 0) == NULL)
            continue;
        names = arena_printf(&x->tool->arena, "%.*s%s%.*s", STR_ARG(names), i == 0 ? "" : ",",
                             STR_ARG(x->asked->all[i].topic));
        struct incremental_alter_configs_request_resources *r = add_resource(x, RESOURCE_TOPIC, x->asked->all[i].topic);
        for (uint32_t k = 0; k < array_count(of_topics); k++)
            add_config(r, of_topics[k], DELETE, STR_NULL);
    }
    if (!x->quiet)
        text_printf(&x->tool->cli->out, "Clearing topic-level throttles on topic%s %.*s\n",
                    x->configs.resources_count == 1 ? "" : "s", STR_ARG(names));
}

void throttles_clear_run(struct flow *f)
{
    struct throttles *x = container_of(f, struct throttles, flow);

    FLOW_BEGIN(f);
    make_clear_brokers(x);
    if (x->configs.resources_count > 0) {
        FLOW_WAIT(f, "brokers", alter(x, &f->op));
        if ((f->result = altered(x, f->result)) < 0)
            goto failed;
    }
    make_clear_topics(x);
    if (x->configs.resources_count > 0) {
        FLOW_WAIT(f, "topics", alter(x, &f->op));
        f->result = altered(x, f->result);
    }
    FLOW_END(f);
failed:
    flow_done(f, f->result);
}
