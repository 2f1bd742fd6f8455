#define _GNU_SOURCE
#include "bench.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "protocol/fetch.h"

/* As the Java consumer asks by default. */
#define FETCH_WAIT_MAX_MS 500
#define FETCH_BYTES_MAX (50 << 20)
#define FETCH_PARTITION_BYTES_MAX (1 << 20)

#define STUCK_NS (20 * INT64_C(1000000000)) /* nothing comes, though there is more */

struct consumer {
    struct load *load;
    pthread_t thread;
    int fd, group;
    struct histogram received;
    struct fetch_request_topics_partitions *partitions; /* fetch_offset is the next one wanted */
    int64_t *told;              /* by partition: the offset that the broker's session knows, if there is one */
    int partition_count;
};

struct consumers {
    struct load *load;
    int count;
    struct consumer each[];
};

/* How long the batch took, from when it was to be sent until now. */
static void note_received(struct consumer *c, const struct batch *batch, int64_t now_ns)
{
    uint32_t stamp_at = c->load->pattern.stamp_at;
    int64_t intended_ns = (int64_t)get_u64(batch->bytes.p + stamp_at);

    if (stamp_at != 0 && load_counts(c->load, intended_ns))
        histogram_add(&c->received, now_ns - intended_ns);
}

/* Check the batches of one partition: whole, as sent, each behind the one before. -> their bytes;
 * the last one may be cut (KIP-74) and comes again. */
static uint64_t take_batches(struct consumer *c, struct fetch_request_topics_partitions *want,
                             struct bytes records, bool check_crc, int64_t now_ns)
{
    struct load *load = c->load;
    struct batch batch;
    uint64_t bytes = 0;

    while (records.n > 0) {
        int n = batch_read(records, &batch, NULL);
        if (n == ERR_SHORT)
            break;
        if (n < 0)
            die("partition %d: the batch at offset %" PRId64 " makes no sense: %s", want->partition,
                want->fetch_offset, error_text(n));
        if (batch.base_offset != want->fetch_offset)
            die("partition %d: offset %" PRId64 " was wanted and %" PRId64 " came", want->partition,
                want->fetch_offset, batch.base_offset);
        if (n != load->pattern.bytes || batch.count != load->pattern.count)
            die("partition %d: the batch at offset %" PRId64 " is not what was sent",
                want->partition, want->fetch_offset);
        if (check_crc && !batch_crc_ok(&batch))
            die("partition %d: the batch at offset %" PRId64 " fails its checksum", want->partition,
                want->fetch_offset);
        note_received(c, &batch, now_ns);
        want->fetch_offset = batch.last_offset + 1;
        records.p += n;
        records.n -= n;
        bytes += (uint64_t)n;
    }
    return bytes;
}

static struct fetch_request_topics_partitions *wanted(struct consumer *c, int32_t partition)
{
    for (int i = 0; i < c->partition_count; i++) {
        if (c->partitions[i].partition == partition)
            return &c->partitions[i];
    }
    die("the broker answers for partition %d, which was not asked for", partition);
}

static uint64_t take_response(struct consumer *c, const struct fetch_response *response)
{
    bool check_crc = atomic_load_explicit(&c->load->crc_checked, memory_order_relaxed);
    int64_t now_ns = clock_ns();
    uint64_t bytes = 0;

    if (response->error_code != 0)
        die("Fetch: %s", kerr_name(response->error_code));
    for (int32_t i = 0; i < response->responses_count; i++) {
        const struct fetch_response_responses *topic = &response->responses[i];
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            const struct fetch_response_responses_partitions *p = &topic->partitions[j];
            if (p->error_code != 0)
                die("Fetch: partition %d: %s", p->partition_index, kerr_name(p->error_code));
            bytes += take_batches(c, wanted(c, p->partition_index), p->records, check_crc, now_ns);
        }
    }
    return bytes;
}

/* Put those that the fetch session (KIP-227) is to hear of first; how many they are. */
static int32_t news_first(struct consumer *c, bool session)
{
    int32_t n = 0;

    for (int i = 0; i < c->partition_count; i++) {
        struct fetch_request_topics_partitions want = c->partitions[i];
        if (session && c->told[want.partition] == want.fetch_offset)
            continue;
        c->told[want.partition] = want.fetch_offset;
        c->partitions[i] = c->partitions[n];
        c->partitions[n++] = want;
    }
    return n;
}

static void *consume(void *arg)
{
    struct consumer *c = arg;
    struct load *load = c->load;
    struct frame frame = {0};
    struct arena arena;
    struct fetch_request_topics topic;
    struct fetch_request request;
    struct fetch_response response;

    arena_init(&arena, 0);
    fetch_request_topics_init(&topic);
    topic.topic = str_of(load->plan.topic);
    topic.topic_id = load->topic_id;
    topic.partitions = c->partitions;
    fetch_request_init(&request);
    request.replica_id = -1;
    request.max_wait_ms = FETCH_WAIT_MAX_MS;
    request.min_bytes = 1;
    request.max_bytes = FETCH_BYTES_MAX;
    request.topics = &topic;
    request.session_epoch = load->versions.fetch >= 7 ? 0 : -1;
    while (!atomic_load(&load->done)) {
        topic.partitions_count = news_first(c, request.session_id != 0);
        request.topics_count = topic.partitions_count > 0;
        if (!wire_call(c->fd, API_FETCH, load->versions.fetch, &request, &frame, &arena, &response))
            die("Fetch: the broker closed the connection");
        atomic_fetch_add_explicit(&load->consumed_bytes[c->group], take_response(c, &response),
                                  memory_order_relaxed);
        request.session_id = response.session_id;
        if (request.session_epoch >= 0)
            request.session_epoch = response.session_id == 0 ? 0 : request.session_epoch + 1;
    }
    free(frame.p);
    arena_deinit(&arena);
    close(c->fd);
    return NULL;
}

/* `number` is that within the group. */
static void consumer_init(struct consumer *c, struct load *load, int group, int number)
{
    c->load = load;
    c->group = group;
    c->partitions = calloc((size_t)load->plan.partitions, sizeof(*c->partitions));
    c->told = calloc((size_t)load->plan.partitions, sizeof(*c->told));
    if (c->partitions == NULL || c->told == NULL)
        die("out of memory");
    for (int p = number; p < load->plan.partitions; p += (int)load->plan.consumers) {
        struct fetch_request_topics_partitions *want = &c->partitions[c->partition_count++];
        fetch_request_topics_partitions_init(want);
        want->partition = p;
        want->fetch_offset = 0;
        want->partition_max_bytes = FETCH_PARTITION_BYTES_MAX;
    }
    c->fd = wire_connect(&load->plan);
    if (c->fd < 0)
        die("cannot connect: %s", error_text(c->fd));
    int rc = pthread_create(&c->thread, NULL, consume, c);
    if (rc != 0)
        die("cannot start a thread: %s", error_text(-rc));
}

struct consumers *consumers_start(struct load *load)
{
    int per_group = (int)load->plan.consumers;
    size_t count = (size_t)(load->plan.groups * load->plan.consumers);
    struct consumers *cs = calloc(1, sizeof(*cs) + count * sizeof(cs->each[0]));

    if (cs == NULL)
        die("out of memory");
    cs->load = load;
    cs->count = (int)count;
    for (int i = 0; i < cs->count; i++)
        consumer_init(&cs->each[i], load, i / per_group, i % per_group);
    return cs;
}

void consumers_await(struct consumers *cs)
{
    struct load *load = cs->load;
    int64_t moved_ns = clock_ns();
    uint64_t consumed, before = 0;

    while (cs->count > 0 && (consumed = load_consumed_least(load)) < load->acked_bytes) {
        if (consumed != before)
            moved_ns = clock_ns();
        before = consumed;
        if (clock_ns() > moved_ns + STUCK_NS)
            die("%" PRIu64 " bytes were acknowledged and only %" PRIu64 " can be consumed",
                load->acked_bytes, consumed);
        usleep(1000);
    }
}

void consumers_end(struct consumers *cs)
{
    struct load *load = cs->load;

    atomic_store(&load->done, true);
    for (int i = 0; i < cs->count; i++) {
        struct consumer *c = &cs->each[i];
        pthread_join(c->thread, NULL);
        histogram_merge(&load->received, &c->received);
        free(c->partitions);
        free(c->told);
    }
    for (int64_t g = 0; cs->count > 0 && g < load->plan.groups; g++) {
        uint64_t consumed = atomic_load(&load->consumed_bytes[g]);
        if (consumed != load->acked_bytes)
            die("%" PRIu64 " bytes were acknowledged and %" PRIu64 " consumed", load->acked_bytes,
                consumed);
    }
    free(cs);
}
