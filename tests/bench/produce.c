#define _GNU_SOURCE
#include "producer.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define OPEN_LOOP_BACKLOG 16384 /* requests of one connection that are due but not answered */
#define DRAIN_TIMEOUT_NS (20 * INT64_C(1000000000))
#define IDLE_WAIT_NS 100000000
#define LAG_WAIT_NS 1000000
#define EVENTS_MAX 256

/* ---- sending --------------------------------------------------------------------------------- */

/* The connection has ended. */
static void lose(struct producer *p, const char *why)
{
    if (!p->load->plan.until_killed)
        die("the broker ended a connection: %s", why);
    p->lost = true;
}

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
        uint64_t lag = load->sent_bytes - load_consumed_least(load);
        if (lag > load->lag_bytes_longest)
            load->lag_bytes_longest = lag;
        if (lag > (uint64_t)load->plan.lag_bytes_max) {
            p->lagging = true;
            return false;
        }
    }
    return true;
}

static void queue_request(struct producer *p, struct conn *c, int64_t intended_ns)
{
    uint64_t keys = (uint64_t)p->load->plan.keys;

    if (c->queued - c->answered == c->ring_size)
        die("the broker is %u requests behind: it cannot keep up with this rate", c->ring_size);
    struct due *due = &c->ring[c->queued++ & (c->ring_size - 1)];
    due->intended_ns = intended_ns;
    if (keys > 0) {
        due->key = prng_below(&p->random, keys);
        due->slot = &c->slots[due->key % (uint64_t)c->slot_count];
        return;
    }
    due->slot = &c->slots[c->slot_next];
    c->slot_next = c->slot_next + 1 == c->slot_count ? 0 : c->slot_next + 1;
}

static void start_request(struct producer *p, struct conn *c)
{
    const struct pattern *pattern = &p->load->pattern;

    if (p->load->plan.rate == 0)
        queue_request(p, c, clock_ns());
    const struct due *due = &c->ring[c->started & (c->ring_size - 1)];
    struct slot *s = due->slot;
    slot_stamp(s, pattern, c->started, due);
    c->out[0] = (struct iovec){s->head, s->head_bytes};
    c->out[1] = (struct iovec){(void *)pattern->rest.p, (size_t)pattern->rest.n};
    c->out[2] = (struct iovec){s->tail, s->tail_bytes};
    c->out_next = 0;
    c->started++;
    p->load->sent_bytes += (uint64_t)pattern->bytes;
}

/* Send what is left of the current request; false when the socket takes no more. */
static bool send_out(struct producer *p, struct conn *c)
{
    while (c->out_next < 3) {
        struct msghdr message = {.msg_iov = &c->out[c->out_next],
                                 .msg_iovlen = (size_t)(3 - c->out_next)};
        ssize_t n = sendmsg(c->fd, &message, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN)
                lose(p, error_text(-errno));
            return false;
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
    while (send_out(p, c) && may_start(p, c))
        start_request(p, c);
}

static void receive(struct producer *p, struct conn *c)
{
    for (;;) {
        size_t room = RECEIVE_BYTES - c->in_bytes;
        ssize_t n = recv(c->fd, c->in + c->in_bytes, room, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            lose(p, n == 0 ? "closed" : error_text(-errno));
            return;
        }
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
    int first = plan->keys > 0 ? 0 : number % (int)plan->partitions;
    int step = plan->keys > 0 ? 1 : (int)plan->connections;
    for (int i = first; i < plan->partitions; i += step)
        slot_init(&c->slots[c->slot_count++], p->load, i);
    c->out_next = 3;
    c->fd = wire_connect(plan);
    if (c->fd < 0)
        die("cannot connect: %s", error_text(c->fd));
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
        die("epoll_ctl: %s", error_text(-errno));
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
        load->begin = load_sample(load);
        p->phase = MEASURING;
        p->phase_end_ns = load->begin.at_ns + plan->measure_ns;
        atomic_store(&load->counted_from_ns, load->begin.at_ns);
        atomic_store(&load->counted_to_ns, p->phase_end_ns);
    } else {
        load->end = load_sample(load);
        p->phase = DRAINING;
        p->phase_end_ns = load->end.at_ns;
        atomic_store(&load->counted_to_ns, p->phase_end_ns);
    }
}

/* Open loop: queue what has become due. */
static void release_due(struct producer *p, int64_t now_ns)
{
    const struct plan *plan = &p->load->plan;

    while (p->phase != DRAINING && p->due_next_ns <= now_ns) {
        struct conn *c = &p->conns[p->due_count++ % (uint64_t)plan->connections];
        queue_request(p, c, p->due_next_ns);
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
    for (int i = 0; i < n && !p->lost; i++) {
        struct conn *c = events[i].data.ptr;
        receive(p, c);
        pump(p, c);
    }
}

static void producer_end(struct producer *p)
{
    for (int i = 0; i < p->load->plan.connections; i++) {
        struct conn *c = &p->conns[i];
        close(c->fd);
        for (int j = 0; j < c->slot_count; j++)
            slot_deinit(&c->slots[j]);
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
    prng_init(&p.random, 1);
    for (int i = 0; i < plan->connections; i++)
        conn_init(&p, &p.conns[i], i);

    p.due_next_ns = clock_ns();
    p.phase_end_ns = p.due_next_ns + plan->warmup_ns;
    for (int i = 0; i < plan->connections; i++)
        pump(&p, &p.conns[i]);
    while (!p.lost && (p.phase != DRAINING || !all_answered(&p))) {
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
    if (p.lost)
        load->end = load_sample(load); /* and the answers that were still to come, never will */
    else
        check_partitions(&p);
    for (int i = 0; i < plan->partitions; i++) {
        if (p.partitions[i].batches > 0)
            load->ends[i] = p.partitions[i].offset_highest + load->pattern.count;
    }
    producer_end(&p);
}
