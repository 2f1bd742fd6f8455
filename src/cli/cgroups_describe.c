/* kafka-consumer-groups.sh --describe. */
#include "cli/cgroups.h"

#include <errno.h>
#include <stdlib.h>

static struct str or_dash(struct str s)
{
    return s.n <= 0 ? STR("-") : s;
}

static struct str number(struct cgroups *x, int64_t n)
{
    return n < 0 ? STR("-") : arena_printf(&x->tool.arena, "%lld", (long long)n);
}

/* Tables of all groups in one array of JSON, or each group's for itself. Ours are as narrow as their cells. */
static void begin_table(struct cgroups *x, struct column *columns, uint32_t count)
{
    for (uint32_t i = 0; x->tool.native && i + 1 < count; i++) {
        columns[i].least = 0;
        columns[i].grows = true;
    }
    if (!given(&x->tool, CG_JSON) || x->at == 0)
        table_begin(&x->table, &x->tool.arena, columns, count);
}

static void end_table(struct cgroups *x, const char *end, bool show)
{
    struct text *out = &x->tool.cli->out;

    if (given(&x->tool, CG_JSON) || !show)
        return;
    if (!x->tool.native || x->at > 0)
        text_printf(out, "\n");
    if (x->tool.native)
        table_show(&x->table, &x->tool);
    else
        table_print(&x->table, " ", end, true, out);
}

/* ---- offsets ---------------------------------------------------------------------------------- */

static const struct column offset_columns[] = {
    {"GROUP", .least = 15, .grows = true, .key = "group"},
    {"TOPIC", .least = 15, .grows = true, .key = "topic"},
    {"PARTITION", .least = 10, .key = "partition", .number = true},
    {"LEADER-EPOCH", .least = 15, .key = "leader_epoch", .number = true},
    {"CURRENT-OFFSET", .least = 15, .key = "current_offset", .number = true},
    {"LOG-END-OFFSET", .least = 15, .key = "log_end_offset", .number = true},
    {"LAG", .least = 15, .key = "lag", .number = true},
    {"CONSUMER-ID", .least = 15, .grows = true, .key = "consumer_id"},
    {"HOST", .least = 15, .grows = true, .key = "host"},
    {"CLIENT-ID", .key = "client_id"},
};
enum { OFFSET_EPOCH = 3, OFFSET_COUNT = 10 };

/* Without --verbose there is no column of epochs. */
static void offset_row(struct cgroups *x, const struct group *g, const struct spot *s, const struct member *m)
{
    struct str cells[OFFSET_COUNT] = {
        g->name,
        s->topic,
        number(x, s->partition),
        number(x, s->epoch),
        number(x, s->committed),
        number(x, s->end),
        s->committed < 0 || s->end < 0 ? STR("-")
                                       : arena_printf(&x->tool.arena, "%lld", (long long)(s->end - s->committed)),
        m == NULL ? STR("-") : or_dash(m->id),
        m == NULL ? STR("-") : or_dash(m->host),
        m == NULL ? STR("-") : or_dash(m->client),
    };

    if (!given(&x->tool, CG_VERBOSE))
        memmove(&cells[OFFSET_EPOCH], &cells[OFFSET_EPOCH + 1], (OFFSET_COUNT - 1 - OFFSET_EPOCH) * sizeof(*cells));
    table_row(&x->table, cells);
}

static int compare_members(const void *a, const void *b)
{
    const struct member *x = a, *y = b;

    if (x->assigned.count != y->assigned.count)
        return x->assigned.count < y->assigned.count ? 1 : -1; /* who has most, first */
    return str_compare(x->id, y->id);
}

static const struct member *holder(const struct group *g, const struct spot *s)
{
    for (uint32_t m = 0; m < g->member_count; m++) {
        if (spot_find(&g->members[m].assigned, s->topic, s->partition) != NULL)
            return &g->members[m];
    }
    return NULL;
}

/* Partitions of members, member by member, then those that nobody has. */
static void describe_offsets(struct cgroups *x, struct group *g)
{
    struct column *columns = x->columns;
    uint32_t count = 0;

    for (uint32_t i = 0; i < OFFSET_COUNT; i++) {
        if (i != OFFSET_EPOCH || given(&x->tool, CG_VERBOSE))
            columns[count++] = offset_columns[i];
    }
    begin_table(x, columns, count);
    for (uint32_t m = 0; m < g->member_count; m++) {
        for (uint32_t i = 0; i < g->members[m].assigned.count; i++) {
            const struct spot *a = &g->members[m].assigned.p[i], *s = spot_find(&g->spots, a->topic, a->partition);
            offset_row(x, g, s == NULL ? a : s, &g->members[m]);
        }
    }
    for (uint32_t i = 0; i < g->spots.count; i++) {
        if (holder(g, &g->spots.p[i]) == NULL)
            offset_row(x, g, &g->spots.p[i], NULL);
    }
    end_table(x, "", x->table.row_count > 0);
}

/* ---- members ------------------------------------------------------------------------------------ */

/* "topic:0,1;other:2" */
static struct str assignment(struct cgroups *x, const struct spots *s)
{
    struct str text = STR("");

    for (uint32_t i = 0; i < s->count; i++) {
        bool same = i > 0 && str_equal(s->p[i].topic, s->p[i - 1].topic);
        struct str topic = same ? STR("") : s->p[i].topic;
        text = arena_printf(&x->tool.arena, "%.*s%s%.*s%s%d", STR_ARG(text),
                            i == 0 ? ""
                            : same ? ","
                                   : ";",
                            STR_ARG(topic), same ? "" : ":", s->p[i].partition);
    }
    return or_dash(text);
}

static bool has_instances(const struct group *g)
{
    for (uint32_t m = 0; m < g->member_count; m++) {
        if (g->members[m].instance.n > 0)
            return true;
    }
    return false;
}

static void describe_members(struct cgroups *x, struct group *g)
{
    static const struct column names[] = {
        {"GROUP", .least = 15, .grows = true, .key = "group"},
        {"CONSUMER-ID", .least = 15, .grows = true, .key = "consumer_id"},
        {"GROUP-INSTANCE-ID", .least = 17, .grows = true, .key = "group_instance_id"},
        {"HOST", .least = 15, .grows = true, .key = "host"},
        {"CLIENT-ID", .least = 15, .grows = true, .key = "client_id"},
        {"#PARTITIONS", .least = 15, .key = "partitions", .number = true},
        {"CURRENT-EPOCH", .least = 15, .key = "current_epoch", .number = true},
        {"CURRENT-ASSIGNMENT", .least = 20, .grows = true, .key = "current_assignment"},
        {"TARGET-EPOCH", .least = 15, .key = "target_epoch", .number = true},
        {"TARGET-ASSIGNMENT", .least = 20, .grows = true, .key = "target_assignment"},
    };
    struct column *columns = x->columns;
    bool verbose = given(&x->tool, CG_VERBOSE), instances = has_instances(g) || given(&x->tool, CG_JSON);
    uint32_t count = 0;

    for (uint32_t i = 0; i < (verbose ? array_count(names) : 6); i++) {
        if (i != 2 || instances)
            columns[count++] = names[i];
    }
    begin_table(x, columns, count);
    for (uint32_t m = 0; m < g->member_count; m++) {
        const struct member *of = &g->members[m];
        struct str cells[array_count(names)] = {g->name,
                                                or_dash(of->id),
                                                or_dash(of->instance),
                                                or_dash(of->host),
                                                or_dash(of->client),
                                                number(x, of->assigned.count),
                                                number(x, of->epoch),
                                                assignment(x, &of->assigned),
                                                number(x, of->target_epoch),
                                                assignment(x, &of->target)};
        if (!instances)
            memmove(&cells[2], &cells[3], (array_count(names) - 3) * sizeof(*cells));
        table_row(&x->table, cells);
    }
    end_table(x, verbose ? "" : " ", true);
}

/* ---- state ---------------------------------------------------------------------------------------- */

static struct str coordinator(struct cgroups *x, const struct group *g)
{
    const struct metadata_response *m = admin_metadata_answer(&x->topics, 0);

    for (int32_t i = 0; i < m->brokers_count; i++) {
        if (m->brokers[i].node_id == g->coordinator)
            return arena_printf(&x->tool.arena, "%.*s:%d  (%d)", STR_ARG(m->brokers[i].host), m->brokers[i].port,
                                g->coordinator);
    }
    return arena_printf(&x->tool.arena, "(%d)", g->coordinator);
}

static void describe_state(struct cgroups *x, struct group *g)
{
    static const struct column names[] = {
        {"GROUP", .least = 15, .grows = true, .key = "group"},
        {"COORDINATOR (ID)", .least = 25, .grows = true, .key = "coordinator"},
        {"ASSIGNMENT-STRATEGY", .least = 20, .key = "assignment_strategy"},
        {"STATE", .least = 20, .key = "state"},
        {"GROUP-EPOCH", .least = 15, .key = "group_epoch", .number = true},
        {"TARGET-ASSIGNMENT-EPOCH", .least = 25, .key = "target_assignment_epoch", .number = true},
        {"#MEMBERS", .key = "members", .number = true},
    };
    struct column *columns = x->columns;
    bool verbose = given(&x->tool, CG_VERBOSE);
    uint32_t count = 0;

    for (uint32_t i = 0; i < array_count(names); i++) {
        if (verbose || (i != 4 && i != 5))
            columns[count++] = names[i];
    }
    begin_table(x, columns, count);
    struct str cells[array_count(names)] = {g->name,
                                            coordinator(x, g),
                                            or_dash(g->assignor),
                                            g->state,
                                            number(x, g->epoch),
                                            number(x, g->assignment_epoch),
                                            number(x, g->member_count)};
    if (!verbose)
        cells[4] = cells[6];
    table_row(&x->table, cells);
    end_table(x, "", true);
}

/* ---- the flow --------------------------------------------------------------------------------------- */

static int all_found(struct cgroups *x)
{
    for (uint32_t i = 0; i < x->group_count; i++) {
        const struct group *g = &x->groups[i];
        if (g->found)
            continue;
        if (g->error == KERR_GROUP_ID_NOT_FOUND || g->error == KERR_NONE)
            return fail_set(&x->tool.fail, -EPROTO, "Group %.*s not found.", STR_ARG(g->name));
        return answer_fails(&x->tool, g->error, g->words);
    }
    return 0;
}

static void describe(struct cgroups *x)
{
    for (x->at = 0; x->at < x->group_count; x->at++) {
        struct group *g = &x->groups[x->at];
        qsort(g->members, g->member_count, sizeof(*g->members), compare_members);
        cgroups_say_state(x, g);
        if (given(&x->tool, CG_MEMBERS))
            describe_members(x, g);
        else if (given(&x->tool, CG_STATE))
            describe_state(x, g);
        else
            describe_offsets(x, g);
    }
    if (given(&x->tool, CG_JSON) && x->group_count == 0)
        text_printf(&x->tool.cli->out, "[]\n");
    else if (given(&x->tool, CG_JSON))
        table_json(&x->table, &x->tool.cli->out);
}

void cgroups_describe_run(struct flow *f)
{
    struct cgroups *x = container_of(f, struct cgroups, tool.work);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "groups", cgroups_load(x, &f->op));
    if (f->result == 0)
        f->result = all_found(x);
    if (f->result == 0 && x->group_count > 0 && !given(&x->tool, CG_MEMBERS) && !given(&x->tool, CG_STATE))
        FLOW_WAIT(f, "offsets", cgroups_load_offsets(x, &f->op));
    if (f->result == 0 && x->group_count > 0 && given(&x->tool, CG_STATE)) {
        metadata_request_init(&x->ask_topics); /* for the names of coordinators */
        x->ask_topics.allow_auto_topic_creation = false;
        FLOW_WAIT(f, "brokers", admin_metadata(x->tool.admin, &x->topics, &x->ask_topics, &f->op));
        if (f->result < 0)
            f->result = call_trouble(&x->tool, &x->topics);
    }
    if (f->result == 0)
        describe(x);
    FLOW_END(f);
    flow_done(f, f->result);
}
