#include "broker/metrics.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/fetch_set.h"
#include "broker/groups.h"
#include "broker/metrics_cluster.h"
#include "broker/session.h"

#define API_KEYS_MAX 128

/* A topic's numbers, found once. */
struct topic_metrics {
    struct map_node node;
    char *topic;
    struct counter *messages_in, *bytes_in, *bytes_out, *failed_produce, *failed_fetch;
};

struct metrics {
    struct telemetry *telemetry;
    struct counter *requests[API_KEYS_MAX];
    struct histogram *times[API_KEYS_MAX];
    struct gauge *connections, *broker_state, *partitions, *leaders, *offline, *max_lag;
    struct gauge *copy_rates[THROTTLES];
    struct gauge *memory[LEDGER_USES], *memory_limit, *memory_waiting;
    struct gauge *fetch_sessions, *fetch_partitions;
    struct gauge *groups[COORDINATOR_FAILED + 1], *groups_load;
    struct counter *replicated_out;
    struct map topics;
};

static const char *const memory_labels[LEDGER_USES] = {
    [LEDGER_TAILS] = "use=\"tails\"",
    [LEDGER_REQUESTS] = "use=\"requests\"",
    [LEDGER_WORK] = "use=\"work\"",
    [LEDGER_ANSWERS] = "use=\"answers\"",
};

static const char *const group_labels[COORDINATOR_FAILED + 1] = {
    [COORDINATOR_LOADING] = "state=\"loading\"",
    [COORDINATOR_ACTIVE] = "state=\"active\"",
    [COORDINATOR_FAILED] = "state=\"failed\"",
};

static const char *const copy_rate_names[THROTTLES] = {
    [THROTTLE_LEADER] = "kafka_server_leaderreplication_byte_rate",
    [THROTTLE_FOLLOWER] = "kafka_server_followerreplication_byte_rate",
    [THROTTLE_MOVES] = "kafka_server_alterlogdirsreplication_byte_rate",
};

static bool topic_equal(const struct map_node *node, const void *key)
{
    return str_equal(str_of(container_of(node, const struct topic_metrics, node)->topic),
                     *(const struct str *)key);
}

struct metrics *metrics_new(struct telemetry *t)
{
    struct metrics *m = calloc(1, sizeof *m);

    ASSERT(m != NULL);
    m->telemetry = t;
    map_init(&m->topics, topic_equal);
    m->connections = telemetry_gauge(t, "kafka_server_socket_server_metrics_connection_count", "",
                                     "Open connections.");
    m->partitions = telemetry_gauge(t, "kafka_server_replicamanager_partitioncount", "",
                                    "Partitions that this broker holds.");
    m->leaders = telemetry_gauge(t, "kafka_server_replicamanager_leadercount", "",
                                 "Partitions that this broker leads.");
    m->offline = telemetry_gauge(t, "kafka_server_replicamanager_offlinereplicacount", "",
                                 "Partitions that lie in a log directory that has failed.");
    m->max_lag = telemetry_peak(t, "kafka_server_replicafetchermanager_maxlag", "clientId=\"Replica\"",
                                "Records that the replica furthest behind its leader lacks.");
    for (int i = 0; i < THROTTLES; i++)
        m->copy_rates[i] = telemetry_peak(t, copy_rate_names[i], "",
                                          "Bytes per second that were copied lately of throttled replicas.");
    for (int i = 0; i < LEDGER_USES; i++)
        m->memory[i] = telemetry_gauge(t, "millrace_memory_used_bytes", memory_labels[i],
                                       "Memory that is counted, by what it is for.");
    m->memory_limit = telemetry_gauge(t, "millrace_memory_limit_bytes", "",
                                      "Most of it; three quarters of millrace.memory.bytes.");
    m->memory_waiting = telemetry_gauge(t, "millrace_memory_waiting_requests", "",
                                        "Requests that are not read until there is memory for them.");
    m->fetch_sessions = telemetry_gauge(t, "kafka_server_fetchsessioncache_numincrementalfetchsessions", "",
                                        "Fetch sessions that are open.");
    m->fetch_partitions = telemetry_gauge(t, "kafka_server_fetchsessioncache_numincrementalfetchpartitionscached", "",
                                          "Partitions that they follow.");
    for (int i = 0; i <= COORDINATOR_FAILED; i++)
        m->groups[i] = telemetry_gauge(t, "kafka_server_group_coordinator_metrics_num_partitions", group_labels[i],
                                       "Partitions of __consumer_offsets that this broker coordinates, or loads.");
    m->groups_load = telemetry_peak(t, "kafka_server_group_coordinator_metrics_partition_load_time_max", "",
                                    "Milliseconds that loading one of them has taken at most since the start.");
    m->replicated_out = telemetry_counter(t, "kafka_server_brokertopicmetrics_replicationbytesout_total", "",
                                          "Bytes that other brokers read to follow.");
    return m;
}

static void topic_free(struct metrics *m, struct map_node *node)
{
    struct topic_metrics *t = container_of(node, struct topic_metrics, node);

    map_remove(&m->topics, node);
    free(t->topic);
    free(t);
}

void metrics_free(struct metrics *m)
{
    MAP_EACH(node, &m->topics)
        topic_free(m, node);
    map_deinit(&m->topics);
    free(m);
}

/* ---- requests ------------------------------------------------------------------------------------------ */

static void request_labels(int16_t key, struct text *out)
{
    telemetry_label(out, "request", str_of(api_name(key)));
}

void metrics_begun(const struct request *r)
{
    struct metrics *m = r->shard->metrics;
    struct text labels = {0};

    if (m->requests[r->key] == NULL) {
        request_labels(r->key, &labels);
        m->requests[r->key] = telemetry_counter(m->telemetry, "kafka_network_requestmetrics_requests_total",
                                                text_str(&labels).p, "Requests by API.");
        m->times[r->key] = telemetry_histogram(
            m->telemetry, "kafka_network_requestmetrics_totaltimems", text_str(&labels).p, 1000000,
            "Milliseconds from a request's last byte to its answer, by API.");
        text_deinit(&labels);
    }
    m->requests[r->key]->value++;
}

void metrics_answered(const struct request *r, uint64_t bytes)
{
    int64_t took_ns = io_now_ns(r->shard->io) - r->frame.received_ns;

    histogram_add(r->shard->metrics->times[r->key], took_ns < 0 ? 0 : (uint64_t)took_ns);
}

void metrics_session(struct broker_shard *shard, int delta)
{
    shard->metrics->connections->value += delta;
}

void metrics_broker_state(struct broker_shard *shard, enum broker_state state)
{
    struct metrics *m = shard->metrics;

    if (m->broker_state == NULL)
        m->broker_state = telemetry_gauge(m->telemetry, "kafka_server_kafkaserver_brokerstate", "",
                                          "3 = running; the numbers of Kafka's BrokerState.");
    m->broker_state->value = (int64_t)state;
}

/* ---- topics ----------------------------------------------------------------------------------------------- */

static struct topic_metrics *topic_get(struct metrics *m, struct str topic)
{
    struct map_node *node = map_find(&m->topics, str_hash(topic), &topic);
    struct telemetry *t = m->telemetry;
    struct topic_metrics *tm;
    struct text labels = {0};

    if (node != NULL)
        return container_of(node, struct topic_metrics, node);
    tm = calloc(1, sizeof *tm);
    ASSERT(tm != NULL);
    tm->topic = str_dup(topic);
    telemetry_label(&labels, "topic", topic);
    tm->messages_in = telemetry_counter(t, "kafka_server_brokertopicmetrics_messagesin_total", labels.p,
                                        "Records that producers wrote.");
    tm->bytes_in = telemetry_counter(t, "kafka_server_brokertopicmetrics_bytesin_total", labels.p,
                                     "Bytes that producers wrote.");
    tm->bytes_out = telemetry_counter(t, "kafka_server_brokertopicmetrics_bytesout_total", labels.p,
                                      "Bytes that consumers read.");
    tm->failed_produce =
        telemetry_counter(t, "kafka_server_brokertopicmetrics_failedproducerequests_total", labels.p,
                          "Batches that were refused.");
    tm->failed_fetch =
        telemetry_counter(t, "kafka_server_brokertopicmetrics_failedfetchrequests_total", labels.p,
                          "Reads that were refused.");
    text_deinit(&labels);
    map_add(&m->topics, &tm->node, str_hash(topic));
    return tm;
}

void metrics_produced(struct broker_shard *shard, struct str topic, uint64_t bytes, uint64_t records)
{
    struct topic_metrics *t = topic_get(shard->metrics, topic);

    t->messages_in->value += records;
    t->bytes_in->value += bytes;
}

void metrics_produce_failed(struct broker_shard *shard, struct str topic)
{
    topic_get(shard->metrics, topic)->failed_produce->value++;
}

void metrics_fetched(struct broker_shard *shard, struct str topic, uint64_t bytes)
{
    topic_get(shard->metrics, topic)->bytes_out->value += bytes;
}

void metrics_replicated(struct broker_shard *shard, uint64_t bytes)
{
    shard->metrics->replicated_out->value += bytes;
}

void metrics_fetch_failed(struct broker_shard *shard, struct str topic)
{
    topic_get(shard->metrics, topic)->failed_fetch->value++;
}

void metrics_topic_deleted(struct broker_shard *shard, struct str topic)
{
    struct metrics *m = shard->metrics;
    struct map_node *node = map_find(&m->topics, str_hash(topic), &topic);
    struct text labels = {0};

    if (node == NULL)
        return;
    telemetry_label(&labels, "topic", topic);
    telemetry_forget(m->telemetry, labels.p);
    text_deinit(&labels);
    topic_free(m, node);
}

/* ---- looked up ------------------------------------------------------------------------------------------ */

enum { LOG_END, LOG_START, LOG_SEGMENTS, LOG_BYTES, LOG_NUMBERS };

static const char *const log_numbers[LOG_NUMBERS] = {
    [LOG_END] = "kafka_log_log_logendoffset",
    [LOG_START] = "kafka_log_log_logstartoffset",
    [LOG_SEGMENTS] = "kafka_log_log_numlogsegments",
    [LOG_BYTES] = "kafka_log_log_size",
};

static void partition_labels(struct str topic, int32_t partition, struct text *out)
{
    char number[16];

    snprintf(number, sizeof number, "%d", partition);
    telemetry_label(out, "topic", topic);
    telemetry_label(out, "partition", str_of(number));
}

static void gather_replica(void *ctx, struct replica *r)
{
    struct broker_shard *shard = ctx;
    struct telemetry *t = shard->telemetry;
    const struct log *log = replica_log(r);
    struct text labels = {0};

    partition_labels(replica_topic(r), replica_partition(r), &labels);
    telemetry_gauge(t, log_numbers[LOG_END], labels.p, "Offset of the next record.")->value = log_end(log);
    telemetry_gauge(t, log_numbers[LOG_START], labels.p, "Offset of the first record.")->value = log_start(log);
    telemetry_gauge(t, log_numbers[LOG_SEGMENTS], labels.p, "Segments of the log.")->value = log_segment_count(log);
    telemetry_gauge(t, log_numbers[LOG_BYTES], labels.p, "Bytes of the log's segments.")->value =
        (int64_t)log_size_bytes(log);
    text_deinit(&labels);
    shard->metrics->leaders->value += replica_replication(r)->role == REPLICATION_LEADER ? 1 : 0;
}

void metrics_partition_left(struct broker_shard *shard, struct str topic, int32_t partition)
{
    struct text labels = {0};

    partition_labels(topic, partition, &labels);
    for (int i = 0; i < LOG_NUMBERS; i++)
        telemetry_forget_one(shard->telemetry, log_numbers[i], labels.p);
    text_deinit(&labels);
}

static void gather_dir(struct telemetry *t, const char *path, bool offline)
{
    struct text labels = {0};

    telemetry_label(&labels, "logDirectory", str_of(path));
    telemetry_gauge(t, "kafka_log_logmanager_logdirectoryoffline", labels.p, "1: the log directory has failed.")->value =
        offline ? 1 : 0;
    text_deinit(&labels);
}

/* On the home shard. */
static void gather_dirs(const struct broker *b)
{
    struct telemetry *t = b->shards[0].telemetry;
    int64_t offline = b->missing_count;

    for (uint32_t d = 0; d < b->dir_count; d++) {
        gather_dir(t, b->paths[d], !log_dir_is_online(b->dirs[d]));
        offline += log_dir_is_online(b->dirs[d]) ? 0 : 1;
    }
    for (uint32_t d = 0; d < b->missing_count; d++)
        gather_dir(t, b->missing[d], true);
    telemetry_gauge(t, "kafka_log_logmanager_offlinelogdirectorycount", "", "Log directories that have failed.")->value =
        offline;
}

static struct gauge *uncleanable_in(struct broker_shard *shard, const struct log_dir *dir)
{
    struct text labels = {0};
    struct gauge *g;

    telemetry_label(&labels, "logDirectory", str_of(dir->path));
    g = telemetry_gauge(shard->telemetry, "kafka_log_logcleanermanager_uncleanable_partitions_count", labels.p,
                        "Partitions that cannot be compacted; log lines say why.");
    text_deinit(&labels);
    return g;
}

static void gather_uncleanable(void *ctx, struct replica *r)
{
    if (replica_is_uncleanable(r))
        uncleanable_in(ctx, replica_dir(r))->value++;
}

static void gather_groups(struct broker_shard *shard)
{
    struct groups_numbers n = groups_numbers(shard->groups);
    struct metrics *m = shard->metrics;

    for (int i = 0; i <= COORDINATOR_FAILED; i++)
        m->groups[i]->value = n.by_phase[i];
    m->groups_load->value = n.load_ms_max;
}

void metrics_gather(struct broker_shard *shard)
{
    struct metrics *m = shard->metrics;

    for (uint32_t d = 0; d < shard->broker->dir_count; d++) {
        if (shard->broker->dirs[d] != NULL)
            uncleanable_in(shard, shard->broker->dirs[d])->value = 0;
    }
    replicas_each(shard->replicas, gather_uncleanable, shard);

    m->partitions->value = replicas_count(shard->replicas);
    m->leaders->value = 0;
    m->max_lag->value = replicas_max_lag(shard->replicas);
    for (int i = 0; i < THROTTLES; i++)
        m->copy_rates[i]->value = replicas_copy_rate(shard->replicas, (enum replica_throttle)i);
    for (int i = 0; i < LEDGER_USES; i++)
        m->memory[i]->value = (int64_t)shard->ledger.uses[i];
    m->memory_limit->value = (int64_t)shard->ledger.limit_bytes;
    m->memory_waiting->value = 0;
    LIST_EACH(it, &shard->ledger.waiting)
        m->memory_waiting->value++;
    m->fetch_sessions->value = shard->fetch_session_count;
    m->fetch_partitions->value = 0;
    LIST_EACH(it, &shard->fetch_sessions)
        m->fetch_partitions->value += container_of(it, struct fetch_set, in_cache)->count;
    m->offline->value = replicas_offline(shard->replicas);
    gather_groups(shard);
    if (shard->index == 0)
        gather_dirs(shard->broker);
    replicas_each(shard->replicas, gather_replica, shard);
    metrics_gather_cluster(shard);
}
