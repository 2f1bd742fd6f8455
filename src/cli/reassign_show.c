/* What could be, what moves, how far it is: --generate, --list, --verify. */
#include "cli/reassign.h"

#include <errno.h>

/* ---- list -------------------------------------------------------------------------------------
 */

static void list_ids(struct reassign *x, const char *what, const int32_t *ids, int32_t count)
{
    if (count > 0)
        text_printf(&x->tool.cli->out, " %s: %.*s.", what, STR_ARG(ids_join(&x->tool.arena, ids, (uint32_t)count)));
}

void reassign_list(struct reassign *x)
{
    const struct list_partition_reassignments_response *r = admin_list_partition_reassignments_answer(&x->moving, 0);
    struct placements all = {.arena = &x->tool.arena};
    struct text *out = &x->tool.cli->out;

    for (int32_t t = 0; t < r->topics_count; t++) {
        for (int32_t i = 0; i < r->topics[t].partitions_count; i++)
            placements_add(&all, r->topics[t].name, r->topics[t].partitions[i].partition_index);
    }
    placements_sort(&all);
    text_printf(out, all.count == 0 ? "No partition reassignments found.\n" : "Current partition reassignments:\n");
    for (uint32_t i = 0; i < all.count; i++) {
        moving_ptr m = reassign_moving(x, all.all[i].topic, all.all[i].partition);
        text_printf(out, "%.*s-%d:", STR_ARG(all.all[i].topic), all.all[i].partition);
        list_ids(x, "replicas", m->replicas, m->replicas_count);
        list_ids(x, "adding", m->adding_replicas, m->adding_replicas_count);
        list_ids(x, "removing", m->removing_replicas, m->removing_replicas_count);
        text_printf(out, "\n");
    }
}

/* ---- generate ---------------------------------------------------------------------------------
 */

static void read_topic(struct json *j, struct placements *topics)
{
    struct str topic = STR_NULL;
    bool first = true;

    if (!json_enter(j, '{'))
        return;
    while (json_next(j, '}', &first)) {
        if (!str_equal(json_name(j), STR("topic")))
            json_skip(j);
        else if (json_text(topics->arena, json_string(j), &topic) < 0)
            j->wrong = true;
    }
    j->wrong |= str_is_null(topic);
    placements_add(topics, topic, 0);
}

static int read_topics(struct reassign *x, struct placements *topics)
{
    struct json j;
    bool first = true, first_topic = true;
    int64_t version = 1;

    json_begin(&j, text_str(&x->file));
    if (json_enter(&j, '{')) {
        while (json_next(&j, '}', &first)) {
            struct str name = json_name(&j);
            if (str_equal(name, STR("version"))) {
                version = json_number(&j);
            } else if (!str_equal(name, STR("topics"))) {
                json_skip(&j);
            } else if (json_enter(&j, '[')) {
                while (json_next(&j, ']', &first_topic))
                    read_topic(&j, topics);
            }
        }
    }
    if (!json_end(&j))
        return fail_set(&x->tool.fail, -EINVAL,
                        "The input string is not a valid JSON of topics: %s, byte %d. Expected is "
                        "{\"topics\": [{\"topic\": \"orders\"}], \"version\": 1}",
                        x->path, j.at);
    if (version != 1)
        return fail_set(&x->tool.fail, -EINVAL, "Not supported version field value %lld", (long long)version);
    placements_sort(topics);
    const struct placement *twice = placements_twice(topics);
    if (twice != NULL)
        return fail_set(&x->tool.fail, -EINVAL, "List of topics to reassign contains duplicate entries: [%.*s]",
                        STR_ARG(twice->topic));
    return 0;
}

/* The brokers of --broker-list that are there, by id. */
static int take_places(struct reassign *x, struct place **places, uint32_t *count)
{
    const struct describe_cluster_response *r = admin_describe_cluster_answer(&x->nodes, 0);
    struct str rest = value_of(&x->tool, RP_BROKERS), part;
    int32_t *ids = arena_take_array(&x->tool.arena, (size_t)rest.n + 1, sizeof(*ids));
    uint32_t n = 0, without_rack = 0;
    int64_t id;

    ASSERT(ids != NULL);
    while (str_cut(&rest, ',', &part)) {
        if (str_to_i64(str_trim(part), INT32_MIN, INT32_MAX, &id) < 0)
            return fail_set(&x->tool.fail, -EINVAL, "--broker-list: \"%.*s\" is not a broker's id", STR_ARG(part));
        ids[n++] = (int32_t)id;
    }
    if (ids_unique(ids, n) != n)
        return fail_set(&x->tool.fail, -EINVAL, "Broker list contains duplicate entries: %.*s",
                        STR_ARG(value_of(&x->tool, RP_BROKERS)));
    *places = arena_take_array(&x->tool.arena, n + 1, sizeof(**places));
    ASSERT(*places != NULL);
    *count = 0;
    for (uint32_t i = 0; i < n; i++) {
        for (int32_t b = 0; b < r->brokers_count; b++) {
            if (r->brokers[b].broker_id != ids[i])
                continue;
            struct str rack = given(&x->tool, RP_NO_RACKS) ? STR_NULL : r->brokers[b].rack;
            without_rack += str_is_null(rack);
            (*places)[(*count)++] = (struct place){ids[i], rack};
        }
    }
    if (without_rack != 0 && without_rack != *count)
        return fail_set(&x->tool.fail, -EINVAL,
                        "Not all brokers have rack information. Add --disable-rack-aware in "
                        "command line to make replica "
                        "assignment without rack information.");
    return 0;
}

/* x->now and x->asked: how the topics lie, and how they could. */
static int propose(struct reassign *x)
{
    struct placements topics = {.arena = &x->tool.arena};
    struct prng *random = io_prng(x->tool.io);
    struct place *places = NULL;
    uint32_t count = 0;

    TRY(read_topics(x, &topics));
    TRY(take_places(x, &places, &count));
    for (uint32_t i = 0; i < topics.count; i++) {
        struct str name = topics.all[i].topic;
        const struct placement *first = placements_find(&x->current, name, 0);
        int32_t partitions = 0;
        if (first == NULL)
            return fail_set(&x->tool.fail, -EINVAL, "Topic %.*s not found.", STR_ARG(name));
        for (const struct placement *p = first; p != NULL; p = placements_find(&x->current, name, ++partitions))
            *placements_add(&x->now, name, partitions) = *p;
        TRY(placements_spread(places, count, name, partitions, first->replica_count, random, &x->asked,
                              &x->tool.fail));
    }
    return 0;
}

void reassign_generate_run(struct flow *f)
{
    struct reassign *x = container_of(f, struct reassign, tool.work);
    struct text *out = &x->tool.cli->out;

    FLOW_BEGIN(f);
    if ((f->result = propose(x)) < 0)
        goto failed;
    dirs_take_targets(x, &x->now, true);
    FLOW_TRY(f, "directories", flow_start(&x->part, dirs_look_run, &f->op));
    dirs_name(x, &x->now);
    text_printf(out, "Current partition replica assignment\n");
    placements_print(&x->now, out);
    text_printf(out, "\n\nProposed partition reassignment configuration\n");
    placements_print(&x->asked, out);
    text_printf(out, "\n");
    FLOW_END(f);
failed:
    flow_done(f, f->result);
}

/* ---- verify -----------------------------------------------------------------------------------
 */

static void print_partition(struct reassign *x, const struct placement *p)
{
    const struct placement *now = placements_find(&x->current, p->topic, p->partition);
    struct arena *a = &x->tool.arena;
    struct text *out = &x->tool.cli->out;

    if (reassign_moving(x, p->topic, p->partition) != NULL) {
        text_printf(out, "Reassignment of partition %.*s-%d is still in progress.\n", STR_ARG(p->topic), p->partition);
        return;
    }
    struct str is = now == NULL ? STR("") : ids_join(a, now->replicas, now->replica_count),
               should_be = ids_join(a, p->replicas, p->replica_count);
    if (str_equal(is, should_be))
        text_printf(out, "Reassignment of partition %.*s-%d is completed.\n", STR_ARG(p->topic), p->partition);
    else
        text_printf(out,
                    "There is no active reassignment of partition %.*s-%d, but replica set is %.*s "
                    "rather than %.*s.\n",
                    STR_ARG(p->topic), p->partition, STR_ARG(is), STR_ARG(should_be));
}

/* Says where it is, or is on its way to; whether it is still on its way. */
static bool print_target(struct reassign *x, const struct dir_target *d)
{
    struct text *out = &x->tool.cli->out;

    if (str_is_null(d->current))
        text_printf(out,
                    "Partition %.*s-%d is not found in any live log dir on broker %d. There is "
                    "likely an offline log "
                    "directory on the broker.\n",
                    STR_ARG(d->topic), d->partition, d->broker);
    else if (str_is_null(d->future) && str_equal(d->current, d->dir))
        text_printf(out, "Reassignment of replica %.*s-%d-%d completed successfully.\n", STR_ARG(d->topic),
                    d->partition, d->broker);
    else if (str_is_null(d->future))
        text_printf(out, "Partition %.*s-%d on broker %d is not being moved from log dir %.*s to %.*s.\n",
                    STR_ARG(d->topic), d->partition, d->broker, STR_ARG(d->current), STR_ARG(d->dir));
    else if (str_equal(d->future, d->dir))
        text_printf(out, "Reassignment of replica %.*s-%d-%d is still in progress.\n", STR_ARG(d->topic), d->partition,
                    d->broker);
    else
        text_printf(out, "Partition %.*s-%d on broker %d is being moved to log dir %.*s instead of %.*s.\n",
                    STR_ARG(d->topic), d->partition, d->broker, STR_ARG(d->future), STR_ARG(d->dir));
    return !str_is_null(d->future);
}

void reassign_verify_run(struct flow *f)
{
    struct reassign *x = container_of(f, struct reassign, tool.work);
    bool moves = false;

    FLOW_BEGIN(f);
    text_printf(&x->tool.cli->out, "Status of partition reassignment:\n");
    for (uint32_t i = 0; i < x->asked.count; i++)
        print_partition(x, &x->asked.all[i]);
    dirs_take_targets(x, &x->asked, false);
    FLOW_TRY(f, "directories", flow_start(&x->part, dirs_look_run, &f->op));
    if (x->target_count == 0)
        text_printf(&x->tool.cli->out, "\n");
    for (uint32_t i = 0; i < x->target_count; i++)
        moves |= print_target(x, &x->targets[i]);
    if (reassign_moving_count(x) == 0 && !moves && !given(&x->tool, RP_PRESERVE))
        FLOW_TRY(f, "throttles", flow_start(&reassign_throttles(x)->flow, throttles_clear_run, &f->op));
    FLOW_END(f);
failed:
    flow_done(f, f->result);
}
