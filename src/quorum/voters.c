/* Which voters are in force: the newest that stand in the log, committed or not (KIP-853). Those before are kept, for a
 * log that is cut. */
#include "quorum/internal.h"

#include <stdlib.h>

/* A cut goes back behind what is not committed, and each change waits for the one before to be committed: one for each
 * leader that failed to commit. Beyond this the oldest are forgotten. */
#define HISTORY_MAX 64

static void say_voters(const struct quorum *q)
{
    struct text ids = {0};

    for (uint32_t i = 0; i < q->voters.count; i++)
        text_printf(&ids, "%s%" PRId32, i > 0 ? ", " : "", q->voters.voters[i].id);
    say(q->telemetry, LOG_INFO, "quorum", "the voters are now %.*s (kraft.version %d)", STR_ARG(text_str(&ids)),
        q->voters.kraft_version);
    text_deinit(&ids);
}

static void take_last(struct quorum *q)
{
    q->voters = q->history[q->history_count - 1].voters;
    q->voters_changed = true;
    quorum_nodes_update(q);
    if (q->begun)
        say_voters(q);
}

void quorum_voters_set(struct quorum *q, const struct raft_voters *voters)
{
    struct raft_voters copy = *voters; /* it may be the history's */

    q->history_count = 0;
    quorum_voters_push(q, &copy, 0);
}

void quorum_voters_push(struct quorum *q, const struct raft_voters *voters, int64_t end)
{
    if (q->history == NULL) {
        q->history = calloc(HISTORY_MAX, sizeof(*q->history));
        ASSERT(q->history != NULL);
    }
    if (q->history_count == HISTORY_MAX) {
        q->history_count--;
        memmove(q->history, q->history + 1, q->history_count * sizeof(*q->history));
    }
    q->history[q->history_count++] = (struct voters_entry){.end = end, .voters = *voters};
    take_last(q);
}

void quorum_voters_cut(struct quorum *q, int64_t end)
{
    uint32_t before = q->history_count;

#ifdef MUTANT_QUORUM_VOTERS_STAY
    return;
#endif
    while (q->history_count > 1 && q->history[q->history_count - 1].end > end)
        q->history_count--;
    if (q->history_count < before)
        take_last(q);
}
