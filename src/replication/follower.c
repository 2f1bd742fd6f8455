/* The follower's side: how far the leader's mark counts here, and where a log that diverges is cut. */
#include "replication/internal.h"

static int64_t lower(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* A new leader may know a lower mark than the one before it: what is committed stays so. */
void replication_follow(struct replication *r, int64_t leader_high_watermark, int64_t log_end,
                        struct replication_outcome *out)
{
    int64_t mark = lower(leader_high_watermark, log_end);

    *out = (struct replication_outcome){0};
    ASSERT(r->role == REPLICATION_FOLLOWER);
    if (mark <= r->high_watermark)
        return;
    r->high_watermark = mark;
    out->high_watermark_moved = true;
}

void replication_cut(struct replication *r, int64_t end)
{
    ASSERT(r->role != REPLICATION_LEADER);
    ASSERT(end >= 0);
    r->high_watermark = lower(r->high_watermark, end);
}

/* The leader answers with the largest epoch that it knows up to the one asked for. If we know that one, too, both logs
 * are the same up to where it ends first. If we do not, our own epochs above are strange to the leader, and the one
 * before them may have to be cut as well. */
int64_t replication_truncation(const struct replication *r, struct replication_end leader, struct replication_end own,
                               int64_t log_end, bool *again)
{
    *again = false;
#ifdef MUTANT_REPLICATION_CUT_TO_MARK
    return lower(r->high_watermark, log_end);
#endif
    if (leader.end_offset < 0)
        return lower(r->high_watermark, log_end);
#ifdef MUTANT_REPLICATION_CUT_UNLIKE
    return lower(leader.end_offset, log_end);
#endif
    if (leader.epoch < 0 || own.epoch < 0)
        return lower(leader.end_offset, log_end);
    if (own.epoch == leader.epoch)
        return lower(lower(own.end_offset, leader.end_offset), log_end);
    *again = true;
    return lower(own.end_offset, log_end);
}
