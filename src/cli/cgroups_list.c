/* kafka-consumer-groups.sh --list, --delete. */
#include "cli/cgroups.h"

#include <stdarg.h>

/* ---- what is said --------------------------------------------------------------------------------- */

void cgroups_error(struct cgroups *x, const char *format, ...)
{
    struct text *out = x->tool.native ? &x->tool.cli->err : &x->tool.cli->out;
    va_list args;

    x->failures++;
    text_printf(out, "\nError: ");
    va_start(args, format);
    text_vprintf(out, format, args);
    va_end(args);
    text_printf(out, "\n");
}

void cgroups_say_state(struct cgroups *x, const struct group *g)
{
    struct text *err = &x->tool.cli->err;

    if (str_equal(g->state, STR("Stable")))
        return;
    if (str_equal(g->state, STR("Empty")))
        text_printf(err, "\nConsumer group '%.*s' has no active members.\n", STR_ARG(g->name));
    else
        text_printf(err, "\nWarning: Consumer group '%.*s' is rebalancing.\n", STR_ARG(g->name));
}

/* ---- list ------------------------------------------------------------------------------------------- */

static bool wanted(struct str list, struct str name)
{
    struct str part;

    if (list.n <= 0)
        return true;
    while (str_cut(&list, ',', &part)) {
        if (str_equal_nocase(str_trim(part), name))
            return true;
    }
    return false;
}

static struct str capital(struct tool *t, struct str s)
{
    return s.n <= 0 ? STR("") : arena_printf(&t->arena, "%c%.*s", s.p[0] & ~0x20, (int)s.n - 1, s.p + 1);
}

static void print_list(struct cgroups *x)
{
    static const struct column name = {"GROUP", .least = 25, .grows = true, .key = "group"};
    static const struct column type = {"TYPE", .least = 20, .grows = true, .key = "type"};
    static const struct column state = {"STATE", .least = 20, .grows = true, .key = "state"};
    struct tool *t = &x->tool;
    struct column columns[3] = {name};
    bool types = given(t, CG_TYPE) || t->native, states = given(t, CG_STATE) || t->native;
    uint32_t count = 1;

    if (types)
        columns[count++] = type;
    if (states)
        columns[count++] = state;
    if (count == 1)
        columns[0].least = 0, columns[0].grows = false;
    table_begin(&x->table, &t->arena, columns, count);
    for (uint32_t i = 0; i < x->group_count; i++) {
        const struct group *g = &x->groups[i];
        struct str cells[3] = {g->name};
        if (!wanted(value_of(t, CG_STATE), g->state) || !wanted(value_of(t, CG_TYPE), g->type))
            continue;
        if (types)
            cells[1] = capital(t, g->type);
        if (states)
            cells[count - 1] = g->state;
        table_row(&x->table, cells);
    }
    if (given(t, CG_JSON))
        table_json(&x->table, &t->cli->out);
    else
        table_print(&x->table, " ", "", count > 1, &t->cli->out);
}

void cgroups_list_run(struct flow *f)
{
    struct cgroups *x = container_of(f, struct cgroups, tool.work);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "groups", cgroups_load(x, &f->op));
    if (f->result == 0)
        print_list(x);
    FLOW_END(f);
    flow_done(f, f->result);
}

/* ---- delete ----------------------------------------------------------------------------------------- */

static void ask_delete(struct cgroups *x)
{
    delete_groups_request_init(&x->ask_delete);
    x->ask_delete.groups_names =
        arena_take_array(&x->tool.arena, x->group_count + 1, sizeof(*x->ask_delete.groups_names));
    ASSERT(x->ask_delete.groups_names != NULL);
    for (uint32_t i = 0; i < x->group_count; i++)
        x->ask_delete.groups_names[x->ask_delete.groups_names_count++] = x->groups[i].name;
}

static void print_deleted(struct cgroups *x)
{
    struct text *out = &x->tool.cli->out, done = {0}, failed = {0};

    for (uint32_t p = 0; p < x->tool.call.part_count; p++) {
        const struct delete_groups_response *r = admin_delete_groups_answer(&x->tool.call, p);
        for (int32_t i = 0; r != NULL && i < r->results_count; i++) {
            const struct delete_groups_response_results *g = &r->results[i];
            struct str words = answer_words(g->error_code, g->error_message);
            if (g->error_code == KERR_NONE)
                text_printf(&done, "%s'%.*s'", done.n > 0 ? ", " : "", STR_ARG(g->group_id));
            else
                text_printf(&failed, "\n* Group '%.*s' could not be deleted due to: %.*s", STR_ARG(g->group_id),
                            STR_ARG(words));
        }
    }
    if (failed.n == 0) {
        text_printf(out, "Deletion of requested consumer groups (%.*s) was successful.\n", STR_ARG(text_str(&done)));
    } else {
        cgroups_error(x, "Deletion of some consumer groups failed:%.*s", STR_ARG(text_str(&failed)));
        if (done.n > 0)
            text_printf(out, "\nThese consumer groups were deleted successfully: %.*s\n", STR_ARG(text_str(&done)));
    }
    text_deinit(&done);
    text_deinit(&failed);
}

void cgroups_delete_run(struct flow *f)
{
    struct cgroups *x = container_of(f, struct cgroups, tool.work);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "groups", cgroups_load(x, &f->op));
    if (f->result == 0) {
        ask_delete(x);
        FLOW_WAIT(f, "delete", admin_delete_groups(x->tool.admin, &x->tool.call, &x->ask_delete, &f->op));
        if (f->result < 0)
            f->result = call_trouble(&x->tool, &x->tool.call);
        else
            print_deleted(x);
    }
    FLOW_END(f);
    flow_done(f, f->result < 0 ? f->result : x->tool.native && x->failures > 0);
}
