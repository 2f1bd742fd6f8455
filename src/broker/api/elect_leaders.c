/* ElectLeaders (key 43): preferred leaders, or any that is left; the controller decides. */
#include "broker/api/api.h"
#include "broker/forward.h"
#include "protocol/elect_leaders.h"

static void failed(struct request *r, enum kerr error)
{
    const struct elect_leaders_request *m = r->message;
    struct elect_leaders_response *a = r->response;
    int32_t topics = m->topic_partitions_count < 0 ? 0 : m->topic_partitions_count;

    a->error_code = (int16_t)error;
    a->replica_election_results_count = topics;
    a->replica_election_results =
        arena_take_array(&r->arena, (size_t)topics, sizeof *a->replica_election_results);
    for (int32_t i = 0; i < topics; i++) { /* version 0 tells of errors here alone */
        const struct elect_leaders_request_topic_partitions *from = &m->topic_partitions[i];
        struct elect_leaders_response_replica_election_results *to = &a->replica_election_results[i];
        elect_leaders_response_replica_election_results_init(to);
        to->topic = from->topic;
        to->partition_result_count = from->partitions_count;
        to->partition_result = arena_take_array(&r->arena, (size_t)from->partitions_count,
                                                sizeof *to->partition_result);
        for (int32_t n = 0; n < from->partitions_count; n++) {
            elect_leaders_response_replica_election_results_partition_result_init(
                &to->partition_result[n]);
            to->partition_result[n].partition_id = from->partitions[n];
            to->partition_result[n].error_code = (int16_t)error;
        }
    }
}

void elect_leaders_handle(struct request *r)
{
    forward_whole(r, failed);
}
