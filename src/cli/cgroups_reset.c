/* kafka-consumer-groups.sh --reset-offsets. */
#include "cli/cgroups.h"

#include "log/log.h"

#include <errno.h>
#include <stdlib.h>

#define FILE_BYTES_MAX (16 << 20)

enum { TIME_LATEST = -1, TIME_EARLIEST = -2 };

/* ---- targets -------------------------------------------------------------------------------------- */

/* The partitions of group `g` that are meant, into its spots: committed ones keep what is known of them. */
static void scope_group(struct cgroups *x, struct group *g)
{
    struct spots committed = g->spots;

    if (given(&x->tool, CG_ALL_TOPICS) && !given(&x->tool, CG_FILE))
        return;
    g->spots = (struct spots){0};
    for (uint32_t i = 0; i < x->plan.count; i++) {
        const struct spot *p = &x->plan.p[i], *known = spot_find(&committed, p->topic, p->partition);
        struct spot s = known == NULL ? *p : *known;
        if (x->plan_groups != NULL && !str_is_null(x->plan_groups[i]) && !str_equal(x->plan_groups[i], g->name))
            continue;
        s.target = p->target;
        spot_add(&x->tool.arena, &g->spots, s);
    }
    spots_sort(&g->spots);
}

/* Where the records at that time begin: what --to-datetime and --by-duration ask for. */
static int64_t wanted_time(struct cgroups *x)
{
    if (given(&x->tool, CG_DURATION))
        return io_wall_ms(x->tool.io) - x->number;
    return given(&x->tool, CG_DATETIME) ? x->number : TIME_EARLIEST;
}

static void ask_logs(struct cgroups *x)
{
    struct spots all = {0};

    for (uint32_t g = 0; g < x->group_count; g++) {
        for (uint32_t i = 0; i < x->groups[g].spots.count; i++)
            spot_add(&x->tool.arena, &all, x->groups[g].spots.p[i]);
    }
    spots_sort(&all);
    spots_ask(&x->tool.arena, &all, TIME_LATEST, &x->ask_ends);
    spots_ask(&x->tool.arena, &all, wanted_time(x), &x->ask_starts);
}

static int64_t clipped(const struct spot *s, int64_t offset)
{
    return offset < s->start ? s->start : offset > s->end ? s->end : offset;
}

static int aim(struct cgroups *x, struct spot *s)
{
    const struct tool *t = &x->tool;
    bool by_time = given(t, CG_DATETIME) || given(t, CG_DURATION);

    if (given(t, CG_LATEST) || (by_time && s->start < 0))
        s->target = s->end;
    else if (given(t, CG_EARLIEST) || by_time)
        s->target = s->start;
    else if (given(t, CG_CURRENT))
        s->target = s->committed < 0 ? s->end : s->committed;
    else if (given(t, CG_OFFSET))
        s->target = clipped(s, x->number);
    else if (given(t, CG_FILE))
        s->target = clipped(s, s->target);
    else if (s->committed < 0)
        return wrong_words(&x->tool,
                           "Cannot shift offset for partition %.*s-%d since there is no current committed offset",
                           STR_ARG(s->topic), s->partition);
    else if (__builtin_add_overflow(s->committed, x->number, &s->target))
        s->target = x->number < 0 ? s->start : s->end;
    else
        s->target = clipped(s, s->target);
    if (by_time && s->start < 0)
        text_printf(&x->tool.cli->out,
                    "\nWarn: Partition %d from topic %.*s is empty. Falling back to latest known offset.\n",
                    s->partition, STR_ARG(s->topic));
    return 0;
}

static int take_logs(struct cgroups *x)
{
    int16_t error;

    for (uint32_t g = 0; g < x->group_count; g++) {
        for (uint32_t i = 0; i < x->groups[g].spots.count; i++) {
            struct spot *s = &x->groups[g].spots.p[i];
            s->end = spots_answer(&x->ends, s->topic, s->partition, &error);
            if (error == KERR_NONE)
                s->start = spots_answer(&x->starts, s->topic, s->partition, &error);
            if (error != KERR_NONE)
                return answer_fails(&x->tool, error,
                                    arena_printf(&x->tool.arena, "partition %.*s-%d: %s", STR_ARG(s->topic),
                                                 s->partition, kerr_name(error)));
            TRY(aim(x, s));
        }
    }
    return 0;
}

/* ---- commit --------------------------------------------------------------------------------------- */

static void make_commit(struct cgroups *x, const struct group *g)
{
    offset_commit_request_init(&x->commit);
    x->commit.group_id = g->name;
    x->commit.member_id = STR("");
    x->commit.topics = arena_take_array(&x->tool.arena, g->spots.count + 1, sizeof(*x->commit.topics));
    ASSERT(x->commit.topics != NULL);
    for (uint32_t i = 0; i < g->spots.count; i++) {
        const struct spot *s = &g->spots.p[i];
        struct offset_commit_request_topics *topic = &x->commit.topics[x->commit.topics_count];
        if (i > 0 && str_equal(topic[-1].name, s->topic)) {
            topic--;
        } else {
            offset_commit_request_topics_init(topic);
            topic->name = s->topic;
            topic->partitions = arena_take_array(&x->tool.arena, g->spots.count - i, sizeof(*topic->partitions));
            ASSERT(topic->partitions != NULL);
            x->commit.topics_count++;
        }
        struct offset_commit_request_topics_partitions *p = &topic->partitions[topic->partitions_count++];
        offset_commit_request_topics_partitions_init(p);
        p->partition_index = s->partition;
        p->committed_offset = s->target;
        p->committed_metadata = STR("");
    }
}

static int commit_answer(struct cgroups *x)
{
    const struct offset_commit_response *r = admin_offset_commit_answer(&x->tool.call, 0);

    for (int32_t t = 0; t < r->topics_count; t++) {
        for (int32_t p = 0; p < r->topics[t].partitions_count; p++) {
            if (r->topics[t].partitions[p].error_code != KERR_NONE)
                return answer_fails(&x->tool, r->topics[t].partitions[p].error_code, STR_NULL);
        }
    }
    return 0;
}

/* ---- what is shown ---------------------------------------------------------------------------------- */

/* Groups with members go out: their offsets are theirs to move. */
static void leave_out_active(struct cgroups *x)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < x->group_count; i++) {
        struct group *g = &x->groups[i];
        bool idle = !g->found || str_equal(g->state, STR("Empty")) || str_equal(g->state, STR("Dead"));
        if (idle)
            x->groups[kept++] = *g;
        else
            cgroups_error(
                x, "Assignments can only be reset if the group '%.*s' is inactive, but the current state is %.*s.",
                STR_ARG(g->name), STR_ARG(g->state));
    }
    x->group_count = kept;
}

static void print_csv(struct cgroups *x)
{
    struct text *out = &x->tool.cli->out;
    bool with_group = given(&x->tool, CG_ALL_GROUPS) || x->tool.found[CG_GROUP].count > 1;

    for (uint32_t g = 0; g < x->group_count; g++) {
        for (uint32_t i = 0; i < x->groups[g].spots.count; i++) {
            const struct spot *s = &x->groups[g].spots.p[i];
            if (with_group)
                text_printf(out, "%.*s,", STR_ARG(x->groups[g].name));
            text_printf(out, "%.*s,%d,%lld\n", STR_ARG(s->topic), s->partition, (long long)s->target);
        }
    }
    text_printf(out, "\n");
}

static void print_plan(struct cgroups *x)
{
    static const struct column columns[] = {
        {"GROUP", .least = 15, .grows = true, .key = "group"},
        {"TOPIC", .least = 15, .grows = true, .key = "topic"},
        {"PARTITION", .least = 10, .key = "partition", .number = true},
        {"NEW-OFFSET", .key = "new_offset", .number = true},
    };

    if (given(&x->tool, CG_EXPORT)) {
        print_csv(x);
        return;
    }
    table_begin(&x->table, &x->tool.arena, columns, array_count(columns));
    for (uint32_t g = 0; g < x->group_count; g++) {
        for (uint32_t i = 0; i < x->groups[g].spots.count; i++) {
            const struct spot *s = &x->groups[g].spots.p[i];
            table_row(&x->table,
                      (struct str[]){x->groups[g].name, s->topic, arena_printf(&x->tool.arena, "%d", s->partition),
                                     arena_printf(&x->tool.arena, "%lld", (long long)s->target)});
        }
    }
    if (given(&x->tool, CG_JSON)) {
        table_json(&x->table, &x->tool.cli->out);
        return;
    }
    text_printf(&x->tool.cli->out, "\n");
    table_print(&x->table, " ", "", true, &x->tool.cli->out);
}

/* ---- the flow --------------------------------------------------------------------------------------- */

static bool is_executed(const struct cgroups *x)
{
    return given(&x->tool, CG_EXECUTE) && !given(&x->tool, CG_DRY_RUN);
}

void cgroups_reset_run(struct flow *f)
{
    struct cgroups *x = container_of(f, struct cgroups, tool.work);

    FLOW_BEGIN(f);
    FLOW_TRY(f, "groups", cgroups_load(x, &f->op));
    leave_out_active(x);
    if (given(&x->tool, CG_FILE)) {
        x->file_path = str_dup(value_of(&x->tool, CG_FILE));
        FLOW_WAIT(f, "file", file_read_all(x->tool.io, x->file_path, FILE_BYTES_MAX, &x->file, &f->op));
        if (f->result < 0)
            fail_set(&x->tool.fail, (int)f->result, "cannot read %s: %s", x->file_path, error_text((int)f->result));
        if (f->result < 0 || (f->result = cgroups_take_file(x)) < 0)
            goto failed;
    } else if (given(&x->tool, CG_TOPIC)) {
        cgroups_ask_topics(x);
        FLOW_WAIT(f, "topics", admin_metadata(x->tool.admin, &x->topics, &x->ask_topics, &f->op));
        if ((f->result = f->result < 0 ? call_trouble(&x->tool, &x->topics) : cgroups_scope(x)) < 0)
            goto failed;
    }
    if (x->group_count > 0)
        FLOW_TRY(f, "offsets", cgroups_load_offsets(x, &f->op));
    for (x->at = 0; x->at < x->group_count; x->at++)
        scope_group(x, &x->groups[x->at]);
    ask_logs(x);
    if (x->ask_ends.topics_count > 0) {
        FLOW_WAIT(f, "ends", admin_list_offsets(x->tool.admin, &x->ends, &x->ask_ends, &f->op));
        if (f->result < 0 && (f->result = call_trouble(&x->tool, &x->ends)) < 0)
            goto failed;
        FLOW_WAIT(f, "starts", admin_list_offsets(x->tool.admin, &x->starts, &x->ask_starts, &f->op));
        if ((f->result = f->result < 0 ? call_trouble(&x->tool, &x->starts) : take_logs(x)) < 0)
            goto failed;
    }
    for (x->at = 0; x->at < x->group_count && is_executed(x); x->at++) {
        if (x->groups[x->at].spots.count == 0)
            continue;
        make_commit(x, &x->groups[x->at]);
        FLOW_WAIT(f, "commit", admin_offset_commit(x->tool.admin, &x->tool.call, &x->commit, &f->op));
        if ((f->result = f->result < 0 ? call_trouble(&x->tool, &x->tool.call) : commit_answer(x)) < 0)
            goto failed;
        admin_call_release(&x->tool.call);
    }
    print_plan(x);
    FLOW_END(f);
    flow_done(f, x->tool.native && x->failures > 0);
    return;
failed:
    flow_done(f, f->result);
}
