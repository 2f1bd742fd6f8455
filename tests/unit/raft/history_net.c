/* Messages: each is lost, late, or there twice; or there is no way. */
#include "history.h"

#define REQUEST_TIMEOUT_MS 2000

static int64_t delay(struct world *w)
{
    if (w->calm)
        return (int64_t)below(w, 5);
    return (int64_t)(below(w, 20) == 0 ? below(w, 4000) : below(w, 30));
}

void net_send(struct world *w, struct letter *m)
{
    uint32_t copies = 1;

    if (!w->calm && below(w, 25) == 0)
        copies = below(w, 2) == 0 ? 0 : 2;
    for (uint32_t i = 0; i < copies && w->letter_count < LETTERS_MAX; i++) {
        m->at = w->now + delay(w);
        w->letters[w->letter_count++] = *m;
    }
}

uint32_t net_call(struct world *w, struct node *n, struct letter *m, struct raft_answer answer)
{
    struct letter timeout = {.kind = LETTER_TIMEOUT, .from = n->id, .to = n->id, .at = w->now + REQUEST_TIMEOUT_MS};
    uint32_t i = 0;

    while (i < CALLS_MAX && n->calls[i].number != 0)
        i++;
    CHECK(i < CALLS_MAX);
    m->call = timeout.call = ++w->last_call;
    n->calls[i] = (struct call){.number = m->call, .answer = answer};
    CHECK(w->letter_count < LETTERS_MAX);
    w->letters[w->letter_count++] = timeout;
    net_send(w, m);
    return m->call;
}

static struct call *call_find(struct node *n, uint32_t number)
{
    for (uint32_t i = 0; i < CALLS_MAX; i++) {
        if (n->calls[i].number == number)
            return &n->calls[i];
    }
    return NULL;
}

static void answer_request(struct world *w, struct node *n, struct letter *m)
{
    struct raft_outcome out;
    struct letter back = {.kind = LETTER_ANSWER, .from = n->id, .to = m->from, .call = m->call};

    m->request.preferred = m->preferred;
    node_step(w, n, (struct raft_event){.type = RAFT_EVENT_REQUEST, .request = &m->request}, &out);
    if (!n->up)
        return;
    CHECK(out.reply.error != KERR_INVALID_REQUEST); /* a JVM peer would end */
    if (out.reply.granted && !m->request.pre_vote) {
        CHECK_EQ(n->election.epoch, m->request.epoch);
        CHECK_EQ(n->election.voted_id, m->request.from.id); /* F3: it is durable */
        check_vote(w, n->id, m->request.epoch, m->request.from);
    }
    back.answer = (struct raft_answer){.error = out.reply.error,
                                       .leader_id = out.reply.leader_id,
                                       .epoch = out.reply.epoch,
                                       .granted = out.reply.granted};
    net_send(w, &back);
}

static void answered(struct world *w, struct node *n, const struct letter *m)
{
    struct call *call = call_find(n, m->call);
    struct raft_outcome out;

    if (call == NULL)
        return; /* late, or there twice */
    struct raft_answer a = call->answer;
    call->number = 0;
    if (m->kind == LETTER_TIMEOUT) {
        a.lost = true;
        a.refused = a.rpc == RAFT_FETCH && below(w, 2) == 0; /* right or wrong */
        if (n->fetch_call == m->call)
            n->fetch_call = 0;
    } else {
        a.error = m->answer.error;
        a.leader_id = m->answer.leader_id;
        a.epoch = m->answer.epoch;
        a.granted = m->answer.granted;
    }
    a.high_watermark = -1;
    if (m->kind == LETTER_FETCHED) {
        struct letter all = *m;
        all.answer.sent_epoch = a.sent_epoch;
        fetch_done(w, n, &all);
        return;
    }
    node_step(w, n, (struct raft_event){.type = RAFT_EVENT_ANSWER, .answer = &a}, &out);
}

void net_deliver(struct world *w, uint32_t i)
{
    struct letter m = w->letters[i];
    struct node *n = &w->nodes[m.to];

    w->letters[i] = w->letters[--w->letter_count];
    if (!n->up || (m.from != m.to && w->cut[m.from][m.to]))
        return;
    switch (m.kind) {
    case LETTER_REQUEST:
        answer_request(w, n, &m);
        break;
    case LETTER_FETCH:
        fetch_answer(w, n, &m);
        break;
    default:
        answered(w, n, &m);
    }
}
