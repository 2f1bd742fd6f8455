/* The controller in another process: envelopes, and what becomes of each kind of request when answers are lost, time
 * runs out, or somebody else leads. */
#include "lab.h"

#include "protocol/create_topics.h"
#include "protocol/unregister_broker.h"

/* ---- bytes -------------------------------------------------------------------------------------------- */

/* Made by hand: the client's header and body, version 0 of DefaultPrincipalData behind its number, four bytes of
 * address. Lengths are one more than what they stand for, as in every flexible message. */
TEST(remote, an_envelope_has_these_bytes)
{
    static const uint8_t golden[] = {
        0x15,                                     /* request data: 20 bytes */
        0x00, 0x40, 0x00, 0x00,                   /*   UnregisterBroker v0 */
        0x00, 0x00, 0x00, 0x00,                   /*   correlation id */
        0x00, 0x04, 'a', 'p', 'p', '1',           /*   client id */
        0x00,                                     /*   no tags */
        0x00, 0x00, 0x00, 0x2a,                   /*   broker 42 */
        0x00,                                     /*   no tags */
        0x10,                                     /* principal: 15 bytes */
        0x00, 0x00,                               /*   version 0 */
        0x05, 'U', 's', 'e', 'r',                 /*   type */
        0x06, 'a', 'l', 'i', 'c', 'e',            /*   name */
        0x01,                                     /*   by a token */
        0x00,                                     /*   no tags */
        0x05, 10, 0, 0, 5,                        /* address: 4 bytes */
        0x00,                                     /* no tags */
    };
    struct principal alice = {STR("User"), STR("alice"), true};
    struct lab lab;
    struct question q;

    lab_init(&lab, 1, "broker");
    lab_run(&lab);
    question_init(&q, API_UNREGISTER_BROKER);
    ((struct unregister_broker_request *)q.request)->broker_id = 42;
    q.call.principal = &alice;
    q.call.client_id = STR("app1");
    question_forward(&lab, &q);
    SCRIPT_UNTIL(lab.s, q.done);
    CHECK_EQ(q.error, KERR_NONE);
    CHECK_BYTES(lab.envelope, (size_t)lab.envelope_bytes, golden, sizeof golden);
    question_end(&q);
    lab_end(&lab);
}

static void check_address(struct lab *lab, const char *host, const uint8_t *address, size_t n)
{
    struct question q;

    question_init(&q, API_UNREGISTER_BROKER);
    q.call.host = str_of(host);
    question_forward(lab, &q);
    SCRIPT_UNTIL(lab->s, q.done);
    const uint8_t *end = lab->envelope + lab->envelope_bytes - 1;
    CHECK_EQ(end[-(ptrdiff_t)n - 1], n + 1);
    CHECK_BYTES(end - n, n, address, n);
    question_end(&q);
}

TEST(remote, an_address_is_that_of_java)
{
    static const uint8_t loopback[16] = {[15] = 1};
    struct lab lab;

    lab_init(&lab, 2, "broker");
    lab_run(&lab);
    check_address(&lab, "::1", loopback, 16);
    check_address(&lab, "::1%lo", loopback, 16);
    check_address(&lab, "::ffff:192.168.1.2", (const uint8_t[]){192, 168, 1, 2}, 4);
    check_address(&lab, "", (const uint8_t[]){0, 0, 0, 0}, 4);
    lab_end(&lab);
}

/* What the controller says comes out as it was said, and stays when the connection's memory is gone. */
static void answer_by_hand(struct script_request *r, void *ctx)
{
    static const uint8_t bytes[] = {
        0x00, 0x00, 0x00, 0x00, 0x00,  /* correlation id, no tags */
        0x00, 0x00, 0x00, 0x07,        /* throttle time */
        0x00, 0x66,                    /* BROKER_ID_NOT_REGISTERED */
        0x05, 'g', 'o', 'n', 'e',      /* message */
        0x00,
    };
    struct envelope_response *a = r->response;

    a->response_data = (struct bytes){bytes, sizeof bytes};
}

TEST(remote, an_answer_is_passed_on_as_it_came)
{
    struct lab lab;
    struct question q;

    lab_init(&lab, 3, "broker");
    lab_run(&lab);
    script_on(lab.s, 1, API_ENVELOPE, answer_by_hand, &lab);
    question_init(&q, API_UNREGISTER_BROKER);
    question_forward(&lab, &q);
    SCRIPT_UNTIL(lab.s, q.done);
    const struct unregister_broker_response *a = q.response;
    CHECK_EQ(q.error, KERR_NONE);
    CHECK_EQ(a->throttle_time_ms, 7);
    CHECK_EQ(a->error_code, KERR_BROKER_ID_NOT_REGISTERED);
    CHECK_TEXT(a->error_message, "gone");
    question_end(&q);
    lab_end(&lab);
}

TEST(remote, an_envelope_that_is_refused_is_said_and_is_no_answer)
{
    static const struct {
        enum kerr said, told;
    } rows[] = {
        {KERR_CLUSTER_AUTHORIZATION_FAILED, KERR_UNKNOWN_SERVER_ERROR},
        {KERR_UNSUPPORTED_VERSION, KERR_UNSUPPORTED_VERSION},
        {KERR_INVALID_REQUEST, KERR_UNKNOWN_SERVER_ERROR},
    };
    struct lab lab;

    lab_init(&lab, 4, "broker");
    lab_run(&lab);
    for (size_t i = 0; i < array_count(rows); i++) {
        struct question q;
        lab.envelope_error = rows[i].said;
        question_init(&q, API_UNREGISTER_BROKER);
        question_forward(&lab, &q);
        SCRIPT_UNTIL(lab.s, q.done);
        CHECK_EQ(q.error, rows[i].told);
        CHECK(strstr(lab.said.p, kerr_name(rows[i].said)) != NULL);
        question_end(&q);
    }
    lab_end(&lab);
}

/* ---- who is asked, and again ---------------------------------------------------------------------------- */

TEST(remote, a_request_waits_for_a_leader_and_for_its_address)
{
    struct lab lab;
    struct question q;

    lab_init(&lab, 5, "broker");
    lab_run(&lab);
    lab_lead(&lab, -1, 2);
    question_init(&q, API_CREATE_TOPICS);
    question_forward(&lab, &q);
    script_pass(lab.s, 5000);
    CHECK(!q.done);
    lab.quorum->hidden = true;
    lab_lead(&lab, 2, 3);
    script_pass(lab.s, 5000);
    CHECK(!q.done);
    lab.quorum->hidden = false; /* nobody tells of that: it is found within a second */
    int64_t began_ns = sim_now_ns(script_sim(lab.s));
    SCRIPT_UNTIL(lab.s, q.done);
    CHECK_EQ(q.error, KERR_NONE);
    CHECK(sim_now_ns(script_sim(lab.s)) - began_ns < 2 * SEC);
    CHECK_EQ(script_count(lab.s, 2, API_ENVELOPE), 1);
    CHECK_EQ(script_count(lab.s, 1, API_ENVELOPE), 0);
    question_end(&q);
    lab_end(&lab);
}

TEST(remote, without_a_controller_a_request_ends_by_request_timeout_ms)
{
    struct lab lab;
    struct question q;

    lab_init(&lab, 6, "broker");
    lab_set(&lab, "request.timeout.ms", "7000");
    lab_run(&lab);
    lab_lead(&lab, -1, 2);
    int64_t began_ns = sim_now_ns(script_sim(lab.s));
    question_init(&q, API_CREATE_TOPICS);
    question_forward(&lab, &q);
    SCRIPT_UNTIL(lab.s, q.done);
    CHECK_EQ(q.error, KERR_REQUEST_TIMED_OUT);
    CHECK_EQ((sim_now_ns(script_sim(lab.s)) - began_ns) / SEC, 7);
    question_end(&q);
    lab_end(&lab);
}

/* Whoever was the controller says so; until the quorum tells of the next one it is asked again, not too often. */
TEST(remote, a_node_that_is_not_the_controller_is_left_for_the_one_that_is)
{
    struct lab lab;
    struct question q;

    lab_init(&lab, 7, "broker");
    lab_run(&lab);
    lab.envelope_error = KERR_NOT_CONTROLLER;
    question_init(&q, API_CREATE_TOPICS);
    question_forward(&lab, &q);
    script_pass(lab.s, 3000);
    CHECK(!q.done);
    uint32_t asked = script_count(lab.s, 1, API_ENVELOPE);
    CHECK(asked >= 3 && asked <= 10);
    lab.envelope_error = KERR_NONE;
    lab_lead(&lab, 2, 2);
    script_pass(lab.s, 20); /* at once: not when the back-off is over */
    CHECK(q.done);
    CHECK_EQ(q.error, KERR_NONE);
    CHECK_EQ(script_count(lab.s, 2, API_ENVELOPE), 1);
    question_end(&q);
    lab_end(&lab);
}

/* ---- lost --------------------------------------------------------------------------------------------- */

static const struct {
    int16_t api_key;
    bool repeatable; /* doing it twice is doing it once */
} kinds[] = {
    {API_CREATE_TOPICS, false},
    {API_DELETE_TOPICS, false},
    {API_CREATE_PARTITIONS, false},
    {API_INCREMENTAL_ALTER_CONFIGS, false}, /* APPEND, SUBTRACT */
    {API_ALTER_CONFIGS, true},
    {API_CREATE_ACLS, true},
    {API_LIST_PARTITION_REASSIGNMENTS, true},
};

TEST(remote, what_may_have_been_carried_out_is_repeated_only_where_that_is_safe)
{
    static const enum script_fault faults[] = {SCRIPT_CUT, SCRIPT_CUT_AFTER, SCRIPT_GARBAGE, SCRIPT_SHORT};

    for (size_t k = 0; k < array_count(kinds); k++) {
        for (size_t i = 0; i < array_count(faults); i++) {
            struct lab lab;
            struct question q;
            lab_init(&lab, 100 + k, "broker");
            lab_run(&lab);
            script_fault(lab.s, 1, API_ENVELOPE, faults[i], 3);
            question_init(&q, kinds[k].api_key);
            question_forward(&lab, &q);
            script_pass(lab.s, 1000);
            CHECK(q.done);
            CHECK_EQ(q.error, kinds[k].repeatable ? KERR_NONE : KERR_REQUEST_TIMED_OUT);
            CHECK_EQ(script_count(lab.s, 1, API_ENVELOPE), kinds[k].repeatable ? 2 : 1);
            question_end(&q);
            lab_end(&lab);
        }
    }
}

/* It never left: another one may have it. */
TEST(remote, what_was_not_sent_goes_to_the_next_controller)
{
    struct lab lab;
    struct question q;

    lab_init(&lab, 8, "broker");
    lab_run(&lab);
    script_stop(lab.s, 1);
    question_init(&q, API_CREATE_TOPICS);
    question_forward(&lab, &q);
    script_pass(lab.s, 2000);
    CHECK(!q.done);
    lab_lead(&lab, 2, 2);
    script_pass(lab.s, 100);
    CHECK(q.done);
    CHECK_EQ(q.error, KERR_NONE);
    question_end(&q);
    lab_end(&lab);
}

/* The old controller is silent, as one is that was cut off. */
TEST(remote, a_new_controller_is_asked_at_once_where_that_is_safe)
{
    for (size_t k = 0; k < array_count(kinds); k++) {
        struct lab lab;
        struct question q, behind;
        lab_init(&lab, 200 + k, "broker");
        lab_run(&lab);
        script_fault(lab.s, 1, API_ENVELOPE, SCRIPT_SILENT, 0);
        question_init(&q, kinds[k].api_key);
        question_forward(&lab, &q);
        question_init(&behind, API_CREATE_TOPICS); /* one request at a time: it has not left */
        question_forward(&lab, &behind);
        script_pass(lab.s, 1000);
        CHECK(!q.done && !behind.done);
        lab_lead(&lab, 2, 2);
        script_pass(lab.s, 100);
        CHECK(behind.done);
        CHECK_EQ(behind.error, KERR_NONE);
        CHECK_EQ(q.done, kinds[k].repeatable);
        script_pass(lab.s, 1500); /* for an answer that is on its way */
        CHECK(q.done);
        CHECK_EQ(q.error, kinds[k].repeatable ? KERR_NONE : KERR_REQUEST_TIMED_OUT);
        question_end(&q);
        question_end(&behind);
        lab_end(&lab);
    }
}
