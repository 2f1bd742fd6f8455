/* `millrace cluster balance` and `decommission`: partitions move, and somebody watches. */
#include "cli/cluster.h"

#include <errno.h>

#define TIMEOUT_MS 60000
#define POLL_MS 500
/* A broker hears of what is done a moment later than the controller. */
#define LATE_POLLS_MAX 20

/* ---- progress ---------------------------------------------------------------------------------
 */

static void flush(struct cluster *x)
{
    if (x->tool.cli->flush != NULL)
        (void)x->tool.cli->flush(x->tool.cli);
}

static void show(struct cluster *x)
{
    if (!x->tool.cli->err_is_terminal)
        return;
    text_printf(&x->tool.cli->err, "\r%u of %u partitions have moved\033[K", x->moves.count - x->left, x->moves.count);
    flush(x);
}

static void show_end(struct cluster *x)
{
    if (x->tool.cli->err_is_terminal)
        text_printf(&x->tool.cli->err, "\r\033[K");
}

static struct str replicas_text(struct cluster *x, const struct placement *p)
{
    return ids_join(&x->tool.arena, p->replicas, p->replica_count);
}

static void print_moves(struct cluster *x)
{
    static const struct column columns[] = {
        {"TOPIC", .grows = true, .key = "topic"},
        {"PARTITION", .grows = true, .key = "partition", .number = true},
        {"REPLICAS", .grows = true, .key = "replicas"},
        {"TO", .grows = true, .key = "to"},
    };
    struct tool *t = &x->tool;

    table_begin(&x->table, &t->arena, columns, array_count(columns));
    for (uint32_t i = 0; i < x->moves.count; i++) {
        const struct placement *to = &x->moves.all[i], *is = placements_find(&x->now, to->topic, to->partition);
        table_row(&x->table, (struct str[]){to->topic, arena_printf(&t->arena, "%d", to->partition),
                                            replicas_text(x, is), replicas_text(x, to)});
    }
    if (given(t, CL_JSON))
        table_json(&x->table, &t->cli->out);
    else if (x->moves.count > 0)
        table_show(&x->table, t);
}

/* Says what is to be done. The moves' text and arrays outlive the look that they were made of. */
static void begin_moves(struct cluster *x)
{
    uint32_t copies = placements_copies(&x->now, &x->moves);

    print_moves(x);
    for (uint32_t i = 0; i < x->moves.count; i++)
        x->moves.all[i].topic = arena_str(x->moves.arena, x->moves.all[i].topic);
    if (!given(&x->tool, CL_JSON))
        text_printf(&x->tool.cli->out, "%u partition%s to move, %u replica%s to copy.\n", x->moves.count,
                    x->moves.count == 1 ? "" : "s", copies, copies == 1 ? "" : "s");
    flush(x);
}

/* ---- moves ------------------------------------------------------------------------------------
 */

static int alter_answer(struct cluster *x)
{
    const struct alter_partition_reassignments_response *r =
        admin_alter_partition_reassignments_answer(&x->tool.call, 0);

    if (r->error_code != KERR_NONE)
        return answer_fails(&x->tool, r->error_code, r->error_message);
    for (int32_t t = 0; t < r->responses_count; t++) {
        for (int32_t i = 0; i < r->responses[t].partitions_count; i++) {
            const struct alter_partition_reassignments_response_responses_partitions *p =
                &r->responses[t].partitions[i];
            struct str words = answer_words(p->error_code, p->error_message);
            if (p->error_code != KERR_NONE)
                return fail_set(&x->tool.fail, -EPROTO, "%.*s-%d does not move: %.*s", STR_ARG(r->responses[t].name),
                                p->partition_index, STR_ARG(words));
        }
    }
    return 0;
}

static int moving_answer(struct cluster *x)
{
    const struct list_partition_reassignments_response *r = admin_list_partition_reassignments_answer(&x->tool.call, 0);

    if (r->error_code != KERR_NONE)
        return answer_fails(&x->tool, r->error_code, r->error_message);
    x->left = 0;
    for (uint32_t i = 0; i < x->moves.count; i++)
        x->left += moving_find(r, x->moves.all[i].topic, x->moves.all[i].partition) != NULL;
    return 0;
}

/* The broker that was asked has heard of all moves. Topics that are gone have moved, too. */
static bool are_known(const struct cluster *x)
{
    for (uint32_t i = 0; i < x->moves.count; i++) {
        const struct placement *to = &x->moves.all[i], *is = placements_find(&x->now, to->topic, to->partition);
        if (is != NULL && (is->replica_count != to->replica_count ||
                           memcmp(is->replicas, to->replicas, to->replica_count * sizeof(*to->replicas)) != 0))
            return false;
    }
    return true;
}

static void make_requests(struct cluster *x)
{
    placements_alter(&x->moves, &x->alter);
    x->alter.timeout_ms = TIMEOUT_MS;
    elect_leaders_request_init(&x->elect);
    x->elect.timeout_ms = TIMEOUT_MS;
    placements_elect(&x->moves, &x->elect);
    x->left = x->moves.count;
    x->polls = 0;
}

static struct throttles *throttles_of(struct cluster *x)
{
    x->throttles = (struct throttles){
        .tool = &x->tool,
        .quiet = true,
        .rate = x->throttle,
        .dirs_rate = -1,
        .moving = admin_list_partition_reassignments_answer(&x->moving, 0),
        .nodes = admin_describe_cluster_answer(&x->nodes, 0),
        .asked = &x->moves,
        .current = &x->now,
    };
    return &x->throttles;
}

/* Of x->paced: make x->moves, and have the first replicas lead. */
static void moves_run(struct flow *f)
{
    struct cluster *x = container_of(f, struct cluster, paced);
    struct tool *t = &x->tool;

    FLOW_BEGIN(f);
    make_requests(x);
    FLOW_WAIT(f, "begin", admin_alter_partition_reassignments(t->admin, &t->call, &x->alter, &f->op));
    f->result = f->result < 0 ? call_trouble(t, &t->call) : alter_answer(x);
    admin_call_release(&t->call);
    while (f->result == 0 && x->left > 0) {
        show(x);
        FLOW_WAIT(f, "pause", tool_pause(t, POLL_MS, &f->op));
        FLOW_WAIT(f, "how far", admin_list_partition_reassignments(t->admin, &t->call, &x->ask_moving, &f->op));
        f->result = f->result < 0 ? call_trouble(t, &t->call) : moving_answer(x);
        admin_call_release(&t->call);
    }
    show_end(x);
    if (f->result < 0)
        goto failed;
    do {
        FLOW_TRY(f, "look", flow_start(&x->look, cluster_look_run, &f->op));
        if (are_known(x) || ++x->polls == LATE_POLLS_MAX)
            break;
        FLOW_WAIT(f, "pause", tool_pause(t, POLL_MS, &f->op));
    } while (true);
    /* A leader that is not the preferred one is no failure: where it is away, it is elected when it
     * comes back. */
    FLOW_WAIT(f, "leaders", admin_elect_leaders(t->admin, &t->call, &x->elect, &f->op));
    f->result = f->result < 0 ? call_trouble(t, &t->call) : 0;
    admin_call_release(&t->call);
    FLOW_END(f);
failed:
    flow_done(f, f->result);
}

/* Of x->part: the same, no faster than --throttle. What went wrong with the moves matters more than what is left of the
 * throttles. */
static void paced_run(struct flow *f)
{
    struct cluster *x = container_of(f, struct cluster, part);

    FLOW_BEGIN(f);
    if (x->throttle > 0)
        FLOW_TRY(f, "throttles", flow_start(&throttles_of(x)->flow, throttles_set_run, &f->op));
    FLOW_WAIT(f, "moves", flow_start(&x->paced, moves_run, &f->op));
    x->error = (int)f->result;
    if (x->throttle > 0)
        FLOW_WAIT(f, "no more throttles", flow_start(&throttles_of(x)->flow, throttles_clear_run, &f->op));
    if (x->error < 0)
        f->result = x->error;
    FLOW_END(f);
failed:
    flow_done(f, f->result);
}

/* Of x->part: look, once nothing moves any more that others have begun; or that was begun by one that was interrupted.
 * The throttles that that one has left go the first time. */
static void settle_run(struct flow *f)
{
    struct cluster *x = container_of(f, struct cluster, part);
    struct tool *t = &x->tool;

    FLOW_BEGIN(f);
    FLOW_TRY(f, "look", flow_start(&x->look, cluster_look_run, &f->op));
    while (x->in_flight > 0 && !given(t, CL_DRY_RUN)) {
        if (t->cli->err_is_terminal)
            text_printf(&t->cli->err, "\r%u partitions are moving already\033[K", x->in_flight);
        flush(x);
        FLOW_WAIT(f, "pause", tool_pause(t, POLL_MS, &f->op));
        FLOW_TRY(f, "look again", flow_start(&x->look, cluster_look_run, &f->op));
    }
    show_end(x);
    if (x->throttle > 0 && !x->settled && !given(t, CL_DRY_RUN))
        FLOW_TRY(f, "old throttles", flow_start(&throttles_of(x)->flow, throttles_clear_run, &f->op));
    x->settled = true;
    FLOW_END(f);
failed:
    flow_done(f, f->result);
}

/* ---- balance ----------------------------------------------------------------------------------
 */

static void plan_balance(struct cluster *x)
{
    x->moves = (struct placements){.arena = &x->tool.arena};
    placements_balance(&x->now, x->places, x->place_count, &x->moves);
    begin_moves(x);
}

void cluster_balance_run(struct flow *f)
{
    struct cluster *x = container_of(f, struct cluster, tool.work);
    struct tool *t = &x->tool;

    FLOW_BEGIN(f);
    FLOW_TRY(f, "look", flow_start(&x->part, settle_run, &f->op));
    plan_balance(x);
    if (x->moves.count > 0 && !given(t, CL_DRY_RUN)) {
        FLOW_TRY(f, "moves", flow_start(&x->part, paced_run, &f->op));
        if (!given(t, CL_JSON))
            text_printf(&t->cli->out, "All of them have moved.\n");
    }
    FLOW_END(f);
failed:
    flow_done(f, f->result);
}

/* ---- decommission -----------------------------------------------------------------------------
 */

static int plan_leave(struct cluster *x)
{
    int32_t leaving = x->forget.broker_id;
    uint32_t n = 0;

    if (cluster_broker(x, leaving) == NULL)
        return fail_set(&x->tool.fail, -ENOENT, "there is no broker %d; `millrace cluster status` shows those that are",
                        leaving);
    for (uint32_t i = 0; i < x->place_count; i++) {
        if (x->places[i].id != leaving)
            x->places[n++] = x->places[i];
    }
    x->moves = (struct placements){.arena = &x->tool.arena};
    TRY(placements_leave(&x->now, x->places, n, leaving, &x->moves, &x->tool.fail));
    if (x->moves.count > 0 || given(&x->tool, CL_DRY_RUN))
        begin_moves(x);
    return 0;
}

/* Where nobody answers it is not known: what a broker holds does not depend on it. */
static void take_quorum(struct cluster *x, int64_t result)
{
    const struct describe_quorum_response *r = result < 0 ? NULL : admin_describe_quorum_answer(&x->tool.call, 0);
    const struct describe_quorum_response_topics_partitions *p =
        r != NULL && r->topics_count == 1 && r->topics[0].partitions_count == 1 ? &r->topics[0].partitions[0] : NULL;

    x->quorum_known = true;
    for (int32_t i = 0; p != NULL && i < p->current_voters_count; i++) {
        if (p->current_voters[i].replica_id != x->forget.broker_id)
            continue;
        x->is_voter = true;
        x->voter_directory = p->current_voters[i].replica_directory_id;
    }
}

/* A voter that is stopped counts as one that is down, for ever. */
static void tell_of_vote(struct cluster *x)
{
    struct text *out = &x->tool.cli->out;
    char id[UUID_TEXT_BYTES];

    if (!x->is_voter)
        return;
    text_printf(out, "Its controller is a voter of the quorum, and would be missed there: ");
    if (uuid_equal(x->voter_directory, (struct uuid){0}))
        text_printf(out, "the voters are those of controller.quorum.voters, and none can go before "
                         "`kafka-features.sh upgrade --feature kraft.version=1`.\n");
    else
        text_printf(out, "`millrace quorum remove -i %d -d %s` takes it out.\n", x->forget.broker_id,
                    uuid_text(x->voter_directory, id));
}

/* A broker that runs would not notice that it was forgotten: it is stopped first, by whoever has
 * started it. */
static bool is_stopped(struct cluster *x)
{
    const struct describe_cluster_response_brokers *b = cluster_broker(x, x->forget.broker_id);

    if (b == NULL || b->is_fenced)
        return true;
    if (!x->told) {
        tell_of_vote(x);
        text_printf(&x->tool.cli->out, "Broker %d holds no partition any more. Stop it; then it is unregistered.\n",
                    b->broker_id);
    }
    x->told = true;
    flush(x);
    return false;
}

static int forget_answer(struct cluster *x)
{
    const struct unregister_broker_response *r = admin_unregister_broker_answer(&x->tool.call, 0);

    if (r->error_code != KERR_NONE)
        return answer_fails(&x->tool, r->error_code, r->error_message);
    text_printf(&x->tool.cli->out, "Broker %d is no longer registered.\n", x->forget.broker_id);
    return 0;
}

void cluster_decommission_run(struct flow *f)
{
    struct cluster *x = container_of(f, struct cluster, tool.work);
    struct tool *t = &x->tool;

    FLOW_BEGIN(f);
    do { /* again, while it holds something: topics may be created meanwhile */
        FLOW_TRY(f, "look", flow_start(&x->part, settle_run, &f->op));
        if ((f->result = plan_leave(x)) < 0)
            goto failed;
        if (x->moves.count > 0 && !given(t, CL_DRY_RUN)) {
            FLOW_TRY(f, "moves", flow_start(&x->part, paced_run, &f->op));
        } else if (!given(t, CL_DRY_RUN) && !x->quorum_known) {
            cluster_ask_quorum(x);
            FLOW_WAIT(f, "quorum", admin_describe_quorum(t->admin, &t->call, &x->ask_quorum, &f->op));
            take_quorum(x, f->result);
            admin_call_release(&t->call);
        } else if (given(t, CL_DRY_RUN) || is_stopped(x)) {
            break;
        } else {
            FLOW_WAIT(f, "its end", tool_pause(t, POLL_MS, &f->op));
        }
    } while (true);
    if (!given(t, CL_DRY_RUN)) {
        FLOW_WAIT(f, "unregister", admin_unregister_broker(t->admin, &t->call, &x->forget, &f->op));
        f->result = f->result < 0 ? call_trouble(t, &t->call) : forget_answer(x);
    }
    FLOW_END(f);
failed:
    flow_done(f, f->result);
}
