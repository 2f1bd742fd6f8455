/* Partitions begin to move, or go back: --execute, --cancel. */
#include "cli/reassign.h"

#include <errno.h>

#define TIMEOUT_MS 60000

/* ---- what is refused --------------------------------------------------------------------------
 */

int reassign_check_asked(struct reassign *x)
{
    struct fail *fail = &x->tool.fail;
    const struct placement *twice = placements_twice(&x->asked);

    if (x->asked.count == 0)
        return fail_set(fail, -EINVAL, "Partition reassignment list cannot be empty");
    for (uint32_t i = 0; i < x->asked.count; i++) {
        if (x->asked.all[i].replica_count == 0)
            return fail_set(fail, -EINVAL, "Partition replica list cannot be empty");
    }
    if (twice != NULL)
        return fail_set(fail, -EINVAL, "Partition reassignment contains duplicate topic partitions: %.*s-%d",
                        STR_ARG(twice->topic), twice->partition);
    for (uint32_t i = 0; i < x->asked.count; i++) {
        const struct placement *p = &x->asked.all[i];
        for (uint32_t r = 1; r < p->replica_count; r++) {
            if (ids_contain(p->replicas, r, p->replicas[r]))
                return fail_set(fail, -EINVAL,
                                "Partition replica lists may not contain duplicate entries: "
                                "%.*s-%d contains multiple "
                                "entries for %d",
                                STR_ARG(p->topic), p->partition, p->replicas[r]);
        }
    }
    return 0;
}

static bool is_broker(const struct reassign *x, int32_t id)
{
    const struct describe_cluster_response *r = admin_describe_cluster_answer(&x->nodes, 0);

    for (int32_t i = 0; i < r->brokers_count; i++) {
        if (r->brokers[i].broker_id == id)
            return true;
    }
    return false;
}

/* What moves must exist, and where to. */
static int check_cluster(struct reassign *x)
{
    struct placements missing = {.arena = &x->tool.arena};

    if (!given(&x->tool, RP_ADDITIONAL) && reassign_moving_count(x) > 0)
        return terse_fails(x, -EBUSY,
                           "Cannot execute because there is an existing partition assignment.  Use --additional "
                           "to "
                           "override this and create a new partition assignment in addition to the existing one. "
                           "The "
                           "--additional flag can also be used to change the throttle by resubmitting the current "
                           "reassignment.");
    for (uint32_t i = 0; i < x->asked.count; i++) {
        for (uint32_t r = 0; r < x->asked.all[i].replica_count; r++) {
            if (!is_broker(x, x->asked.all[i].replicas[r]))
                return fail_set(&x->tool.fail, -EINVAL, "Unknown broker id %d", x->asked.all[i].replicas[r]);
        }
    }
    for (uint32_t i = 0; i < x->asked.count; i++) {
        const struct placement *p = &x->asked.all[i], *is = placements_find(&x->current, p->topic, p->partition);
        if (placements_find(&x->current, p->topic, 0) == NULL)
            return fail_set(&x->tool.fail, -EINVAL, "Topic %.*s not found.", STR_ARG(p->topic));
        *placements_add(is == NULL ? &missing : &x->now, p->topic, p->partition) = is == NULL ? *p : *is;
    }
    if (missing.count > 0)
        return fail_set(&x->tool.fail, -EINVAL, "Unable to find partition: %.*s",
                        STR_ARG(placements_names(&missing, ", ")));
    return 0;
}

/* ---- AlterPartitionReassignments
 * ------------------------------------------------------------------ */

static void make_alter(struct reassign *x, const struct placements *all)
{
    placements_alter(all, &x->alter);
    x->alter.timeout_ms = TIMEOUT_MS;
    x->alter.allow_replication_factor_change = !given(&x->tool, RP_SAME_FACTOR);
}

/* The partitions that were refused, a line each; `first` is the line before them. */
static int alter_answer(struct reassign *x, const char *first_of_one, const char *first_of_many)
{
    const struct alter_partition_reassignments_response *r =
        admin_alter_partition_reassignments_answer(&x->tool.call, 0);
    struct placements failed = {.arena = &x->tool.arena};
    struct text lines = {0};

    if (r->error_code != KERR_NONE)
        return answer_fails(&x->tool, r->error_code, r->error_message);
    for (uint32_t i = 0; i < (uint32_t)r->responses_count; i++) {
        for (int32_t k = 0; k < r->responses[i].partitions_count; k++) {
            const struct alter_partition_reassignments_response_responses_partitions *p =
                &r->responses[i].partitions[k];
            struct str words = answer_words(p->error_code, p->error_message);
            if (p->error_code == KERR_NONE)
                continue;
            placements_add(&failed, r->responses[i].name, p->partition_index);
            text_printf(&lines, "\n%.*s-%d: %.*s", STR_ARG(r->responses[i].name), p->partition_index, STR_ARG(words));
        }
    }
    int error = failed.count == 0 ? 0
                                  : terse_fails(x, -EPROTO, "%s%.*s", failed.count == 1 ? first_of_one : first_of_many,
                                                STR_ARG(text_str(&lines)));
    text_deinit(&lines);
    return error;
}

/* ---- execute ----------------------------------------------------------------------------------
 */

static void print_now(struct reassign *x)
{
    struct text *out = &x->tool.cli->out;

    dirs_name(x, &x->now);
    text_printf(out, "Current partition replica assignment\n\n");
    placements_print(&x->now, out);
    text_printf(out, "\n\nSave this to use as the --reassignment-json-file option during rollback\n");
    if (x->throttle >= 0 || x->dirs_throttle >= 0)
        text_printf(out, "Warning: You must run --verify periodically, until the reassignment "
                         "completes, to ensure the "
                         "throttle is removed.\n");
}

void reassign_execute_run(struct flow *f)
{
    struct reassign *x = container_of(f, struct reassign, tool.work);
    struct tool *t = &x->tool;

    FLOW_BEGIN(f);
    if ((f->result = check_cluster(x)) < 0)
        goto failed;
    dirs_take_targets(x, &x->now, true);
    FLOW_TRY(f, "where they are", flow_start(&x->part, dirs_look_run, &f->op));
    print_now(x);
    dirs_take_targets(x, &x->asked, false);
    FLOW_TRY(f, "throttles", flow_start(&reassign_throttles(x)->flow, throttles_set_run, &f->op));
    make_alter(x, &x->asked);
    FLOW_WAIT(f, "begin", admin_alter_partition_reassignments(t->admin, &t->call, &x->alter, &f->op));
    f->result = f->result < 0 ? call_trouble(t, &t->call)
                              : alter_answer(x, "Error reassigning partition(s):", "Error reassigning partition(s):");
    admin_call_release(&t->call);
    if (f->result < 0)
        goto failed;
    text_printf(&t->cli->out, "Successfully started partition reassignment%s for %.*s\n",
                x->asked.count == 1 ? "" : "s", STR_ARG(placements_names(&x->asked, ",")));
    for (uint32_t i = 0; i < x->target_count; i++)
        x->targets[i].chosen = true;
    FLOW_WAIT(f, "directories", flow_start(&x->part, dirs_move_run, &f->op));
    FLOW_END(f);
failed:
    flow_done(f, f->result);
}

/* ---- cancel -----------------------------------------------------------------------------------
 */

/* Those of the file that move. */
static uint32_t cancel_begin(struct reassign *x)
{
    for (uint32_t i = 0; i < x->asked.count; i++) {
        const struct placement *p = &x->asked.all[i];
        if (reassign_moving(x, p->topic, p->partition) != NULL)
            placements_add(&x->now, p->topic, p->partition);
    }
    make_alter(x, &x->now);
    return x->now.count;
}

/* Replicas that are on their way to another directory go back to where they are. */
static void cancel_moves(struct reassign *x)
{
    bool any = false;

    for (uint32_t i = 0; i < x->target_count; i++) {
        struct dir_target *d = &x->targets[i];
        d->chosen = !str_is_null(d->future);
        d->dir = d->current;
        any |= d->chosen;
    }
    if (!any) /* without an end of line, as Kafka's */
        text_printf(&x->tool.cli->out, "None of the specified partition moves are active.");
}

void reassign_cancel_run(struct flow *f)
{
    struct reassign *x = container_of(f, struct reassign, tool.work);
    struct tool *t = &x->tool;

    FLOW_BEGIN(f);
    if (cancel_begin(x) == 0) {
        text_printf(&t->cli->out, "None of the specified partition reassignments are active.\n");
    } else {
        FLOW_WAIT(f, "cancel", admin_alter_partition_reassignments(t->admin, &t->call, &x->alter, &f->op));
        f->result = f->result < 0 ? call_trouble(t, &t->call)
                                  : alter_answer(x, "Error cancelling partition reassignment for:",
                                                 "Error cancelling partition reassignments for:");
        admin_call_release(&t->call);
        if (f->result < 0)
            goto failed;
        text_printf(&t->cli->out, "Successfully cancelled partition reassignment%s for: %.*s\n",
                    x->now.count == 1 ? "" : "s", STR_ARG(placements_names(&x->now, ",")));
    }
    dirs_take_targets(x, &x->asked, false);
    FLOW_TRY(f, "directories", flow_start(&x->part, dirs_look_run, &f->op));
    cancel_moves(x);
    FLOW_TRY(f, "go back", flow_start(&x->part, dirs_move_run, &f->op));
    if (!given(t, RP_PRESERVE))
        FLOW_TRY(f, "throttles", flow_start(&reassign_throttles(x)->flow, throttles_clear_run, &f->op));
    FLOW_END(f);
failed:
    flow_done(f, f->result);
}
