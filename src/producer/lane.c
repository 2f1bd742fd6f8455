#include "producer/lane.h"

#include "producer/accumulator.h"

void producer_lane_init(struct lane *l)
{
    *l = (struct lane){.producer_id = -1, .producer_epoch = -1};
    list_init(&l->unacked);
}

static struct producer_batch *batch_of(struct list *node)
{
    return container_of(node, struct producer_batch, node);
}

static void finish(struct producer_batch *b, enum batch_why why, int16_t code, bool definite)
{
    b->fate.done = true;
    b->fate.definite = definite;
    b->fate.code = code;
    b->why = why;
}

/* ---- codes -------------------------------------------------------------------------------------------- */

/* The broker looked at the batch before it appended it, and refused. With acks=all it waits behind the append, and
 * what it says then may be about a batch that is in the log: it leads no more, or the topic has gone. */
bool producer_lane_is_definite(int16_t code, int16_t acks)
{
    switch (code) {
    case KERR_NOT_LEADER_OR_FOLLOWER:
    case KERR_UNKNOWN_TOPIC_OR_PARTITION:
    case KERR_LEADER_NOT_AVAILABLE:
#ifdef MUTANT_PRODUCER_BELIEVES_OLD_LEADER
        return true;
#endif
        return acks != -1;
    case KERR_UNKNOWN_TOPIC_ID:
    case KERR_INCONSISTENT_TOPIC_ID:
    case KERR_CORRUPT_MESSAGE:
    case KERR_MESSAGE_TOO_LARGE:
    case KERR_RECORD_LIST_TOO_LARGE:
    case KERR_NOT_ENOUGH_REPLICAS:
    case KERR_INVALID_TOPIC_EXCEPTION:
    case KERR_INVALID_REQUIRED_ACKS:
    case KERR_INVALID_TIMESTAMP:
    case KERR_INVALID_RECORD:
    case KERR_INVALID_REQUEST:
    case KERR_UNSUPPORTED_VERSION:
    case KERR_UNSUPPORTED_FOR_MESSAGE_FORMAT:
    case KERR_UNSUPPORTED_COMPRESSION_TYPE:
    case KERR_POLICY_VIOLATION:
    case KERR_TOPIC_AUTHORIZATION_FAILED:
    case KERR_CLUSTER_AUTHORIZATION_FAILED:
    case KERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
    case KERR_OUT_OF_ORDER_SEQUENCE_NUMBER:
    case KERR_UNKNOWN_PRODUCER_ID:
    case KERR_INVALID_PRODUCER_EPOCH:
    case KERR_THROTTLING_QUOTA_EXCEEDED:
        return true;
    default:
        return false;
    }
}

/* The broker does not know what the batch follows. */
static bool is_about_sequence(int16_t code)
{
    return code == KERR_OUT_OF_ORDER_SEQUENCE_NUMBER || code == KERR_UNKNOWN_PRODUCER_ID ||
           code == KERR_INVALID_PRODUCER_EPOCH;
}

/* ---- what goes next ------------------------------------------------------------------------------------ */

static struct producer_batch *first_open(struct lane *l)
{
    LIST_EACH(it, &l->unacked) {
        if (!batch_of(it)->fate.done)
            return batch_of(it);
    }
    return NULL;
}

/* The oldest that a broker may have. */
static struct producer_batch *first_in_doubt(struct lane *l)
{
    LIST_EACH(it, &l->unacked) {
        struct producer_batch *b = batch_of(it);
        if (!b->fate.done && b->fate.in_doubt)
            return b;
    }
    return NULL;
}

/* Quiet, and nothing is in doubt: what is left begins anew in the next epoch. */
static void bump(struct lane *l, struct lane_identity *who, const struct lane_rules *rules)
{
    l->bump_due = l->lost = l->known = false;
    l->next_sequence = 0;
    if (l->producer_epoch < INT16_MAX) {
#ifndef MUTANT_PRODUCER_EPOCH_STAYS
        l->producer_epoch++;
#endif
    } else {
        if (who->producer_id == l->producer_id)
            who->producer_id = -1; /* no epochs are left: another id */
        l->producer_id = -1;
    }
    ++*rules->bumps;
    LIST_EACH(it, &l->unacked) {
        struct producer_batch *b = batch_of(it);
        if (b->fate.done)
            continue;
        b->fate.base_sequence = -1;
        b->sealed = false;
    }
}

/* S5: while a gap is there. */
static struct producer_batch *next_across_gap(struct lane *l, struct lane_identity *who, const struct lane_rules *rules)
{
    struct producer_batch *b;

    while ((b = first_in_doubt(l)) != NULL) {
#ifdef MUTANT_PRODUCER_BUMPS_IN_DOUBT
        break;
#endif
        if (!l->lost)
            return b;
        finish(b, WHY_SEQUENCE, KERR_OUT_OF_ORDER_SEQUENCE_NUMBER, false);
    }
    bump(l, who, rules);
    return NULL;
}

static bool has_identity(struct lane *l, struct lane_identity *who)
{
    if (!who->idempotent || l->producer_id >= 0)
        return true;
    if (who->producer_id < 0) {
        who->wanted = true;
        return false;
    }
    l->producer_id = who->producer_id;
    l->producer_epoch = who->producer_epoch;
    l->next_sequence = 0;
    l->known = false;
    return true;
}

/* S4 */
static bool is_too_far(const struct lane_identity *who, uint32_t ahead)
{
#ifdef MUTANT_PRODUCER_SIX_UNKNOWN
    return ahead > LANE_UNACKED_MAX;
#endif
    return who->idempotent && ahead >= LANE_UNACKED_MAX;
}

struct producer_batch *producer_lane_next(struct producer_partition *part, struct lane_identity *who,
                                          const struct lane_rules *rules, bool open_is_due, int64_t now_ms)
{
    struct lane *l = &part->lane;
    uint32_t ahead = 0;

#ifndef MUTANT_PRODUCER_TWO_STRANGERS
    if (l->on_its_way > 0 && who->idempotent && !l->known)
        return NULL;
#endif
#ifndef MUTANT_PRODUCER_RETRIES_AT_ONCE
    if (l->on_its_way > 0 && l->retrying)
        return NULL;
#endif
    if (l->on_its_way > 0 && l->bump_due)
        return NULL;
    if (now_ms < l->retry_at_ms)
        return NULL;
    if (l->bump_due) {
        struct producer_batch *b = next_across_gap(l, who, rules);
        if (b != NULL)
            return b;
    }
    if (!has_identity(l, who))
        return NULL;
    l->retrying = false;
    LIST_EACH(it, &l->unacked) {
        struct batch_fate *f = &batch_of(it)->fate;
        if (is_too_far(who, ahead++))
            return NULL;
        if (!f->done && !f->on_its_way)
            return batch_of(it);
    }
    if (is_too_far(who, ahead))
        return NULL;
    if (part->queued == 0 && open_is_due)
        accumulator_close_open(part);
    return LIST_FIRST(&part->queue, struct producer_batch, node);
}

void producer_lane_sent(struct producer_partition *part, struct producer_batch *b, const struct lane_identity *who)
{
    struct lane *l = &part->lane;

    ASSERT(!b->fate.done && !b->fate.on_its_way);
    if (b == LIST_FIRST(&part->queue, struct producer_batch, node)) {
        list_remove(&b->node);
        part->queued--;
        list_add_tail(&l->unacked, &b->node);
    }
#ifdef MUTANT_PRODUCER_FORGETS_SEQUENCE
    b->fate.base_sequence = -1;
    b->sealed = false;
#endif
    if (who->idempotent && b->fate.base_sequence < 0) {
        b->fate.producer_id = l->producer_id;
        b->fate.producer_epoch = l->producer_epoch;
        b->fate.base_sequence = l->next_sequence;
        b->sealed = false;
        l->next_sequence = sequence_add(l->next_sequence, b->count);
    }
    b->fate.on_its_way = true;
    b->fate.left = false;
    b->fate.attempts++;
    l->on_its_way++;
}

/* ---- what came of it ------------------------------------------------------------------------------------- */

static void fail(struct lane *l, struct producer_batch *b, enum batch_why why, int16_t code)
{
#ifdef MUTANT_PRODUCER_SURE_OF_DOUBT
    finish(b, why, code, true);
#else
    finish(b, why, code, !b->fate.in_doubt && !b->fate.on_its_way);
#endif
#ifndef MUTANT_PRODUCER_GAP_STAYS
    if (b->fate.base_sequence >= 0)
        l->bump_due = true;
#endif
}

/* S2: it waits until all that is on its way has come back. */
static enum lane_verdict again(struct lane *l, struct producer_batch *b, const struct lane_rules *rules,
                               const struct lane_answer *a, int16_t code, int64_t now_ms)
{
    if (b->fate.attempts > rules->retries) {
        fail(l, b, WHY_BROKER, code);
        return LANE_DONE;
    }
    l->retrying = true;
    if (now_ms + a->backoff_ms > l->retry_at_ms)
        l->retry_at_ms = now_ms + a->backoff_ms;
    return LANE_AGAIN;
}

static enum lane_verdict succeed(struct lane *l, struct producer_batch *b, const struct lane_answer *a)
{
    finish(b, WHY_NONE, KERR_NONE, true);
    b->fate.base_offset = a->code == KERR_NONE ? a->base_offset : -1;
    b->fate.append_time_ms = a->append_time_ms;
    l->known = true;
    return LANE_DONE;
}

static enum lane_verdict refused(struct producer_partition *part, struct producer_batch *b,
                                 const struct lane_rules *rules, const struct lane_answer *a, int64_t now_ms)
{
    struct lane *l = &part->lane;

    if (is_about_sequence(a->code) && b->fate.base_sequence >= 0) {
        /* Behind another one that is not appended yet it says nothing new. The oldest one has lost its place: what is
         * in doubt may be there all the same: a broker of Kafka that started again knows only the newest batch. */
        if (b == first_open(l)) {
            l->bump_due = true;
            l->lost = l->lost || first_in_doubt(l) != NULL;
        }
        return again(l, b, rules, a, a->code, now_ms);
    }
    if (!producer_lane_is_definite(a->code, rules->acks))
        b->fate.in_doubt = true;
    if ((a->code == KERR_MESSAGE_TOO_LARGE || a->code == KERR_RECORD_LIST_TOO_LARGE) && b->count > 1 &&
        !b->fate.in_doubt) {
        l->retrying = true;
        return LANE_SPLIT;
    }
    if (kerr_is_retriable(a->code))
        return again(l, b, rules, a, a->code, now_ms);
    fail(l, b, WHY_BROKER, a->code);
    return LANE_DONE;
}

enum lane_verdict producer_lane_answered(struct producer_partition *part, struct producer_batch *b,
                                         const struct lane_rules *rules, const struct lane_answer *answer,
                                         int64_t now_ms)
{
    struct lane *l = &part->lane;

    ASSERT(b->fate.on_its_way);
    b->fate.on_its_way = false;
    l->on_its_way--;
    if (b->fate.done) /* it was given up meanwhile */
        return LANE_DONE;
    if (answer->trouble < 0 && !answer->sent)
        b->fate.attempts--; /* nothing of it has left: that was none */
    if (answer->trouble < 0) {
        b->fate.in_doubt = b->fate.in_doubt || answer->sent;
        return again(l, b, rules, answer, KERR_NETWORK_EXCEPTION, now_ms);
    }
    if (answer->code == KERR_NONE || answer->code == KERR_DUPLICATE_SEQUENCE_NUMBER)
        return succeed(l, b, answer);
    return refused(part, b, rules, answer, now_ms);
}

/* ---- giving up --------------------------------------------------------------------------------------------- */

/* It can be taken back for sure, and is then definitely not there. */
static bool is_unsent(const struct producer_batch *b)
{
    return b->fate.on_its_way && !b->fate.left;
}

/* The rest of the partition's batches, so that they are told of in order. */
static void take_queue(struct producer_partition *part)
{
    list_move_all(&part->lane.unacked, &part->queue);
    part->queued = 0;
}

int64_t producer_lane_expire(struct producer_partition *part, const struct lane_rules *rules, int64_t now_ms)
{
    struct lane *l = &part->lane;
    int64_t before = now_ms - rules->delivery_timeout_ms; /* what was made then is too old */

    LIST_EACH(it, &l->unacked) {
        struct producer_batch *b = batch_of(it);
        if (b->fate.done)
            continue;
        if (b->created_ms > before)
            return b->created_ms + rules->delivery_timeout_ms;
        if (!is_unsent(b))
            fail(l, b, WHY_LATE, KERR_REQUEST_TIMED_OUT);
    }
    if (part->open != NULL && part->open->created_ms <= before)
        accumulator_close_open(part);
    LIST_EACH(it, &part->queue) {
        struct producer_batch *b = batch_of(it);
        if (b->created_ms > before)
            return b->created_ms + rules->delivery_timeout_ms;
        list_remove(&b->node);
        part->queued--;
        list_add_tail(&l->unacked, &b->node);
        fail(l, b, WHY_LATE, KERR_REQUEST_TIMED_OUT);
    }
    return part->open == NULL ? INT64_MAX : part->open->created_ms + rules->delivery_timeout_ms;
}

void producer_lane_fail(struct producer_partition *part, int why, int16_t code, bool but_unsent)
{
    accumulator_close_open(part);
    take_queue(part);
    LIST_EACH(it, &part->lane.unacked) {
        if (!batch_of(it)->fate.done && !(but_unsent && is_unsent(batch_of(it))))
            fail(&part->lane, batch_of(it), (enum batch_why)why, code);
    }
}

void producer_lane_restart(struct producer_partition *part)
{
    struct lane *l = &part->lane;

    l->bump_due = l->lost = l->producer_id >= 0;
}

bool producer_lane_is_done(const struct producer_partition *part)
{
    const struct producer_batch *b = LIST_FIRST(&part->lane.unacked, struct producer_batch, node);

    return b != NULL && b->fate.done;
}

struct producer_batch *producer_lane_take(struct producer_partition *part)
{
    struct producer_batch *b = LIST_FIRST(&part->lane.unacked, struct producer_batch, node);

#ifdef MUTANT_PRODUCER_TELLS_OUT_OF_ORDER
    LIST_EACH(it, &part->lane.unacked)
        b = batch_of(it)->fate.done ? batch_of(it) : b;
#endif
    if (b == NULL || !b->fate.done)
        return NULL;
    list_remove(&b->node);
    return b;
}
