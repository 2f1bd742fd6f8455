/* kafka-consumer-groups.sh --delete-offsets. */
#include "cli/cgroups.h"

static void make_delete(struct cgroups *x)
{
    offset_delete_request_init(&x->remove);
    x->remove.group_id = value_of(&x->tool, CG_GROUP);
    x->remove.topics = arena_take_array(&x->tool.arena, x->plan.count + 1, sizeof(*x->remove.topics));
    ASSERT(x->remove.topics != NULL);
    for (uint32_t i = 0; i < x->plan.count; i++) {
        const struct spot *s = &x->plan.p[i];
        struct offset_delete_request_topics *topic = &x->remove.topics[x->remove.topics_count];
        if (i > 0 && str_equal(topic[-1].name, s->topic)) {
            topic--;
        } else {
            offset_delete_request_topics_init(topic);
            topic->name = s->topic;
            topic->partitions = arena_take_array(&x->tool.arena, x->plan.count - i, sizeof(*topic->partitions));
            ASSERT(topic->partitions != NULL);
            x->remove.topics_count++;
        }
        struct offset_delete_request_topics_partitions *p = &topic->partitions[topic->partitions_count++];
        offset_delete_request_topics_partitions_init(p);
        p->partition_index = s->partition;
    }
}

static void take_errors(struct cgroups *x, const struct offset_delete_response *r)
{
    for (uint32_t i = 0; i < x->plan.count; i++)
        x->plan.p[i].error = r->error_code;
    for (int32_t t = 0; t < r->topics_count; t++) {
        for (int32_t p = 0; p < r->topics[t].partitions_count; p++) {
            struct spot *s = spot_find(&x->plan, r->topics[t].name, r->topics[t].partitions[p].partition_index);
            if (s != NULL)
                s->error = r->topics[t].partitions[p].error_code;
        }
    }
}

static void print_removed(struct cgroups *x)
{
    static const struct column columns[] = {
        {"TOPIC", .least = 15, .grows = true, .key = "topic"},
        {"PARTITION", .least = 10, .key = "partition", .number = true},
        {"STATUS", .least = 15, .key = "status"},
    };
    const struct offset_delete_response *r = admin_offset_delete_answer(&x->tool.call, 0);
    struct str words = answer_words(r->error_code, STR_NULL);
    bool partial = false;

    take_errors(x, r);
    table_begin(&x->table, &x->tool.arena, columns, array_count(columns));
    for (uint32_t i = 0; i < x->plan.count; i++) {
        const struct spot *s = &x->plan.p[i];
        struct str why = answer_words(s->error, STR_NULL);
        partial |= s->error != KERR_NONE;
        table_row(&x->table,
                  (struct str[]){s->topic, arena_printf(&x->tool.arena, "%d", s->partition),
                                 s->error == KERR_NONE ? STR("Successful")
                                                       : arena_printf(&x->tool.arena, "Error: %.*s", STR_ARG(why))});
    }
    if (r->error_code != KERR_NONE)
        cgroups_error(x, "%.*s", STR_ARG(words));
    else if (partial)
        cgroups_error(x, "Encountered some partition-level error, see the follow-up details.");
    else
        text_printf(&x->tool.cli->out, "Request succeeded for deleting offsets from group %.*s.\n",
                    STR_ARG(value_of(&x->tool, CG_GROUP)));
    text_printf(&x->tool.cli->out, "\n");
    table_print(&x->table, " ", "", true, &x->tool.cli->out);
}

void cgroups_delete_offsets_run(struct flow *f)
{
    struct cgroups *x = container_of(f, struct cgroups, tool.work);

    FLOW_BEGIN(f);
    cgroups_ask_topics(x);
    FLOW_WAIT(f, "topics", admin_metadata(x->tool.admin, &x->topics, &x->ask_topics, &f->op));
    f->result = f->result < 0 ? call_trouble(&x->tool, &x->topics) : cgroups_scope(x);
    if (f->result == 0) {
        make_delete(x);
        FLOW_WAIT(f, "delete", admin_offset_delete(x->tool.admin, &x->tool.call, &x->remove, &f->op));
        if (f->result < 0)
            f->result = call_trouble(&x->tool, &x->tool.call);
        else
            print_removed(x);
    }
    FLOW_END(f);
    flow_done(f, f->result < 0 ? f->result : x->tool.native && x->failures > 0);
}
