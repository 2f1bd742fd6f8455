/* Another incarnation of this broker is in the metadata. */
#include "lab.h"

#include <string.h>

#include "protocol/register_broker_record.h"
#include "protocol/register_controller_record.h"

/* What the controller has taken from somebody else who says to be this broker. */
static void register_rival(struct lab *lab, uint8_t incarnation, struct uuid dir)
{
    struct register_broker_record r;

    register_broker_record_init(&r);
    r.broker_id = NODE_ID;
    r.incarnation_id = (struct uuid){{incarnation}};
    r.broker_epoch = lab->quorum->end;
    r.fenced = true;
    r.log_dirs = &dir;
    r.log_dirs_count = 1;
    lab_add(lab, &register_broker_record_message, 3, &r);
    lab_commit(lab);
}

static bool is_in_force(const struct lab *lab)
{
    const struct image_broker *b = image_broker_find(node_image(lab->node), NODE_ID);

    return b != NULL && b->epoch == node_broker_epoch(lab->node) && !b->fenced;
}

/* The last incarnation was killed, and the network delivers its request when this one runs. */
TEST(rival, a_registration_of_the_dead_that_comes_late_is_replaced)
{
    struct lab lab;

    lab_init(&lab, 23, "broker");
    lab_run(&lab);
    for (uint32_t late = 1; late <= 3; late++) { /* it may have asked more often than once */
        register_rival(&lab, 99, lab.dir->directory_id);
        script_pass(lab.s, 1000); /* less than a heartbeat's interval */
        CHECK_EQ(script_count(lab.s, 1, API_BROKER_REGISTRATION), 1 + late);
        CHECK(is_in_force(&lab));
    }
    script_pass(lab.s, 20000);
    CHECK_EQ(script_count(lab.s, 1, API_BROKER_REGISTRATION), 4);
    CHECK_EQ(lab.fatal.error, 0);
    CHECK_TEXT(text_str(&lab.states), "1 2 3 ");
    lab_end(&lab);
}

/* A controller in trouble is asked at a pace. */
TEST(rival, who_was_replaced_asks_until_the_controller_takes_it)
{
    struct lab lab;

    lab_init(&lab, 24, "broker");
    lab_run(&lab);
    lab.refuse = KERR_UNKNOWN_SERVER_ERROR;
    register_rival(&lab, 99, lab.dir->directory_id);
    script_pass(lab.s, 9000);
    CHECK(!is_in_force(&lab));
    CHECK(script_count(lab.s, 1, API_BROKER_REGISTRATION) > 3 && script_count(lab.s, 1, API_BROKER_REGISTRATION) < 30);
    lab.refuse = KERR_NONE;
    script_pass(lab.s, 3000);
    CHECK(is_in_force(&lab));
    CHECK_EQ(lab_lines(&lab, "another incarnation"), 1);
    CHECK_EQ(lab.fatal.error, 0);
    lab_end(&lab);
}

/* Two processes with copies of a directory would replace each other for ever: one ends, and says why. */
TEST(rival, of_two_processes_with_copies_of_a_directory_one_ends)
{
    struct lab lab;
    uint32_t times = 0;

    lab_init(&lab, 25, "broker");
    lab_run(&lab);
    for (; lab.fatal.error == 0 && times < 10; times++) {
        register_rival(&lab, 99, lab.dir->directory_id);
        script_pass(lab.s, 100);
    }
    CHECK_EQ(times, 6);
    CHECK_EQ(lab.fatal.error, -EEXIST);
    CHECK(strstr(lab.fatal.text, "a copy of the log directory /data") != NULL);
    lab_end(&lab);
}

/* So the one that runs is left in peace. */
TEST(rival, a_start_gives_way_to_a_process_that_runs)
{
    struct lab lab;
    uint32_t times = 0;

    lab_init(&lab, 27, "broker");
    lab.hold = true;
    lab_open(&lab);
    lab_lead(&lab, 1, 1);
    SCRIPT_UNTIL(lab.s, lab.publishing != NULL);
    lab_publish(&lab);
    for (; !lab.started.done && times < 10; times++) {
        register_rival(&lab, 99, lab.dir->directory_id);
        script_pass(lab.s, 50);
        if (lab.publishing != NULL)
            lab_publish(&lab);
    }
    CHECK_EQ(times, 4);
    CHECK_EQ(script_wait_end(lab.s, &lab.started), -EEXIST);
    CHECK(strstr(lab.fail.text, "a copy of the log directory /data") != NULL);
    lab_end(&lab);
}

/* Who has other directories may be alive as well as this one: its session decides, and an operator. */
TEST(rival, who_has_the_node_id_with_other_directories_is_left_in_force)
{
    struct lab lab;

    lab_init(&lab, 26, "broker");
    lab_run(&lab);
    lab.refuse = KERR_STALE_BROKER_EPOCH;
    register_rival(&lab, 99, (struct uuid){{8}});
    script_pass(lab.s, 20000);
    CHECK_EQ(script_count(lab.s, 1, API_BROKER_REGISTRATION), 1);
    CHECK_EQ(lab.fatal.error, 0);
    lab_end(&lab);
}

/* ---- controllers --------------------------------------------------------------------------------------- */

static void add_controller(struct lab *lab, struct uuid incarnation)
{
    struct register_controller_record r;

    register_controller_record_init(&r);
    r.controller_id = NODE_ID;
    r.incarnation_id = incarnation;
    lab_add(lab, &register_controller_record_message, 0, &r);
}

/* What the controller has taken from this node, or from somebody else who says to be it. */
static void register_controller(struct lab *lab, struct uuid incarnation)
{
    add_controller(lab, incarnation);
    lab_commit(lab);
    script_pass(lab->s, 100);
}

/* The answer to the first registration comes so much later than it is committed. */
static void start_controller(struct lab *lab, uint64_t seed, int64_t answer_ms)
{
    lab_init(lab, seed, "controller");
    if (answer_ms > 0)
        script_fault(lab->s, 1, API_CONTROLLER_REGISTRATION, SCRIPT_DELAY, answer_ms);
    lab_open(lab);
    lab_lead(lab, 1, 1);
    lab_add_metadata_version(lab);
    lab_commit(lab);
    CHECK_EQ(script_wait_end(lab->s, &lab->started), 0);
    script_pass(lab->s, 100);
    CHECK_EQ(script_count(lab->s, 1, API_CONTROLLER_REGISTRATION), 1);
}

static void begin_controller(struct lab *lab, uint64_t seed)
{
    start_controller(lab, seed, 0);
    register_controller(lab, lab->node->incarnation);
}

TEST(rival, a_controller_whose_registration_was_replaced_registers_again)
{
    struct lab lab;

    begin_controller(&lab, 28);
    for (uint32_t late = 1; late <= 3; late++) {
        register_controller(&lab, (struct uuid){{99}});
        CHECK_EQ(script_count(lab.s, 1, API_CONTROLLER_REGISTRATION), 1 + late);
        register_controller(&lab, lab.node->incarnation);
    }
    script_pass(lab.s, 20000);
    CHECK_EQ(script_count(lab.s, 1, API_CONTROLLER_REGISTRATION), 4);
    CHECK_EQ(lab_lines(&lab, "another incarnation of this controller"), 3);
    CHECK_EQ(lab.fatal.error, 0);
    lab_end(&lab);
}

TEST(rival, a_controller_that_is_replaced_before_its_answer_registers_again_too)
{
    struct lab lab;

    start_controller(&lab, 30, 1000);
    register_controller(&lab, lab.node->incarnation);
    register_controller(&lab, (struct uuid){{99}});
    CHECK_EQ(script_count(lab.s, 1, API_CONTROLLER_REGISTRATION), 1);
    script_pass(lab.s, 1000);
    CHECK_EQ(script_count(lab.s, 1, API_CONTROLLER_REGISTRATION), 2);
    CHECK_EQ(lab_lines(&lab, "another incarnation of this controller"), 1);
    lab_end(&lab);
}

TEST(rival, a_controller_that_hears_of_both_at_once_registers_again_too)
{
    struct lab lab;

    start_controller(&lab, 32, 0);
    lab.lags_ms = 50;
    add_controller(&lab, lab.node->incarnation);
    lab_commit(&lab);
    register_controller(&lab, (struct uuid){{99}});
    CHECK_EQ(script_count(lab.s, 1, API_CONTROLLER_REGISTRATION), 2);
    lab_end(&lab);
}

/* One that runs for long stays for longer than one that has just come: so one of both goes. */
TEST(rival, of_two_controllers_with_one_node_id_one_ends)
{
    for (int is_old = 0; is_old < 2; is_old++) {
        struct lab lab;
        uint32_t times = 0;
        begin_controller(&lab, 29);
        script_pass(lab.s, is_old ? 60000 : 1000);
        for (; lab.fatal.error == 0 && times < 10; times++) {
            register_controller(&lab, (struct uuid){{99}});
            if (lab.fatal.error == 0)
                register_controller(&lab, lab.node->incarnation);
        }
        CHECK_EQ(times, is_old ? 6 : 4);
        CHECK_EQ(lab.fatal.error, -EEXIST);
        CHECK(strstr(lab.fatal.text, "another process with node.id 7 registers as a controller again and") != NULL);
        lab_end(&lab);
    }
}
