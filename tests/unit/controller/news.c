/* What the controller tells of its decisions: who leads since when is in the log, why only it knows. */
#include "world.h"

#include "protocol/broker_registration.h"

static void begin(struct world *w)
{
    world_begin(w, true);
    for (int32_t id = 1; id <= 3; id++)
        (void)world_broker(w, id);
    world_create_on(w, "orders", (int32_t[]){1, 2}, 2);
    (void)world_news(w);
}

static void beat(struct world *w, int32_t id, bool want_stop)
{
    CHECK_EQ(world_beat(w, id, w->epochs[id], false, want_stop), KERR_NONE);
}

TEST(controller_news, brokers_that_come)
{
    struct world w;

    world_begin(&w, true);
    (void)world_broker(&w, 1);
    CHECK_TEXT(world_news(&w), "broker 1 registers\nbroker 1 is unfenced: it asks to be, and knows the metadata\n");
    beat(&w, 1, false);
    CHECK_TEXT(world_news(&w), "");
    world_end(&w);
}

TEST(controller_news, silent_broker_loses_what_it_led)
{
    struct world w;

    begin(&w);
    w.now_ms += 5000;
    beat(&w, 2, false);
    beat(&w, 3, false);
    w.now_ms += 4001;
    world_commit(&w);
    CHECK_TEXT(world_news(&w), "broker 1 is fenced: no heartbeat for 9001 ms (broker.session.timeout.ms is 9000); "
                               "1 partitions change (bad)\n"
                               "orders-0 is led by broker 2 in epoch 1, before by broker 1; its ISR is [2], "
                               "before [1,2]: broker 1 is fenced: no heartbeat for 9001 ms (broker.session.timeout.ms is 9000)\n");
    world_end(&w);
}

/* Who could lead, and who of the replicas lives. */
TEST(controller_news, partition_that_nobody_leads)
{
    struct world w;

    begin(&w);
    beat(&w, 1, true);
    CHECK_TEXT(world_news(&w), "broker 1 begins a controlled shutdown; 1 partitions change\n"
                               "orders-0 is led by broker 2 in epoch 1, before by broker 1; its ISR is [2], "
                               "before [1,2]: broker 1 begins a controlled shutdown\n");
    w.now_ms += 8000;
    beat(&w, 1, false);
    beat(&w, 3, false);
    w.now_ms += 1001;
    world_commit(&w);
    CHECK_TEXT(world_news(&w), "broker 2 is fenced: no heartbeat for 9001 ms (broker.session.timeout.ms is 9000); "
                               "1 partitions change (bad)\n"
                               "orders-0 is offline in epoch 2: nobody leads, before broker 2; with all records "
                               "are [2], alive of its replicas []; its ISR is [], before [2]: broker 2 is fenced: "
                               "no heartbeat for 9001 ms (broker.session.timeout.ms is 9000) (bad)\n");
    beat(&w, 2, false);
    CHECK_TEXT(world_news(&w), "broker 2 is unfenced: it asks to be, and knows the metadata; 1 partitions change\n"
                               "orders-0 is led by broker 2 in epoch 3, before by nobody; its ISR is [2], before []: "
                               "broker 2 is unfenced: it asks to be, and knows the metadata\n");
    struct controller_elections elections = controller_elections(w.c);
    CHECK_EQ(elections.all, 2);
    CHECK_EQ(elections.eligible, 1);
    CHECK_EQ(elections.unclean, 0);
    world_end(&w);
}

/* Who stops takes its partitions along, and wants it so. */
TEST(controller_news, last_broker_that_stops_is_no_bad_news)
{
    struct world w;
    struct str news;

    world_begin(&w, true);
    (void)world_broker(&w, 1);
    world_create_on(&w, "orders", (int32_t[]){1}, 1);
    (void)world_news(&w);
    beat(&w, 1, true);
    news = world_news(&w);
    CHECK(str_starts(news, STR("broker 1 begins a controlled shutdown; 1 partitions change\norders-0 is offline in epoch 1: ")));
    CHECK(str_ends(news, STR(": broker 1 begins a controlled shutdown\n")));
    world_end(&w);
}

TEST(controller_news, isr_that_a_leader_asks_for)
{
    struct world w;
    struct proposal p;

    begin(&w);
    p = world_proposal(&w, "orders", 0, (int32_t[]){1}, 1);
    CHECK_EQ(world_propose(&w, &p), KERR_NONE);
    CHECK_TEXT(world_news(&w), "orders-0 its ISR is [1], before [1,2]: broker 1, which leads, asks for it\n");
    CHECK_EQ(world_propose(&w, &p), KERR_INVALID_UPDATE_VERSION);
    CHECK_TEXT(world_news(&w), "");
    world_end(&w);
}

TEST(controller_news, many_partitions_are_few_lines)
{
    struct world w;
    enum kerr error;
    uint32_t lines = 0, quiet = 0;

    begin(&w);
    (void)world_create(&w, "many", 90, 3, &error);
    CHECK_EQ(error, KERR_NONE);
    (void)world_news(&w);
    beat(&w, 1, true);
    struct str rest = world_news(&w), line;
    while (str_cut(&rest, '\n', &line)) {
        lines++;
        quiet += str_ends(line, STR(" (quiet)"));
    }
    CHECK_EQ(lines, 1 + 91);
    CHECK_EQ(quiet, 91 - 20);
    world_end(&w);
}

TEST(controller_news, broker_of_another_cluster)
{
    struct broker_registration_request m;
    struct broker_registration_response answer;
    struct world w;

    begin(&w);
    broker_registration_request_init(&m);
    broker_registration_response_init(&answer);
    m.broker_id = 9;
    m.cluster_id = STR("another");
    (void)world_ask(&w, API_BROKER_REGISTRATION, 4, &m, &answer);
    CHECK_EQ(answer.error_code, KERR_INCONSISTENT_CLUSTER_ID);
    struct str news = world_news(&w);
    CHECK(str_starts(news, STR("broker 9 of cluster another is not registered: this is cluster ")));
    CHECK(str_ends(news, STR(" (bad)\n")));
    world_end(&w);
}
