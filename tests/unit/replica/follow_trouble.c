/* What goes wrong with one partition of a fetcher is its own: the others go on, and it comes back. */
#include "leaders.h"

#include <stdlib.h>
#include <string.h>

#define OTHERS 4

struct pair {
    struct rig *g;
    struct leader_log *bad, *good[OTHERS];
};

/* One partition, beside others of the same leader. */
static struct pair begin(uint64_t seed)
{
    struct pair p = {.g = rig_new(seed, NULL)};

    p.bad = rig_partition(p.g, 1, 0, 2);
    for (int32_t i = 0; i < OTHERS; i++)
        p.good[i] = rig_partition(p.g, 2, i, 2);
    rig_start(p.g);
    leader_append(p.g, p.bad, 5, 2);
    for (int i = 0; i < OTHERS; i++)
        leader_append(p.g, p.good[i], 5, 2);
    rig_settle(p.g);
    return p;
}

static bool good_have_all(const struct pair *p)
{
    for (int i = 0; i < OTHERS; i++) {
        struct replica *r = lab_find(&p->g->lab, p->good[i]->id, p->good[i]->partition);
        if (r == NULL || log_stable(replica_log(r)) < p->good[i]->end)
            return false;
    }
    return true;
}

/* The others get records at once, many times over. */
static void others_go_on(struct pair *p)
{
    for (int round = 0; round < 10; round++) {
        int64_t began_ns = sim_now_ns(p->g->lab.sim);
        for (int i = 0; i < OTHERS; i++)
            leader_append(p->g, p->good[i], 1, 1);
        UNTIL(&p->g->lab, good_have_all(p));
        CHECK(sim_now_ns(p->g->lab.sim) - began_ns < 700 * MS);
    }
}

static void end(struct pair *p)
{
    rig_settle(p->g);
    rig_close(p->g);
}

TEST(follow_trouble, error_is_backed_off_from_and_its_partition_comes_back)
{
    static const int16_t errors[] = {KERR_NOT_LEADER_OR_FOLLOWER, KERR_UNKNOWN_LEADER_EPOCH, KERR_UNKNOWN_TOPIC_ID,
                                     KERR_UNKNOWN_TOPIC_OR_PARTITION, KERR_INCONSISTENT_TOPIC_ID,
                                     KERR_REPLICA_NOT_AVAILABLE, KERR_KAFKA_STORAGE_ERROR, KERR_UNKNOWN_SERVER_ERROR};

    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct pair p = begin(100 + i);
        p.bad->error = errors[i];
        p.bad->errors = 1000;
        leader_append(p.g, p.bad, 1, 1);
        others_go_on(&p);
        lab_pass(&p.g->lab, 10 * SEC);
        CHECK(p.bad->refused > 2);
        CHECK(p.bad->refused < 40); /* not again and again */
        p.bad->errors = 0;
        end(&p);
    }
}

TEST(follow_trouble, one_error_costs_little)
{
    struct pair p = begin(120);
    int64_t began_ns;

    p.bad->error = KERR_UNKNOWN_LEADER_EPOCH;
    p.bad->errors = 1;
    began_ns = sim_now_ns(p.g->lab.sim);
    leader_append(p.g, p.bad, 1, 1);
    UNTIL(&p.g->lab, rig_end(p.g, p.bad) == p.bad->end);
    CHECK(sim_now_ns(p.g->lab.sim) - began_ns < 100 * MS); /* it does not wait for the others' long poll */
    end(&p);
}

TEST(follow_trouble, one_that_is_fenced_waits_for_metadata)
{
    struct pair p = begin(130);
    uint32_t before;

    leader_elect(p.g, p.bad, 2, p.bad->end); /* the leader knows, this node does not yet */
    leader_append(p.g, p.bad, 2, 1);
    others_go_on(&p);
    before = p.bad->fetches;
    lab_pass(&p.g->lab, 10 * SEC);
    CHECK_EQ(p.bad->fetches, before);
    rig_apply(p.g);
    end(&p);
}

TEST(follow_trouble, damaged_batch_is_not_appended_and_fetched_again)
{
    for (uint64_t seed = 140; seed < 160; seed++) {
        struct pair p = begin(seed);
        p.bad->damages = 3;
        leader_append(p.g, p.bad, 3, 3);
        others_go_on(&p);
        end(&p);
    }
}

TEST(follow_trouble, batch_of_an_epoch_that_is_not_known_here_is_not_appended)
{
    struct pair p = begin(170);
    int64_t known = p.bad->end;

    p.bad->epoch = 5; /* a leader that answers to an old epoch with batches of a new one */
    leader_append(p.g, p.bad, 1, 1);
    p.bad->epoch = 0;
    others_go_on(&p);
    CHECK_EQ(rig_end(p.g, p.bad), known);
    p.bad->epochs[p.bad->epoch_count++] = (struct epoch_end){5, known};
    p.bad->epoch = 5;
    for (int i = 0; i < 5; i++)
        meta_leader(&p.g->lab, 1, 0, 2);
    rig_apply(p.g);
    end(&p);
}

TEST(follow_trouble, leader_that_makes_no_sense_does_no_harm)
{
    struct pair p = begin(180);
    uint8_t *bytes = p.bad->batches[2].bytes;

    leader_append(p.g, p.bad, 1, 1);
    lab_pass(&p.g->lab, SEC);
    p.bad->batches[p.bad->count] = p.bad->batches[2]; /* an old batch once more */
    p.bad->batches[p.bad->count].bytes = memcpy(malloc((size_t)p.bad->batches[2].n), bytes,
                                                (size_t)p.bad->batches[2].n);
    p.bad->batches[p.bad->count].base = p.bad->end;
    p.bad->batches[p.bad->count++].last = p.bad->end;
    p.bad->end++;
    leaders_wake(p.g);
    others_go_on(&p);
    CHECK_EQ(rig_end(p.g, p.bad), p.bad->end - 1);
    leader_elect(p.g, p.bad, 3, p.bad->end - 1);
    rig_apply(p.g);
    end(&p);
}

TEST(follow_trouble, answers_that_cannot_be_read_or_do_not_come_are_got_over)
{
    static const enum script_fault faults[] = {SCRIPT_CUT, SCRIPT_CUT_AFTER, SCRIPT_SILENT, SCRIPT_LENGTH,
                                               SCRIPT_CORRELATION, SCRIPT_SHORT, SCRIPT_GARBAGE};

    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct pair p = begin(190 + i);
        for (int n = 0; n < 3; n++)
            script_fault(p.g->script, 2, API_FETCH, faults[i], 3);
        leader_append(p.g, p.bad, 3, 1);
        for (int n = 0; n < OTHERS; n++)
            leader_append(p.g, p.good[n], 3, 1);
        lab_pass(&p.g->lab, 100 * SEC);
        end(&p);
    }
}

TEST(follow_trouble, leader_that_stops_and_starts_is_followed_again)
{
    struct pair p = begin(210);

    for (int i = 0; i < 20; i++) {
        script_stop(p.g->script, 2);
        leader_append(p.g, p.bad, 1, 1);
        lab_pass(&p.g->lab, (int64_t)prng_below(sim_prng(p.g->lab.sim), 2 * SEC));
        script_start(p.g->script, 2);
        for (int n = 0; n < OTHERS; n++)
            leader_append(p.g, p.good[n], 1, 1);
        rig_settle(p.g); /* trap 25: every partition goes on */
    }
    end(&p);
}

TEST(follow_trouble, full_disk_holds_up_nothing_that_finds_room)
{
    struct pair p = begin(220);

    log_dir_set_room(p.g->lab.dirs[0], 0);
    leader_append(p.g, p.bad, 3, 1);
    lab_pass(&p.g->lab, 5 * SEC);
    CHECK(rig_end(p.g, p.bad) < p.bad->end);
    log_dir_set_room(p.g->lab.dirs[0], INT64_MAX);
    end(&p);
}

TEST(follow_trouble, partition_that_finds_no_place_does_not_hold_up_others)
{
    struct pair p = begin(225);
    int64_t known = p.bad->end;

    sim_disk_limit(p.g->lab.node, 1);
    leader_append(p.g, p.bad, 100, 50); /* more than what is allocated ahead: it cannot become stable */
    UNTIL(&p.g->lab, rig_end(p.g, p.bad) > known);
    others_go_on(&p);
    CHECK_EQ(p.bad->acknowledged, known);
    sim_disk_limit(p.g->lab.node, UINT64_C(1) << 36);
    end(&p);
}

TEST(follow_trouble, directory_that_fails_ends_what_is_followed_in_it)
{
    struct rig *g = rig_new(230, NULL);
    struct leader_log *l = rig_partition(g, 1, 0, 2);

    leader_append(g, l, 5, 1);
    rig_start(g);
    rig_settle(g);
    sim_fail_in(g->lab.node, "/data0");
    leader_append(g, l, 5, 1);
    UNTIL(&g->lab, g->lab.dir_failed && lab_find(&g->lab, 1, 0) == NULL);
    lab_pass(&g->lab, 5 * SEC);
    CHECK_EQ(l->acknowledged, 5);
    CHECK_EQ(g->leaders[2].entry_count, 1); /* nobody tells it any more: nothing else is followed */
    CHECK(lab_stop(&g->lab) < 0);
    sim_fail_in(g->lab.node, NULL);
    rig_free(g);
}

TEST(follow_trouble, answer_to_what_was_asked_under_an_older_epoch_is_dropped)
{
    struct pair p = begin(240);
    int64_t end_ns, known = p.bad->end;

    lab_pass(&p.g->lab, 10 * MS);
    p.g->leaders[2].delay_ms = 300;
    leader_append(p.g, p.bad, 3, 1);
    lab_pass(&p.g->lab, 10 * MS);
    leader_elect(p.g, p.bad, 2, known); /* without what it is about to answer with */
    rig_apply(p.g);
    for (end_ns = sim_now_ns(p.g->lab.sim) + 2 * SEC; sim_now_ns(p.g->lab.sim) < end_ns;) {
        CHECK(sim_step(p.g->lab.sim));
        CHECK_EQ(rig_end(p.g, p.bad), known);
    }
    end(&p);
}

/* What it then has may be wrong: a checksum covers only records. */
TEST(follow_trouble, answers_with_flipped_bits_stop_nothing)
{
    for (uint64_t seed = 300; seed < 340; seed++) {
        struct pair p = begin(seed);
        for (int n = 0; n < 30; n++) {
            script_fault(p.g->script, 2, n % 7 == 0 ? API_LIST_OFFSETS : API_FETCH, SCRIPT_FLIP,
                         1 + (int64_t)prng_below(sim_prng(p.g->lab.sim), 4));
            leader_append(p.g, n % 2 == 0 ? p.bad : p.good[n % OTHERS], 1, 1);
            lab_pass(&p.g->lab, (int64_t)prng_below(sim_prng(p.g->lab.sim), SEC));
        }
        CHECK_EQ(lab_online(&p.g->lab), 1);
        rig_close(p.g);
    }
}
