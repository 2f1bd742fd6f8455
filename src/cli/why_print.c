/* What `millrace why` has found. */
#include "cli/why.h"

static bool contains(const int32_t *ids, int32_t count, int32_t id)
{
    for (int32_t i = 0; i < count; i++) {
        if (ids[i] == id)
            return true;
    }
    return false;
}

static void add_ids(struct text *out, const int32_t *ids, int32_t count)
{
    text_printf(out, "[");
    for (int32_t i = 0; i < count; i++)
        text_printf(out, "%s%d", i == 0 ? "" : ",", ids[i]);
    text_printf(out, "]");
}

/* Of a replica that is not as it should be; NULL: it is. */
static const char *state_of(const struct why *x, const struct why_node *n)
{
    if (!n->is_broker)
        return "not registered";
    if (n->is_fenced)
        return "fenced";
    if (contains(x->p->offline_replicas, x->p->offline_replicas_count, n->id))
        return "without its log directory";
    if (!contains(x->p->isr_nodes, x->p->isr_nodes_count, n->id))
        return "not in sync";
    return NULL;
}

/* ---- for eyes ------------------------------------------------------------------------------------- */

/* Nobody leads: who could, and what else there is to do. */
static void print_way_out(const struct why *x, struct text *out)
{
    const int32_t *ids = x->p->isr_nodes;
    int32_t count = x->p->isr_nodes_count;

    if (count <= 0) {
        ids = x->p->eligible_leader_replicas;
        count = x->p->eligible_leader_replicas_count;
    }
    if (count <= 0) {
        ids = x->p->last_known_elr;
        count = x->p->last_known_elr_count;
    }
    if (count > 0) {
        text_printf(out, "All its records are with ");
        add_ids(out, ids, count);
        text_printf(out, ": start %s again, and it is led. ", count == 1 ? "that broker" : "one of these brokers");
    } else {
        text_printf(out, "Nobody is known to have all its records. ");
    }
    text_printf(out, "Another replica may lead, and lack records, where an operator wants it (kafka-leader-election.sh "
                     "--election-type unclean).\n");
}

static void print_state(const struct why *x, struct text *out)
{
    if (x->p->leader_id >= 0)
        text_printf(out, "%.*s-%d is led by broker %d in epoch %d. ", STR_ARG(x->topic), x->partition, x->p->leader_id,
                    x->p->leader_epoch);
    else
        text_printf(out, "%.*s-%d is offline: nobody leads since epoch %d began. ", STR_ARG(x->topic), x->partition,
                    x->p->leader_epoch);
    text_printf(out, "Its replicas are ");
    add_ids(out, x->p->replica_nodes, x->p->replica_nodes_count);
    text_printf(out, ", its ISR is ");
    add_ids(out, x->p->isr_nodes, x->p->isr_nodes_count);
    if (x->p->eligible_leader_replicas_count > 0) {
        text_printf(out, ", eligible besides are ");
        add_ids(out, x->p->eligible_leader_replicas, x->p->eligible_leader_replicas_count);
    }
    if (x->p->last_known_elr_count > 0) {
        text_printf(out, ", the last to lead was ");
        add_ids(out, x->p->last_known_elr, x->p->last_known_elr_count);
    }
    text_printf(out, ".\n");
    for (uint32_t i = 0; i < x->count; i++) {
        const char *state = x->nodes[i].is_replica ? state_of(x, &x->nodes[i]) : NULL;
        if (state != NULL)
            text_printf(out, "Broker %d is %s.\n", x->nodes[i].id, state);
    }
    if (x->p->leader_id < 0)
        print_way_out(x, out);
}

/* The largest unit that leaves two digits. */
static struct str age(struct arena *a, int64_t ms)
{
    int64_t s = ms / 1000;

    if (s < 120)
        return arena_printf(a, "%" PRId64 " s ago", s);
    if (s < 120 * 60)
        return arena_printf(a, "%" PRId64 " min ago", s / 60);
    return arena_printf(a, "%" PRId64 " h ago", s / 3600);
}

static void print_causes(struct why *x, struct text *out)
{
    static const struct column columns[] = {
        {"WHEN", .grows = true}, {"NODE", .grows = true}, {"WHAT", .grows = false}};
    struct arena *a = &x->tool.arena;
    struct table table;

    if (x->cause_count == 0) {
        text_printf(out, "No node that was asked knows of a change.\n");
        return;
    }
    table_begin(&table, a, columns, array_count(columns));
    for (uint32_t i = 0; i < x->cause_count; i++)
        table_row(&table, (struct str[]){age(a, x->causes[i].ago_ms), arena_printf(a, "%d", x->causes[i].node),
                                         x->causes[i].words});
    text_printf(out, "\n");
    table_print(&table, "  ", "", true, out);
}

static const char *part_of(const struct why_node *n)
{
    return n->is_replica ? "Broker" : "Controller";
}

/* Advice may be a question. */
static const char *stop_of(struct str words)
{
    return words.n > 0 && words.p[words.n - 1] == '?' ? "" : ".";
}

static void print_unasked(const struct why *x, struct text *out)
{
    bool first = true;

    for (uint32_t i = 0; i < x->count; i++) {
        const struct why_node *n = &x->nodes[i];
        if (str_is_null(n->unasked))
            continue;
        text_printf(out, "%s%s %d%s%.*s%s %s: %.*s%s\n", first ? "\n" : "", part_of(n), n->id,
                    str_is_null(n->at) ? "" : " (", STR_ARG(n->at), str_is_null(n->at) ? "" : ")",
                    n->keeps_none ? "knows nothing of it" : "could not be asked", STR_ARG(n->unasked),
                    stop_of(n->unasked));
        first = false;
    }
    if (!str_is_null(x->quorum_trouble))
        text_printf(out, "%sThe controllers could not be asked: %.*s.\n", first ? "\n" : "", STR_ARG(x->quorum_trouble));
}

/* ---- as JSON -------------------------------------------------------------------------------------- */

static void add_list(struct text *out, const char *name, const int32_t *ids, int32_t count)
{
    text_printf(out, ", \"%s\": ", name);
    add_ids(out, ids, count > 0 ? count : 0);
}

static void print_json(const struct why *x, struct text *out)
{
    bool first = true;

    text_printf(out, "{\"topic\": ");
    text_add_json(out, x->topic);
    text_printf(out, ", \"partition\": %d, \"leader\": %d, \"leader_epoch\": %d", x->partition, x->p->leader_id,
                x->p->leader_epoch);
    add_list(out, "replicas", x->p->replica_nodes, x->p->replica_nodes_count);
    add_list(out, "isr", x->p->isr_nodes, x->p->isr_nodes_count);
    add_list(out, "eligible", x->p->eligible_leader_replicas, x->p->eligible_leader_replicas_count);
    add_list(out, "last_eligible", x->p->last_known_elr, x->p->last_known_elr_count);
    text_printf(out, ",\n \"troubled\": [");
    for (uint32_t i = 0; i < x->count; i++) {
        const char *state = x->nodes[i].is_replica ? state_of(x, &x->nodes[i]) : NULL;
        if (state == NULL)
            continue;
        text_printf(out, "%s{\"broker\": %d, \"state\": \"%s\"}", first ? "" : ", ", x->nodes[i].id, state);
        first = false;
    }
    text_printf(out, "],\n \"causes\": [");
    for (uint32_t i = 0; i < x->cause_count; i++) {
        text_printf(out, "%s\n  {\"ago_ms\": %" PRId64 ", \"node\": %d, \"words\": ", i == 0 ? "" : ",", x->causes[i].ago_ms,
                    x->causes[i].node);
        text_add_json(out, x->causes[i].words);
        text_printf(out, "}");
    }
    text_printf(out, "],\n \"not_asked\": [");
    first = true;
    for (uint32_t i = 0; i < x->count; i++) {
        if (str_is_null(x->nodes[i].unasked))
            continue;
        text_printf(out, "%s{\"node\": %d, \"reason\": ", first ? "" : ", ", x->nodes[i].id);
        text_add_json(out, x->nodes[i].unasked);
        text_printf(out, "}");
        first = false;
    }
    text_printf(out, "]");
    if (!str_is_null(x->quorum_trouble)) {
        text_printf(out, ",\n \"controllers_not_asked\": ");
        text_add_json(out, x->quorum_trouble);
    }
    text_printf(out, "}\n");
}

void why_print(struct why *x)
{
    struct text *out = &x->tool.cli->out;

    if (given(&x->tool, WHY_JSON)) {
        print_json(x, out);
        return;
    }
    print_state(x, out);
    print_causes(x, out);
    print_unasked(x, out);
}
