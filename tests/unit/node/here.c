/* The controller in this process: requests that it is asked, that follow it out of the process and into it, and the
 * end of a node that others ask. */
#include "lab.h"

#include "protocol/unregister_broker.h"

/* ---- this node's own controller -------------------------------------------------------------------------- */

/* Parked here when the leadership goes: the next controller is asked; and back again, any number of times. */
TEST(here, a_request_follows_the_controller_out_of_this_process_and_into_it)
{
    struct lab lab;

    lab_init(&lab, 9, "broker,controller");
    lab_run(&lab);
    for (int32_t epoch = 2; epoch < 20; epoch += 2) {
        struct question q, back;

        lab_lead(&lab, NODE_ID, epoch);
        question_init(&q, API_CREATE_TOPICS);
        question_forward(&lab, &q); /* before it may decide */
        lab.quorum->hold = true;
        lab_claim(&lab, epoch);
        script_pass(lab.s, 1000);
        CHECK(!q.done);
        CHECK(controller_is_active(node_controller(lab.node)));
        uint32_t asked = script_count(lab.s, 1, API_ENVELOPE);
        lab.quorum->hold = false;
        lab_lead(&lab, 1, epoch + 1);
        CHECK(!controller_is_active(node_controller(lab.node)));
        script_pass(lab.s, 100);
        CHECK(q.done);
        CHECK_EQ(q.error, KERR_NONE);
        CHECK_EQ(script_count(lab.s, 1, API_ENVELOPE), asked + 1);

        lab.envelope_error = KERR_NOT_CONTROLLER;
        question_init(&back, API_CREATE_TOPICS);
        question_forward(&lab, &back);
        script_pass(lab.s, 100);
        lab_lead(&lab, NODE_ID, epoch + 1 + 1);
        lab_claim(&lab, epoch + 1 + 1);
        SCRIPT_UNTIL(lab.s, back.done);
        CHECK_EQ(back.error, KERR_NONE);
        lab.envelope_error = KERR_NONE;
        lab_lead(&lab, 1, epoch + 1 + 1);
        question_end(&q);
        question_end(&back);
    }
    lab_end(&lab);
}

/* An answer of the controller here waits until its records can be seen here; one that came for another node does
 * not. */
TEST(here, what_came_to_this_node_as_a_controller_is_not_sent_on)
{
    struct lab lab;
    struct question a, b, own;

    lab_init(&lab, 10, "broker,controller");
    lab_run(&lab);
    question_init(&a, API_CREATE_TOPICS);
    node_control(lab.node, &a.call);
    CHECK(!a.done);
    script_pass(lab.s, 10);
    CHECK(a.done);
    CHECK_EQ(a.error, KERR_NOT_CONTROLLER);
    CHECK_EQ(script_count(lab.s, 0, API_ENVELOPE), 0);

    lab_lead(&lab, NODE_ID, 2);
    lab_claim(&lab, 2);
    lab.hold = true;
    question_init(&b, API_CREATE_TOPICS);
    question_init(&own, API_CREATE_TOPICS);
    node_control(lab.node, &b.call);
    question_forward(&lab, &own);
    script_pass(lab.s, 100);
    CHECK(b.done && !own.done);
    CHECK_EQ(b.error, KERR_NONE);
    lab.hold = false;
    lab_publish(&lab);
    SCRIPT_UNTIL(lab.s, own.done);
    CHECK_EQ(own.error, KERR_NONE);
    question_end(&a);
    question_end(&b);
    question_end(&own);
    lab_end(&lab);
}

/* The quorum answers it, not the controller; whoever asked asks this node anew. */
TEST(here, what_is_for_the_quorum_is_not_asked_of_the_controller)
{
    struct lab lab;
    struct question q;

    lab_init(&lab, 13, "broker,controller");
    lab_run(&lab);
    lab_lead(&lab, -1, 2);
    question_init(&q, API_DESCRIBE_QUORUM);
    question_forward(&lab, &q);
    script_pass(lab.s, 100);
    lab_lead(&lab, NODE_ID, 3);
    lab_claim(&lab, 3);
    SCRIPT_UNTIL(lab.s, q.done);
    CHECK_EQ(q.error, KERR_NOT_CONTROLLER);
    question_end(&q);
    lab_end(&lab);
}

/* ---- the end -------------------------------------------------------------------------------------------- */

/* The node goes while requests are in each place that they can be in. */
TEST(here, who_still_waits_when_the_node_leaves_is_answered)
{
    struct lab lab;
    struct question away, behind, here;

    lab_init(&lab, 11, "broker,controller");
    lab_run(&lab);
    script_fault(lab.s, 1, API_ENVELOPE, SCRIPT_SILENT, 0);
    question_init(&away, API_CREATE_TOPICS);
    question_init(&behind, API_CREATE_TOPICS);
    question_forward(&lab, &away);
    question_forward(&lab, &behind);
    script_pass(lab.s, 100);
    lab_lead(&lab, -1, 2); /* `behind` could be taken back, but nobody else is known */
    lab_lead(&lab, NODE_ID, 3);
    lab.quorum->hold = true;
    lab_claim(&lab, 3);
    question_init(&here, API_CREATE_TOPICS);
    question_forward(&lab, &here);
    script_pass(lab.s, 100);
    CHECK(!away.done && !behind.done && !here.done);
    struct script_wait w;
    node_leave(lab.node, false, script_wait_begin(&w));
    CHECK_EQ(script_wait_end(lab.s, &w), 0);
    script_pass(lab.s, 100);
    CHECK(away.done && behind.done && here.done);
    CHECK_EQ(away.error, KERR_REQUEST_TIMED_OUT); /* it may have been carried out */
    CHECK_EQ(behind.error, KERR_NOT_CONTROLLER);
    CHECK_EQ(here.error, KERR_NOT_CONTROLLER);
    question_end(&away);
    question_end(&behind);
    question_end(&here);
    lab_end(&lab);
}

/* The metadata log takes no records any more: what was asked of the controller then is answered, and the node can end. */
TEST(here, who_asked_when_the_log_failed_is_answered)
{
    struct lab lab;
    struct question before, then;

    for (int asks_while_it_leaves = 0; asks_while_it_leaves < 2; asks_while_it_leaves++) {
        lab_init(&lab, 13, "broker,controller");
        lab_run(&lab);
        lab_lead(&lab, NODE_ID, 2);
        lab_claim(&lab, 2);
        lab.quorum->hold = true;
        question_init(&before, API_CREATE_TOPICS);
        question_init(&then, API_CREATE_TOPICS);
        question_forward(&lab, &before);
        lab.quorum->broken = true;
        question_forward(&lab, &then);
        if (!asks_while_it_leaves) {
            script_pass(lab.s, 10);
            CHECK(before.done && then.done);
        }
        lab_end(&lab);
        CHECK(before.done && then.done);
        CHECK_EQ(before.error, KERR_NOT_CONTROLLER);
        CHECK_EQ(then.error, KERR_NOT_CONTROLLER);
        question_end(&before);
        question_end(&then);
    }
}

/* A node that leaves decides for others until it is closed: their brokers do not wait for its logs. */
TEST(here, a_controller_at_rest_still_decides_for_others)
{
    struct lab lab;
    struct question q, late;
    struct script_wait w;

    lab_init(&lab, 12, "broker,controller");
    lab_run(&lab);
    lab_lead(&lab, NODE_ID, 2);
    lab_claim(&lab, 2);
    node_leave(lab.node, true, script_wait_begin(&w));
    CHECK_EQ(script_wait_end(lab.s, &w), 0);
    question_init(&q, API_CREATE_TOPICS);
    node_control(lab.node, &q.call);
    SCRIPT_UNTIL(lab.s, q.done);
    CHECK_EQ(q.error, KERR_NONE);
    lab.quorum->hold = true;
    question_init(&late, API_UNREGISTER_BROKER);
    ((struct unregister_broker_request *)late.request)->broker_id = NODE_ID;
    node_control(lab.node, &late.call);
    script_pass(lab.s, 10);
    CHECK(!late.done);
    lab_end(&lab);
    CHECK(late.done);
    CHECK_EQ(late.error, KERR_NOT_CONTROLLER);
    question_end(&q);
    question_end(&late);
}
