/* What leaders propose for their ISRs (AlterPartition). */
#include "lab.h"

#include "protocol/alter_partition.h"

/* ---- a controller that answers -------------------------------------------------------------------------- */

struct bench {
    struct lab lab;
    struct text log;            /* "v3 0:[1@11 2@12] 1:[..]\n" for each AlterPartition: partitions with their ISRs */
    enum kerr top;
    enum kerr errors[10];       /* by partition */
    bool omit;                  /* the answer has no partitions */
    struct script_request *parked;
    bool park;
};

static void note_isr(struct text *log, const struct alter_partition_request_topics_partitions *p)
{
    text_printf(log, " %d:[", p->partition_index);
    for (int32_t i = 0; i < p->new_isr_count; i++)
        text_printf(log, "%s%d", i > 0 ? " " : "", p->new_isr[i]);
    for (int32_t i = 0; i < p->new_isr_with_epochs_count; i++)
        text_printf(log, "%s%d@%d", i > 0 ? " " : "", p->new_isr_with_epochs[i].broker_id,
                    (int)p->new_isr_with_epochs[i].broker_epoch);
    text_printf(log, "]");
}

static void answer_one(struct bench *b, struct script_request *r, const struct alter_partition_request_topics *asked,
                       struct alter_partition_response_topics *a)
{
    const struct alter_partition_request_topics_partitions *p = asked->partitions;
    int32_t *isr = arena_take_array(&r->arena, 1, sizeof *isr);

    alter_partition_response_topics_init(a);
    a->topic_id = asked->topic_id;
    a->partitions = arena_take(&r->arena, sizeof *a->partitions);
    a->partitions_count = 1;
    alter_partition_response_topics_partitions_init(a->partitions);
    a->partitions->partition_index = p->partition_index;
    a->partitions->error_code = b->errors[p->partition_index];
    a->partitions->leader_id = NODE_ID;
    a->partitions->leader_epoch = p->leader_epoch;
    a->partitions->partition_epoch = p->partition_epoch + 1;
    a->partitions->leader_recovery_state = p->leader_recovery_state;
    isr[0] = 100 + p->partition_index;
    a->partitions->isr = isr;
    a->partitions->isr_count = 1;
}

static void alter_partition(struct script_request *r, void *ctx)
{
    struct bench *b = ctx;
    const struct alter_partition_request *m = r->message;
    struct alter_partition_response *a = r->response;

    CHECK_EQ(m->broker_id, NODE_ID);
    CHECK_EQ(m->broker_epoch, b->lab.broker_epoch);
    text_printf(&b->log, "%d v%d", r->broker, r->version);
    for (int32_t i = 0; i < m->topics_count; i++) {
        CHECK_EQ(m->topics[i].partitions_count, 1);
        note_isr(&b->log, m->topics[i].partitions);
    }
    text_printf(&b->log, "\n");
    a->error_code = b->lab.quorum->leader == r->broker ? b->top : KERR_NOT_CONTROLLER;
    if (a->error_code == KERR_NONE && !b->omit) {
        a->topics = arena_take_array(&r->arena, (size_t)m->topics_count, sizeof *a->topics);
        a->topics_count = m->topics_count;
        for (int32_t i = 0; i < m->topics_count; i++)
            answer_one(b, r, &m->topics[i], &a->topics[i]);
    }
    if (b->park) {
        b->park = false;
        b->parked = r;
        r->parked = true;
    }
}

static void begin(struct bench *b, uint64_t seed)
{
    *b = (struct bench){0};
    lab_init(&b->lab, seed, "broker");
    script_on(b->lab.s, 0, API_ALTER_PARTITION, alter_partition, b);
    lab_run(&b->lab);
}

static void finish(struct bench *b)
{
    text_deinit(&b->log);
    lab_end(&b->lab);
}

/* ---- a leader ------------------------------------------------------------------------------------------- */

struct leader {
    struct node_proposal p;
    bool done;
    enum kerr error;
    int32_t isr, partition_epoch;
    enum replication_recovery recovery;
};

static void decided(struct node_proposal *p, enum kerr error, const struct replication_state *state)
{
    struct leader *l = container_of(p, struct leader, p);

    CHECK(!l->done);
    l->done = true;
    l->error = error;
    CHECK_EQ(state != NULL, error == KERR_NONE);
    if (state == NULL)
        return;
    CHECK_EQ(state->isr_count, 1);
    CHECK_EQ(state->leader, NODE_ID);
    CHECK_EQ(state->leader_epoch, p->proposal.leader_epoch);
    l->isr = state->isr[0];
    l->partition_epoch = state->partition_epoch;
    l->recovery = state->recovery;
}

static void propose(struct bench *b, struct leader *l, int32_t partition)
{
    *l = (struct leader){
        .p = {.topic_id = {{9}}, .partition = partition, .done = decided},
    };
    l->p.proposal = (struct replication_proposal){
        .leader_epoch = 5,
        .partition_epoch = 20 + partition,
        .recovery = REPLICATION_RECOVERING,
        .count = 2,
        .ids = {NODE_ID, partition},
        .broker_epochs = {11, -1},
    };
    node_propose(b->lab.node, &l->p);
    CHECK(!l->done);
}

TEST(proposals, what_comes_while_one_request_is_on_its_way_goes_with_the_next)
{
    struct bench b;
    struct leader l[4];

    begin(&b, 1);
    for (int32_t i = 0; i < 4; i++)
        propose(&b, &l[i], i);
    script_pass(b.lab.s, 100);
    CHECK_TEXT(text_str(&b.log), "1 v3 0:[7@11 0@-1]\n"
                                 "1 v3 1:[7@11 1@-1] 2:[7@11 2@-1] 3:[7@11 3@-1]\n");
    for (int32_t i = 0; i < 4; i++) {
        CHECK(l[i].done);
        CHECK_EQ(l[i].error, KERR_NONE);
        CHECK_EQ(l[i].isr, 100 + i);
        CHECK_EQ(l[i].partition_epoch, 21 + i);
        CHECK_EQ(l[i].recovery, REPLICATION_RECOVERING);
    }
    finish(&b);
}

TEST(proposals, a_controller_that_knows_no_broker_epochs_gets_ids)
{
    struct bench b;
    struct leader l;

    begin(&b, 2);
    script_versions(b.lab.s, 2, API_ALTER_PARTITION, 2, 2); /* nobody is connected to it yet */
    lab_lead(&b.lab, 2, 2);
    propose(&b, &l, 1);
    script_pass(b.lab.s, 100);
    CHECK(l.done);
    lab_lead(&b.lab, 1, 3);
    propose(&b, &l, 1);
    script_pass(b.lab.s, 100);
    CHECK(l.done);
    CHECK_TEXT(text_str(&b.log), "2 v2 1:[7 1]\n1 v3 1:[7@11 1@-1]\n");
    finish(&b);
}

/* Each row of what a controller says of a partition: told to its leader, or asked again. */
TEST(proposals, each_partition_has_its_own_answer)
{
    static const struct {
        enum kerr error;
        bool told;
    } rows[] = {
        {KERR_UNKNOWN_TOPIC_OR_PARTITION, true}, {KERR_UNKNOWN_TOPIC_ID, true},
        {KERR_FENCED_LEADER_EPOCH, true},        {KERR_INVALID_REQUEST, true},
        {KERR_INVALID_UPDATE_VERSION, true},     {KERR_INELIGIBLE_REPLICA, true},
        {KERR_NEW_LEADER_ELECTED, true},         {KERR_OPERATION_NOT_ATTEMPTED, true},
        {KERR_NOT_CONTROLLER, false}, /* its metadata is older than the leader's */
        {KERR_UNKNOWN_SERVER_ERROR, false},
        {KERR_UNKNOWN_LEADER_EPOCH, false},
    };

    for (size_t i = 0; i < array_count(rows); i++) {
        struct bench b;
        struct leader first, l[2];
        begin(&b, 10 + i);
        b.errors[1] = rows[i].error;
        propose(&b, &first, 5); /* the two are in one request behind it */
        propose(&b, &l[0], 0);
        propose(&b, &l[1], 1);
        script_pass(b.lab.s, 20);
        CHECK(l[0].done);
        CHECK_EQ(l[0].error, KERR_NONE);
        CHECK_EQ(l[1].done, rows[i].told);
        b.errors[1] = KERR_NONE;
        script_pass(b.lab.s, 1000);
        CHECK(l[1].done);
        CHECK_EQ(l[1].error, rows[i].told ? rows[i].error : KERR_NONE);
        CHECK_EQ(script_count(b.lab.s, 1, API_ALTER_PARTITION), rows[i].told ? 2 : 3);
        finish(&b);
    }
}

/* Trouble with the whole is nobody's answer: it is asked again, not too often, and said once. */
TEST(proposals, trouble_with_the_request_as_a_whole_is_asked_through)
{
    static const enum kerr errors[] = {KERR_STALE_BROKER_EPOCH, KERR_CLUSTER_AUTHORIZATION_FAILED,
                                       KERR_UNKNOWN_SERVER_ERROR, KERR_NOT_CONTROLLER, KERR_NONE};

    for (size_t i = 0; i < array_count(errors); i++) {
        struct bench b;
        struct leader l[2];
        begin(&b, 30 + i);
        b.top = errors[i];
        b.omit = errors[i] == KERR_NONE;
        propose(&b, &l[0], 0);
        propose(&b, &l[1], 1);
        script_pass(b.lab.s, 5000);
        CHECK(!l[0].done && !l[1].done);
        uint32_t asked = script_count(b.lab.s, 1, API_ALTER_PARTITION);
        CHECK(asked >= 5 && asked <= 16);
        b.top = KERR_NONE;
        b.omit = false;
        script_pass(b.lab.s, 2000);
        CHECK(l[0].done && l[1].done);
        CHECK(l[0].error == KERR_NONE && l[1].error == KERR_NONE);
        finish(&b);
    }
}

/* ---- withdrawn ------------------------------------------------------------------------------------------ */

TEST(proposals, one_that_waits_and_is_withdrawn_is_not_sent)
{
    struct bench b;
    struct leader first, second;

    begin(&b, 50);
    b.park = true;
    propose(&b, &first, 0);
    propose(&b, &second, 1);
    script_pass(b.lab.s, 100);
    CHECK(b.parked != NULL);
    node_withdraw(b.lab.node, &second.p);
    node_withdraw(b.lab.node, &second.p);
    CHECK(!second.done); /* never inside */
    script_pass(b.lab.s, 1);
    CHECK(second.done);
    CHECK_EQ(second.error, KERR_OPERATION_NOT_ATTEMPTED);
    script_reply(b.parked);
    script_pass(b.lab.s, 100);
    CHECK(first.done);
    CHECK_EQ(script_count(b.lab.s, 1, API_ALTER_PARTITION), 1);
    finish(&b);
}

TEST(proposals, one_that_is_sent_and_withdrawn_ends_as_it_ends_and_is_not_sent_again)
{
    struct bench b;
    struct leader l, next;

    begin(&b, 51);
    b.park = true;
    propose(&b, &l, 0);
    script_pass(b.lab.s, 100);
    node_withdraw(b.lab.node, &l.p);
    propose(&b, &next, 0); /* of the same partition */
    script_pass(b.lab.s, 100);
    CHECK(!l.done && !next.done);
    script_reply(b.parked);
    script_pass(b.lab.s, 100);
    CHECK(l.done && next.done);
    CHECK_EQ(l.error, KERR_NONE);
    CHECK_EQ(next.error, KERR_NONE);

    script_fault(b.lab.s, 1, API_ALTER_PARTITION, SCRIPT_SILENT, 0);
    uint32_t asked = script_count(b.lab.s, 1, API_ALTER_PARTITION);
    b.top = KERR_UNKNOWN_SERVER_ERROR;
    propose(&b, &l, 0);
    script_pass(b.lab.s, 100);
    node_withdraw(b.lab.node, &l.p);
    SCRIPT_UNTIL(b.lab.s, l.done);
    CHECK_EQ(l.error, KERR_REQUEST_TIMED_OUT);
    script_pass(b.lab.s, 10000);
    CHECK(script_count(b.lab.s, 1, API_ALTER_PARTITION) <= asked + 2); /* repeated within its limit, then no more */
    finish(&b);
}

/* Whoever has proposed something when the node leaves is told so. */
TEST(proposals, nobody_waits_for_a_node_that_leaves)
{
    struct bench b;
    struct leader sent, waiting, late;
    struct script_wait w;

    begin(&b, 52);
    script_fault(b.lab.s, 1, API_ALTER_PARTITION, SCRIPT_SILENT, 0);
    propose(&b, &sent, 0);
    propose(&b, &waiting, 1);
    script_pass(b.lab.s, 100);
    node_leave(b.lab.node, false, script_wait_begin(&w));
    CHECK_EQ(script_wait_end(b.lab.s, &w), 0);
    propose(&b, &late, 2);
    script_pass(b.lab.s, 100);
    CHECK(sent.done && waiting.done && late.done);
    CHECK_EQ(sent.error, KERR_REQUEST_TIMED_OUT); /* it may have been taken */
    CHECK_EQ(waiting.error, KERR_OPERATION_NOT_ATTEMPTED);
    CHECK_EQ(late.error, KERR_OPERATION_NOT_ATTEMPTED);
    finish(&b);
}

/* ---- lost answers, other controllers ---------------------------------------------------------------------- */

TEST(proposals, a_proposal_outlives_its_controller)
{
    static const enum script_fault faults[] = {SCRIPT_CUT, SCRIPT_CUT_AFTER, SCRIPT_SILENT, SCRIPT_GARBAGE};

    for (size_t i = 0; i < array_count(faults); i++) {
        for (int moves = 0; moves < 2; moves++) {
            struct bench b;
            struct leader l;
            begin(&b, 60 + i);
            script_fault(b.lab.s, 1, API_ALTER_PARTITION, faults[i], 0);
            propose(&b, &l, 0);
            script_pass(b.lab.s, 10);
            if (moves)
                lab_lead(&b.lab, 2, 2);
            script_pass(b.lab.s, moves || faults[i] != SCRIPT_SILENT ? 500 : 6000);
            CHECK(l.done);
            CHECK_EQ(l.error, KERR_NONE);
            finish(&b);
        }
    }
}
