/* The consumer's settings, from Kafka's names. */
#include "consumer/consumer.h"

/* Kafka's consumer has no bound over all nodes; librdkafka's queued.max.messages.kbytes is as much. */
#define BUFFER_BYTES ((int64_t)64 << 20)
/* A batch that unpacks to more is an attack: brokers take records up to some megabytes. */
#define PLAIN_BYTES_MAX ((int64_t)256 << 20)

/* In partition.assignment.strategy of Java clients. */
static const struct {
    struct str class_name, name;
} classes[] = {
    {STR("org.apache.kafka.clients.consumer.RangeAssignor"), STR("range")},
    {STR("org.apache.kafka.clients.consumer.RoundRobinAssignor"), STR("roundrobin")},
    {STR("org.apache.kafka.clients.consumer.StickyAssignor"), STR("sticky")},
    {STR("org.apache.kafka.clients.consumer.CooperativeStickyAssignor"), STR("cooperative-sticky")},
};

static bool assignor_of(struct str word, struct str *out)
{
    if (str_starts(word, STR("class ")))
        word = str_trim((struct str){word.p + 6, word.n - 6});
    for (uint32_t i = 0; i < array_count(classes); i++) {
        if (str_equal(word, classes[i].class_name) || str_equal(word, classes[i].name)) {
            *out = classes[i].name;
            return true;
        }
    }
    return false;
}

static int read_assignors(const struct config *c, struct consumer_settings *s, struct fail *f)
{
    struct str rest = config_str(c, CONSUMER_PARTITION_ASSIGNMENT_STRATEGY), word;

    while (str_cut(&rest, ',', &word)) {
        if (s->assignor_count == CONSUMER_ASSIGNORS_MAX)
            return fail_set(f, -EINVAL, "partition.assignment.strategy names more than %d", CONSUMER_ASSIGNORS_MAX);
        word = str_trim(word);
        if (!assignor_of(word, &s->assignors[s->assignor_count]))
            return fail_set(f, -EINVAL, "partition.assignment.strategy names %.*s; there are range, roundrobin, sticky "
                            "and cooperative-sticky, and Kafka's class names of them", STR_ARG(word));
        s->assignor_count++;
    }
    return 0;
}

/* A number, to three digits behind the point, as milliseconds; false: there is none at the front of `*rest`. */
static bool take_number(struct str *rest, int64_t *ms)
{
    int64_t value = 0, digits = 0, scale = 1000;

    while (rest->n > 0 && rest->p[0] >= '0' && rest->p[0] <= '9' && value < INT32_MAX) {
        value = value * 10 + (rest->p[0] - '0');
        rest->p++, rest->n--, digits++;
    }
    *ms = value * 1000;
    if (digits > 0 && rest->n > 0 && rest->p[0] == '.') {
        rest->p++, rest->n--;
        while (rest->n > 0 && rest->p[0] >= '0' && rest->p[0] <= '9') {
            scale /= 10;
            *ms += scale * (rest->p[0] - '0');
            rest->p++, rest->n--;
        }
    }
    return digits > 0;
}

/* ISO 8601 as Java's Duration reads it: PnDTnHnMn.nS, each part once, in this order. */
static bool duration_ms(struct str text, int64_t *out)
{
    static const char units[] = {'D', 'H', 'M', 'S'};
    static const int64_t seconds[] = {86400, 3600, 60, 1};
    bool in_time = false;
    uint32_t next = 0;
    int64_t ms, sum = 0;

    if (text.n < 3 || text.p[0] != 'P')
        return false;
    text.p++, text.n--;
    while (text.n > 0) {
        if (text.p[0] == 'T' && !in_time && text.n > 1) {
            in_time = true;
            next = next < 1 ? 1 : next;
            text.p++, text.n--;
            continue;
        }
        if (!take_number(&text, &ms) || text.n == 0)
            return false;
        while (next < array_count(units) && units[next] != text.p[0])
            next++;
        if (next == array_count(units) || in_time != (next > 0))
            return false;
        sum += ms * seconds[next++];
        text.p++, text.n--;
    }
    *out = sum;
    return true;
}

static int read_reset(const struct config *c, struct consumer_settings *s, struct fail *f)
{
    struct str word = config_str(c, CONSUMER_AUTO_OFFSET_RESET), by = STR("by_duration:");

    if (str_equal_nocase(word, STR("latest"))) {
        s->auto_offset_reset = CONSUMER_RESET_LATEST;
    } else if (str_equal_nocase(word, STR("earliest"))) {
        s->auto_offset_reset = CONSUMER_RESET_EARLIEST;
    } else if (str_equal_nocase(word, STR("none"))) {
        s->auto_offset_reset = CONSUMER_RESET_NONE;
    } else if (str_starts(word, by) &&
               duration_ms((struct str){word.p + by.n, word.n - by.n}, &s->auto_offset_reset_ms)) {
        s->auto_offset_reset = CONSUMER_RESET_BY_DURATION;
    } else {
        return fail_set(f, -EINVAL, "auto.offset.reset=%.*s; it is earliest, latest, none or by_duration:PnDTnHnMn.nS",
                        STR_ARG(word));
    }
    return 0;
}

static int check(const struct consumer_settings *s, struct fail *f)
{
    if (s->heartbeat_interval_ms >= s->session_timeout_ms)
        return fail_set(f, -EINVAL, "heartbeat.interval.ms=%d must be less than session.timeout.ms=%d",
                        s->heartbeat_interval_ms, s->session_timeout_ms);
    if (s->heartbeat_interval_ms <= 0)
        return fail_set(f, -EINVAL, "heartbeat.interval.ms=%d must be above 0", s->heartbeat_interval_ms);
    if (s->fetch_max_wait_ms > s->client.request_timeout_ms)
        return fail_set(f, -EINVAL, "fetch.max.wait.ms=%d must not be above request.timeout.ms=%" PRId64,
                        s->fetch_max_wait_ms, s->client.request_timeout_ms);
    return 0;
}

int consumer_settings_read(const struct config *c, struct consumer_settings *out, struct fail *f)
{
    struct consumer_settings s = {
        .group_id = config_str(c, CONSUMER_GROUP_ID),
        .group_instance_id = config_str(c, CONSUMER_GROUP_INSTANCE_ID),
        .session_timeout_ms = (int32_t)config_i64(c, CONSUMER_SESSION_TIMEOUT_MS),
        .heartbeat_interval_ms = (int32_t)config_i64(c, CONSUMER_HEARTBEAT_INTERVAL_MS),
        .max_poll_interval_ms = (int32_t)config_i64(c, CONSUMER_MAX_POLL_INTERVAL_MS),
        .enable_auto_commit = config_bool(c, CONSUMER_ENABLE_AUTO_COMMIT),
        .auto_commit_interval_ms = (int32_t)config_i64(c, CONSUMER_AUTO_COMMIT_INTERVAL_MS),
        .fetch_min_bytes = (int32_t)config_i64(c, CONSUMER_FETCH_MIN_BYTES),
        .fetch_max_bytes = (int32_t)config_i64(c, CONSUMER_FETCH_MAX_BYTES),
        .fetch_max_wait_ms = (int32_t)config_i64(c, CONSUMER_FETCH_MAX_WAIT_MS),
        .max_partition_fetch_bytes = (int32_t)config_i64(c, CONSUMER_MAX_PARTITION_FETCH_BYTES),
        .max_poll_records = (int32_t)config_i64(c, CONSUMER_MAX_POLL_RECORDS),
        .default_api_timeout_ms = config_i64(c, CONSUMER_DEFAULT_API_TIMEOUT_MS),
        .read_committed = str_equal(config_str(c, CONSUMER_ISOLATION_LEVEL), STR("read_committed")),
        .check_crcs = config_bool(c, CONSUMER_CHECK_CRCS),
        .exclude_internal_topics = config_bool(c, CONSUMER_EXCLUDE_INTERNAL_TOPICS),
        .buffer_bytes = BUFFER_BYTES,
        .plain_bytes_max = PLAIN_BYTES_MAX,
    };

    if (str_equal_nocase(config_str(c, CONSUMER_GROUP_PROTOCOL), STR("consumer")))
        return fail_set(f, -EINVAL, "group.protocol=consumer is not built yet; classic is");
    TRY(client_settings_read(c, &s.client, f));
    TRY(read_assignors(c, &s, f));
    TRY(read_reset(c, &s, f));
    TRY(check(&s, f));
    if (s.buffer_bytes < s.max_partition_fetch_bytes)
        s.buffer_bytes = s.max_partition_fetch_bytes;
    *out = s;
    return 0;
}
