/* Peers that say anything: the machine may be misled, but it does not end, and keeps what it has promised. */
#include "lab.h"

static int32_t any_id(struct prng *g)
{
    return (int32_t)prng_below(g, 6) - 1;
}

static int32_t any_epoch(struct prng *g, int32_t epoch)
{
    static const int32_t odd[] = {INT32_MIN, -1, 0, INT32_MAX - 1, INT32_MAX};

    if (prng_below(g, 200) == 0)
        return odd[prng_below(g, array_count(odd))];
    return epoch > INT32_MAX - 3 ? epoch : epoch + (int32_t)prng_below(g, 5) - 2;
}

static struct raft_key any_key(struct prng *g)
{
    int32_t id = any_id(g);

    return prng_below(g, 4) == 0 ? (struct raft_key){.id = id} : lab_key(id);
}

static void any_request(struct prng *g, struct lab *l)
{
    static int32_t preferred[RAFT_VOTERS_MAX * 4];
    int32_t epoch = raft_election(l->raft)->epoch;
    struct raft_request q = {.rpc = (enum raft_rpc)prng_below(g, 4),
                             .from = any_key(g),
                             .to = any_key(g),
                             .epoch = any_epoch(g, epoch),
                             .pre_vote = prng_below(g, 2) == 0,
                             .last_epoch = any_epoch(g, LAB_LOG_EPOCH),
                             .last_offset = (int64_t)prng_below(g, 30) - 2,
                             .preferred = preferred,
                             .preferred_count = (uint32_t)prng_below(g, array_count(preferred))};
    struct raft_election before = *raft_election(l->raft);

    for (uint32_t i = 0; i < q.preferred_count; i++)
        preferred[i] = any_id(g);
    struct raft_reply r = lab_request(l, q);
    CHECK(q.rpc != RAFT_FETCH || r.error != KERR_INVALID_REQUEST); /* a JVM peer would end */
    if (!r.granted || q.pre_vote)
        return;
    CHECK_EQ(r.epoch, q.epoch);
    CHECK(l->out.persist || before.epoch == r.epoch);
    CHECK_EQ(raft_election(l->raft)->voted_id, q.from.id);
}

static void any_answer(struct prng *g, struct lab *l)
{
    static const enum kerr errors[] = {KERR_NONE,
                                       KERR_NONE,
                                       KERR_NONE,
                                       KERR_FENCED_LEADER_EPOCH,
                                       KERR_UNKNOWN_LEADER_EPOCH,
                                       KERR_NOT_LEADER_OR_FOLLOWER,
                                       KERR_INVALID_REQUEST,
                                       KERR_UNSUPPORTED_VERSION,
                                       KERR_INVALID_VOTER_KEY};
    int32_t epoch = raft_election(l->raft)->epoch;

    lab_answer_all(l, (struct raft_answer){.rpc = (enum raft_rpc)prng_below(g, 4),
                                           .from = any_id(g),
                                           .sent_epoch = prng_below(g, 3) == 0 ? any_epoch(g, epoch) : epoch,
                                           .pre_vote = prng_below(g, 2) == 0,
                                           .lost = prng_below(g, 5) == 0,
                                           .error = errors[prng_below(g, array_count(errors))],
                                           .leader_id = any_id(g),
                                           .epoch = any_epoch(g, epoch),
                                           .granted = prng_below(g, 2) == 0,
                                           .high_watermark = (int64_t)prng_below(g, 30) - 2});
}

/* What its owner does when it leads. */
static void obey(struct lab *l)
{
    static struct raft_voters voters;
    int64_t end = l->end + 1;

    if (!l->out.append_leader_change && !l->out.append_voters)
        return;
    bool has_voters = l->out.append_voters;
    lab_append(l, end);
    if (!has_voters)
        return;
    voters = *raft_voters(l->raft);
    lab_step(l, (struct raft_event){.type = RAFT_EVENT_VOTERS, .voters = &voters, .voters_end = end});
}

static void any_event(struct prng *g, struct lab *l)
{
    struct raft_election before = *raft_election(l->raft);

    l->now += (int64_t)prng_below(g, 300);
    switch (prng_below(g, 8)) {
    case 0:
        lab_step(l, (struct raft_event){.type = RAFT_EVENT_TICK});
        break;
    case 1:
        lab_fetched(l, any_id(g), (int64_t)prng_below(g, (uint64_t)l->end + 1));
        break;
    case 2:
        (void)lab_change(l, (enum raft_change_kind)prng_below(g, 4), lab_voter(any_id(g)));
        break;
    case 3:
    case 4:
        any_request(g, l);
        break;
    default:
        any_answer(g, l);
    }
    const struct raft_election *after = raft_election(l->raft);
    CHECK(after->epoch >= before.epoch);
    if (after->epoch == before.epoch && before.leader_id != -1)
        CHECK_EQ(after->leader_id, before.leader_id);
    obey(l);
    text_clear(&l->said);
}

TEST(raft_hostile, peers_that_say_anything_do_not_end_it)
{
    struct prng g;

    prng_init(&g, 7);
    for (int i = 0; i < 1500; i++) {
        struct lab l = lab_at((enum raft_role)prng_below(&g, RAFT_RESIGNED + 1));
        for (int n = 0; n < 150; n++)
            any_event(&g, &l);
        lab_free(&l);
    }
}
