/* Controlled shutdown among several brokers. */
#include "world.h"

#include "protocol/broker_heartbeat.h"
#include "protocol/unregister_broker.h"

static struct broker_heartbeat_response beat(struct world *w, int32_t id, bool want_stop)
{
    struct broker_heartbeat_request m;
    struct broker_heartbeat_response a;

    broker_heartbeat_request_init(&m);
    broker_heartbeat_response_init(&a);
    m.broker_id = id;
    m.broker_epoch = w->epochs[id];
    m.current_metadata_offset = w->end - 1;
    m.want_shut_down = want_stop;
    CHECK_EQ(world_ask(w, API_BROKER_HEARTBEAT, 2, &m, &a), KERR_NONE);
    CHECK_EQ(a.error_code, KERR_NONE);
    return a;
}

static void begin(struct world *w)
{
    world_begin(w, true);
    for (int32_t id = 1; id <= 3; id++)
        (void)world_broker(w, id);
    world_create_on(w, "orders", (int32_t[]){1, 2, 3}, 3);
    world_create_on(w, "others", (int32_t[]){2, 1}, 2);
}

TEST(controller_shutdown, leaderships_go_to_who_is_in_sync)
{
    struct world w;

    begin(&w);
    CHECK(!beat(&w, 1, true).should_shut_down);
    CHECK_TEXT(world_show(&w, "orders"), "2@1.1 on 1 2 3 isr 2 3");
    CHECK_TEXT(world_show(&w, "others"), "2@0.1 on 2 1 isr 2");
    CHECK(!image_broker_find(controller_latest(w.c), 1)->fenced); /* serves who has not seen it yet */
    world_end(&w);
}

TEST(controller_shutdown, who_leads_nothing_may_go_at_once)
{
    struct world w;

    begin(&w);
    CHECK(beat(&w, 3, true).should_shut_down);
    CHECK(image_broker_find(controller_latest(w.c), 3)->fenced);
    CHECK_TEXT(world_show(&w, "orders"), "1@0.1 on 1 2 3 isr 1 2");
    world_end(&w);
}

/* Two stop at once: neither waits for what the other has seen, as nobody is served by it for long. */
TEST(controller_shutdown, the_slowest_of_those_that_stay_counts)
{
    struct world w;

    begin(&w);
    CHECK(!beat(&w, 1, true).should_shut_down);
    CHECK(!beat(&w, 2, true).should_shut_down);
    CHECK_TEXT(world_show(&w, "others"), "-1@1.2 on 2 1 elr 2 last 2");
    CHECK(!beat(&w, 1, true).should_shut_down);
    (void)beat(&w, 3, false);
    CHECK(beat(&w, 1, true).should_shut_down);
    CHECK(beat(&w, 2, true).should_shut_down);
    world_end(&w);
}

/* A new controller does not know when it began; it lets go when all have seen what it began with. */
TEST(controller_shutdown, another_controller_goes_on_with_it)
{
    struct world w;

    begin(&w);
    CHECK(!beat(&w, 1, true).should_shut_down);
    world_claim(&w, 2);
    CHECK(!beat(&w, 1, true).should_shut_down);
    (void)beat(&w, 2, false);
    CHECK(!beat(&w, 1, true).should_shut_down);
    (void)beat(&w, 3, false);
    CHECK(beat(&w, 1, true).should_shut_down);
    world_end(&w);
}

/* The same incarnation registers again where the answer to its first registration was lost late. */
TEST(controller_shutdown, registration_in_the_middle_does_not_hold_it_up)
{
    struct world w;

    begin(&w);
    CHECK(!beat(&w, 1, true).should_shut_down);
    CHECK_EQ(world_register(&w, 1, 15, -1, true), w.epochs[1]);
    CHECK(image_broker_find(controller_latest(w.c), 1)->in_controlled_shutdown);
    (void)beat(&w, 2, false);
    (void)beat(&w, 3, false);
    CHECK(beat(&w, 1, true).should_shut_down);
    world_end(&w);
}

/* A broker whose unregistration could not be written is there still, and may go on. */
TEST(controller_shutdown, broker_that_could_not_be_unregistered_lives_on)
{
    struct world w;
    struct unregister_broker_request m;
    struct unregister_broker_response a;

    begin(&w);
    unregister_broker_request_init(&m);
    unregister_broker_response_init(&a);
    m.broker_id = 3;
    w.append_error = ERR_LIMIT;
    CHECK_EQ(world_ask(&w, API_UNREGISTER_BROKER, 0, &m, &a), KERR_UNKNOWN_SERVER_ERROR);
    w.append_error = 0;
    CHECK(!beat(&w, 3, false).is_fenced);
    world_end(&w);
}
