/* Fetch of the log, as room quorum does it: by epochs. */
#include "history.h"

/* The largest epoch in the log that is not above `epoch`, and where it ends; else that of the snapshot before it. */
static void end_for_epoch(const struct node *n, int32_t epoch, int32_t *found, int64_t *end)
{
    int64_t i = n->end;

    while (i > n->start && n->log[i - 1].epoch > epoch)
        i--;
    *end = i;
    *found = i > 0 ? n->log[i - 1].epoch : 0;
}

/* F6: a voter asks for more when all it has is stable. */
void fetch_send(struct world *w, struct node *n)
{
    struct letter m = {.kind = LETTER_FETCH, .from = n->id, .fetch_offset = n->end};
    enum raft_source source = raft_source(n->raft, &m.to);

    n->fetch_at = w->now + 50 + (int64_t)below(w, 300);
    if (source == RAFT_SOURCE_NOBODY || n->fetch_call != 0 || (n->can_vote && n->stable < n->end))
        return;
    if (source == RAFT_SOURCE_ANY)
        m.to = 1 + (int32_t)below(w, w->count);
    if (m.to == n->id)
        return;
    m.fetch_epoch = n->end > 0 ? n->log[n->end - 1].epoch : 0;
    m.request.rpc = RAFT_FETCH;
    m.request.from = key_of(n->id, true);
    m.request.epoch = raft_election(n->raft)->epoch;
    struct raft_answer answer = {.rpc = RAFT_FETCH, .from = m.to, .sent_epoch = m.request.epoch};
    n->fetch_call = net_call(w, n, &m, answer);
}

/* What is asked for is not in the log any more. Rule: KIP-630. */
static bool needs_snapshot(const struct node *n, const struct letter *m)
{
    if (n->start == 0)
        return false;
    int32_t epoch = n->log[n->start - 1].epoch;
    if (m->fetch_offset < n->start || m->fetch_epoch < epoch)
        return true;
    return m->fetch_offset == n->start && m->fetch_epoch != epoch;
}

void fetch_answer(struct world *w, struct node *n, const struct letter *m)
{
    struct letter back = {.kind = LETTER_FETCHED, .from = n->id, .to = m->from, .call = m->call, .diverging_epoch = -1};
    struct raft_outcome out;
    int32_t epoch;
    int64_t end;

    node_step(w, n, (struct raft_event){.type = RAFT_EVENT_REQUEST, .request = &m->request}, &out);
    if (!n->up)
        return;
    back.answer = (struct raft_answer){
        .error = out.reply.error, .leader_id = out.reply.leader_id, .epoch = out.reply.epoch, .high_watermark = -1};
    if (out.reply.error == KERR_NONE) {
        end_for_epoch(n, m->fetch_epoch, &epoch, &end);
        if (needs_snapshot(n, m)) {
            back.snapshot_end = n->start;
        } else if (epoch != m->fetch_epoch || end < m->fetch_offset) {
            back.diverging_epoch = epoch;
            back.diverging_end = end;
        } else {
            node_step(w, n,
                      (struct raft_event){
                          .type = RAFT_EVENT_FETCHED, .from = m->request.from, .fetch_offset = m->fetch_offset},
                      &out);
            if (!n->up)
                return;
            back.answer.high_watermark = n->high_watermark;
            for (int64_t at = m->fetch_offset; at < n->end && back.entry_count < BATCH_MAX; at++)
                back.entries[back.entry_count++] = n->log[at];
        }
    }
    net_send(w, &back);
}

static void truncate_to(struct world *w, struct node *n, int64_t end)
{
    struct raft_outcome out;
    int64_t voters_end;

    world_trace(w, "%d is cut from %d to %d", n->id, (int)n->end, (int)end);
    CHECK(end >= n->high_watermark);
    CHECK(end >= n->start);
    n->end = end;
    if (n->stable > end)
        n->stable = end;
    n->sync_at = NEVER;
    if (n->stable < n->end) {
        n->sync_at = w->now + 1 + (int64_t)below(w, 60);
        n->sync_end = n->end;
    }
    node_step(w, n,
              (struct raft_event){.type = RAFT_EVENT_TRUNCATED,
                                  .end_offset = end,
                                  .stable_offset = n->stable,
                                  .end_epoch = end > 0 ? n->log[end - 1].epoch : 0},
              &out);
    if (!n->up)
        return;
    const struct raft_voters *voters = voters_of(node_voters(w, n, &voters_end));
    if (bits_of(voters) != bits_of(raft_voters(n->raft)))
        node_step(w, n, (struct raft_event){.type = RAFT_EVENT_VOTERS, .voters = voters, .voters_end = voters_end},
                  &out);
}

static void take_snapshot(struct world *w, struct node *n, int64_t end)
{
    memcpy(n->log, w->committed, (size_t)end * sizeof(n->log[0]));
    if (n->stable < end || n->end > end)
        n->stable = end;
    n->start = end;
    truncate_to(w, n, end);
}

static void diverge(struct world *w, struct node *n, const struct letter *m)
{
    int32_t epoch;
    int64_t end;

    end_for_epoch(n, m->diverging_epoch, &epoch, &end);
    if (epoch == m->diverging_epoch && m->diverging_end < end)
        end = m->diverging_end;
    truncate_to(w, n, end);
}

void fetch_done(struct world *w, struct node *n, const struct letter *m)
{
    struct raft_outcome out;
    struct raft_answer a = m->answer;
    int32_t leader = -1;
    bool is_current = n->fetch_call == m->call && a.error == KERR_NONE &&
                      raft_source(n->raft, &leader) == RAFT_SOURCE_LEADER && leader == m->from &&
                      raft_election(n->raft)->epoch == a.sent_epoch;

    if (n->fetch_call == m->call)
        n->fetch_call = 0;
    a.rpc = RAFT_FETCH;
    a.from = m->from;
    if (!is_current)
        a.high_watermark = -1;
    if (is_current && m->diverging_epoch >= 0)
        diverge(w, n, m);
    if (is_current && m->snapshot_end > 0)
        take_snapshot(w, n, m->snapshot_end);
    for (uint32_t i = 0; is_current && i < m->entry_count && n->up; i++)
        node_append(w, n, m->entries[i]);
    if (n->up)
        node_step(w, n, (struct raft_event){.type = RAFT_EVENT_ANSWER, .answer = &a}, &out);
    if (n->up && m->entry_count > 0)
        n->fetch_at = w->now + 1 + (int64_t)below(w, 30);
}
