/* DescribeQuorum (key 55): leader, voters and observers of the metadata log, as its leader knows them. */
#include "broker/api/api.h"
#include "protocol/describe_quorum.h"

#define METADATA_TOPIC STR("__cluster_metadata")

/* There is one partition that can be asked about. */
static bool asks_for_metadata(const struct describe_quorum_request *m)
{
    return m->topics_count == 1 && str_equal(m->topics[0].topic_name, METADATA_TOPIC) &&
           m->topics[0].partitions_count == 1 &&
           m->topics[0].partitions[0].partition_index == 0;
}

static void refuse(struct request *r)
{
    const struct describe_quorum_request *m = r->message;
    struct describe_quorum_response *a = r->response;

    a->topics_count = m->topics_count;
    a->topics = arena_take_array(&r->arena, (size_t)m->topics_count, sizeof *a->topics);
    for (int32_t t = 0; t < m->topics_count; t++) {
        describe_quorum_response_topics_init(&a->topics[t]);
        a->topics[t].topic_name = m->topics[t].topic_name;
        a->topics[t].partitions_count = m->topics[t].partitions_count;
        a->topics[t].partitions = arena_take_array(
            &r->arena, (size_t)m->topics[t].partitions_count, sizeof *a->topics[t].partitions);
        for (int32_t p = 0; p < m->topics[t].partitions_count; p++) {
            describe_quorum_response_topics_partitions_init(&a->topics[t].partitions[p]);
            a->topics[t].partitions[p].partition_index = m->topics[t].partitions[p].partition_index;
            a->topics[t].partitions[p].error_code = KERR_UNKNOWN_TOPIC_OR_PARTITION;
        }
    }
}

void describe_quorum_handle(struct request *r)
{
    if (asks_for_metadata(r->message)) {
        quorum_request_handle(r);
        return;
    }
    refuse(r);
    request_answer(r);
}
