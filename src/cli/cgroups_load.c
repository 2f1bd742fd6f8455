/* Consumer groups as the tool knows them, of either protocol. */
#include "cli/cgroups.h"

#include "protocol/consumer_protocol_assignment.h"

#include <errno.h>
#include <stdlib.h>

/* ---- spots ------------------------------------------------------------------------------------ */

void spot_add(struct arena *a, struct spots *s, struct spot spot)
{
    if (s->count == s->capacity) {
        s->capacity = s->capacity == 0 ? 8 : 2 * s->capacity;
        struct spot *more = arena_take_array(a, s->capacity, sizeof(*more));
        ASSERT(more != NULL);
        if (s->count > 0)
            memcpy(more, s->p, s->count * sizeof(*more));
        s->p = more;
    }
    s->p[s->count++] = spot;
}

static int compare_spots(const void *a, const void *b)
{
    const struct spot *x = a, *y = b;
    int order = str_compare(x->topic, y->topic);

    return order != 0 ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

void spots_sort(struct spots *s)
{
    if (s->count > 0)
        qsort(s->p, s->count, sizeof(*s->p), compare_spots);
}

struct spot *spot_find(const struct spots *s, struct str topic, int32_t partition)
{
    struct spot key = {.topic = topic, .partition = partition};

    return s->count == 0 ? NULL : bsearch(&key, s->p, s->count, sizeof(key), compare_spots);
}

static void spot_learn(struct arena *a, struct spots *s, struct str topic, int32_t partition)
{
    spot_add(a, s,
             (struct spot){.topic = topic,
                           .partition = partition,
                           .committed = -1,
                           .epoch = -1,
                           .start = -1,
                           .end = -1,
                           .target = -1});
}

/* ---- whom ------------------------------------------------------------------------------------- */

static int compare_groups(const void *a, const void *b)
{
    return str_compare(((const struct group *)a)->name, ((const struct group *)b)->name);
}

static void add_group(struct cgroups *x, struct str name, struct str state, bool is_simple)
{
    x->groups[x->group_count++] = (struct group){
        .name = name, .state = state, .coordinator = -1, .epoch = -1, .assignment_epoch = -1, .is_simple = is_simple};
}

/* Those of the cluster that consumers use: of the consumer protocol, or classic ones of consumers or of nobody. */
static int take_listed(struct cgroups *x)
{
    size_t count = 0;

    for (uint32_t p = 0; p < x->list.part_count; p++) {
        const struct list_groups_response *r = admin_list_groups_answer(&x->list, p);
        if (r->error_code != KERR_NONE)
            return answer_fails(&x->tool, r->error_code, STR_NULL);
        count += (size_t)r->groups_count;
    }
    x->groups = arena_take_array(&x->tool.arena, count + 1, sizeof(*x->groups));
    ASSERT(x->groups != NULL);
    for (uint32_t p = 0; p < x->list.part_count; p++) {
        const struct list_groups_response *r = admin_list_groups_answer(&x->list, p);
        for (int32_t i = 0; i < r->groups_count; i++) {
            const struct list_groups_response_groups *g = &r->groups[i];
            bool simple = g->protocol_type.n <= 0, modern = str_equal_nocase(g->group_type, STR("consumer"));
            bool classic = g->group_type.n <= 0 || str_equal_nocase(g->group_type, STR("classic"));
            if (!modern && !(classic && (simple || str_equal(g->protocol_type, STR("consumer")))))
                continue;
            add_group(x, g->group_id, g->group_state, simple && !modern);
            x->groups[x->group_count - 1].type = g->group_type.n > 0 ? g->group_type : STR("classic");
        }
    }
    qsort(x->groups, x->group_count, sizeof(*x->groups), compare_groups);
    return 0;
}

static void take_named(struct cgroups *x)
{
    const struct arg_found *names = &x->tool.found[CG_GROUP];

    x->groups = arena_take_array(&x->tool.arena, names->count + 1, sizeof(*x->groups));
    ASSERT(x->groups != NULL);
    for (uint32_t i = 0; i < names->count; i++)
        add_group(x, names->values[i], STR_NULL, false);
}

static struct group *group_of(struct cgroups *x, struct str name)
{
    for (uint32_t i = 0; i < x->group_count; i++) {
        if (str_equal(x->groups[i].name, name))
            return &x->groups[i];
    }
    return NULL;
}

/* ---- groups of the consumer protocol ------------------------------------------------------------ */

static void ask_modern(struct cgroups *x)
{
    consumer_group_describe_request_init(&x->ask_modern);
    x->ask_modern.group_ids = arena_take_array(&x->tool.arena, x->group_count + 1, sizeof(*x->ask_modern.group_ids));
    ASSERT(x->ask_modern.group_ids != NULL);
    for (uint32_t i = 0; i < x->group_count; i++)
        x->ask_modern.group_ids[x->ask_modern.group_ids_count++] = x->groups[i].name;
}

static void learn_modern_spots(struct arena *a, struct spots *s,
                               const struct consumer_group_describe_response_assignment *from)
{
    for (int32_t i = 0; i < from->topic_partitions_count; i++) {
        for (int32_t j = 0; j < from->topic_partitions[i].partitions_count; j++)
            spot_learn(a, s, from->topic_partitions[i].topic_name, from->topic_partitions[i].partitions[j]);
    }
    spots_sort(s);
}

static void learn_modern(struct cgroups *x, struct group *g, const struct consumer_group_describe_response_groups *from)
{
    struct arena *a = &x->tool.arena;

    g->found = true;
    g->state = from->group_state;
    g->assignor = from->assignor_name;
    g->epoch = from->group_epoch;
    g->assignment_epoch = from->assignment_epoch;
    g->member_count = (uint32_t)from->members_count;
    g->members = arena_take_array(a, g->member_count + 1, sizeof(*g->members));
    ASSERT(g->members != NULL);
    for (uint32_t i = 0; i < g->member_count; i++) {
        const struct consumer_group_describe_response_groups_members *m = &from->members[i];
        g->members[i] = (struct member){.id = m->member_id,
                                        .instance = m->instance_id,
                                        .client = m->client_id,
                                        .host = m->client_host,
                                        .epoch = m->member_epoch,
                                        .target_epoch = from->assignment_epoch,
                                        .kind = m->member_type};
        learn_modern_spots(a, &g->members[i].assigned, &m->assignment);
        learn_modern_spots(a, &g->members[i].target, &m->target_assignment);
    }
}

static void take_modern(struct cgroups *x)
{
    for (uint32_t p = 0; p < x->modern.part_count; p++) {
        const struct consumer_group_describe_response *r = admin_consumer_group_describe_answer(&x->modern, p);
        if (r == NULL || r->groups_count != 1)
            continue;
        struct group *g = group_of(x, r->groups[0].group_id);
        if (g == NULL)
            continue;
        g->coordinator = x->modern.parts[p]->node_id;
        g->error = r->groups[0].error_code;
        g->words = r->groups[0].error_message;
        if (g->error == KERR_NONE)
            learn_modern(x, g, &r->groups[0]);
    }
}

/* ---- classic ones --------------------------------------------------------------------------------- */

static void ask_classic(struct cgroups *x)
{
    describe_groups_request_init(&x->ask_classic);
    x->ask_classic.groups = arena_take_array(&x->tool.arena, x->group_count + 1, sizeof(*x->ask_classic.groups));
    ASSERT(x->ask_classic.groups != NULL);
    for (uint32_t i = 0; i < x->group_count; i++) {
        int16_t error = x->groups[i].error;
        if (!x->groups[i].found &&
            (error == KERR_NONE || error == KERR_GROUP_ID_NOT_FOUND || error == KERR_UNSUPPORTED_VERSION))
            x->ask_classic.groups[x->ask_classic.groups_count++] = x->groups[i].name;
    }
}

/* What a classic member was given, in the consumers' own words: a version, and the message. */
static void learn_classic_spots(struct cgroups *x, struct spots *s, struct bytes b)
{
    struct consumer_protocol_assignment m;
    const struct message *message = &consumer_protocol_assignment_message;
    int16_t version;

    if (b.n < 2)
        return;
    version = (int16_t)(b.p[0] << 8 | b.p[1]);
    if (version > message->high)
        version = message->high;
    if (version < 0 || message_read(message, (struct bytes){b.p + 2, b.n - 2}, version, &x->tool.arena, &m) < 0)
        return; /* not of a consumer */
    for (int32_t i = 0; i < m.assigned_partitions_count; i++) {
        for (int32_t j = 0; j < m.assigned_partitions[i].partitions_count; j++)
            spot_learn(&x->tool.arena, s, m.assigned_partitions[i].topic, m.assigned_partitions[i].partitions[j]);
    }
    spots_sort(s);
}

static void learn_classic(struct cgroups *x, struct group *g, const struct describe_groups_response_groups *from)
{
    g->found = true;
    g->state = from->group_state;
    g->assignor = from->protocol_data;
    g->member_count = (uint32_t)from->members_count;
    g->members = arena_take_array(&x->tool.arena, g->member_count + 1, sizeof(*g->members));
    ASSERT(g->members != NULL);
    for (uint32_t i = 0; i < g->member_count; i++) {
        const struct describe_groups_response_groups_members *m = &from->members[i];
        g->members[i] = (struct member){.id = m->member_id,
                                        .instance = m->group_instance_id,
                                        .client = m->client_id,
                                        .host = m->client_host,
                                        .epoch = -1,
                                        .target_epoch = -1,
                                        .kind = -1};
        learn_classic_spots(x, &g->members[i].assigned, m->member_assignment);
    }
}

static void take_classic(struct cgroups *x)
{
    for (uint32_t p = 0; p < x->classic.part_count; p++) {
        const struct describe_groups_response *r = admin_describe_groups_answer(&x->classic, p);
        if (r == NULL || r->groups_count != 1)
            continue;
        struct group *g = group_of(x, r->groups[0].group_id);
        if (g == NULL)
            continue;
        g->coordinator = x->classic.parts[p]->node_id;
        g->error = r->groups[0].error_code;
        g->words = r->groups[0].error_message;
        if (g->error == KERR_NONE && str_equal(r->groups[0].group_state, STR("Dead")))
            g->error = KERR_GROUP_ID_NOT_FOUND; /* so brokers before 4.0 say that there is none */
        if (g->error == KERR_NONE)
            learn_classic(x, g, &r->groups[0]);
    }
}

/* ---- the flow --------------------------------------------------------------------------------------- */

/* Trouble other than that a broker does not speak the newer API. */
static bool has_trouble(const struct admin_call *call, int64_t result)
{
    for (uint32_t p = 0; p < call->part_count; p++) {
        if (call->parts[p]->trouble < 0 && call->parts[p]->trouble != ERR_VERSION)
            return true;
    }
    return result < 0 && call->part_count == 0;
}

static void load_run(struct flow *f)
{
    struct cgroups *x = container_of(f, struct cgroups, load);

    FLOW_BEGIN(f);
    if (!given(&x->tool, CG_GROUP)) {
        list_groups_request_init(&x->ask_list);
        FLOW_WAIT(f, "names", admin_list_groups(x->tool.admin, &x->list, &x->ask_list, &f->op));
        f->result = f->result < 0 ? call_trouble(&x->tool, &x->list) : take_listed(x);
    } else {
        take_named(x);
        FLOW_WAIT(f, "words", io_yield(x->tool.io, &f->op));
    }
    if (f->result < 0 || x->action == CG_LIST || x->group_count == 0)
        goto ended;
    ask_modern(x);
    FLOW_WAIT(f, "groups", admin_consumer_group_describe(x->tool.admin, &x->modern, &x->ask_modern, &f->op));
    if (has_trouble(&x->modern, f->result)) {
        f->result = call_trouble(&x->tool, &x->modern);
        goto ended;
    }
    take_modern(x);
    ask_classic(x);
    f->result = 0;
    if (x->ask_classic.groups_count > 0) {
        FLOW_WAIT(f, "classic groups", admin_describe_groups(x->tool.admin, &x->classic, &x->ask_classic, &f->op));
        if (f->result < 0)
            f->result = call_trouble(&x->tool, &x->classic);
        else
            take_classic(x);
    }
    FLOW_END(f);
ended:
    flow_done(f, f->result);
}

void cgroups_load(struct cgroups *x, struct op *op)
{
    flow_start(&x->load, load_run, op);
}
