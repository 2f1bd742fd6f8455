/* kafka-topics.sh --create, --alter. */
#include "cli/topics.h"

#include <errno.h>

#define TIMEOUT_MS 60000

/* ---- checks ------------------------------------------------------------------------------------- */

static bool has_collision_letters(struct str name)
{
    return name.n > 0 && (memchr(name.p, '.', (size_t)name.n) != NULL || memchr(name.p, '_', (size_t)name.n) != NULL);
}

static int check_replication(struct tool *t)
{
    int64_t n;

    if (given(t, TOPICS_REPLICATION) && str_to_i64(value_of(t, TOPICS_REPLICATION), 1, INT16_MAX, &n) < 0)
        return fail_set(&t->fail, -EINVAL, "The replication factor must be between 1 and 32767 inclusive");
    return 0;
}

int topics_check_create(struct topics *x)
{
    struct tool *t = &x->tool;
    int64_t n;

    if (given(t, TOPICS_ASSIGNMENT) && x->action == TOPICS_CREATE && given(t, TOPICS_PARTITIONS))
        return wrong_words(t, "Option \"[replica-assignment]\" can't be used with option \"[partitions]\"");
    if (given(t, TOPICS_ASSIGNMENT) && given(t, TOPICS_REPLICATION))
        return wrong_words(t, "Option \"[replica-assignment]\" can't be used with option \"[replication-factor]\"");
    if (given(t, TOPICS_PARTITIONS) && str_to_i64(value_of(t, TOPICS_PARTITIONS), 1, INT32_MAX, &n) < 0)
        return fail_set(&t->fail, -EINVAL, "The partitions must be greater than 0");
    return check_replication(t);
}

/* ---- assignments ---------------------------------------------------------------------------------- */

struct brokers {
    int32_t *ids;
    int32_t count;
};

static uint32_t parts_of(struct str s, char separator)
{
    uint32_t n = 1;

    for (int32_t i = 0; i < s.n; i++)
        n += s.p[i] == separator;
    return n;
}

static int parse_brokers(struct tool *t, struct str text, struct brokers *out)
{
    struct str part;
    int64_t id;

    out->ids = arena_take_array(&t->arena, parts_of(text, ':'), sizeof(*out->ids));
    ASSERT(out->ids != NULL);
    out->count = 0;
    while (str_cut(&text, ':', &part)) {
        if (str_to_i64(str_trim(part), 0, INT32_MAX, &id) < 0)
            return fail_set(&t->fail, -EINVAL, "--replica-assignment: \"%.*s\" is not a broker's id", STR_ARG(part));
        for (int32_t i = 0; i < out->count; i++) {
            if (out->ids[i] == id)
                return fail_set(&t->fail, -EINVAL, "Partition replica lists may not contain duplicate entries: %lld",
                                (long long)id);
        }
        out->ids[out->count++] = (int32_t)id;
    }
    return 0;
}

/* "1:2,2:3": the brokers of each partition. -> how many partitions. */
static int parse_assignment(struct tool *t, struct brokers **out)
{
    struct str rest = value_of(t, TOPICS_ASSIGNMENT), part;
    struct brokers *all = arena_take_array(&t->arena, parts_of(rest, ','), sizeof(*all));
    int count = 0;

    ASSERT(all != NULL);
    while (str_cut(&rest, ',', &part)) {
        TRY(parse_brokers(t, part, &all[count]));
        if (all[count].count != all[0].count)
            return fail_set(&t->fail, -EINVAL, "Partition %d has different replication factor: %.*s", count,
                            STR_ARG(part));
        count++;
    }
    *out = all;
    return count;
}

/* ---- create ----------------------------------------------------------------------------------------- */

static int take_configs(struct tool *t, struct create_topics_request_topics *topic)
{
    const struct arg_found *found = &t->found[TOPICS_CONFIG];

    topic->configs = arena_take_array(&t->arena, found->count + 1, sizeof(*topic->configs));
    ASSERT(topic->configs != NULL);
    for (uint32_t i = 0; i < found->count; i++) {
        struct create_topics_request_topics_configs *c = &topic->configs[i];
        struct str rest = found->values[i], name;
        create_topics_request_topics_configs_init(c);
        if (memchr(rest.p, '=', (size_t)rest.n) == NULL || !str_cut(&rest, '=', &name))
            return fail_set(
                &t->fail, -EINVAL,
                "requirement failed: Invalid topic config: all configs to be added must be in the format \"key=val\".");
        c->name = str_trim(name);
        c->value = str_trim(rest);
        topic->configs_count++;
    }
    return 0;
}

static int take_assignment(struct tool *t, struct create_topics_request_topics *topic)
{
    struct brokers *all;
    int count = parse_assignment(t, &all);

    TRY(count);
    topic->assignments = arena_take_array(&t->arena, (size_t)count + 1, sizeof(*topic->assignments));
    ASSERT(topic->assignments != NULL);
    topic->assignments_count = count;
    for (int i = 0; i < count; i++) {
        create_topics_request_topics_assignments_init(&topic->assignments[i]);
        topic->assignments[i].partition_index = i;
        topic->assignments[i].broker_ids = all[i].ids;
        topic->assignments[i].broker_ids_count = all[i].count;
    }
    return 0;
}

static int make_create(struct topics *x)
{
    struct tool *t = &x->tool;
    const struct arg_found *names = &t->found[TOPICS_TOPIC];
    int64_t partitions = -1, replication = -1;

    if (given(t, TOPICS_PARTITIONS))
        (void)str_to_i64(value_of(t, TOPICS_PARTITIONS), 1, INT32_MAX, &partitions);
    if (given(t, TOPICS_REPLICATION))
        (void)str_to_i64(value_of(t, TOPICS_REPLICATION), 1, INT16_MAX, &replication);
    create_topics_request_init(&x->create);
    x->create.timeout_ms = TIMEOUT_MS;
    x->create.topics = arena_take_array(&t->arena, names->count, sizeof(*x->create.topics));
    ASSERT(x->create.topics != NULL);
    for (uint32_t i = 0; i < names->count; i++) {
        struct create_topics_request_topics *topic = &x->create.topics[x->create.topics_count++];
        create_topics_request_topics_init(topic);
        topic->name = names->values[i];
        topic->num_partitions = (int32_t)partitions;
        topic->replication_factor = (int16_t)replication;
        TRY(take_configs(t, topic));
        if (given(t, TOPICS_ASSIGNMENT))
            TRY(take_assignment(t, topic));
        if (has_collision_letters(topic->name) && !t->native)
            text_printf(
                &t->cli->out,
                "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could "
                "collide. To avoid issues it is best to use either, but not both.\n");
    }
    return 0;
}

static int create_answer(struct topics *x)
{
    struct tool *t = &x->tool;
    const struct create_topics_response *r = admin_create_topics_answer(&t->call, 0);
    int error = 0;

    for (int32_t i = 0; i < r->topics_count; i++) {
        const struct create_topics_response_topics *topic = &r->topics[i];
        if (topic->error_code == KERR_NONE)
            text_printf(&t->cli->out, "Created topic %.*s.\n", STR_ARG(topic->name));
        else if (topic->error_code != KERR_TOPIC_ALREADY_EXISTS || !given(t, TOPICS_IF_NOT_EXISTS))
            error = answer_fails(t, topic->error_code, topic->error_message);
    }
    return error;
}

void topics_create_run(struct flow *f)
{
    struct topics *x = container_of(f, struct topics, tool.work);

    FLOW_BEGIN(f);
    if (make_create(x) < 0) {
        FLOW_WAIT(f, "nothing", io_complete(x->tool.io, &f->op, x->tool.fail.error));
    } else {
        FLOW_WAIT(f, "create", admin_create_topics(x->tool.admin, &x->tool.call, &x->create, &f->op));
        f->result = f->result < 0 ? call_trouble(&x->tool, &x->tool.call) : create_answer(x);
    }
    FLOW_END(f);
    flow_done(f, f->result);
}

/* ---- alter -------------------------------------------------------------------------------------------- */

static int grow_by_assignment(struct topics *x, struct create_partitions_request_topics *topic, int32_t has)
{
    struct tool *t = &x->tool;
    struct brokers *all;
    int count = parse_assignment(t, &all), rest = count - has;

    TRY(count);
    if (rest < 0)
        rest = 0;
    topic->assignments = arena_take_array(&t->arena, (size_t)rest + 1, sizeof(*topic->assignments));
    ASSERT(topic->assignments != NULL);
    topic->assignments_count = rest;
    for (int i = 0; i < rest; i++) { /* the first ones are of the partitions that it has */
        create_partitions_request_topics_assignments_init(&topic->assignments[i]);
        topic->assignments[i].broker_ids = all[has + i].ids;
        topic->assignments[i].broker_ids_count = all[has + i].count;
    }
    return 0;
}

static int make_grow(struct topics *x)
{
    struct tool *t = &x->tool;
    int64_t count;

    (void)str_to_i64(value_of(t, TOPICS_PARTITIONS), 1, INT32_MAX, &count);
    create_partitions_request_init(&x->grow);
    x->grow.timeout_ms = TIMEOUT_MS;
    x->grow.topics = arena_take_array(&t->arena, x->chosen_count + 1, sizeof(*x->grow.topics));
    ASSERT(x->grow.topics != NULL);
    for (uint32_t i = 0; i < x->chosen_count; i++) {
        struct create_partitions_request_topics *topic = &x->grow.topics[x->grow.topics_count++];
        create_partitions_request_topics_init(topic);
        topic->name = x->chosen[i]->name;
        topic->count = (int32_t)count;
        topic->assignments_count = -1;
        if (given(t, TOPICS_ASSIGNMENT))
            TRY(grow_by_assignment(x, topic, x->chosen[i]->partitions_count));
    }
    return 0;
}

static int grow_answer(struct topics *x)
{
    const struct create_partitions_response *r = admin_create_partitions_answer(&x->tool.call, 0);

    for (int32_t i = 0; i < r->results_count; i++) {
        if (r->results[i].error_code != KERR_NONE)
            return answer_fails(&x->tool, r->results[i].error_code, r->results[i].error_message);
    }
    return 0;
}

void topics_alter_run(struct flow *f)
{
    struct topics *x = container_of(f, struct topics, tool.work);

    FLOW_BEGIN(f);
    metadata_request_init(&x->all);
    x->all.topics_count = -1;
    x->all.allow_auto_topic_creation = false;
    FLOW_WAIT(f, "names", admin_metadata(x->tool.admin, &x->names, &x->all, &f->op));
    if (f->result < 0)
        f->result = call_trouble(&x->tool, &x->names);
    else
        f->result = topics_choose(x);
    if (f->result == 0 && x->chosen_count > 0 && (f->result = make_grow(x)) == 0) {
        FLOW_WAIT(f, "alter", admin_create_partitions(x->tool.admin, &x->tool.call, &x->grow, &f->op));
        f->result = f->result < 0 ? call_trouble(&x->tool, &x->tool.call) : grow_answer(x);
    }
    FLOW_END(f);
    flow_done(f, f->result);
}
