/* Committed offsets of groups, and where the logs begin and end. */
#include "cli/cgroups.h"

#include <stdlib.h>

/* ListOffsets' own times. */
enum { TIME_LATEST = -1, TIME_EARLIEST = -2 };

/* ---- ListOffsets ------------------------------------------------------------------------------ */

/* `s` is sorted; partitions that stand there twice are asked for once. */
void spots_ask(struct arena *a, const struct spots *s, int64_t time, struct list_offsets_request *out)
{
    list_offsets_request_init(out);
    out->replica_id = -1;
    out->topics = arena_take_array(a, s->count + 1, sizeof(*out->topics));
    ASSERT(out->topics != NULL);
    for (uint32_t i = 0; i < s->count; i++) {
        const struct spot *spot = &s->p[i];
        struct list_offsets_request_topics *topic = out->topics_count == 0 ? NULL : &out->topics[out->topics_count - 1];
        if (topic == NULL || !str_equal(topic->name, spot->topic)) {
            topic = &out->topics[out->topics_count++];
            list_offsets_request_topics_init(topic);
            topic->name = spot->topic;
            topic->partitions = arena_take_array(a, s->count - i, sizeof(*topic->partitions));
            ASSERT(topic->partitions != NULL);
        } else if (topic->partitions[topic->partitions_count - 1].partition_index == spot->partition) {
            continue;
        }
        struct list_offsets_request_topics_partitions *p = &topic->partitions[topic->partitions_count++];
        list_offsets_request_topics_partitions_init(p);
        p->partition_index = spot->partition;
        p->timestamp = time;
    }
}

int64_t spots_answer(const struct admin_call *call, struct str topic, int32_t partition, int16_t *error)
{
    for (uint32_t i = 0; i < call->part_count; i++) {
        const struct list_offsets_response *r = admin_list_offsets_answer(call, i);
        for (int32_t t = 0; r != NULL && t < r->topics_count; t++) {
            if (!str_equal(r->topics[t].name, topic))
                continue;
            for (int32_t p = 0; p < r->topics[t].partitions_count; p++) {
                const struct list_offsets_response_topics_partitions *found = &r->topics[t].partitions[p];
                if (found->partition_index != partition)
                    continue;
                *error = found->error_code;
                return found->error_code == KERR_NONE ? found->offset : -1;
            }
        }
    }
    *error = KERR_UNKNOWN_TOPIC_OR_PARTITION;
    return -1;
}

/* ---- committed offsets -------------------------------------------------------------------------- */

static void ask_offsets(struct cgroups *x)
{
    offset_fetch_request_init(&x->ask_offsets);
    x->ask_offsets.groups = arena_take_array(&x->tool.arena, x->group_count + 1, sizeof(*x->ask_offsets.groups));
    ASSERT(x->ask_offsets.groups != NULL);
    for (uint32_t i = 0; i < x->group_count; i++) {
        struct offset_fetch_request_groups *g = &x->ask_offsets.groups[x->ask_offsets.groups_count++];
        offset_fetch_request_groups_init(g);
        g->group_id = x->groups[i].name;
        g->topics_count = -1; /* all */
    }
}

static void learn_offsets(struct cgroups *x, struct group *g, const struct offset_fetch_response_groups *from)
{
    for (int32_t t = 0; t < from->topics_count; t++) {
        for (int32_t p = 0; p < from->topics[t].partitions_count; p++) {
            const struct offset_fetch_response_groups_topics_partitions *found = &from->topics[t].partitions[p];
            spot_add(&x->tool.arena, &g->spots,
                     (struct spot){.topic = from->topics[t].name,
                                   .partition = found->partition_index,
                                   .committed = found->committed_offset,
                                   .epoch = found->committed_leader_epoch,
                                   .start = -1,
                                   .end = -1,
                                   .target = -1,
                                   .error = found->error_code});
        }
    }
}

/* What members have and nobody has committed is shown, too. */
static void learn_assigned(struct cgroups *x, struct group *g)
{
    uint32_t committed = g->spots.count;

    spots_sort(&g->spots);
    for (uint32_t m = 0; m < g->member_count; m++) {
        for (uint32_t i = 0; i < g->members[m].assigned.count; i++) {
            const struct spot *s = &g->members[m].assigned.p[i];
            struct spots sorted = {g->spots.p, committed, committed};
            if (spot_find(&sorted, s->topic, s->partition) == NULL)
                spot_add(&x->tool.arena, &g->spots, *s);
        }
    }
    spots_sort(&g->spots);
}

static int take_offsets(struct cgroups *x)
{
    for (uint32_t i = 0; i < x->offsets.part_count; i++) {
        const struct offset_fetch_response *r = admin_offset_fetch_answer(&x->offsets, i);
        for (int32_t j = 0; r != NULL && j < r->groups_count; j++) {
            if (r->groups[j].error_code != KERR_NONE && r->groups[j].error_code != KERR_GROUP_ID_NOT_FOUND)
                return answer_fails(&x->tool, r->groups[j].error_code, STR_NULL);
            for (uint32_t g = 0; g < x->group_count; g++) {
                if (str_equal(x->groups[g].name, r->groups[j].group_id))
                    learn_offsets(x, &x->groups[g], &r->groups[j]);
            }
        }
    }
    for (uint32_t g = 0; g < x->group_count; g++)
        learn_assigned(x, &x->groups[g]);
    return 0;
}

/* ---- the flow ------------------------------------------------------------------------------------- */

static void ask_ends(struct cgroups *x)
{
    struct spots all = {0};

    for (uint32_t g = 0; g < x->group_count; g++) {
        for (uint32_t i = 0; i < x->groups[g].spots.count; i++)
            spot_add(&x->tool.arena, &all, x->groups[g].spots.p[i]);
    }
    spots_sort(&all);
    spots_ask(&x->tool.arena, &all, TIME_LATEST, &x->ask_ends);
}

static void take_ends(struct cgroups *x)
{
    int16_t error;

    for (uint32_t g = 0; g < x->group_count; g++) {
        for (uint32_t i = 0; i < x->groups[g].spots.count; i++) {
            struct spot *s = &x->groups[g].spots.p[i];
            s->end = spots_answer(&x->ends, s->topic, s->partition, &error);
        }
    }
}

static void offsets_run(struct flow *f)
{
    struct cgroups *x = container_of(f, struct cgroups, load);

    FLOW_BEGIN(f);
    ask_offsets(x);
    FLOW_WAIT(f, "offsets", admin_offset_fetch(x->tool.admin, &x->offsets, &x->ask_offsets, &f->op));
    f->result = f->result < 0 ? call_trouble(&x->tool, &x->offsets) : take_offsets(x);
    if (f->result == 0 && x->action != CG_RESET) {
        ask_ends(x);
        if (x->ask_ends.topics_count > 0) {
            FLOW_WAIT(f, "ends", admin_list_offsets(x->tool.admin, &x->ends, &x->ask_ends, &f->op));
            if (f->result < 0)
                f->result = call_trouble(&x->tool, &x->ends);
            else
                take_ends(x);
        }
    }
    FLOW_END(f);
    flow_done(f, f->result);
}

void cgroups_load_offsets(struct cgroups *x, struct op *op)
{
    flow_start(&x->load, offsets_run, op);
}
