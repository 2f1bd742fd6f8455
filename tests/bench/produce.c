#define _GNU_SOURCE
#include "bench.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "protocol/produce.h"

#define RECEIVE_BYTES 65536     /* answers are some 100 bytes each */
#define OPEN_LOOP_BACKLOG 16384 /* requests of one connection that are due but not answered */
#define DRAIN_TIMEOUT_NS (20 * INT64_C(1000000000))
#define IDLE_WAIT_NS 100000000
#define LAG_WAIT_NS 1000000
#define EVENTS_MAX 256
#define CORRELATION_AT 8 /* of a request: length i32, key i16, version i16, then this */

/* The request that takes a batch to one partition, encoded once. On the wire:
 *
 *     head (ends with the batch's header) | records of the pattern | tail
 */
struct slot {
    uint8_t *head, *tail;
    uint32_t head_bytes, tail_bytes;
    int64_t offset_last; /* of the answers */
    int partition;
};

/* A request from the moment that it is due. */
struct due {
    int64_t intended_ns;
    struct slot *slot;
};

/* Requests of a connection, numbered from 0: answered <= started <= queued <= answered + ring_size.
 */
struct conn {
    int fd;
    struct slot *slots; /* partitions, in turn */
    int slot_count, slot_next;
    struct due *ring;
    uint32_t ring_size; /* a power of 2 */
    uint32_t queued, started, answered;
    struct iovec out[3]; /* what is left of the request that is being sent */
    int out_next;        /* 3 = nothing */
    uint32_t in_bytes;
    uint8_t in[RECEIVE_BYTES];
};

/* What the answers for a partition say; all offsets were given exactly once when their sum and
 * their highest are those of 0, count, 2 count, ... */
struct partition {
    int64_t batches, offset_sum, offset_highest;
};

enum phase { WARMING_UP, MEASURING, DRAINING };

struct producer {
    struct load *load;
    struct conn *conns;
    struct partition *partitions;
    struct arena arena; /* of one answer */
    enum phase phase;
    int epoll;
    int64_t phase_end_ns;
    int64_t due_next_ns; /* open loop */
    uint64_t due_count;  /* open loop: requests that have become due */
    bool lagging;        /* a connection was held back because consumers are behind */
};

/* ---- the encoded request -------------------------------------------------------------------- */

static void slot_init(struct slot *s, const struct load *load, int partition)
{
    struct produce_request_topic_data_partition_data data;
    struct produce_request_topic_data topic;
    struct produce_request request;
    struct request_header header;
    struct message_extent extent;
    struct message_cut cut;

    produce_request_topic_data_partition_data_init(&data);
    data.index = partition;
    data.records = (struct bytes){NULL, load->pattern.bytes};
    produce_request_topic_data_init(&topic);
    topic.name = str_of(load->plan.topic);
    topic.topic_id = load->topic_id;
    topic.partition_data = &data;
    topic.partition_data_count = 1;
    produce_request_init(&request);
    request.acks = (int16_t)load->plan.acks;
    request.timeout_ms = 30000;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    request_header_init(&header);
    header.request_api_key = API_PRODUCE;
    header.request_api_version = load->versions.produce;
    header.client_id = STR("bench_load");

    int64_t header_bytes = request_header_size(&header);
    int rc = produce_request_measure(&request, load->versions.produce, &extent);
    if (rc < 0)
        die("a Produce request cannot be encoded: %s", error_text(rc));
    ASSERT(extent.cuts == 1);
    uint8_t *body = malloc((size_t)extent.head_bytes);
    if (body == NULL)
        die("out of memory");
    produce_request_write_pieces(&request, load->versions.produce, body, &cut);

    s->partition = partition;
    s->offset_last = -1;
    s->head_bytes = 4 + (uint32_t)header_bytes + cut.at + BATCH_HEADER_BYTES;
    s->tail_bytes = (uint32_t)extent.head_bytes - cut.at;
    s->head = malloc(s->head_bytes);
    s->tail = body;
    if (s->head == NULL)
        die("out of memory");
    put_u32(s->head, (uint32_t)(header_bytes + extent.total_bytes));
    request_header_write(&header, s->head + 4);
    memcpy(s->head + 4 + header_bytes, body, cut.at);
    memmove(s->tail, body + cut.at, s->tail_bytes);
}

/* ---- sending --------------------------------------------------------------------------------- */

static bool may_start(struct producer *p, struct conn *c)
{
    struct load *load = p->load;

    if (c->started - c->answered >= (uint32_t)load->plan.window)
        return false;
    if (load->plan.rate > 0)
        return c->started != c->queued;
    if (p->phase == DRAINING)
        return false;
    if (load->plan.consumers > 0) {
        uint64_t lag =
            load->sent_bytes - atomic_load_explicit(&load->consumed_bytes, memory_order_relaxed);
        if (lag > load->lag_bytes_longest)
            load->lag_bytes_longest = lag;
        if (lag > (uint64_t)load->plan.lag_bytes_max) {
            p->lagging = true;
            return false;
        }
    }
    return true;
}

static void queue_request(struct conn *c, int64_t intended_ns)
{
    if (c->queued - c->answered == c->ring_size)
        die("the broker is %u requests behind: it cannot keep up with this rate", c->ring_size);
    struct due *due = &c->ring[c->queued++ & (c->ring_size - 1)];
    due->intended_ns = intended_ns;
    due->slot = &c->slots[c->slot_next];
    c->slot_next = c->slot_next + 1 == c->slot_count ? 0 : c->slot_next + 1;
}

static void start_request(struct producer *p, struct conn *c)
{
    const struct pattern *pattern = &p->load->pattern;

    if (p->load->plan.rate == 0)
        queue_request(c, clock_ns());
    struct slot *s = c->ring[c->started & (c->ring_size - 1)].slot;
    put_u32(s->head + CORRELATION_AT, c->started);
    pattern_stamp(pattern, clock_wall_ms(), s->head + s->head_bytes - BATCH_HEADER_BYTES);
    c->out[0] = (struct iovec){s->head, s->head_bytes};
    c->out[1] = (struct iovec){(void *)pattern->records.p, (size_t)pattern->records.n};
    c->out[2] = (struct iovec){s->tail, s->tail_bytes};
    c->out_next = 0;
    c->started++;
    p->load->sent_bytes += (uint64_t)pattern->bytes;
}

/* Send what is left of the current request; false when the socket takes no more. */
static bool send_out(struct conn *c)
{
    while (c->out_next < 3) {
        struct msghdr message = {.msg_iov = &c->out[c->out_next],
                                 .msg_iovlen = (size_t)(3 - c->out_next)};
        ssize_t n = sendmsg(c->fd, &message, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EAGAIN)
                return false;
            die("the connection broke while sending: %s", error_text(-errno));
        }
        while (c->out_next < 3 && (size_t)n >= c->out[c->out_next].iov_len)
            n -= (ssize_t)c->out[c->out_next++].iov_len;
        if (c->out_next < 3) {
            c->out[c->out_next].iov_base = (uint8_t *)c->out[c->out_next].iov_base + n;
            c->out[c->out_next].iov_len -= (size_t)n;
        }
    }
    return true;
}

static void pump(struct producer *p, struct conn *c)
{
    while (send_out(c) && may_start(p, c))
        start_request(p, c);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void check_offset(struct producer *p, struct slot *s, int64_t offset)
{
    struct partition *partition = &p->partitions[s->partition];

    if (offset <= s->offset_last)
        die("partition %d: offset %" PRId64 " was answered after %" PRId64, s->partition, offset,
            s->offset_last);
    s->offset_last = offset;
    partition->batches++;
    partition->offset_sum += offset;
    if (offset > partition->offset_highest)
        partition->offset_highest = offset;
}

static void take_answer(struct producer *p, struct conn *c, struct bytes frame, int64_t now_ns)
{
    struct load *load = p->load;
    struct produce_response response;
    int32_t correlation_id;
    int used = response_header_read(frame, API_PRODUCE, load->versions.produce, &correlation_id);

    if (used < 0 || c->answered == c->started || correlation_id != (int32_t)c->answered)
        die("an answer that belongs to no request");
    arena_reset(&p->arena);
    int rc = produce_response_read((struct bytes){frame.p + used, frame.n - used},
                                   load->versions.produce, &p->arena, &response);
    if (rc < 0)
        die("an answer to Produce cannot be read: %s", error_text(rc));
    if (response.responses_count != 1 || response.responses[0].partition_responses_count != 1)
        die("an answer to Produce is not about one partition");

    struct due *due = &c->ring[c->answered++ & (c->ring_size - 1)];
    const struct produce_response_responses_partition_responses *r =
        &response.responses[0].partition_responses[0];
    if (r->index != due->slot->partition)
        die("an answer is about partition %d, not %d", r->index, due->slot->partition);
    if (r->error_code != 0)
        die("Produce: partition %d: %s %.*s", r->index, kerr_name(r->error_code),
            STR_ARG(r->error_message));
    check_offset(p, due->slot, r->base_offset);
    load->requests++;
    load->acked_bytes += (uint64_t)load->pattern.bytes;
    if (p->phase != WARMING_UP && due->intended_ns >= load->begin.at_ns &&
        due->intended_ns < p->phase_end_ns)
        histogram_add(&load->latency, now_ns - due->intended_ns);
}

/* Cut whole frames from the front of what has arrived. */
static void take_answers(struct producer *p, struct conn *c)
{
    int64_t now_ns = clock_ns();
    uint32_t at = 0;

    while (c->in_bytes - at >= 4) {
        uint32_t n = get_u32(c->in + at);
        if (n < 4 || n > RECEIVE_BYTES - 4)
            die("the broker announces an answer of %u bytes", n);
        if (c->in_bytes - at - 4 < n)
            break;
        take_answer(p, c, (struct bytes){c->in + at + 4, (int32_t)n}, now_ns);
        at += 4 + n;
    }
    c->in_bytes -= at;
    memmove(c->in, c->in + at, c->in_bytes);
}

static void receive(struct producer *p, struct conn *c)
{
    for (;;) {
        size_t room = RECEIVE_BYTES - c->in_bytes;
        ssize_t n = recv(c->fd, c->in + c->in_bytes, room, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            die("the connection broke: %s", error_text(-errno));
        if (n == 0)
            die("the broker closed a connection");
        c->in_bytes += (uint32_t)n;
        take_answers(p, c);
        if ((size_t)n < room)
            return; /* the socket is empty: what comes later is a new event */
    }
}

/* ---- life -------------------------------------------------------------------------------------
 */

static void conn_init(struct producer *p, struct conn *c, int number)
{
    const struct plan *plan = &p->load->plan;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};

    c->slots = calloc((size_t)plan->partitions, sizeof(*c->slots));
    uint32_t wanted = plan->rate > 0 ? OPEN_LOOP_BACKLOG : (uint32_t)plan->window;
    c->ring_size = 1;
    while (c->ring_size < wanted)
        c->ring_size *= 2;
    c->ring = calloc(c->ring_size, sizeof(*c->ring));
    if (c->slots == NULL || c->ring == NULL)
        die("out of memory");
    for (int i = number % (int)plan->partitions; i < plan->partitions; i += (int)plan->connections)
        slot_init(&c->slots[c->slot_count++], p->load, i);
    c->out_next = 3;
    c->fd = wire_connect(plan);
    if (c->fd < 0)
        die("cannot connect: %s", error_text(c->fd));
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
        die("epoll_ctl: %s", error_text(-errno));
}

static struct sample sample_now(const struct load *load)
{
    return (struct sample){
        .cpu = cpu_now(load->plan.broker_pid),
        .requests = load->requests,
        .acked_bytes = load->acked_bytes,
        .consumed_bytes = atomic_load(&load->consumed_bytes),
        .at_ns = clock_ns(),
    };
}

static void step_phase(struct producer *p, int64_t now_ns)
{
    struct load *load = p->load;
    const struct plan *plan = &load->plan;
    bool full = p->phase == MEASURING && plan->bytes_max > 0 &&
                load->acked_bytes - load->begin.acked_bytes >= (uint64_t)plan->bytes_max;

    if (now_ns < p->phase_end_ns && !full)
        return;
    if (p->phase == WARMING_UP) {
        atomic_store(&load->crc_checked, false);
        load->begin = sample_now(load);
        p->phase = MEASURING;
        p->phase_end_ns = load->begin.at_ns + plan->measure_ns;
    } else {
        load->end = sample_now(load);
        p->phase = DRAINING;
        p->phase_end_ns = load->end.at_ns;
    }
}

/* Open loop: queue what has become due. */
static void release_due(struct producer *p, int64_t now_ns)
{
    const struct plan *plan = &p->load->plan;

    while (p->phase != DRAINING && p->due_next_ns <= now_ns) {
        struct conn *c = &p->conns[p->due_count++ % (uint64_t)plan->connections];
        queue_request(c, p->due_next_ns);
        p->due_next_ns += 1000000000 / plan->rate;
        pump(p, c);
    }
}

static bool all_answered(const struct producer *p)
{
    for (int i = 0; i < p->load->plan.connections; i++) {
        if (p->conns[i].answered != p->conns[i].queued)
            return false;
    }
    return true;
}

static void wait_events(struct producer *p, int64_t now_ns)
{
    struct epoll_event events[EVENTS_MAX];
    int64_t wait_ns = p->lagging ? LAG_WAIT_NS : IDLE_WAIT_NS;

    if (p->load->plan.rate > 0 && p->due_next_ns - now_ns < wait_ns)
        wait_ns = p->due_next_ns > now_ns ? p->due_next_ns - now_ns : 0;
    if (p->phase != DRAINING && p->phase_end_ns - now_ns < wait_ns)
        wait_ns = p->phase_end_ns > now_ns ? p->phase_end_ns - now_ns : 0;
    struct timespec timeout = {.tv_sec = 0, .tv_nsec = wait_ns};
    int n = epoll_pwait2(p->epoll, events, EVENTS_MAX, &timeout, NULL);
    if (n < 0 && errno != EINTR)
        die("epoll_pwait2: %s", error_text(-errno));
    for (int i = 0; i < n; i++) {
        struct conn *c = events[i].data.ptr;
        receive(p, c);
        pump(p, c);
    }
}

static void check_partitions(const struct producer *p)
{
    int64_t count = p->load->pattern.count;

    for (int i = 0; i < p->load->plan.partitions; i++) {
        const struct partition *t = &p->partitions[i];
        if (t->batches == 0)
            continue;
        if (t->offset_highest != (t->batches - 1) * count ||
            t->offset_sum != count * (t->batches * (t->batches - 1) / 2))
            die("partition %d: the offsets of %" PRId64 " batches have gaps, the last is %" PRId64,
                i, t->batches, t->offset_highest);
    }
}

static void producer_end(struct producer *p)
{
    for (int i = 0; i < p->load->plan.connections; i++) {
        struct conn *c = &p->conns[i];
        close(c->fd);
        for (int j = 0; j < c->slot_count; j++) {
            free(c->slots[j].head);
            free(c->slots[j].tail);
        }
        free(c->slots);
        free(c->ring);
    }
    free(p->conns);
    free(p->partitions);
    close(p->epoll);
    arena_deinit(&p->arena);
}

void produce(struct load *load)
{
    const struct plan *plan = &load->plan;
    struct producer p = {.load = load, .epoll = epoll_create1(EPOLL_CLOEXEC)};

    p.conns = calloc((size_t)plan->connections, sizeof(*p.conns));
    p.partitions = calloc((size_t)plan->partitions, sizeof(*p.partitions));
    if (p.epoll < 0 || p.conns == NULL || p.partitions == NULL)
        die("out of memory or descriptors");
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* else timers may come 50 us late */
    arena_init(&p.arena, 0);
    for (int i = 0; i < plan->connections; i++)
        conn_init(&p, &p.conns[i], i);

    p.due_next_ns = clock_ns();
    p.phase_end_ns = p.due_next_ns + plan->warmup_ns;
    for (int i = 0; i < plan->connections; i++)
        pump(&p, &p.conns[i]);
    while (p.phase != DRAINING || !all_answered(&p)) {
        int64_t now_ns = clock_ns();
        step_phase(&p, now_ns);
        if (p.phase == DRAINING && now_ns > p.phase_end_ns + DRAIN_TIMEOUT_NS)
            die("some requests were not answered");
        if (plan->rate > 0)
            release_due(&p, now_ns);
        if (p.lagging) {
            p.lagging = false;
            for (int i = 0; i < plan->connections; i++)
                pump(&p, &p.conns[i]);
        }
        wait_events(&p, now_ns);
    }
    check_partitions(&p);
    producer_end(&p);
}
