/* Brokers that stand still: b1 and b2 are brokers of this program here, and this node's controller leads. They ask for
 * metadata as often as the test says; connections to them are the script's to answer. */
#include "lab.h"

#define EPOCH 50 /* of both registrations */
#define MS INT64_C(1000000)

static struct uuid ours(struct lab *lab)
{
    return controller_incarnation(io_prng(lab->io));
}

static void begin(struct lab *lab, uint64_t seed, const char *silence_ms)
{
    lab_init(lab, seed, "broker,controller");
    lab_set(lab, "millrace.broker.silence.ms", silence_ms);
    lab_run(lab);
    lab_add_broker(lab, 1, ours(lab), EPOCH);
    lab_add_broker(lab, 2, ours(lab), EPOCH);
    lab_commit(lab);
    script_pass(lab->s, 100);
}

static void claim(struct lab *lab)
{
    lab_lead(lab, NODE_ID, 2);
    lab_claim(lab, 2);
}

/* These fetch each half second, as those do that wait for half a second; the last time now. */
static void pass(struct lab *lab, int64_t ms, bool first, bool second)
{
    for (; ms > 0; ms -= 500) {
        script_pass(lab->s, ms > 500 ? 500 : ms);
        if (first && ms >= 500)
            lab_fetched(lab, 1);
        if (second && ms >= 500)
            lab_fetched(lab, 2);
    }
}

static bool is_fenced(struct lab *lab, int32_t id)
{
    return image_broker_find(controller_latest(node_controller(lab->node)), id)->fenced;
}

/* The process `node` stands still for so long. */
static void stand_still(struct lab *lab, struct sim_node *node, int64_t ms)
{
    sim_node_pause(node, io_now_ns(lab->io) + ms * MS);
}

TEST(silence, a_broker_that_stands_still_is_fenced)
{
    struct lab lab;

    begin(&lab, 1, "900");
    claim(&lab);
    pass(&lab, 5000, true, true);
    uint32_t before = script_connections(lab.s, 1);
    stand_still(&lab, script_node(lab.s, 1), 60000);
    pass(&lab, 850, false, true);
    CHECK(!is_fenced(&lab, 1));
    pass(&lab, 100, false, true);
    CHECK(is_fenced(&lab, 1));
    CHECK(!is_fenced(&lab, 2));
    CHECK(strstr(text_str(&lab.said).p, "broker 1 is fenced: nothing has come of it for 9") != NULL);
    CHECK_EQ(script_connections(lab.s, 1), before); /* nobody accepted it */
    lab_end(&lab);
}

TEST(silence, a_broker_that_cannot_be_reached_is_fenced)
{
    struct lab lab;

    begin(&lab, 2, "900");
    claim(&lab);
    pass(&lab, 1000, true, true);
    sim_net_cut(script_machine(lab.s), script_node(lab.s, 2));
    pass(&lab, 1100, true, false);
    CHECK(is_fenced(&lab, 2));
    lab_end(&lab);
}

/* It writes what it has fetched, to a disk that is slow. */
TEST(silence, a_broker_that_answers_does_not_stand_still)
{
    struct lab lab;

    begin(&lab, 3, "900");
    claim(&lab);
    pass(&lab, 6000, false, true);
    CHECK(!is_fenced(&lab, 1));
    CHECK(script_count(lab.s, 1, API_API_VERSIONS) >= 9);
    lab_end(&lab);
}

TEST(silence, who_was_silent_before_a_controller_begins_is_known_soon)
{
    struct lab lab;

    begin(&lab, 4, "900");
    stand_still(&lab, script_node(lab.s, 1), 60000);
    claim(&lab);
    script_pass(lab.s, 250);
    CHECK(!is_fenced(&lab, 1));
    script_pass(lab.s, 100);
    CHECK(is_fenced(&lab, 1));
    CHECK(!is_fenced(&lab, 2));
    lab_end(&lab);
}

/* All of the machine: what this process did not hear while it stood still, counts for nothing. */
TEST(silence, a_controller_that_stood_still_itself_fences_nobody)
{
    struct lab lab;

    begin(&lab, 5, "900");
    claim(&lab);
    pass(&lab, 1000, true, true);
    stand_still(&lab, script_node(lab.s, 1), 3000);
    pass(&lab, 700, false, true); /* it is being asked */
    lab_fetched(&lab, 2);
    stand_still(&lab, script_machine(lab.s), 2200);
    stand_still(&lab, script_node(lab.s, 2), 2290);
    script_pass(lab.s, 2400);
    CHECK(!is_fenced(&lab, 1));
    CHECK(!is_fenced(&lab, 2));
    lab_end(&lab);
}

/* Nor are sessions over that went on while it stood still; they end as long after it as they would have. */
TEST(silence, a_controller_that_stood_still_itself_ends_no_session)
{
    struct lab lab;

    begin(&lab, 9, "0");
    claim(&lab);
    script_pass(lab.s, 2000);
    stand_still(&lab, script_machine(lab.s), 60000);
    script_pass(lab.s, 60000 + 6000);
    CHECK(!is_fenced(&lab, 1));
    CHECK(!is_fenced(&lab, 2));
    script_pass(lab.s, 2000);
    CHECK(is_fenced(&lab, 1));
    CHECK(is_fenced(&lab, 2));
    lab_end(&lab);
}

TEST(silence, none_is_fenced_where_most_are_silent)
{
    struct lab lab;

    begin(&lab, 6, "900");
    claim(&lab);
    pass(&lab, 1000, true, true);
    stand_still(&lab, script_node(lab.s, 1), 60000);
    stand_still(&lab, script_node(lab.s, 2), 60000);
    script_pass(lab.s, 5000);
    CHECK(!is_fenced(&lab, 1));
    CHECK(!is_fenced(&lab, 2));
    lab_end(&lab);
}

TEST(silence, it_can_be_switched_off)
{
    struct lab lab;

    begin(&lab, 7, "0");
    claim(&lab);
    stand_still(&lab, script_node(lab.s, 1), 60000);
    pass(&lab, 5000, false, true);
    CHECK(!is_fenced(&lab, 1));
    lab_end(&lab);
}

/* Whom it asks, also one whom nobody can be connected to, holds up no end. */
TEST(silence, a_node_ends_while_it_asks)
{
    for (int i = 0; i < 3; i++) {
        struct lab lab;

        begin(&lab, (uint64_t)(10 + i), "900");
        if (i == 0)
            stand_still(&lab, script_node(lab.s, 1), 60000);
        else if (i == 1)
            sim_net_cut(script_machine(lab.s), script_node(lab.s, 1));
        else
            script_stop(lab.s, 1);
        claim(&lab);
        script_pass(lab.s, 200);
        lab_end(&lab);
    }
}
