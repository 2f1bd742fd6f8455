/* Replicas and the log directories of their brokers: where they lie, and moves to others. */
#include "cli/reassign.h"

#include <errno.h>
#include <stdlib.h>

#define PAUSE_MS 100
#define NS_PER_MS 1000000

static int compare_targets(const void *a, const void *b)
{
    const struct dir_target *x = a, *y = b;
    int order = (x->broker > y->broker) - (x->broker < y->broker);

    if (order == 0)
        order = str_compare(x->topic, y->topic);
    return order != 0 ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

void dirs_take_targets(struct reassign *x, const struct placements *of, bool all)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < of->count; i++)
        count += of->all[i].replica_count;
    x->target_count = 0;
    x->targets = arena_take_array(&x->tool.arena, count + 1, sizeof(*x->targets));
    ASSERT(x->targets != NULL);
    for (uint32_t i = 0; i < of->count; i++) {
        const struct placement *p = &of->all[i];
        for (uint32_t r = 0; r < p->replica_count; r++) {
            struct str dir = p->dirs == NULL ? STR_NULL : p->dirs[r];
            if (all || !str_is_null(dir))
                x->targets[x->target_count++] =
                    (struct dir_target){p->topic, p->partition, p->replicas[r], dir, STR_NULL, STR_NULL, false};
        }
    }
    if (x->target_count > 0)
        qsort(x->targets, x->target_count, sizeof(*x->targets), compare_targets);
}

static struct dir_target *find_target(struct reassign *x, struct str topic, int32_t partition, int32_t broker)
{
    struct dir_target key = {.broker = broker, .topic = topic, .partition = partition};

    return x->target_count == 0 ? NULL
                                : bsearch(&key, x->targets, x->target_count, sizeof(*x->targets), compare_targets);
}

void dirs_name(struct reassign *x, struct placements *of)
{
    for (uint32_t i = 0; i < of->count; i++) {
        struct placement *p = &of->all[i];
        struct str *dirs = arena_take_array(of->arena, p->replica_count + 1, sizeof(*dirs));
        ASSERT(dirs != NULL);
        for (uint32_t r = 0; r < p->replica_count; r++) {
            const struct dir_target *d = find_target(x, p->topic, p->partition, p->replicas[r]);
            dirs[r] = d == NULL ? STR_NULL : d->current;
        }
        p->dirs = dirs;
    }
}

/* ---- where they lie ---------------------------------------------------------------------------
 */

static void take_dir(struct reassign *x, const struct describe_log_dirs_response_results *dir, int32_t broker)
{
    for (int32_t t = 0; t < dir->topics_count; t++) {
        for (int32_t i = 0; i < dir->topics[t].partitions_count; i++) {
            const struct describe_log_dirs_response_results_topics_partitions *p = &dir->topics[t].partitions[i];
            struct dir_target *d = find_target(x, dir->topics[t].name, p->partition_index, broker);
            if (d != NULL)
                *(p->is_future_key ? &d->future : &d->current) = arena_str(&x->tool.arena, dir->log_dir);
        }
    }
}

static int look_answer(struct reassign *x)
{
    const struct describe_log_dirs_response *r = admin_describe_log_dirs_answer(&x->tool.call, 0);
    int32_t broker = x->targets[x->target_at].broker;

    if (r->error_code != KERR_NONE)
        return answer_fails(&x->tool, r->error_code, STR_NULL);
    for (int32_t i = 0; i < r->results_count; i++)
        take_dir(x, &r->results[i], broker);
    while (x->target_at < x->target_count && x->targets[x->target_at].broker == broker)
        x->target_at++;
    return 0;
}

void dirs_look_run(struct flow *f)
{
    struct reassign *x = container_of(f, struct reassign, part);
    struct tool *t = &x->tool;

    FLOW_BEGIN(f);
    describe_log_dirs_request_init(&x->ask_dirs);
    x->ask_dirs.topics_count = -1;
    x->target_at = 0;
    FLOW_WAIT(f, "begin", io_yield(t->io, &f->op));
    while (f->result == 0 && x->target_at < x->target_count) { /* once for each broker */
        t->call.to_node = true;
        t->call.node_id = x->targets[x->target_at].broker;
        FLOW_WAIT(f, "directories", admin_describe_log_dirs(t->admin, &t->call, &x->ask_dirs, &f->op));
        f->result = f->result < 0 ? call_trouble(t, &t->call) : look_answer(x);
        admin_call_release(&t->call);
        t->call.to_node = false;
    }
    FLOW_END(f);
    flow_done(f, f->result);
}

/* ---- moves ------------------------------------------------------------------------------------
 */

static void make_move(struct reassign *x, struct dir_target *d)
{
    alter_replica_log_dirs_request_init(&x->move);
    alter_replica_log_dirs_request_dirs_init(&x->move_dir);
    alter_replica_log_dirs_request_dirs_topics_init(&x->move_topic);
    x->move.dirs = &x->move_dir;
    x->move_dir.topics = &x->move_topic;
    x->move_topic.partitions = &d->partition;
    x->move.dirs_count = x->move_dir.topics_count = x->move_topic.partitions_count = 1;
    x->move_dir.path = d->dir;
    x->move_topic.name = d->topic;
}

static int move_answer(struct reassign *x, struct dir_target *d)
{
    const struct alter_replica_log_dirs_response *r = admin_alter_replica_log_dirs_answer(&x->tool.call, 0);

    if (r->results_count != 1 || r->results[0].partitions_count != 1)
        return fail_set(&x->tool.fail, -EPROTO,
                        "the answer to AlterReplicaLogDirs does not have the one partition that was asked for");
    int16_t error = r->results[0].partitions[0].error_code;
    if (error == KERR_REPLICA_NOT_AVAILABLE) /* it is not at that broker yet, which keeps in mind
                                                where it is to lie */
        return 0;
    if (error != KERR_NONE) {
        struct str words = answer_words(error, STR_NULL);
        return fail_set(&x->tool.fail, -EPROTO, "Failed to alter dir for %.*s-%d-%d: %.*s", STR_ARG(d->topic),
                        d->partition, d->broker, STR_ARG(words));
    }
    d->chosen = false;
    text_printf(&x->tool.cli->out,
                "Successfully started moving log directory to %.*s for replica %.*s-%d with broker %d \n",
                STR_ARG(d->dir), STR_ARG(d->topic), d->partition, d->broker);
    return 0;
}

static uint32_t chosen_count(const struct reassign *x)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < x->target_count; i++)
        count += x->targets[i].chosen;
    return count;
}

static int too_late(struct reassign *x)
{
    struct text names = {0};

    for (uint32_t i = 0; i < x->target_count; i++) {
        const struct dir_target *d = &x->targets[i];
        if (d->chosen)
            text_printf(&names, "%s%.*s-%d-%d", names.n == 0 ? "" : ",", STR_ARG(d->topic), d->partition, d->broker);
    }
    int error = terse_fails(x, -ETIMEDOUT, "Timed out before log directory move%s could be started for: %.*s",
                            chosen_count(x) == 1 ? "" : "s", STR_ARG(text_str(&names)));
    text_deinit(&names);
    return error;
}

void dirs_move_run(struct flow *f)
{
    struct reassign *x = container_of(f, struct reassign, part);
    struct tool *t = &x->tool;

    FLOW_BEGIN(f);
    x->deadline_ns = io_now_ns(t->io) + x->timeout_ms * NS_PER_MS;
    FLOW_WAIT(f, "begin", io_yield(t->io, &f->op));
    while (f->result == 0 && chosen_count(x) > 0) {
        for (x->target_at = 0; f->result == 0 && x->target_at < x->target_count; x->target_at++) {
            if (!x->targets[x->target_at].chosen)
                continue;
            make_move(x, &x->targets[x->target_at]);
            t->call.to_node = true;
            t->call.node_id = x->targets[x->target_at].broker;
            FLOW_WAIT(f, "move", admin_alter_replica_log_dirs(t->admin, &t->call, &x->move, &f->op));
            f->result = f->result < 0 ? call_trouble(t, &t->call) : move_answer(x, &x->targets[x->target_at]);
            admin_call_release(&t->call);
            t->call.to_node = false;
        }
        if (f->result < 0 || chosen_count(x) == 0)
            break;
        if (io_now_ns(t->io) >= x->deadline_ns)
            f->result = too_late(x);
        else
            FLOW_WAIT(f, "pause", tool_pause(t, PAUSE_MS, &f->op));
    }
    FLOW_END(f);
    flow_done(f, f->result);
}
