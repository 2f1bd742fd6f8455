/* `millrace.why.TOPIC-NUMBER`: what this node knows of how a partition came to be as it is, for tools, as a value of the
 * node's that DescribeConfigs tells who asks for it by name (docs/design, "Why a partition is as it is"). A line a cause,
 * the oldest first: how many milliseconds ago, a blank, the words. Each shard is asked: the controller's causes lie at
 * home, a leader's on its shard. */
#include "broker/why.h"

#include <stdlib.h>

#include "broker/scatter.h"
#include "broker/settings.h"
#include "protocol/describe_configs.h"

#define PREFIX STR("millrace.why.")
#define ASKED_MAX 100 /* of one request; who asks for more hears nothing of the rest */

struct asked {
    struct describe_configs_response_results *result;
    struct str key, topic;
    int32_t partition;
};

struct asking {
    struct asked *all;
    uint32_t count;
};

/* One shard's causes of one partition. */
struct cause {
    int64_t wall_ms;
    struct str words;
};
struct found {
    struct arena *arena;
    uint32_t count;
    struct cause causes[CAUSES_OF_ONE_MAX];
};

/* ---- on each shard --------------------------------------------------------------------------- */

static void keep(void *ctx, int64_t wall_ms, const char *words)
{
    struct found *f = ctx;

    ASSERT(f->count < CAUSES_OF_ONE_MAX);
    f->causes[f->count++] = (struct cause){wall_ms, arena_str(f->arena, str_of(words))};
}

static void part_look(struct scatter_part *part)
{
    const struct asking *a = part->scatter->state;
    struct found *found = arena_take_array(&part->arena, a->count, sizeof *found);

    part->state = found;
    for (uint32_t i = 0; i < a->count; i++) {
        found[i].arena = &part->arena;
        telemetry_causes_each(part->shard->telemetry, a->all[i].topic, a->all[i].partition, keep, &found[i]);
    }
    scatter_part_done(part);
}

/* ---- on the connection's shard --------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
    const struct cause *x = a, *y = b;

    return (x->wall_ms > y->wall_ms) - (x->wall_ms < y->wall_ms);
}

static struct str value_of(const struct scatter *s, uint32_t asked)
{
    struct request *r = s->request;
    uint32_t shards = r->shard->broker->shard_count, count = 0;
    struct cause *causes = arena_take_array(&r->arena, (size_t)shards * CAUSES_OF_ONE_MAX, sizeof *causes);
    int64_t now_ms = io_wall_ms(r->shard->io);
    struct text text = {0};

    for (uint32_t i = 0; i < shards; i++) {
        const struct found *found = (const struct found *)s->parts[i].state + asked;
        memcpy(&causes[count], found->causes, found->count * sizeof *causes);
        count += found->count;
    }
    qsort(causes, count, sizeof *causes, by_time);
    for (uint32_t i = 0; i < count; i++) {
        int64_t ago_ms = now_ms > causes[i].wall_ms ? now_ms - causes[i].wall_ms : 0; /* clocks are set back */
        text_printf(&text, "%" PRId64 " %.*s\n", ago_ms, STR_ARG(causes[i].words));
    }
    struct str value = arena_str(&r->arena, text_str(&text));
    text_deinit(&text);
    return str_is_null(value) ? STR("") : value;
}

static void joined(struct scatter *s)
{
    const struct asking *a = s->state;
    struct request *r = s->request;

    for (uint32_t i = 0; i < a->count; i++) {
        struct describe_configs_response_results *result = a->all[i].result;
        struct describe_configs_response_results_configs *c = &result->configs[result->configs_count++];
        describe_configs_response_results_configs_init(c);
        c->name = a->all[i].key;
        c->value = value_of(s, i);
        c->read_only = true;
        c->config_source = CONFIG_DEFAULT;
        c->config_type = 2; /* a string */
    }
    request_answer(r);
}

/* "orders-0" in two. */
static bool parse(struct str name, struct str *topic, int32_t *partition)
{
    int32_t dash = name.n - 1;
    int64_t number;

    while (dash >= 0 && name.p[dash] != '-')
        dash--;
    struct str digits = {name.p + dash + 1, name.n - dash - 1};
    if (dash <= 0 || digits.n == 0 || digits.p[0] < '0' || digits.p[0] > '9' ||
        str_to_i64(digits, 0, INT32_MAX, &number) < 0)
        return false;
    *topic = (struct str){name.p, dash};
    *partition = (int32_t)number;
    return true;
}

/* Those keys of a resource that ask for it. Its list of settings gets room for the answers. */
static void take_asked(struct asking *a, struct request *r, const struct describe_configs_request_resources *resource,
                       struct describe_configs_response_results *result)
{
    uint32_t before = a->count;

    for (int32_t i = 0; i < resource->configuration_keys_count && a->count < ASKED_MAX; i++) {
        struct str key = resource->configuration_keys[i];
        struct asked *one = &a->all[a->count];
        if (!str_starts(key, PREFIX))
            continue;
        struct str name = {key.p + PREFIX.n, key.n - PREFIX.n};
        if (!parse(name, &one->topic, &one->partition))
            continue;
        one->result = result;
        one->key = key;
        a->count++;
    }
    if (a->count == before)
        return;
    size_t count = (size_t)result->configs_count;
    struct describe_configs_response_results_configs *grown =
        arena_take_array(&r->arena, count + a->count - before, sizeof *grown);
    if (count > 0)
        memcpy(grown, result->configs, count * sizeof *grown);
    result->configs = grown;
}

void why_answer(struct request *r)
{
    const struct describe_configs_request *m = r->message;
    struct describe_configs_response *answer = r->response;
    struct asking *a = arena_take(&r->arena, sizeof *a);

    a->all = arena_take_array(&r->arena, ASKED_MAX, sizeof *a->all);
    for (int32_t i = 0; i < m->resources_count; i++) {
        if (m->resources[i].resource_type == RESOURCE_TYPE_BROKER && m->resources[i].resource_name.n > 0 &&
            answer->results[i].error_code == KERR_NONE)
            take_asked(a, r, &m->resources[i], &answer->results[i]);
    }
    if (a->count == 0) {
        request_answer(r);
        return;
    }
    struct scatter *s = scatter_new(r, part_look, joined);
    s->state = a;
    scatter_everywhere(s);
    scatter_run(s);
}
