/* mr_admin before a server that answers what a test says: groups of new kinds, and transactions. */
#define _GNU_SOURCE
#include "canned.h"

#include "protocol/describe_producers.h"
#include "protocol/describe_share_group_offsets.h"
#include "protocol/describe_transactions.h"
#include "protocol/init_producer_id.h"
#include "protocol/list_transactions.h"
#include "protocol/share_group_describe.h"
#include "protocol/streams_group_describe.h"
#include "protocol/write_txn_markers.h"

static struct lab lab;

static const char *kafka_word(const struct mr_error *e)
{
    return mr_kafka_code_name(e->kafka_code);
}

static void answer_producers(const struct describe_producers_request *m, const struct canned_request *q)
{
    struct describe_producers_response *a = q->response;

    CHECK_EQ(m->topics_count, 1);
    CHECK_EQ(m->topics[0].partition_indexes_count, 2);
    a->topics = arena_take_array(q->arena, 1, sizeof *a->topics);
    a->topics_count = 1;
    describe_producers_response_topics_init(a->topics);
    a->topics->name = m->topics[0].name;
    a->topics->partitions = arena_take_array(q->arena, 2, sizeof *a->topics->partitions);
    a->topics->partitions_count = 2;
    for (int i = 0; i < 2; i++) {
        describe_producers_response_topics_partitions_init(&a->topics->partitions[i]);
        a->topics->partitions[i].partition_index = i;
    }
    struct describe_producers_response_topics_partitions_active_producers *p = arena_take_array(q->arena, 1, sizeof *p);
    describe_producers_response_topics_partitions_active_producers_init(p);
    p->producer_id = 4000;
    p->producer_epoch = 3;
    p->coordinator_epoch = 2;
    p->current_txn_start_offset = 55;
    a->topics->partitions[0].active_producers = p;
    a->topics->partitions[0].active_producers_count = 1;
    a->topics->partitions[1].error_code = KERR_TOPIC_AUTHORIZATION_FAILED;
}

static void answer_markers(const struct write_txn_markers_request *m, const struct canned_request *q)
{
    struct write_txn_markers_response *a = q->response;

    CHECK_EQ(m->markers_count, 1);
    CHECK(!m->markers[0].transaction_result);
    CHECK_EQ(m->markers[0].producer_id, 4000);
    CHECK_EQ(m->markers[0].producer_epoch, 3);
    CHECK_EQ(m->markers[0].coordinator_epoch, 2);
    a->markers = arena_take_array(q->arena, 1, sizeof *a->markers);
    a->markers_count = 1;
    write_txn_markers_response_markers_init(a->markers);
    a->markers->topics = arena_take_array(q->arena, 1, sizeof *a->markers->topics);
    a->markers->topics_count = 1;
    write_txn_markers_response_markers_topics_init(a->markers->topics);
    a->markers->topics->name = m->markers[0].topics[0].name;
    a->markers->topics->partitions = arena_take_array(q->arena, 1, sizeof *a->markers->topics->partitions);
    a->markers->topics->partitions_count = 1;
    write_txn_markers_response_markers_topics_partitions_init(a->markers->topics->partitions);
    a->markers->topics->partitions->partition_index = m->markers[0].topics[0].partition_indexes[0];
}

static void answer_listed(const struct list_transactions_request *m, const struct canned_request *q)
{
    struct list_transactions_response *a = q->response;

    if (m->state_filters_count > 0 && str_equal(m->state_filters[0], STR("Dreaming"))) {
        a->unknown_state_filters = m->state_filters;
        a->unknown_state_filters_count = 1;
        return;
    }
    CHECK_EQ(m->duration_filter, m->state_filters_count > 0 ? 60000 : -1);
    CHECK(m->state_filters_count == 0 || str_equal(m->transactional_id_pattern, STR("or.*")));
    a->transaction_states = arena_take_array(q->arena, 1, sizeof *a->transaction_states);
    a->transaction_states_count = 1;
    list_transactions_response_transaction_states_init(a->transaction_states);
    a->transaction_states->transactional_id = STR("orders");
    a->transaction_states->transaction_state = STR("Ongoing");
    a->transaction_states->producer_id = 4000;
}

static void answer_described(const struct describe_transactions_request *m, const struct canned_request *q)
{
    static int32_t partitions[] = {0, 1};
    struct describe_transactions_response *a = q->response;

    a->transaction_states =
        arena_take_array(q->arena, (size_t)m->transactional_ids_count, sizeof *a->transaction_states);
    a->transaction_states_count = m->transactional_ids_count;
    for (int32_t i = 0; i < m->transactional_ids_count; i++) {
        struct describe_transactions_response_transaction_states *t = &a->transaction_states[i];
        describe_transactions_response_transaction_states_init(t);
        t->transactional_id = m->transactional_ids[i];
        if (!str_equal(m->transactional_ids[i], STR("orders"))) {
            t->error_code = KERR_TRANSACTIONAL_ID_NOT_FOUND;
            continue;
        }
        t->transaction_state = STR("Ongoing");
        t->producer_id = 4000;
        t->producer_epoch = 3;
        t->transaction_timeout_ms = 60000;
        t->transaction_start_time_ms = 1234;
        t->topics = arena_take_array(q->arena, 1, sizeof *t->topics);
        t->topics_count = 1;
        describe_transactions_response_transaction_states_topics_init(t->topics);
        t->topics->topic = STR("t");
        t->topics->partitions = partitions;
        t->topics->partitions_count = 2;
    }
}

static void answer_transactions(const struct canned_request *q)
{
    switch (q->api_key) {
    case API_LIST_TRANSACTIONS:
        answer_listed(q->message, q);
        break;
    case API_DESCRIBE_TRANSACTIONS:
        answer_described(q->message, q);
        break;
    case API_DESCRIBE_PRODUCERS:
        answer_producers(q->message, q);
        break;
    case API_WRITE_TXN_MARKERS:
        answer_markers(q->message, q);
        break;
    default: {
        const struct init_producer_id_request *m = q->message;
        struct init_producer_id_response *a = q->response;
        CHECK_EQ(q->api_key, API_INIT_PRODUCER_ID);
        CHECK(m->transaction_timeout_ms > 0 && m->transaction_timeout_ms <= 60000);
        a->producer_id = 4001;
    }
    }
}

TEST(library_canned, transactions_are_told_and_ended_by_force)
{
    const char *const ids[] = {"orders", "nosuch"}, *const ongoing[] = {"Ongoing"}, *const wrong[] = {"Dreaming"};
    struct mr_transaction_filter filter = {
        .state_count = 1, .states = ongoing, .longer_than_ms = 60000, .pattern = "or.*"};
    struct mr_partition partitions[] = {{"t", 0}, {"t", 1}};
    uint32_t count;

    struct mr_admin *a = canned_admin(&lab, answer_transactions);
    mr_answer_free(lab_well(&lab, mr_list_transactions(a, NULL, NULL)));
    struct mr_answer *r = lab_well(&lab, mr_list_transactions(a, &filter, NULL));
    const struct mr_transaction *one = mr_transactions(r, &count);
    CHECK_EQ(count, 1);
    CHECK_TEXT(one->id, "orders");
    CHECK_TEXT(one->state, "Ongoing");
    CHECK_EQ(one->node, 1);
    mr_answer_free(r);
    filter.states = wrong;
    r = mr_list_transactions(a, &filter, NULL);
    CHECK_EQ(mr_answer_wait(r, PATIENT_MS, &lab.e), MR_INVALID);
    CHECK(strstr(lab.e.text, "Dreaming") != NULL);
    mr_answer_free(r);

    r = mr_describe_transactions(a, ids, 2, NULL);
    CHECK_EQ(mr_answer_wait(r, PATIENT_MS, &lab.e), 1);
    one = mr_transactions(r, &count);
    CHECK_EQ(count, 2);
    one = strcmp(one[0].id, "orders") == 0 ? &one[0] : &one[1];
    CHECK_EQ(one->partition_count, 2);
    CHECK_TEXT(one->partitions[1].topic, "t");
    CHECK_EQ(one->start_ms, 1234);
    mr_answer_free(r);

    struct mr_answer *producers = mr_describe_producers(a, partitions, 2, NULL);
    CHECK_EQ(mr_answer_wait(producers, PATIENT_MS, &lab.e), 1);
    const struct mr_producer_state *p = mr_producer_states(producers, &count);
    CHECK_EQ(count, 2);
    CHECK_EQ(p[0].transaction_start, 55);
    CHECK_EQ(p[0].last_sequence, -1);
    CHECK_TEXT(kafka_word(&p[1].error), "TOPIC_AUTHORIZATION_FAILED");
    r = lab_well(&lab, mr_abort_transaction(a, &p[0], NULL));
    CHECK_EQ(outcome_of(r, "t")->partition, 0);
    mr_answer_free(r);
    mr_answer_free(producers);
    r = lab_well(&lab, mr_fence_producer(a, "orders", NULL));
    CHECK_EQ(outcome_of(r, "orders")->number, 4001);
    mr_answer_free(r);
    canned_end(&lab, a);
}

static void answer_share(const struct share_group_describe_request *m, const struct canned_request *q)
{
    static int32_t partitions[] = {0, 1};
    struct share_group_describe_response *a = q->response;

    a->groups = arena_take_array(q->arena, 1, sizeof *a->groups);
    a->groups_count = 1;
    share_group_describe_response_groups_init(a->groups);
    a->groups->group_id = m->group_ids[0];
    a->groups->group_state = STR("Stable");
    a->groups->assignor_name = STR("simple");
    struct share_group_describe_response_groups_members *one = arena_take_array(q->arena, 1, sizeof *one);
    share_group_describe_response_groups_members_init(one);
    one->member_id = STR("m");
    one->assignment.topic_partitions = arena_take_array(q->arena, 1, sizeof *one->assignment.topic_partitions);
    one->assignment.topic_partitions_count = 1;
    share_group_describe_response_topic_partitions_init(one->assignment.topic_partitions);
    one->assignment.topic_partitions->topic_name = STR("t");
    one->assignment.topic_partitions->partitions = partitions;
    one->assignment.topic_partitions->partitions_count = 2;
    a->groups->members = one;
    a->groups->members_count = 1;
}

static void answer_share_offsets(const struct describe_share_group_offsets_request *m, const struct canned_request *q)
{
    struct describe_share_group_offsets_response *a = q->response;

    CHECK_EQ(m->groups[0].topics_count, -1);
    a->groups = arena_take_array(q->arena, 1, sizeof *a->groups);
    a->groups_count = 1;
    describe_share_group_offsets_response_groups_init(a->groups);
    a->groups->group_id = m->groups[0].group_id;
    a->groups->topics = arena_take_array(q->arena, 1, sizeof *a->groups->topics);
    a->groups->topics_count = 1;
    describe_share_group_offsets_response_groups_topics_init(a->groups->topics);
    a->groups->topics->topic_name = STR("t");
    a->groups->topics->partitions = arena_take_array(q->arena, 1, sizeof *a->groups->topics->partitions);
    a->groups->topics->partitions_count = 1;
    describe_share_group_offsets_response_groups_topics_partitions_init(a->groups->topics->partitions);
    a->groups->topics->partitions->start_offset = 12;
    a->groups->topics->partitions->lag = 3;
}

static struct streams_group_describe_response_task_ids *tasks(const struct canned_request *q, int32_t partition)
{
    struct streams_group_describe_response_task_ids *t = arena_take_array(q->arena, 1, sizeof *t);
    int32_t *partitions = arena_take_array(q->arena, 1, sizeof *partitions);

    *partitions = partition;
    streams_group_describe_response_task_ids_init(t);
    t->subtopology_id = STR("s0");
    t->partitions = partitions;
    t->partitions_count = 1;
    return t;
}

static void answer_streams(const struct streams_group_describe_request *m, const struct canned_request *q)
{
    static struct str sources[] = {{"in", 2}};
    struct streams_group_describe_response *a = q->response;

    a->groups = arena_take_array(q->arena, 1, sizeof *a->groups);
    a->groups_count = 1;
    streams_group_describe_response_groups_init(a->groups);
    a->groups->group_id = m->group_ids[0];
    a->groups->group_state = STR("Stable");
    a->groups->topology = arena_take_array(q->arena, 1, sizeof *a->groups->topology);
    streams_group_describe_response_groups_topology_init(a->groups->topology);
    a->groups->topology->epoch = 4;
    struct streams_group_describe_response_groups_topology_subtopologies *s = arena_take_array(q->arena, 1, sizeof *s);
    streams_group_describe_response_groups_topology_subtopologies_init(s);
    s->subtopology_id = STR("s0");
    s->source_topics = sources;
    s->source_topics_count = 1;
    s->repartition_source_topics = arena_take_array(q->arena, 1, sizeof *s->repartition_source_topics);
    s->repartition_source_topics_count = 1;
    streams_group_describe_response_topic_info_init(s->repartition_source_topics);
    s->repartition_source_topics->name = STR("re");
    a->groups->topology->subtopologies = s;
    a->groups->topology->subtopologies_count = 1;
    struct streams_group_describe_response_groups_members *one = arena_take_array(q->arena, 1, sizeof *one);
    streams_group_describe_response_groups_members_init(one);
    one->member_id = STR("m");
    one->process_id = STR("p");
    one->assignment.active_tasks = tasks(q, 0);
    one->assignment.warmup_tasks = tasks(q, 1);
    one->assignment.active_tasks_count = one->assignment.warmup_tasks_count = 1;
    a->groups->members = one;
    a->groups->members_count = 1;
}

static void answer_groups(const struct canned_request *q)
{
    switch (q->api_key) {
    case API_SHARE_GROUP_DESCRIBE:
        answer_share(q->message, q);
        break;
    case API_DESCRIBE_SHARE_GROUP_OFFSETS:
        answer_share_offsets(q->message, q);
        break;
    default:
        CHECK_EQ(q->api_key, API_STREAMS_GROUP_DESCRIBE);
        answer_streams(q->message, q);
    }
}

TEST(library_canned, share_and_streams_groups_are_told)
{
    const char *const ids[] = {"g"};
    uint32_t count;

    struct mr_admin *a = canned_admin(&lab, answer_groups);
    struct mr_answer *r = lab_well(&lab, mr_describe_share_groups(a, ids, 1, NULL));
    const struct mr_group *g = mr_groups(r, &count);
    CHECK_EQ(count, 1);
    CHECK_TEXT(g->type, "Share");
    CHECK_TEXT(g->assignor, "simple");
    CHECK_EQ(g->member_count, 1);
    CHECK_EQ(g->members[0].partition_count, 2);
    CHECK_EQ(g->members[0].partitions[1].partition, 1);
    mr_answer_free(r);
    r = lab_well(&lab, mr_list_share_group_offsets(a, "g", NULL, 0, NULL));
    const struct mr_share_offset *o = mr_share_offsets(r, &count);
    CHECK_EQ(count, 1);
    CHECK_EQ(o->start_offset, 12);
    CHECK_EQ(o->lag, 3);
    mr_answer_free(r);
    r = lab_well(&lab, mr_describe_streams_groups(a, ids, 1, NULL));
    const struct mr_streams_group *s = mr_streams_groups(r, &count);
    CHECK_EQ(count, 1);
    CHECK_EQ(s->topology_epoch, 4);
    CHECK_EQ(s->subtopology_count, 1);
    CHECK_EQ(s->subtopologies[0].topic_count, 2);
    CHECK_TEXT(s->subtopologies[0].topics[1], "re");
    CHECK_EQ(s->members[0].task_count, 2);
    CHECK_EQ(s->members[0].tasks[0].role, MR_STREAMS_ACTIVE);
    CHECK_EQ(s->members[0].tasks[1].role, MR_STREAMS_WARMUP);
    CHECK_EQ(s->members[0].tasks[1].partition, 1);
    CHECK(s->members[0].rack == NULL);
    mr_answer_free(r);
    canned_end(&lab, a);
}
