/* The truth about the group: T7 to T9. */
#include <stdlib.h>

#include "truth.h"

void truth_owns(struct truth *t, int32_t generation, const struct part *part, struct str member)
{
    struct owner *o;

    if (t->world->plan.lossy)
        return;
    for (uint32_t i = t->owner_count; i-- > 0;) {
        o = &t->owners[i];
        if (o->generation != generation || o->part != part)
            continue;
        if (!str_equal(str_of(o->member), member))
            broken(t->world, "%s-%d: in generation %d of the group %s owns it, and so does %.*s",
                   part->topic->name, part->partition, generation, o->member, STR_ARG(member));
        return;
    }
    if (t->owner_count == t->owner_capacity) {
        t->owner_capacity = t->owner_capacity * 2 + 64;
        t->owners = realloc(t->owners, t->owner_capacity * sizeof *t->owners);
        ASSERT(t->owners != NULL);
    }
    o = &t->owners[t->owner_count++];
    o->generation = generation;
    o->part = part;
    snprintf(o->member, sizeof o->member, "%.*s", STR_ARG(member));
}

void truth_told(struct part *part, int64_t offset)
{
    if (offset >= part->told_end)
        part->told_end = offset + 1;
}

void truth_commit_tried(struct truth *t, struct part *part, int64_t offset)
{
    if (offset > part->committed_max)
        part->committed_max = offset;
}

void truth_commit_acked(struct truth *t, struct part *part, int64_t offset, int32_t generation,
                        int32_t generation_known)
{
    if (t->world->plan.lossy)
        return;
    if (generation_known > generation)
        broken(t->world, "%s-%d: a commit of generation %d was accepted, but generation %d was whole "
               "before it was sent", part->topic->name, part->partition, generation, generation_known);
    if (offset > part->committed)
        part->committed = offset;
    t->committed++;
}

void truth_committed(struct truth *t, struct part *part, int64_t offset, int64_t floor)
{
    if (t->world->plan.lossy)
        return;
    if (offset < floor)
        broken(t->world, "%s-%d: the committed offset is %" PRId64 ", but %" PRId64
               " was acknowledged", part->topic->name, part->partition, offset, floor);
    /* Where the log starts, a consumer that finds nothing committed may commit, too. Where retention moves that, nobody
     * knows more of it than that it is no further than the records that somebody was told of. */
    bool moves = part->start_high == START_UNKNOWN;
    int64_t told = part->slot_count > part->told_end ? part->slot_count : part->told_end;
    if (offset > part->committed_max && offset > (moves ? told : part->start_high) && (!moves || told > 0))
        broken(t->world, "%s-%d: the committed offset is %" PRId64 ", which nobody has committed",
               part->topic->name, part->partition, offset);
    /* What is told stays, also when the answer to who committed it was lost. */
    if (offset > part->committed)
        part->committed = offset;
}
