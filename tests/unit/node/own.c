/* Requests of the node's own to whoever leads: blocks of producer ids, where replicas lie. */
#include "lab.h"

#include "protocol/allocate_producer_ids.h"
#include "protocol/assign_replicas_to_dirs.h"

static void allocate(struct script_request *r, void *ctx)
{
    const struct allocate_producer_ids_request *m = r->message;
    struct allocate_producer_ids_response *a = r->response;
    struct lab *lab = ctx;

    CHECK_EQ(m->broker_epoch, lab->broker_epoch);
    a->error_code = lab->quorum->leader == r->broker ? KERR_NONE : KERR_NOT_CONTROLLER;
    a->producer_id_start = 1000 * r->broker;
    a->producer_id_len = 1000;
}

TEST(own, a_block_of_producer_ids_comes_from_whoever_leads)
{
    struct lab lab;
    struct producer_id_block block;
    struct script_wait w;

    lab_init(&lab, 1, "broker");
    script_on(lab.s, 0, API_ALLOCATE_PRODUCER_IDS, allocate, &lab);
    lab_run(&lab);
    script_fault(lab.s, 1, API_ALLOCATE_PRODUCER_IDS, SCRIPT_CUT_AFTER, 0); /* that block is lost: ids are plenty */
    node_allocate_producer_ids(lab.node, &block, script_wait_begin(&w));
    CHECK_EQ(script_wait_end(lab.s, &w), 0);
    CHECK_EQ(block.first, 1000);
    CHECK_EQ(block.count, 1000);
    script_fault(lab.s, 1, API_ALLOCATE_PRODUCER_IDS, SCRIPT_SILENT, 0);
    node_allocate_producer_ids(lab.node, &block, script_wait_begin(&w));
    script_pass(lab.s, 100);
    CHECK(!w.done);
    lab_lead(&lab, 2, 2);
    CHECK_EQ(script_wait_end(lab.s, &w), 0);
    CHECK_EQ(block.first, 2000);
    lab_lead(&lab, -1, 3);
    node_allocate_producer_ids(lab.node, &block, script_wait_begin(&w));
    CHECK_EQ(script_wait_end(lab.s, &w), -EAGAIN);
    lab_end(&lab);
}

struct assigned {
    struct lab lab;
    struct text log; /* "CONTROLLER: PARTITION ...\n" for each request */
};

static void assign(struct script_request *r, void *ctx)
{
    const struct assign_replicas_to_dirs_request *m = r->message;
    struct assign_replicas_to_dirs_response *a = r->response;
    struct assigned *b = ctx;

    text_printf(&b->log, "%d:", r->broker);
    for (int32_t i = 0; i < m->directories_count; i++) {
        for (int32_t t = 0; t < m->directories[i].topics_count; t++)
            text_printf(&b->log, " %d", m->directories[i].topics[t].partitions[0].partition_index);
    }
    text_printf(&b->log, "\n");
    a->error_code = b->lab.quorum->leader == r->broker ? KERR_NONE : KERR_NOT_CONTROLLER;
}

TEST(own, where_replicas_lie_is_told_to_whoever_leads_until_it_is_taken)
{
    struct assigned b = {0};
    struct uuid topic = {{9}}, dir = {{7}};

    lab_init(&b.lab, 2, "broker");
    script_on(b.lab.s, 0, API_ASSIGN_REPLICAS_TO_DIRS, assign, &b);
    lab_run(&b.lab);
    script_fault(b.lab.s, 1, API_ASSIGN_REPLICAS_TO_DIRS, SCRIPT_SILENT, 0);
    node_assign(b.lab.node, topic, 1, dir);
    script_pass(b.lab.s, 100);
    node_assign(b.lab.node, topic, 2, dir);
    lab_lead(&b.lab, -1, 2);
    script_pass(b.lab.s, 20000);
    lab_lead(&b.lab, 2, 3);
    script_pass(b.lab.s, 1000);
    struct str log = text_str(&b.log);
    CHECK(str_starts(log, STR("1: 1\n")));
    CHECK(str_ends(log, STR("2: 1 2\n")) || str_ends(log, STR("2: 1\n2: 2\n")));
    text_deinit(&b.log);
    lab_end(&b.lab);
}
