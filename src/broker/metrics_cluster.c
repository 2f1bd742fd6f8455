/* Numbers of the cluster: what leaders here lack, what a controller sees, how the quorum is. Looked up when they are
 * asked for. Names are those that jmx_exporter's rules for Kafka give to the MBeans of a broker in KRaft mode. */
#include "broker/metrics_cluster.h"

#include <stdio.h>

static void set(struct telemetry *t, const char *name, int64_t value, const char *help)
{
    telemetry_gauge(t, name, "", help)->value = value;
}

static void count(struct telemetry *t, const char *name, uint64_t value, const char *help)
{
    telemetry_counter(t, name, "", help)->value = value;
}

/* ---- leaders --------------------------------------------------------------------------------- */

struct leaders {
    const struct image *image;
    int64_t under_replicated, under_min_isr, at_min_isr, reassigning;
};

static bool contains(const int32_t *ids, int32_t n, int32_t id)
{
    for (int32_t i = 0; i < n; i++) {
        if (ids[i] == id)
            return true;
    }
    return false;
}

/* Replicas that a reassignment adds are not lacking yet. */
static int64_t factor_of(const struct image_partition *p)
{
    int64_t factor = 0;

    for (int32_t i = 0; i < p->replica_count; i++)
        factor += !contains(p->adding, p->adding_count, p->replicas[i]);
    return factor;
}

static void look_at(void *ctx, struct replica *r)
{
    struct leaders *l = ctx;
    const struct replication *m = replica_replication(r);
    const struct image_partition *p = image_partition_find(l->image, replica_topic_id(r), replica_partition(r));
    int64_t isr = replication_isr_size(m), least = m->min_isr < (int32_t)m->count ? m->min_isr : (int32_t)m->count;

    if (p == NULL || m->role != REPLICATION_LEADER)
        return;
    l->under_replicated += isr < factor_of(p);
    l->under_min_isr += isr < least;
    l->at_min_isr += isr == least;
    l->reassigning += p->adding_count + p->removing_count > 0;
}

static void gather_leaders(struct broker_shard *shard)
{
    struct telemetry *t = shard->telemetry;
    struct replicas_isr_counts isr = replicas_isr_counts(shard->replicas);
    struct leaders l = {.image = shard->image};

    if (shard->image != NULL)
        replicas_each(shard->replicas, look_at, &l);
    set(t, "kafka_server_replicamanager_underreplicatedpartitions", l.under_replicated,
        "Partitions led here whose ISR lacks a replica.");
    set(t, "kafka_server_replicamanager_underminisrpartitioncount", l.under_min_isr,
        "Partitions led here whose ISR is smaller than min.insync.replicas.");
    set(t, "kafka_server_replicamanager_atminisrpartitioncount", l.at_min_isr,
        "Partitions led here whose ISR is just as large as min.insync.replicas.");
    set(t, "kafka_server_replicamanager_reassigningpartitions", l.reassigning,
        "Partitions led here that are being reassigned.");
    count(t, "kafka_server_replicamanager_isrshrinks_total", isr.shrinks,
          "Times that a leader here has made its ISR smaller.");
    count(t, "kafka_server_replicamanager_isrexpands_total", isr.expands,
          "Times that a leader here has made its ISR larger.");
    count(t, "kafka_server_replicamanager_failedisrupdates_total", isr.failed, "ISRs that the controller has refused.");
}

/* ---- followers -------------------------------------------------------------------------------- */

/* Only those furthest behind have a line each: a broker may follow a hundred thousand partitions. */
#define LAGGING_MAX 100

struct lagging {
    struct replica *furthest[LAGGING_MAX]; /* in no order */
    uint32_t count;
};

/* The place of the one that is least behind. */
static uint32_t least_of(const struct lagging *l)
{
    uint32_t least = 0;

    for (uint32_t i = 1; i < l->count; i++) {
        if (replica_lag(l->furthest[i]) < replica_lag(l->furthest[least]))
            least = i;
    }
    return least;
}

static void look_at_lag(void *ctx, struct replica *r)
{
    struct lagging *l = ctx;
    int64_t lag = replica_lag(r);

    if (lag == 0)
        return;
    if (l->count < LAGGING_MAX) {
        l->furthest[l->count++] = r;
        return;
    }
    uint32_t least = least_of(l);
    if (lag > replica_lag(l->furthest[least]))
        l->furthest[least] = r;
}

/* Kafka's fetcher threads are our shards' fetchers, one for each leader. */
static void gather_lag(struct telemetry *t, uint32_t shard, const struct replica *r)
{
    static const char name[] = "kafka_server_fetcherlagmetrics_consumerlag";
    static const char help[] = "Records by which a replica here is behind its leader; of the hundred of a shard that are most.";
    struct text labels = {0};
    char id[64];

    snprintf(id, sizeof id, "ReplicaFetcherThread-%u-%d", shard, replica_replication(r)->leader);
    telemetry_label(&labels, "clientId", str_of(id));
    telemetry_label(&labels, "topic", replica_topic(r));
    snprintf(id, sizeof id, "%d", replica_partition(r));
    telemetry_label(&labels, "partition", str_of(id));
    telemetry_gauge(t, name, labels.p, help)->value = replica_lag(r);
    text_deinit(&labels);
}

static void gather_followers(struct broker_shard *shard)
{
    struct lagging l = {.count = 0};

    telemetry_forget_named(shard->telemetry, "kafka_server_fetcherlagmetrics_consumerlag");
    replicas_each(shard->replicas, look_at_lag, &l);
    for (uint32_t i = 0; i < l.count; i++)
        gather_lag(shard->telemetry, shard->index, l.furthest[i]);
}

/* ---- a controller ---------------------------------------------------------------------------- */

static void gather_brokers(struct telemetry *t, const struct image *image)
{
    int64_t fenced = 0, active = 0, leaving = 0;

    for (uint32_t i = 0; i < image_broker_count(image); i++) {
        fenced += image_broker_at(image, i)->fenced;
        active += !image_broker_at(image, i)->fenced;
        leaving += image_broker_at(image, i)->in_controlled_shutdown;
    }
    set(t, "kafka_controller_kafkacontroller_fencedbrokercount", fenced, "Brokers that are registered and fenced.");
    set(t, "kafka_controller_kafkacontroller_activebrokercount", active, "Brokers that are registered and not fenced.");
    set(t, "kafka_controller_kafkacontroller_controlledshutdownbrokercount", leaving, "Brokers that leave in order.");
}

static void gather_partitions(struct telemetry *t, const struct image *image)
{
    int64_t partitions = 0, offline = 0, imbalance = 0;

    for (uint32_t n = 0; n < image_topic_count(image); n++) {
        const struct image_topic *topic = image_topic_at(image, n);
        for (int32_t i = 0; i < topic->partition_count; i++) {
            const struct image_partition *p = &topic->partitions[i];
            if (p->replica_count == 0)
                continue;
            partitions++;
            offline += p->leader < 0;
            imbalance += p->leader != p->replicas[0];
        }
    }
    set(t, "kafka_controller_kafkacontroller_globaltopiccount", image_topic_count(image), "Topics of the cluster.");
    set(t, "kafka_controller_kafkacontroller_globalpartitioncount", partitions, "Partitions of the cluster.");
    set(t, "kafka_controller_kafkacontroller_offlinepartitionscount", offline, "Partitions that nobody leads.");
    set(t, "kafka_controller_kafkacontroller_preferredreplicaimbalancecount", imbalance,
        "Partitions that their first replica does not lead.");
}

/* Kafka has counted no elections of all kinds since ZooKeeper is gone: the name of that one is ours. */
static void gather_elections(struct telemetry *t, struct controller_elections e)
{
    count(t, "kafka_controller_controllerstats_uncleanleaderelections_total", e.unclean,
          "Elections by this controller of leaders that may lack records.");
    count(t, "kafka_controller_controllerstats_electionfromeligibleleaderreplicas_total", e.eligible,
          "Elections by this controller of leaders that were not in the ISR, and had all records.");
    count(t, "millrace_controller_leader_elections_total", e.all, "Elections of partitions' leaders by this controller.");
}

static void gather_controller(struct broker *b, const struct image *image, int64_t wall_ms)
{
    struct telemetry *t = b->shards[0].telemetry;
    bool active = controller_is_active(node_controller(b->node));
    struct quorum_state s;

    quorum_state(node_quorum(b->node), &s);
    set(t, "kafka_controller_kafkacontroller_activecontrollercount", active, "1: this node is the active controller.");
    set(t, "kafka_controller_kafkacontroller_newactivecontrollerscount", (int64_t)s.leaders,
        "Active controllers that this one has learned of since it was started.");
    gather_elections(t, controller_elections(node_controller(b->node)));
    if (active)
        image = controller_latest(node_controller(b->node));
    if (image == NULL)
        return;
    set(t, "kafka_controller_kafkacontroller_lastappliedrecordoffset", image_offset(image),
        "Offset of the last record of the metadata log that this controller has applied.");
    set(t, "kafka_controller_kafkacontroller_lastcommittedrecordoffset", quorum_high_watermark(node_quorum(b->node)) - 1,
        "Offset of the last record of the metadata log that is committed, as this controller knows.");
    set(t, "kafka_controller_kafkacontroller_lastappliedrecordtimestamp", image_timestamp_ms(image),
        "When it was written.");
    set(t, "kafka_controller_kafkacontroller_lastappliedrecordlagms", active ? 0 : wall_ms - image_timestamp_ms(image),
        "Milliseconds since then; 0 of the active controller.");
    gather_brokers(t, image);
    gather_partitions(t, image);
}

/* ---- the quorum ------------------------------------------------------------------------------ */

/* Up to its first dash, as the rule takes it: Kafka tells besides whether it has voted, as current_vote does. */
static const char *state_name(const struct quorum_state *s)
{
    switch (s->role) {
    case RAFT_UNATTACHED:
        return "unattached";
    case RAFT_PROSPECTIVE:
        return "prospective";
    case RAFT_CANDIDATE:
        return "candidate";
    case RAFT_LEADER:
        return "leader";
    case RAFT_FOLLOWER:
        return s->is_voter ? "follower" : "observer";
    case RAFT_RESIGNED:
        return "resigned";
    }
    UNREACHABLE("a role that is not one");
}

static void gather_state(struct telemetry *t, const struct quorum_state *s)
{
    static const char name[] = "kafka_server_raft_metrics_current_state_info";
    static const char help[] = "The label tells this node's place in the metadata quorum.";
    char labels[64];

    snprintf(labels, sizeof labels, "state=\"%s\"", state_name(s));
    telemetry_forget_named(t, name); /* the last one's label */
    telemetry_gauge(t, name, labels, help)->value = 1;
}

/* Average and maximum in ms, where it has happened of late. */
static void set_times(struct telemetry *t, const char *average, const char *most, struct recent_sum us, const char *help)
{
    if (us.count == 0) {
        telemetry_forget_one(t, average, "");
        telemetry_forget_one(t, most, "");
        return;
    }
    telemetry_gauge_in(t, average, "", 1000, help)->value = (int64_t)(us.sum / us.count);
    telemetry_gauge_in(t, most, "", 1000, help)->value = (int64_t)us.max;
}

/* For one second. */
static void set_rate(struct telemetry *t, const char *name, struct recent_sum of, const char *help)
{
    telemetry_gauge_in(t, name, "", 1000, help)->value = (int64_t)(of.sum * 1000 * 1000 / (uint64_t)of.ms);
}

static void gather_quorum_numbers(struct telemetry *t, const struct quorum_numbers *n, int64_t now_ms)
{
    set_times(t, "kafka_server_raft_metrics_commit_latency_avg", "kafka_server_raft_metrics_commit_latency_max",
              recent_sum(&n->commits_us, now_ms),
              "Milliseconds until a majority has what this leader appends to the metadata log, of the last half to whole minute.");
    set_times(t, "kafka_server_raft_metrics_election_latency_avg", "kafka_server_raft_metrics_election_latency_max",
              recent_sum(&n->elections_us, now_ms),
              "Milliseconds from when this node asks for votes until it knows a leader, of the last half to whole minute.");
    set_rate(t, "kafka_server_raft_metrics_append_records_rate", recent_sum(&n->appended, now_ms),
             "Records a second that this node appends to the metadata log as its leader.");
    set_rate(t, "kafka_server_raft_metrics_fetch_records_rate", recent_sum(&n->fetched, now_ms),
             "Records a second that this node fetches of the metadata log.");
}

static int64_t voters_without_address(const struct raft_voters *v)
{
    int64_t without = 0;

    for (uint32_t i = 0; i < v->count; i++)
        without += v->voters[i].endpoint_count == 0;
    return without;
}

static void gather_quorum(struct telemetry *t, const struct quorum *q)
{
    struct quorum_state s;

    quorum_state(q, &s);
    gather_state(t, &s);
    set(t, "kafka_server_raft_metrics_current_leader", s.leader_id,
        "Node that leads the metadata quorum; -1: not known.");
    set(t, "kafka_server_raft_metrics_current_vote", s.voted_id,
        "Node that this one has voted for in its epoch; -1: none.");
    set(t, "kafka_server_raft_metrics_current_epoch", s.epoch, "Epoch of the metadata quorum.");
    set(t, "kafka_server_raft_metrics_high_watermark", s.high_watermark, "Of the metadata log; -1: not known.");
    set(t, "kafka_server_raft_metrics_log_end_offset", s.end, "Of the metadata log here.");
    set(t, "kafka_server_raft_metrics_log_end_epoch", s.end_epoch, "Epoch of its last batch.");
    set(t, "kafka_server_raft_metrics_number_of_voters", quorum_voters(q)->count, "Voters of the metadata quorum.");
    set(t, "kafka_server_raft_metrics_number_of_observers", s.observers,
        "Nodes without a vote that fetch the metadata log from this one; 0: it does not lead.");
    set(t, "kafka_server_raft_metrics_number_unknown_voter_connections", voters_without_address(quorum_voters(q)),
        "Voters of which this node has no address.");
    set(t, "kafka_server_raft_metrics_uncommitted_voter_change", s.voters_are_changing,
        "1: this node leads the metadata quorum, and its voters are being changed.");
}

/* ---- a broker's metadata --------------------------------------------------------------------- */

static void gather_metadata(struct telemetry *t, const struct image *image, int64_t wall_ms)
{
    set(t, "kafka_server_broker_metadata_metrics_last_applied_record_offset", image_offset(image),
        "Offset of the last record of the metadata log that this broker shows.");
    set(t, "kafka_server_broker_metadata_metrics_last_applied_record_timestamp", image_timestamp_ms(image),
        "When it was written.");
    set(t, "kafka_server_broker_metadata_metrics_last_applied_record_lag_ms", wall_ms - image_timestamp_ms(image),
        "Milliseconds since then.");
}

void metrics_gather_cluster(struct broker_shard *shard)
{
    struct broker *b = shard->broker;
    int64_t wall_ms = io_wall_ms(shard->io);

    gather_leaders(shard);
    gather_followers(shard);
    if (shard->index > 0 || b->node == NULL)
        return;
    if (node_controller(b->node) != NULL)
        gather_controller(b, node_image(b->node), wall_ms);
    if (node_quorum(b->node) != NULL) {
        gather_quorum(shard->telemetry, node_quorum(b->node));
        gather_quorum_numbers(shard->telemetry, quorum_numbers(node_quorum(b->node)), io_now_ms(shard->io));
    }
    if (shard->image != NULL)
        gather_metadata(shard->telemetry, shard->image, wall_ms);
}
