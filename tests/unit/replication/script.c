/* Random scripts against W1 to W3, computed anew from the history. */
#include "check.h"
#include "replication/replication.h"

#define ME 3
#define STEPS 300

struct script {
    struct prng g;
    struct replication r;
    int64_t end, stable;         /* of the own log */
    int32_t replicas[8], isr[8];
    struct replication_state s;
    int64_t mark;                /* highest while we lead */
    bool led;
    uint32_t moves, leads;
};

static uint32_t below(struct script *x, uint32_t n)
{
    return (uint32_t)prng_below(&x->g, n);
}

/* Replicas ME and some of 1..8, in any order; an ISR of them with its leader. */
static void draw_replicas(struct script *x)
{
    int32_t n = 0;

    for (int32_t id = 1; id <= 8; id++) {
        if (id == ME || below(x, 3) == 0)
            x->replicas[n++] = id;
    }
    for (int32_t i = n - 1; i > 0; i--) {
        int32_t j = (int32_t)below(x, (uint32_t)i + 1), id = x->replicas[i];
        x->replicas[i] = x->replicas[j];
        x->replicas[j] = id;
    }
    x->s.replica_count = n;
}

static void draw_isr(struct script *x)
{
    int32_t n = 0;

    for (int32_t i = 0; i < x->s.replica_count; i++) {
        if (x->replicas[i] == x->s.leader || below(x, 2) == 0)
            x->isr[n++] = x->replicas[i];
    }
    x->s.isr_count = n;
}

static void metadata(struct script *x, struct replication_outcome *out)
{
    int32_t before = x->s.leader_epoch;

    switch (below(x, 5)) {
    case 0: /* a new leader, or the old one anew */
        draw_replicas(x);
        x->s.leader = below(x, 2) == 0 ? ME : x->replicas[below(x, (uint32_t)x->s.replica_count)];
        x->s.leader_epoch++;
        x->s.partition_epoch++;
        draw_isr(x);
        break;
    case 1: /* nobody leads */
        x->s.leader = -1;
        x->s.leader_epoch++;
        x->s.partition_epoch++;
        break;
    case 2:
        x->s.min_isr = (int32_t)below(x, 5);
        break;
    case 3: { /* old news */
        struct replication_state old = x->s;
        int64_t mark = x->r.high_watermark;
        int32_t role = (int32_t)x->r.role;
        old.leader = 1 + (int32_t)below(x, 8);
        old.partition_epoch -= (int32_t)below(x, 2);
        replication_apply(&x->r, &old, x->end, x->stable, 0, out);
        CHECK_EQ(x->r.role, role);
        CHECK(!out->role_changed);
        CHECK(x->r.high_watermark >= mark);
        return;
    }
    default:
        x->s.partition_epoch++;
        draw_isr(x);
    }
    replication_apply(&x->r, &x->s, x->end, x->stable, 0, out);
    CHECK_EQ(out->role_changed, x->s.leader_epoch != before);
    CHECK_EQ(out->became_leader, x->s.leader_epoch != before && x->s.leader == ME);
    CHECK_EQ(out->became_follower, x->s.leader_epoch != before && x->s.leader != ME);
    if (out->became_leader)
        CHECK_EQ(x->r.epoch_start, x->end);
}

static bool in_isr(const struct script *x, int32_t id)
{
    for (int32_t i = 0; i < x->s.isr_count; i++) {
        if (x->isr[i] == id)
            return true;
    }
    return false;
}

static void check(struct script *x, const struct replication_outcome *out, int64_t before)
{
    int32_t asked = x->s.min_isr < 1 ? 1 : x->s.min_isr;
    bool leads = x->s.leader == ME;

    if (asked > x->s.replica_count)
        asked = x->s.replica_count;
    CHECK_EQ(x->r.role, leads ? REPLICATION_LEADER : REPLICATION_FOLLOWER);
    CHECK_EQ(out->high_watermark_moved, x->r.high_watermark != before);
    CHECK(x->r.high_watermark >= before); /* W1 */
    CHECK_EQ(replication_can_append(&x->r, -1) == KERR_NONE, leads && x->s.isr_count >= asked);
    CHECK_EQ(replication_can_append(&x->r, 1) == KERR_NONE, leads);
    CHECK_EQ(replication_check_leader(&x->r, x->s.leader_epoch) == KERR_NONE, leads);
    for (uint32_t i = 0; i < x->r.count; i++)
        CHECK_EQ(x->r.replicas[i].in_isr, in_isr(x, x->r.replicas[i].id));
    if (!out->high_watermark_moved)
        return;
    CHECK(leads);
    CHECK(x->s.isr_count >= asked); /* W2 */
    CHECK(x->r.high_watermark <= x->stable);
    for (uint32_t i = 0; i < x->r.count; i++) { /* W1, and so W3 */
        if (x->r.replicas[i].in_isr)
            CHECK(x->r.replicas[i].stable_end >= x->r.high_watermark);
    }
    x->moves++;
}

TEST(replication_script, invariants_hold_in_every_history)
{
    uint32_t moves = 0, leads = 0;

    for (uint64_t seed = 1; seed <= 500; seed++) {
        struct script x = {.s = {.leader = -1, .leader_epoch = -1, .partition_epoch = -1}};
        struct replication_outcome out;
        prng_init(&x.g, seed);
        x.s.replicas = x.replicas;
        x.s.isr = x.isr;
        replication_init(&x.r, ME, 0);
        draw_replicas(&x);
        x.s.leader = ME;
        x.s.leader_epoch = x.s.partition_epoch = 0;
        draw_isr(&x);
        replication_apply(&x.r, &x.s, 0, 0, 0, &out);
        check(&x, &out, 0);
        for (int i = 0; i < STEPS; i++) {
            int64_t before = x.r.high_watermark;
            x.end += below(&x, 4);
            if (below(&x, 3) > 0) {
                x.stable += below(&x, (uint32_t)(x.end - x.stable) + 1);
                replication_stable(&x.r, x.stable, &out);
            } else {
                metadata(&x, &out);
            }
            check(&x, &out, before);
            leads += out.became_leader;
        }
        moves += x.moves;
    }
    CHECK(moves > 1000);
    CHECK(leads > 1000);
}
