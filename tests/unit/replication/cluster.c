/* The brokers of the histories: what room replica does around the machine. */
#include "cluster.h"

static struct broker *broker_of(struct cluster *c, int32_t id)
{
    return &c->brokers[id];
}

static struct replication_state state_of(const struct news *n)
{
    return (struct replication_state){
        .leader = n->leader,
        .leader_epoch = n->leader_epoch,
        .partition_epoch = n->partition_epoch,
        .replicas = n->replicas,
        .isr = n->isr,
        .replica_count = n->replica_count,
        .isr_count = n->isr_count,
        .min_isr = n->min_isr,
        .recovery = n->recovery,
    };
}

static bool is_replica(const struct news *n, int32_t id)
{
    for (int32_t i = 0; i < n->replica_count; i++) {
        if (n->replicas[i] == id)
            return true;
    }
    return false;
}

/* ---- letters ---------------------------------------------------------------------------------- */

/* What there is no room for is lost. */
void letter_post(struct cluster *c, struct letter *l)
{
    if (c->letter_count < LETTERS)
        c->letters[c->letter_count++] = *l;
}

static void fetch_arrived(struct cluster *c, const struct letter *l);
static void answer_arrived(struct cluster *c, const struct letter *l);
static void decision_arrived(struct cluster *c, const struct letter *l);

void letter_deliver(struct cluster *c, uint32_t i)
{
    struct letter l = c->letters[i];

    c->letters[i] = c->letters[--c->letter_count];
    if (l.to != 0 && (!broker_of(c, l.to)->up || broker_of(c, l.to)->life != l.to_life))
        return; /* its connection ended with the process */
    switch (l.kind) {
    case FETCH:
        fetch_arrived(c, &l);
        return;
    case ANSWER:
        answer_arrived(c, &l);
        return;
    case PROPOSAL:
        controller_proposed(c, &l);
        return;
    case DECISION:
        decision_arrived(c, &l);
        return;
    }
}

/* ---- what the machine tells ------------------------------------------------------------------- */

/* One request is on its way at a time: it is sent again when the one before, or its answer, is lost. */
void broker_propose(struct cluster *c, int32_t id)
{
    struct broker *b = broker_of(c, id);
    struct letter l = {.kind = PROPOSAL,
                       .from = id,
                       .from_life = b->life,
                       .broker_epoch = b->epoch,
                       .proposal = b->r.proposal};

    if (!b->up || !b->r.proposing)
        return;
    for (uint32_t i = 0; i < c->letter_count; i++) {
        const struct letter *other = &c->letters[i];
        if ((other->kind == PROPOSAL && other->from == id) || (other->kind == DECISION && other->to == id))
            return;
    }
    letter_post(c, &l);
}

static void acknowledge(struct cluster *c, struct broker *b)
{
    uint32_t done = 0;

    while (done < b->wait_count && b->waits[done].end <= b->r.high_watermark) {
        if (replication_acknowledge(&b->r) == KERR_NONE) {
            MUST_BE(c, replication_isr_size(&b->r) >= (uint32_t)b->r.min_isr ||
                           replication_isr_size(&b->r) == b->r.count); /* W3 */
            c->acked++;
        }
        done++;
    }
    b->wait_count -= done;
    memmove(b->waits, b->waits + done, b->wait_count * sizeof b->waits[0]);
}

static void told(struct cluster *c, int32_t id, const struct replication_outcome *out)
{
    struct broker *b = broker_of(c, id);

    if (out->role_changed) {
        b->wait_count = 0;
        b->asked = false;
    }
    if (out->high_watermark_moved)
        acknowledge(c, b);
    if (out->propose)
        broker_propose(c, id);
    if (!out->became_leader)
        return;
    log_note(&b->log, b->r.leader_epoch);
    broker_tick(c, id);
}

/* ---- life ------------------------------------------------------------------------------------- */

static void take_news(struct cluster *c, int32_t id, uint32_t number)
{
    struct broker *b = broker_of(c, id);
    const struct news *n = &c->news[number];
    struct replication_state s = state_of(n);
    struct replication_outcome out;

    b->seen = number;
    if (!is_replica(n, id)) { /* it is no replica (any more): its log is deleted */
        b->log = (struct model_log){0};
        b->saved_mark = 0;
        b->wait_count = 0;
        b->asked = false;
        replication_init(&b->r, id, 0);
        replication_set_broker_epoch(&b->r, b->epoch);
        return;
    }
    replication_apply(&b->r, &s, b->log.end, b->log.stable, c->now_ms, &out);
    told(c, id, &out);
    for (int32_t other = 1; other <= c->broker_count; other++) {
        replication_broker_changed(&b->r, other, &n->brokers[other], &out);
        told(c, id, &out);
    }
}

/* Images may be skipped. */
void broker_learn(struct cluster *c, int32_t id, uint32_t up_to)
{
    if (broker_of(c, id)->up && broker_of(c, id)->seen < up_to)
        take_news(c, id, up_to);
}

void broker_start(struct cluster *c, int32_t id)
{
    struct broker *b = broker_of(c, id);
    int64_t mark = b->saved_mark < b->log.stable ? b->saved_mark : b->log.stable;

    controller_register(c, id);
    b->up = true;
    b->life++;
    b->registered = c->news_count - 1;
    b->epoch = controller_now(c)->brokers[id].epoch;
    b->asked = false;
    b->wait_count = 0;
    replication_init(&b->r, id, mark);
    replication_set_broker_epoch(&b->r, b->epoch);
    take_news(c, id, b->registered);
}

void broker_crash(struct cluster *c, int32_t id, bool disk_is_lost)
{
    struct broker *b = broker_of(c, id);
    struct model_log *log = &b->log;

    b->up = false;
    b->mark_epoch = -1;
    log->end = log->stable;
    while (log->start_count > 0 && log->starts[log->start_count - 1].end_offset >= log->end + below(c, 2))
        log->start_count--;
    if (!disk_is_lost)
        return;
    *log = (struct model_log){0};
    b->saved_mark = 0;
    controller_fence(c, id);
}

void broker_append(struct cluster *c, int32_t id)
{
    struct broker *b = broker_of(c, id);
    int16_t acks = below(c, 3) == 0 ? 1 : -1;

    if (!b->up || b->log.end == RECORDS || replication_can_append(&b->r, acks) != KERR_NONE)
        return;
    log_add(&b->log, b->r.leader_epoch, ++c->values);
    if (acks == -1) {
        b->waits[b->wait_count].end = b->log.end;
        b->waits[b->wait_count++].value = c->values;
    }
}

void broker_settle(struct cluster *c, int32_t id, int64_t stable)
{
    struct broker *b = broker_of(c, id);
    struct replication_outcome out;

    if (!b->up || stable < b->log.stable)
        return;
    b->log.stable = stable;
    replication_stable(&b->r, stable, &out);
    told(c, id, &out);
}

void broker_tick(struct cluster *c, int32_t id)
{
    struct broker *b = broker_of(c, id);
    struct replication_outcome out;

    if (!b->up)
        return;
    replication_tick(&b->r, b->log.end, LAG_MS, c->now_ms, &out);
    told(c, id, &out);
}

/* ---- a follower ------------------------------------------------------------------------------- */

/* When all that it has is stable: the offset is its acknowledgement. One that is not answered is asked once more. */
void broker_fetch(struct cluster *c, int32_t id)
{
    struct broker *b = broker_of(c, id);

    if (!b->up || b->r.role != REPLICATION_FOLLOWER || b->r.leader < 0 || b->log.stable < b->log.end)
        return;
    struct letter l = {
        .kind = FETCH,
        .from = id,
        .from_life = b->life,
        .to = b->r.leader,
        .to_life = broker_of(c, b->r.leader)->life,
        .number = ++b->number,
        .leader_epoch = b->r.leader_epoch,
        .broker_epoch = c->old_fetch ? -1 : b->epoch,
        .offset = b->log.end,
        .last_epoch = log_last_epoch(&b->log),
    };
    b->asked = true;
    letter_post(c, &l);
}

static void diverged(struct cluster *c, struct broker *b, struct replication_end leader)
{
    struct replication_end own = log_end_of_epoch(&b->log, leader.epoch);
    bool again;
    int64_t end = replication_truncation(&b->r, leader, own, b->log.end, &again);

    MUST_BE(c, end >= 0 && end <= b->log.end);
    c->cuts += end < b->log.end;
    log_cut(&b->log, end);
    replication_cut(&b->r, end);
    MUST_BE(c, b->r.high_watermark <= end);
}

static void answer_arrived(struct cluster *c, const struct letter *l)
{
    struct broker *b = broker_of(c, l->to);
    struct replication_outcome out;

    if (!b->asked || l->number != b->number || l->leader_epoch != b->r.leader_epoch)
        return;
    b->asked = false;
    if (l->error != KERR_NONE)
        return;
    if (l->diverging.epoch >= 0 || l->diverging.end_offset >= 0) {
        diverged(c, b, l->diverging);
        return;
    }
    MUST_BE(c, l->offset == b->log.end);
    for (uint32_t i = 0; i < l->count; i++)
        log_add(&b->log, l->epochs[i], l->values[i]);
    replication_follow(&b->r, l->high_watermark, b->log.end, &out);
    told(c, l->to, &out);
}

/* ---- a leader --------------------------------------------------------------------------------- */

static enum kerr check_fetch(struct cluster *c, const struct broker *b, const struct letter *l)
{
    return replication_check_follower(&b->r, l->from, l->leader_epoch, l->broker_epoch,
                                      &c->news[b->seen].brokers[l->from]);
}

/* KIP-279: whose last record fits ours has the same records. It may have learned of another leader meanwhile. */
static void check_same(struct cluster *c, const struct broker *b, const struct letter *l)
{
    const struct broker *f = broker_of(c, l->from);

    if (!f->up || f->life != l->from_life || f->number != l->number || f->r.leader_epoch != l->leader_epoch)
        return;
    MUST_BE(c, f->log.end >= l->offset);
    MUST_BE(c, memcmp(f->log.value, b->log.value, (size_t)l->offset * sizeof f->log.value[0]) == 0);
    MUST_BE(c, memcmp(f->log.epoch, b->log.epoch, (size_t)l->offset * sizeof f->log.epoch[0]) == 0);
}

static void fetch_fits(struct cluster *c, const struct letter *l, struct letter *answer)
{
    struct broker *b = broker_of(c, l->to);
    struct replication_outcome out;
    struct replication_fetch f = {
        .id = l->from,
        .broker_epoch = l->broker_epoch,
        .offset = l->offset,
        .log_end = b->log.end,
        .now_ms = c->now_ms,
        .broker = c->news[b->seen].brokers[l->from],
    };

    MUST_BE(c, l->offset <= b->log.end);
    check_same(c, b, l);
    replication_fetched(&b->r, &f, &out);
    for (int64_t at = l->offset; at < b->log.end && answer->count < 1 + below(c, 8); at++) {
        answer->epochs[answer->count] = b->log.epoch[at];
        answer->values[answer->count++] = b->log.value[at];
    }
    answer->high_watermark = b->r.high_watermark;
    told(c, l->to, &out);
}

static void fetch_arrived(struct cluster *c, const struct letter *l)
{
    struct broker *b = broker_of(c, l->to);
    struct letter answer = {
        .kind = ANSWER,
        .from = l->to,
        .to = l->from,
        .to_life = l->from_life,
        .number = l->number,
        .leader_epoch = l->leader_epoch,
        .offset = l->offset,
        .diverging = {-1, -1},
        .error = check_fetch(c, b, l),
    };

    if (answer.error == KERR_NONE) {
        struct replication_end end = {-1, -1};
        if (l->last_epoch >= 0)
            end = log_end_of_epoch(&b->log, l->last_epoch);
        if (end.epoch >= 0 && (end.epoch < l->last_epoch || end.end_offset < l->offset))
            answer.diverging = end;
        else
            fetch_fits(c, l, &answer);
    }
    letter_post(c, &answer);
}

static void decision_arrived(struct cluster *c, const struct letter *l)
{
    struct broker *b = broker_of(c, l->to);
    struct replication_state s = state_of(&l->state);
    struct replication_outcome out;
    bool open = b->r.proposing;

    replication_answered(&b->r, &l->proposal, l->error, l->error == KERR_NONE ? &s : NULL, &out);
    c->rolled_back += open && !b->r.proposing && l->error != KERR_NONE;
    told(c, l->to, &out);
}
