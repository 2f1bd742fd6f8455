/* Brokers that nobody listens for any more: b1 and b2 are such brokers here, and this node's controller leads. */
#include "lab.h"

#include "protocol/broker_heartbeat.h"

#define EPOCH 50 /* of both registrations */

static void begin(struct lab *lab, uint64_t seed)
{
    lab_init(lab, seed, "broker,controller");
    lab_run(lab);
    lab_add_broker(lab, 1, (struct uuid){{1}}, EPOCH);
    lab_add_broker(lab, 2, (struct uuid){{2}}, EPOCH);
    lab_commit(lab);
    script_pass(lab->s, 100);
}

static void claim(struct lab *lab)
{
    lab_lead(lab, NODE_ID, 2);
    lab_claim(lab, 2);
    script_pass(lab->s, 2000); /* nobody is missing */
}

static bool is_fenced(struct lab *lab, int32_t id)
{
    return image_broker_find(controller_latest(node_controller(lab->node)), id)->fenced;
}

TEST(gone, a_broker_that_listens_no_more_is_fenced_before_its_session_ends)
{
    struct lab lab;

    begin(&lab, 1);
    claim(&lab);
    script_stop(lab.s, 1);
    CHECK(!is_fenced(&lab, 1));
    node_heartbeats_ended(lab.node, 1, EPOCH);
    script_pass(lab.s, 50);
    CHECK(is_fenced(&lab, 1));
    CHECK(!is_fenced(&lab, 2));
    lab_end(&lab);
}

/* A kernel closes a dead process's connections before its listener, or behind it. */
TEST(gone, a_listener_that_goes_a_moment_later_is_noticed)
{
    struct lab lab;

    begin(&lab, 2);
    claim(&lab);
    node_heartbeats_ended(lab.node, 1, EPOCH);
    script_pass(lab.s, 300);
    CHECK(!is_fenced(&lab, 1));
    script_stop(lab.s, 1);
    script_pass(lab.s, 600);
    CHECK(is_fenced(&lab, 1));
    lab_end(&lab);
}

/* It is asked about for a while, and then left to its session; also by the end of the node. */
TEST(gone, a_broker_that_listens_is_left_alone)
{
    struct lab lab;

    begin(&lab, 3);
    claim(&lab);
    uint32_t before = script_connections(lab.s, 1);
    node_heartbeats_ended(lab.node, 1, EPOCH);
    node_heartbeats_ended(lab.node, 1, EPOCH); /* said twice, looked at once */
    script_pass(lab.s, 3000);
    CHECK_EQ(script_connections(lab.s, 1), before + 6);
    CHECK(!is_fenced(&lab, 1));
    node_heartbeats_ended(lab.node, 1, EPOCH);
    lab_end(&lab);
}

/* No answer says nothing: the session decides. The node may end meanwhile. */
TEST(gone, a_broker_that_cannot_be_reached_is_left_to_its_session)
{
    struct lab lab;

    begin(&lab, 4);
    claim(&lab);
    sim_net_cut(script_machine(lab.s), script_node(lab.s, 1));
    node_heartbeats_ended(lab.node, 1, EPOCH);
    script_pass(lab.s, 5000);
    CHECK(!is_fenced(&lab, 1));
    lab_end(&lab);
}

TEST(gone, only_the_registration_that_is_meant_ends)
{
    struct lab lab;

    begin(&lab, 5);
    node_heartbeats_ended(lab.node, 1, EPOCH); /* the controller is elsewhere */
    claim(&lab);
    script_stop(lab.s, 1);
    node_heartbeats_ended(lab.node, 1, EPOCH - 1);
    node_heartbeats_ended(lab.node, 9, EPOCH);
    script_pass(lab.s, 1000);
    CHECK(!is_fenced(&lab, 1));
    lab_end(&lab);
}

/* Who was lost with the last controller is not waited for. */
TEST(gone, a_controller_that_begins_looks_for_all)
{
    struct lab lab;

    begin(&lab, 6);
    script_stop(lab.s, 2);
    lab_lead(&lab, NODE_ID, 2);
    lab_claim(&lab, 2);
    script_pass(lab.s, 50);
    CHECK(is_fenced(&lab, 2));
    CHECK(!is_fenced(&lab, 1));
    lab_end(&lab);
}

/* A refusal that was wrong: its next heartbeat unfences it, and this registration is not doubted again. */
TEST(gone, a_broker_that_lives_after_all_is_not_doubted_twice)
{
    struct lab lab;
    struct question q;
    struct broker_heartbeat_request *m;

    begin(&lab, 7);
    claim(&lab);
    script_stop(lab.s, 1);
    node_heartbeats_ended(lab.node, 1, EPOCH);
    script_pass(lab.s, 50);
    CHECK(is_fenced(&lab, 1));
    question_init(&q, API_BROKER_HEARTBEAT);
    m = q.request;
    m->broker_id = 1;
    m->broker_epoch = EPOCH;
    m->current_metadata_offset = 1000;
    q.call.now_ms = io_now_ms(lab.io);
    node_control(lab.node, &q.call);
    SCRIPT_UNTIL(lab.s, q.done);
    CHECK_EQ(((struct broker_heartbeat_response *)q.response)->error_code, KERR_NONE);
    CHECK(!is_fenced(&lab, 1));
    node_heartbeats_ended(lab.node, 1, EPOCH);
    script_pass(lab.s, 1000);
    CHECK(!is_fenced(&lab, 1));
    question_end(&q);
    lab_end(&lab);
}
