/* A broker whose controller is elsewhere: it registers, is heard, is not heard, and leaves. */
#include "lab.h"

#include <string.h>

#include "protocol/controller_registration.h"

TEST(life, a_broker_registers_with_the_controller_elsewhere_and_runs)
{
    struct lab lab;

    lab_init(&lab, 1, "broker");
    lab_open(&lab);
    script_pass(lab.s, 3000); /* nobody leads */
    CHECK(!lab.started.done);
    lab_lead(&lab, 2, 1);
    CHECK_EQ(script_wait_end(lab.s, &lab.started), 0);
    CHECK_TEXT(text_str(&lab.states), "1 2 3 ");
    CHECK_EQ(node_broker_epoch(lab.node), lab.broker_epoch);
    CHECK_EQ(script_count(lab.s, 1, API_BROKER_REGISTRATION), 0);
    CHECK_EQ(script_count(lab.s, 2, API_BROKER_REGISTRATION), 1);
    CHECK_EQ(script_count(lab.s, 0, API_CONTROLLER_REGISTRATION), 0);
    CHECK_EQ(script_connections(lab.s, 2), 1);
    lab_end(&lab);
}

/* Fenced while the logs load, unfenced at once when they have; then at the interval, with what clients see. */
TEST(life, heartbeats_say_how_far_the_published_image_is)
{
    struct lab lab;

    lab_init(&lab, 2, "broker");
    lab.hold = true;
    lab_open(&lab);
    lab_lead(&lab, 1, 1);
    SCRIPT_UNTIL(lab.s, lab.publishing != NULL);
    script_pass(lab.s, 5000);
    lab_publish(&lab);
    lab.hold = false;
    CHECK_EQ(script_wait_end(lab.s, &lab.started), 0);
    script_pass(lab.s, 4500);
    CHECK_TEXT(text_str(&lab.beats), "+0 fence=1 down=0 offset=-1\n"
                                     "+2000 fence=1 down=0 offset=-1\n"
                                     "+2000 fence=1 down=0 offset=-1\n"
                                     "+1000 fence=0 down=0 offset=1\n"
                                     "+2000 fence=0 down=0 offset=2\n"
                                     "+2000 fence=0 down=0 offset=2\n");
    lab_end(&lab);
}

/* The image that shows a broker unfenced may never come, because it was fenced again: it goes on asking. */
TEST(life, a_broker_that_is_fenced_before_it_saw_itself_unfenced_asks_again)
{
    struct lab lab;

    lab_init(&lab, 3, "broker");
    lab_open(&lab);
    lab.lags_ms = 500;
    lab_lead(&lab, 1, 1);
    SCRIPT_UNTIL(lab.s, lab.broker_epoch >= 0 && !lab.fenced);
    text_clear(&lab.quorum->log); /* unfenced and fenced again: nothing of both is seen */
    lab.fenced = true;
    CHECK_EQ(script_wait_end(lab.s, &lab.started), 0);
    CHECK_TEXT(text_str(&lab.states), "1 2 3 ");
    lab_end(&lab);
}

/* ---- registration ------------------------------------------------------------------------------------- */

/* Another incarnation's session may live on for a while; so does Kafka's. */
TEST(life, a_registration_that_may_be_taken_later_is_tried_until_time_is_up)
{
    struct lab lab;

    lab_init(&lab, 4, "broker");
    lab.refuse = KERR_DUPLICATE_BROKER_REGISTRATION;
    lab_open(&lab);
    lab_lead(&lab, 1, 1);
    script_pass(lab.s, 9000);
    CHECK(!lab.started.done);
    CHECK_EQ(lab_lines(&lab, "DUPLICATE_BROKER_REGISTRATION"), 1);
    CHECK(script_count(lab.s, 1, API_BROKER_REGISTRATION) < 30);
    lab.refuse = KERR_NONE;
    CHECK_EQ(script_wait_end(lab.s, &lab.started), 0);
    lab_end(&lab);

    lab_init(&lab, 5, "broker");
    lab_open(&lab);
    int64_t began_ns = sim_now_ns(script_sim(lab.s));
    CHECK_EQ(script_wait_end(lab.s, &lab.started), -ETIMEDOUT); /* nobody ever leads */
    int64_t took_s = (sim_now_ns(script_sim(lab.s)) - began_ns) / SEC;
    CHECK(took_s >= 59 && took_s <= 60);
    CHECK(strstr(lab.fail.text, "initial.broker.registration.timeout.ms") != NULL);
    lab_end(&lab);
}

/* Nodes that are started together elect in some seconds: nobody is warned of that. */
TEST(life, a_start_before_the_others_is_no_reason_to_warn)
{
    struct lab lab;

    lab_init(&lab, 23, "broker");
    lab_open(&lab);
    script_pass(lab.s, 9000);
    CHECK_EQ(lab_lines(&lab, "WARN: "), 0);
    CHECK_EQ(lab_lines(&lab, "INFO: this broker waits for a controller to register with"), 1);
    lab_lead(&lab, 1, 1);
    CHECK_EQ(script_wait_end(lab.s, &lab.started), 0);
    CHECK_EQ(lab_lines(&lab, "WARN: "), 0);
    lab_end(&lab);

    lab_init(&lab, 24, "broker");
    lab_open(&lab);
    script_pass(lab.s, 30000);
    CHECK_EQ(lab_lines(&lab, "WARN: this broker's registration waits: no active controller is known"), 1);
    lab_lead(&lab, 1, 1);
    CHECK_EQ(script_wait_end(lab.s, &lab.started), 0);
    CHECK_EQ(lab_lines(&lab, "WARN: "), 1);
    lab_end(&lab);

    lab_init(&lab, 25, "broker");
    script_stop(lab.s, 1);
    lab_open(&lab);
    lab_lead(&lab, 1, 1);
    script_pass(lab.s, 30000);
    CHECK_EQ(lab_lines(&lab, "WARN: this broker's registration waits: the active controller, node 1, does not answer"), 1);
    script_start(lab.s, 1);
    CHECK_EQ(script_wait_end(lab.s, &lab.started), 0);
    lab_end(&lab);
}

TEST(life, a_registration_that_is_refused_for_good_ends_the_start)
{
    static const enum kerr refusals[] = {KERR_INCONSISTENT_CLUSTER_ID, KERR_INVALID_REGISTRATION,
                                         KERR_UNSUPPORTED_VERSION, KERR_CLUSTER_AUTHORIZATION_FAILED};

    for (size_t i = 0; i < array_count(refusals); i++) {
        struct lab lab;
        lab_init(&lab, 6 + i, "broker");
        lab.refuse = refusals[i];
        lab_open(&lab);
        lab_lead(&lab, 1, 1);
        CHECK_EQ(script_wait_end(lab.s, &lab.started), -EINVAL);
        CHECK(strstr(lab.fail.text, kerr_name((int16_t)refusals[i])) != NULL);
        lab_end(&lab);
    }
}

/* Its answer is lost: the same incarnation asks again, and gets another epoch or the same. */
TEST(life, a_registration_whose_answer_is_lost_is_made_again)
{
    static const enum script_fault faults[] = {SCRIPT_CUT, SCRIPT_CUT_AFTER, SCRIPT_SILENT, SCRIPT_GARBAGE};

    for (size_t i = 0; i < array_count(faults); i++) {
        struct lab lab;
        lab_init(&lab, 10 + i, "broker");
        script_fault(lab.s, 1, API_BROKER_REGISTRATION, faults[i], 0);
        lab_open(&lab);
        lab_lead(&lab, 1, 1);
        CHECK_EQ(script_wait_end(lab.s, &lab.started), 0);
        CHECK_EQ(script_count(lab.s, 1, API_BROKER_REGISTRATION), 2);
        CHECK_EQ(node_broker_epoch(lab.node), lab.broker_epoch);
        lab_end(&lab);
    }
}

TEST(life, a_registration_goes_to_the_next_controller)
{
    struct lab lab;

    lab_init(&lab, 20, "broker");
    script_fault(lab.s, 1, API_BROKER_REGISTRATION, SCRIPT_SILENT, 0);
    lab_open(&lab);
    lab_lead(&lab, 1, 1);
    script_pass(lab.s, 1000);
    lab_lead(&lab, 2, 2);
    script_pass(lab.s, 1000);
    CHECK(lab.started.done);
    CHECK_EQ(lab.started.result, 0);
    CHECK_EQ(script_count(lab.s, 2, API_BROKER_REGISTRATION), 1);
    lab_end(&lab);
}

/* Its directories come into the metadata when that has room for them. */
TEST(life, a_broker_registers_again_when_metadata_comes_to_know_directories)
{
    struct lab lab;

    lab_init(&lab, 22, "broker");
    lab.metadata_version = METADATA_VERSION_DIRECTORIES - 1;
    lab_run(&lab);
    script_pass(lab.s, 5000);
    CHECK_EQ(script_count(lab.s, 1, API_BROKER_REGISTRATION), 1);
    lab.amends = true;
    lab.refuse = KERR_UNSUPPORTED_VERSION; /* no reason to stop */
    lab.metadata_version = METADATA_VERSION_DIRECTORIES;
    lab_add_metadata_version(&lab);
    lab_commit(&lab);
    script_pass(lab.s, 2000);
    CHECK_EQ(lab.fatal.error, 0);
    lab.refuse = KERR_NONE;
    script_pass(lab.s, 3000);
    uint32_t registrations = script_count(lab.s, 1, API_BROKER_REGISTRATION);
    const struct image_broker *b = image_broker_find(node_image(lab.node), NODE_ID);
    CHECK(b != NULL);
    CHECK_EQ(b->directory_count, 1);
    CHECK(!b->fenced);
    CHECK_EQ(node_broker_epoch(lab.node), b->epoch);
    script_pass(lab.s, 5000);
    CHECK_EQ(script_count(lab.s, 1, API_BROKER_REGISTRATION), registrations);
    CHECK_TEXT(text_str(&lab.states), "1 2 3 ");
    lab_end(&lab);
}

/* ---- heartbeats --------------------------------------------------------------------------------------- */

TEST(life, a_broker_that_reaches_no_controller_serves_on_and_says_so_once)
{
    struct lab lab;
    int64_t offset;

    lab_init(&lab, 21, "broker");
    lab_run(&lab);
    offset = image_offset(node_image(lab.node));
    lab_lead(&lab, -1, 2);
    script_stop(lab.s, 1);
    script_stop(lab.s, 2);
    script_pass(lab.s, 120000);
    CHECK_EQ(lab.fatal.error, 0);
    CHECK_TEXT(text_str(&lab.states), "1 2 3 ");
    CHECK_EQ(image_offset(node_image(lab.node)), offset);
    CHECK_EQ(lab_lines(&lab, "goes on serving"), 1);
    script_start(lab.s, 2);
    uint32_t beats = script_count(lab.s, 2, API_BROKER_HEARTBEAT);
    lab_lead(&lab, 2, 3);
    script_pass(lab.s, 5000);
    CHECK(script_count(lab.s, 2, API_BROKER_HEARTBEAT) > beats);
    CHECK_EQ(lab_lines(&lab, "again"), 1);
    lab_end(&lab);
}

/* A session is not lost by one lost answer, nor by a controller that is silent, nor by a new one. */
TEST(life, whatever_happens_to_heartbeats_the_next_one_is_there_within_a_session)
{
    static const enum script_fault faults[] = {SCRIPT_CUT, SCRIPT_CUT_AFTER, SCRIPT_SILENT, SCRIPT_GARBAGE};

    for (size_t i = 0; i < array_count(faults); i++) {
        struct lab lab;
        lab_init(&lab, 30 + i, "broker");
        lab_run(&lab);
        for (int n = 0; n < 3; n++) {
            int64_t heard_ns = lab.last_beat_ns;
            script_fault(lab.s, 1, API_BROKER_HEARTBEAT, faults[i], 0);
            uint32_t beats = script_count(lab.s, 1, API_BROKER_HEARTBEAT);
            SCRIPT_UNTIL(lab.s, script_count(lab.s, 1, API_BROKER_HEARTBEAT) >= beats + 2);
            CHECK(sim_now_ns(script_sim(lab.s)) - heard_ns < 9 * SEC);
        }
        lab_end(&lab);
    }
}

/* As Kafka's brokers: it is for an operator to see why. */
TEST(life, a_broker_whose_registration_is_gone_says_so_once_and_asks_on)
{
    static const enum kerr errors[] = {KERR_STALE_BROKER_EPOCH, KERR_BROKER_ID_NOT_REGISTERED};

    for (size_t i = 0; i < array_count(errors); i++) {
        struct lab lab;
        lab_init(&lab, 40 + i, "broker");
        lab_run(&lab);
        lab.refuse = errors[i];
        text_clear(&lab.beats);
        script_pass(lab.s, 20000);
        CHECK_EQ(lab.fatal.error, 0);
        CHECK_EQ(lab_lines(&lab, kerr_name((int16_t)errors[i])), 1);
        CHECK(strstr(lab.beats.p, "+2000 fence=0 down=0 offset=2\n+2000 fence=0 down=0 offset=2\n") != NULL);
        CHECK_EQ(script_count(lab.s, 1, API_BROKER_REGISTRATION), 1);
        lab.refuse = KERR_NONE;
        script_pass(lab.s, 3000);
        CHECK_EQ(lab_lines(&lab, "again"), 1);
        lab_end(&lab);
    }
}

/* ---- leaving ------------------------------------------------------------------------------------------ */

TEST(life, a_broker_leaves_when_the_controller_lets_it_at_kafkas_pace)
{
    struct lab lab;
    struct script_wait w;

    lab_init(&lab, 50, "broker");
    lab.lets_go_at = 4;
    lab_run(&lab);
    script_pass(lab.s, 500);
    text_clear(&lab.beats);
    lab.last_beat_ns = sim_now_ns(script_sim(lab.s));
    node_leave(lab.node, true, script_wait_begin(&w));
    CHECK_EQ(script_wait_end(lab.s, &w), 0);
    CHECK_TEXT(text_str(&lab.beats), "+0 fence=0 down=1 offset=2\n"
                                     "+50 fence=0 down=1 offset=2\n"
                                     "+2000 fence=0 down=1 offset=2\n"
                                     "+2000 fence=0 down=1 offset=2\n");
    CHECK_TEXT(text_str(&lab.states), "1 2 3 6 7 ");
    lab_end(&lab);
}

/* Nobody would let it: whoever leads next has fenced it by then. */
TEST(life, a_broker_that_no_controller_hears_leaves_after_a_session)
{
    struct lab lab;
    struct script_wait w;

    lab_init(&lab, 51, "broker");
    lab_run(&lab);
    lab_lead(&lab, -1, 2);
    int64_t began_ns = sim_now_ns(script_sim(lab.s));
    node_leave(lab.node, true, script_wait_begin(&w));
    CHECK_EQ(script_wait_end(lab.s, &w), 0);
    int64_t took_ms = (sim_now_ns(script_sim(lab.s)) - began_ns) / 1000000;
    CHECK(took_ms > 4000 && took_ms < 16000);
    lab_end(&lab);
}

/* One that answers is waited for. */
TEST(life, a_broker_that_is_kept_leaves_after_five_minutes)
{
    struct lab lab;
    struct script_wait w;

    lab_init(&lab, 52, "broker");
    lab_run(&lab);
    int64_t began_ns = sim_now_ns(script_sim(lab.s));
    node_leave(lab.node, true, script_wait_begin(&w));
    CHECK_EQ(script_wait_end(lab.s, &w), 0);
    CHECK_EQ((sim_now_ns(script_sim(lab.s)) - began_ns) / SEC, 300);
    lab_end(&lab);
}

TEST(life, a_controlled_shutdown_goes_on_with_the_next_controller)
{
    struct lab lab;
    struct script_wait w;

    lab_init(&lab, 53, "broker");
    lab.lets_go_at = 2;
    lab_run(&lab);
    script_fault(lab.s, 1, API_BROKER_HEARTBEAT, SCRIPT_SILENT, 0);
    node_leave(lab.node, true, script_wait_begin(&w));
    script_pass(lab.s, 1000);
    CHECK(!w.done);
    lab_lead(&lab, 2, 2);
    script_pass(lab.s, 1000);
    CHECK(w.done);
    lab_end(&lab);
}

/* ---- controllers -------------------------------------------------------------------------------------- */

/* One that does not lead runs when it shows what was committed, and registers with the one that does. */
TEST(life, a_controller_alone_runs_when_its_first_image_is_shown)
{
    struct lab lab;

    lab_init(&lab, 60, "controller");
    lab_open(&lab);
    lab_lead(&lab, 1, 1);
    script_pass(lab.s, 2000);
    CHECK(!lab.started.done); /* nothing is committed yet */
    lab_add_metadata_version(&lab);
    lab_commit(&lab);
    CHECK_EQ(script_wait_end(lab.s, &lab.started), 0);
    CHECK_TEXT(text_str(&lab.states), "1 3 ");
    CHECK(lab.before != NULL);
    script_pass(lab.s, 100);
    CHECK_EQ(script_count(lab.s, 1, API_CONTROLLER_REGISTRATION), 1);
    CHECK_EQ(script_count(lab.s, 0, API_BROKER_REGISTRATION), 0);
    lab_end(&lab);

    lab_init(&lab, 63, "controller"); /* and one that leads */
    lab_open(&lab);
    lab_lead(&lab, NODE_ID, 1);
    lab_claim(&lab, 1);
    CHECK_EQ(script_wait_end(lab.s, &lab.started), 0);
    CHECK_TEXT(text_str(&lab.states), "1 3 ");
    lab_end(&lab);
}

TEST(life, a_controller_registers_with_the_one_that_leads)
{
    struct lab lab;

    lab_init(&lab, 61, "broker,controller");
    script_fault(lab.s, 1, API_CONTROLLER_REGISTRATION, SCRIPT_CUT_AFTER, 0);
    lab_run(&lab);
    script_pass(lab.s, 1000);
    CHECK_EQ(script_count(lab.s, 1, API_CONTROLLER_REGISTRATION), 2);
    CHECK_EQ(script_count(lab.s, 2, API_CONTROLLER_REGISTRATION), 0);
    lab_end(&lab);
}

/* What a controller refuses for ever must not keep the broker from being heard. */
static void refuse_controller(struct script_request *r, void *ctx)
{
    ((struct controller_registration_response *)r->response)->error_code = KERR_UNSUPPORTED_VERSION;
}

TEST(life, a_controller_that_is_refused_is_a_broker_all_the_same)
{
    struct lab lab;

    lab_init(&lab, 62, "broker,controller");
    script_on(lab.s, 0, API_CONTROLLER_REGISTRATION, refuse_controller, &lab);
    lab_run(&lab);
    text_clear(&lab.beats);
    script_pass(lab.s, 10000);
    CHECK_EQ(lab_lines(&lab, "cannot register itself"), 1);
    CHECK(script_count(lab.s, 1, API_CONTROLLER_REGISTRATION) < 30);
    CHECK(strstr(lab.beats.p, "+2000 fence=0 down=0 offset=2\n+2000 fence=0 down=0 offset=2\n") != NULL);
    lab_end(&lab);
}

/* ---- the quorum's settings ---------------------------------------------------------------------------- */

TEST(life, the_quorum_is_opened_with_what_the_settings_say)
{
    struct lab lab;

    lab_init(&lab, 70, "broker,controller");
    lab_set(&lab, "controller.quorum.election.backoff.max.ms", "123");
    lab_set(&lab, "controller.quorum.request.timeout.ms", "456");
    lab_set(&lab, "controller.quorum.retry.backoff.ms", "78");
    lab_set(&lab, "controller.quorum.fetch.max.bytes", "9000");
    lab_set(&lab, "controller.quorum.fetch.snapshot.max.bytes", "7000");
    lab_set(&lab, "controller.quorum.bootstrap.servers", "b1:9092,b2:9092");
    lab_run(&lab);
    const struct quorum_open *o = &lab.quorum->opened;
    CHECK(o->can_vote && !o->auto_join);
    CHECK_EQ(o->election_backoff_max_ms, 123);
    CHECK_EQ(o->request_timeout_ms, 456);
    CHECK_EQ(o->retry_backoff_ms, 78);
    CHECK_EQ(o->fetch_bytes_max, 9000);
    CHECK_EQ(o->snapshot_fetch_bytes_max, 7000);
    CHECK_TEXT(o->bootstrap_servers, "b1:9092,b2:9092");
    CHECK_EQ(o->self.id, NODE_ID);
    CHECK_EQ(o->self.kraft_version_min, 0);
    CHECK_EQ(o->self.kraft_version_max, 1);
    CHECK_EQ(o->self.endpoint_count, 1);
    CHECK_TEXT(o->self.endpoints[0].name, "CONTROLLER");
    CHECK_TEXT(o->self.endpoints[0].host, "localhost"); /* of all interfaces */
    CHECK_EQ(o->self.endpoints[0].port, 9093);
    CHECK_EQ(o->static_voters.count, 3);
    CHECK_EQ(o->static_voters.voters[1].id, 2);
    CHECK_TEXT(o->static_voters.voters[1].endpoints[0].host, "b2");
    lab_end(&lab);

    lab_init(&lab, 71, "broker");
    lab_run(&lab);
    CHECK(!lab.quorum->opened.can_vote);
    CHECK_EQ(lab.quorum->opened.self.endpoint_count, 0);
    lab_end(&lab);
}
