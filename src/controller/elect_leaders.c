/* ElectLeaders (key 43): an operator wants preferred leaders back, or a leader at any price (KIP-183, KIP-460). */
#include "controller/internal.h"

#include "protocol/elect_leaders.h"

/* Kafka's bound on the records of one request. */
#define ELECTIONS_MAX 10000

enum { ELECT_PREFERRED, ELECT_UNCLEAN }; /* of the protocol */

typedef struct elect_leaders_response_replica_election_results response_topic;

bool elect_again(struct decision *d, const struct image_topic *topic,
                 const struct image_partition *p, enum election election)
{
    struct partition_change c;

    partition_change_begin(&c, d, topic, p);
    c.election = election;
    return partition_change_end(&c);
}

static enum kerr elect_one(struct decision *d, const struct image_topic *topic,
                           const struct image_partition *p, int8_t type)
{
    if (type == ELECT_PREFERRED) {
        if (p->leader == p->replicas[0])
            return KERR_ELECTION_NOT_NEEDED;
        return elect_again(d, topic, p, ELECTION_PREFERRED) ? KERR_NONE
                                                            : KERR_PREFERRED_LEADER_NOT_AVAILABLE;
    }
    if (p->leader != NO_LEADER)
        return KERR_ELECTION_NOT_NEEDED;
    return elect_again(d, topic, p, ELECTION_UNCLEAN) ? KERR_NONE
                                                      : KERR_ELIGIBLE_LEADERS_NOT_AVAILABLE;
}

static void add_result(response_topic *a, int32_t partition, struct verdict v)
{
    struct elect_leaders_response_replica_election_results_partition_result *to =
        &a->partition_result[a->partition_result_count++];

    elect_leaders_response_replica_election_results_partition_result_init(to);
    to->partition_id = partition;
    to->error_code = (int16_t)v.error;
    to->error_message = v.message;
}

static void begin_topic(struct decision *d, struct str name, int32_t partitions, response_topic *a)
{
    elect_leaders_response_replica_election_results_init(a);
    a->topic = arena_str(d->call->arena, name);
    a->partition_result =
        arena_take_array(d->call->arena, (size_t)partitions, sizeof(*a->partition_result));
    a->partition_result_count = 0;
}

/* ---- those that are named -----------------------------------------------------------------------
 */

static struct verdict elect_named(struct decision *d, const struct tally *named, struct str name,
                                  int32_t partition, int8_t type)
{
    const struct image_topic *topic = image_topic_find(d->image, name);
    const struct image_partition *p;

    if (topic == NULL)
        return refuse(d, KERR_UNKNOWN_TOPIC_OR_PARTITION, "No such topic as %.*s", STR_ARG(name));
    p = image_partition_find(d->image, topic->id, partition);
    if (p == NULL)
        return refuse(d, KERR_UNKNOWN_TOPIC_OR_PARTITION, "No such partition as %.*s-%d",
                      STR_ARG(name), partition);
    if (tally_is_repeated(named, (struct named){.name = name, .partition = partition}))
        return refuse(d, KERR_INVALID_REQUEST, "Partition %.*s-%d must appear at most once.",
                      STR_ARG(name), partition);
    return (struct verdict){elect_one(d, topic, p, type), STR_NULL};
}

static void tally_partitions(struct decision *d, const struct elect_leaders_request *m,
                             struct tally *t)
{
    int32_t total = 0;

    for (int32_t i = 0; i < m->topic_partitions_count; i++)
        total += m->topic_partitions[i].partitions_count;
    tally_make(t, &d->c->scratch, total);
    for (int32_t i = 0; i < m->topic_partitions_count; i++) {
        for (int32_t n = 0; n < m->topic_partitions[i].partitions_count; n++)
            tally_add(t, (struct named){.name = m->topic_partitions[i].topic,
                                        .partition = m->topic_partitions[i].partitions[n]});
    }
    tally_sort(t);
}

static void elect_all_named(struct decision *d, const struct elect_leaders_request *m,
                            struct elect_leaders_response *all)
{
    struct tally named;

    tally_partitions(d, m, &named);
    all->replica_election_results_count = m->topic_partitions_count;
    all->replica_election_results =
        arena_take_array(d->call->arena, (size_t)m->topic_partitions_count,
                         sizeof(*all->replica_election_results));
    for (int32_t i = 0; i < m->topic_partitions_count; i++) {
        const struct elect_leaders_request_topic_partitions *t = &m->topic_partitions[i];
        response_topic *a = &all->replica_election_results[i];
        begin_topic(d, t->topic, t->partitions_count, a);
        for (int32_t n = 0; n < t->partitions_count && d->count <= ELECTIONS_MAX; n++)
            add_result(a, t->partitions[n],
                       elect_named(d, &named, t->topic, t->partitions[n], m->election_type));
    }
}

/* ---- all ---------------------------------------------------------------------------------------
 */

/* Those that need none are not told of: there are too many. */
static void elect_all(struct decision *d, int8_t type, struct elect_leaders_response *all)
{
    uint32_t topics = image_topic_count(d->image);

    all->replica_election_results_count = (int32_t)topics;
    all->replica_election_results =
        arena_take_array(d->call->arena, topics, sizeof(*all->replica_election_results));
    for (uint32_t t = 0; t < topics; t++) {
        const struct image_topic *topic = image_topic_at(d->image, t);
        response_topic *a = &all->replica_election_results[t];
        begin_topic(d, topic->name, topic->partition_count, a);
        for (int32_t i = 0; i < topic->partition_count && d->count <= ELECTIONS_MAX; i++) {
            const struct image_partition *p = &topic->partitions[i];
            enum kerr error = p->replica_count == 0 ? KERR_ELECTION_NOT_NEEDED
                                                    : elect_one(d, topic, p, type);
            if (error != KERR_ELECTION_NOT_NEEDED)
                add_result(a, i, (struct verdict){error, STR_NULL});
        }
    }
}

enum kerr decide_elect_leaders(struct decision *d, const void *request, void *response)
{
    const struct elect_leaders_request *m = request;
    struct elect_leaders_response *a = response;

    if (!decision_may(d, ACL_ALTER, RESOURCE_CLUSTER, STR("kafka-cluster")))
        return KERR_CLUSTER_AUTHORIZATION_FAILED;
    if (m->election_type != ELECT_PREFERRED && m->election_type != ELECT_UNCLEAN)
        return KERR_INVALID_REQUEST;
    decide_because(d, false, "%s election, as an operator asks",
                   m->election_type == ELECT_PREFERRED ? "preferred leader" : "unclean leader");
    if (m->topic_partitions_count < 0)
        elect_all(d, m->election_type, a);
    else
        elect_all_named(d, m, a);
    return d->count > ELECTIONS_MAX ? KERR_POLICY_VIOLATION : KERR_NONE;
}
