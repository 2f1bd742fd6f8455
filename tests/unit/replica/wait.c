/* Who waits for a replica's marks. */
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>

#define NEVER (-100)

/* A wait or a watch of the test. */
struct waiter {
    struct replica_wait wait;
    struct replica_watch watch;
    struct replica *replica;
    int error;            /* NEVER until it is told */
    int64_t mark;         /* high watermark when it was told */
    uint32_t told;
    bool inside;          /* the call that asks is under way */
    uint32_t *order, turn;
    void (*then)(struct waiter *w);
    struct waiter *other;
};

static void tell(struct waiter *w, int error)
{
    static uint32_t turns;

    ASSERT(!w->inside);
    w->error = error;
    w->told++;
    w->turn = ++turns;
    w->mark = replica_high_watermark(w->replica);
    if (w->then != NULL)
        w->then(w);
}

static void ready(struct replica_wait *wait, enum kerr error)
{
    tell(container_of(wait, struct waiter, wait), (int)error);
}

static void moved(struct replica_watch *watch)
{
    tell(container_of(watch, struct waiter, watch), 0);
}

enum way { COMMITTED, STABLE, WATCH, WAYS };

static void ask(struct waiter *w, struct replica *r, enum way way, int64_t offset)
{
    w->replica = r;
    w->error = NEVER;
    w->wait.ready = ready;
    w->watch.moved = moved;
    w->inside = true;
    if (way == COMMITTED)
        replica_wait_committed(r, &w->wait, offset);
    else if (way == STABLE)
        replica_wait_stable(r, &w->wait, offset);
    else
        replica_watch(r, &w->watch);
    w->inside = false;
}

static void cancel(struct waiter *w)
{
    replica_wait_cancel(&w->wait);
    replica_watch_cancel(&w->watch);
}

static struct replica *begin(struct lab *lab, uint64_t seed)
{
    lab_init(lab, seed, NULL, 1, 1);
    meta_topic(lab, "orders", 1, 1);
    CHECK_EQ(lab_start(lab), 0);
    return lab_get(lab, 1, 0);
}

static void end(struct lab *lab)
{
    CHECK_EQ(lab_stop(lab), 0);
    lab_deinit(lab);
}

static int64_t append(struct replica *r)
{
    struct replica_appended a;

    CHECK_EQ(lab_append(r, "x", -1, &a), KERR_NONE);
    return a.last_offset + 1;
}

TEST(wait, append_is_told_when_it_is_committed_and_not_before)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct lab lab;
        struct replica *r = begin(&lab, seed);
        struct waiter w[30] = {0};
        for (uint32_t i = 0; i < 30; i++) {
            ask(&w[i], r, (enum way)(i % 3), append(r));
            lab_pass(&lab, (int64_t)prng_below(sim_prng(lab.sim), MS));
        }
        for (uint32_t i = 0; i < 30; i++) {
            UNTIL(&lab, w[i].told > 0);
            CHECK_EQ(w[i].error, KERR_NONE);
            CHECK_EQ(w[i].told, 1);
            if (i % 3 == COMMITTED)
                CHECK(w[i].mark >= i + 1);
        }
        for (uint32_t i = 3; i < 30; i++) {
            if (i % 3 == COMMITTED)
                CHECK(w[i - 3].turn < w[i].turn); /* in the order of their offsets */
        }
        end(&lab);
    }
}

TEST(wait, what_is_over_already_is_told_in_a_later_turn)
{
    struct lab lab;
    struct replica *r = begin(&lab, 1);
    struct waiter w[3] = {0};

    lab_put(&lab, r, "a");
    ask(&w[0], r, COMMITTED, 1);
    ask(&w[1], r, STABLE, 1);
    ask(&w[2], r, COMMITTED, 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(w[i].told, 0);
    replica_wait_cancel(&w[1].wait);
    UNTIL(&lab, w[0].told == 1 && w[2].told == 1);
    lab_pass(&lab, SEC);
    CHECK_EQ(w[1].told, 0);
    end(&lab);
}

TEST(wait, offsets_are_told_in_order_whatever_the_order_of_asking)
{
    struct lab lab;
    struct replica *r = begin(&lab, 1);
    struct waiter w[6] = {0};
    static const int64_t offsets[] = {5, 2, 6, 1, 3, 4};

    for (int i = 0; i < 6; i++)
        ask(&w[i], r, COMMITTED, offsets[i]);
    for (int i = 1; i <= 6; i++) {
        lab_put(&lab, r, "a");
        for (int k = 0; k < 6; k++)
            CHECK_EQ(w[k].told, offsets[k] <= i);
    }
    end(&lab);
}

TEST(wait, canceled_ones_are_not_told)
{
    struct lab lab;
    struct replica *r = begin(&lab, 1);
    struct waiter w[WAYS * 2] = {0};

    for (int i = 0; i < WAYS * 2; i++)
        ask(&w[i], r, (enum way)(i % WAYS), 1);
    for (int i = 0; i < WAYS; i++)
        cancel(&w[i]);
    for (int i = 0; i < WAYS; i++)
        cancel(&w[i]); /* not waiting any more: no harm */
    lab_put(&lab, r, "a");
    lab_pass(&lab, SEC);
    for (int i = 0; i < WAYS * 2; i++)
        CHECK_EQ(w[i].told, i < WAYS ? 0 : 1);
    for (int i = 0; i < WAYS * 2; i++)
        cancel(&w[i]); /* told already */
    end(&lab);
}

TEST(wait, watch_is_told_once)
{
    struct lab lab;
    struct replica *r = begin(&lab, 1);
    struct waiter w = {0};

    ask(&w, r, WATCH, 0);
    lab_put(&lab, r, "a");
    lab_put(&lab, r, "b");
    lab_pass(&lab, SEC);
    CHECK_EQ(w.told, 1);
    end(&lab);
}

/* ---- inside the telling --------------------------------------------------------------------- */

static void ask_again(struct waiter *w)
{
    if (w->told < 5)
        replica_watch(w->replica, &w->watch);
}

static void wait_again(struct waiter *w)
{
    if (w->told < 5)
        replica_wait_committed(w->replica, &w->wait, 1);
}

static void cancel_other(struct waiter *w)
{
    cancel(w->other);
}

TEST(wait, who_is_told_may_ask_again_and_is_told_later)
{
    struct lab lab;
    struct replica *r = begin(&lab, 1);
    struct waiter watch = {.then = ask_again}, wait = {.then = wait_again};

    ask(&watch, r, WATCH, 0);
    ask(&wait, r, COMMITTED, 1);
    lab_put(&lab, r, "a");
    CHECK_EQ(watch.told, 1);
    lab_put(&lab, r, "b");
    CHECK_EQ(watch.told, 2);
    UNTIL(&lab, wait.told == 5); /* it is over each time: one turn after another */
    cancel(&watch);
    end(&lab);
}

TEST(wait, who_is_told_may_cancel_the_others)
{
    for (int way = 0; way < WAYS; way++) {
        struct lab lab;
        struct replica *r = begin(&lab, 1);
        struct waiter first = {.then = cancel_other}, second = {0};
        first.other = &second;
        ask(&first, r, (enum way)way, 1);
        ask(&second, r, (enum way)way, 1);
        lab_put(&lab, r, "a");
        lab_pass(&lab, SEC);
        CHECK_EQ(first.told, 1);
        CHECK_EQ(second.told, 0);
        end(&lab);
    }
}

static void append_there(struct waiter *w)
{
    if (replica_high_watermark(w->replica) >= 5)
        return;
    int64_t end_offset = append(w->replica);
    replica_wait_committed(w->replica, &w->wait, end_offset);
}

TEST(wait, who_is_told_may_append)
{
    struct lab lab;
    struct replica *r = begin(&lab, 1);
    struct waiter w = {.then = append_there};

    ask(&w, r, COMMITTED, append(r));
    UNTIL(&lab, w.told == 5);
    CHECK_EQ(replica_high_watermark(r), 5);
    end(&lab);
}

/* ---- the end of leadership ------------------------------------------------------------------ */

enum loss { TO_OTHER, TO_NOBODY, NEW_EPOCH, DELETED, CLOSED, LOSSES };

static void lose(struct lab *lab, enum loss loss)
{
    static const int32_t both[] = {ME, 2};
    struct wait w;

    switch (loss) {
    case TO_OTHER:
        meta_replicas(lab, 1, 0, both, 2);
        meta_leader(lab, 1, 0, 2);
        break;
    case TO_NOBODY:
        meta_leader(lab, 1, 0, -1);
        break;
    case NEW_EPOCH:
        meta_leader(lab, 1, 0, ME);
        break;
    case DELETED:
        meta_remove(lab, 1);
        break;
    default:
        replicas_close(lab->sets[0], wait_begin(&w));
        CHECK_EQ(wait_end(lab, &w), 0);
        return;
    }
    CHECK_EQ(lab_apply(lab), 0);
}

/* What is in the log becomes stable whoever leads, unless it goes with the log. */
static bool goes_on(enum loss loss, enum way way)
{
    return way == STABLE && loss != DELETED && loss != CLOSED;
}

static enum kerr told_at(enum way way)
{
    return way == WATCH ? KERR_NONE : way == STABLE ? KERR_REQUEST_TIMED_OUT : KERR_NOT_LEADER_OR_FOLLOWER;
}

TEST(wait, end_of_leadership_tells_all_that_wait)
{
    for (int loss = 0; loss < LOSSES; loss++) {
        for (int way = 0; way < WAYS; way++) {
            struct lab lab;
            struct replica *r = begin(&lab, 1);
            struct waiter w = {0}, canceled = {0}, late = {0};
            replica_hold(r);
            ask(&w, r, (enum way)way, 100);
            ask(&canceled, r, (enum way)way, 100);
            cancel(&canceled);
            lose(&lab, (enum loss)loss);
            CHECK_EQ(w.told, goes_on((enum loss)loss, (enum way)way) ? 0 : 1);
            if (w.told == 1)
                CHECK_EQ(w.error, told_at((enum way)way));
            cancel(&w);
            CHECK_EQ(canceled.told, 0);
            ask(&late, r, (enum way)way, 100); /* by one that still holds it */
            if (loss == NEW_EPOCH) {
                lab_pass(&lab, SEC);
                CHECK_EQ(late.told, 0);
                cancel(&late);
            } else {
                UNTIL(&lab, late.told == 1);
                CHECK_EQ(late.error, way == WATCH ? KERR_NONE : KERR_NOT_LEADER_OR_FOLLOWER);
            }
            ask(&late, r, (enum way)way, 100);
            cancel(&late);
            replica_release(r);
            lab_pass(&lab, SEC);
            end(&lab);
        }
    }
}

TEST(wait, append_of_acks_1_is_told_when_it_is_stable_whoever_leads_by_then)
{
    for (enum loss loss = TO_OTHER; loss <= NEW_EPOCH; loss++) {
        struct lab lab;
        struct replica *r = begin(&lab, 1);
        struct waiter w = {0};
        sim_disk_slow(lab.node, 1000, SEC);
        ask(&w, r, STABLE, append(r));
        lose(&lab, loss);
        CHECK_EQ(w.told, 0); /* or it was stable before: then this test is none */
        UNTIL(&lab, w.told == 1);
        CHECK_EQ(w.error, KERR_NONE);
        CHECK_EQ(log_stable(replica_log(r)), 1);
        end(&lab);
    }
}

TEST(wait, append_that_waits_when_the_log_closes_is_kept)
{
    struct lab lab;
    struct text text = {0};
    struct replica *r = begin(&lab, 1);
    struct waiter w = {0};

    ask(&w, r, COMMITTED, append(r));
    CHECK_EQ(lab_stop(&lab), 0);
    CHECK_EQ(w.told, 1); /* by the mark, or by the end: both are true */
    CHECK_EQ(lab_start(&lab), 0);
    CHECK_TEXT(lab_read(&lab, lab_get(&lab, 1, 0), &text), "0:x ");
    text_deinit(&text);
    end(&lab);
}
