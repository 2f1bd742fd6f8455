/* What must be true of all nodes together, after each step of one. */
#include "history.h"

/* F3, as others see it: a vote has left, or a candidate has asked for votes. */
void check_vote(struct world *w, int32_t voter, int32_t epoch, struct raft_key candidate)
{
    struct raft_key *vote = &w->vote_of[voter][epoch];

    CHECK(epoch < EPOCHS_MAX);
    if (vote->id == 0)
        *vote = candidate;
    CHECK_EQ(vote->id, candidate.id);
}

/* F1, also in what others believe. */
static void check_leader(struct world *w, const struct node *n)
{
    const struct raft_election *e = raft_election(n->raft);

    CHECK(e->epoch < EPOCHS_MAX);
    if (e->leader_id == -1)
        return;
    if (w->leader_of[e->epoch] == 0)
        w->leader_of[e->epoch] = e->leader_id;
    CHECK_EQ(w->leader_of[e->epoch], e->leader_id);
}

/* Whoever leads has all that leaders of older epochs have committed. */
static void check_complete(const struct world *w, const struct node *n)
{
    for (int64_t i = 0; i < w->committed_end && w->committed_in[i] < raft_election(n->raft)->epoch; i++) {
        CHECK(i < n->end);
        CHECK_EQ(n->log[i].value, w->committed[i].value);
    }
}

/* F4: a majority of the voters in force has it on its disk. */
static void check_held(const struct world *w, const struct node *n, int64_t high_watermark)
{
    const struct raft_voters *voters = raft_voters(n->raft);
    const struct entry *last = &n->log[high_watermark - 1];
    uint32_t held = 0;

    CHECK_EQ(last->epoch, raft_election(n->raft)->epoch);
    for (uint32_t i = 0; i < voters->count; i++) {
        const struct node *v = &w->nodes[voters->voters[i].id];
        held += v->stable >= high_watermark && v->log[high_watermark - 1].value == last->value;
    }
    CHECK(held > voters->count / 2);
}

static void check_committed(struct world *w, struct node *n, int64_t high_watermark)
{
    CHECK(high_watermark > n->high_watermark); /* F4: never back */
    CHECK(high_watermark <= n->end);
    for (int64_t i = n->high_watermark < 0 ? 0 : n->high_watermark; i < high_watermark; i++) {
        if (i == w->committed_end) {
            w->committed_in[i] = raft_election(n->raft)->epoch;
            w->committed[w->committed_end++] = n->log[i];
            w->commits++;
        }
        CHECK_EQ(n->log[i].value, w->committed[i].value);
        CHECK_EQ(n->log[i].epoch, w->committed[i].epoch);
    }
    n->high_watermark = high_watermark;
}

void check_step(struct world *w, struct node *n, const struct raft_outcome *out)
{
    CHECK_EQ(out->role, raft_role(n->raft));
    CHECK(raft_election(n->raft)->epoch >= n->election.epoch); /* F2 */
    check_leader(w, n);
    if (out->append_leader_change) {
        w->elections++;
        check_complete(w, n);
    }
    if (!out->high_watermark_moved)
        return;
    if (raft_election(n->raft)->leader_id == n->id)
        check_held(w, n, out->high_watermark);
    check_committed(w, n, out->high_watermark);
}

void check_change(struct world *w, const struct node *n, int64_t high_watermark)
{
    int64_t end = n->up && n->log[n->end - 1].voters != 0 ? n->end - 1 : n->end; /* without what it appended for it */

    CHECK(high_watermark > 0);
    CHECK_EQ(n->log[high_watermark - 1].epoch, n->election.epoch);
    for (int64_t i = high_watermark; i < end; i++)
        CHECK_EQ(n->log[i].voters, 0);
}
