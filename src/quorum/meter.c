/* How much comes to the metadata log, how long a majority takes to have it, and how long elections take. */
#include "quorum/internal.h"

static uint64_t us_since(const struct quorum *q, int64_t began_ns)
{
    return (uint64_t)(io_now_ns(q->io) - began_ns) / 1000;
}

void quorum_meter_appended(struct quorum *q, int64_t base_offset)
{
    struct quorum_meter *m = &q->meter;
    int64_t end = log_end(q->log);

    recent_add(&m->numbers.appended, io_now_ms(q->io), (uint64_t)(end - base_offset));
    if (m->waiting_count < array_count(m->waiting)) /* of those beyond nobody takes the time */
        m->waiting[m->waiting_count++] = (struct quorum_waiting){end, io_now_ns(q->io)};
}

void quorum_meter_fetched(struct quorum *q, int64_t base_offset)
{
    recent_add(&q->meter.numbers.fetched, io_now_ms(q->io), (uint64_t)(log_end(q->log) - base_offset));
}

void quorum_meter_committed(struct quorum *q)
{
    struct quorum_meter *m = &q->meter;
    uint32_t done = 0;

    while (done < m->waiting_count && m->waiting[done].end <= q->high_watermark)
        recent_add(&m->numbers.commits_us, io_now_ms(q->io), us_since(q, m->waiting[done++].appended_ns));
    m->waiting_count -= done;
    memmove(m->waiting, m->waiting + done, m->waiting_count * sizeof *m->waiting);
}

void quorum_meter_role(struct quorum *q, enum raft_role role)
{
    struct quorum_meter *m = &q->meter;

    if (role != RAFT_LEADER)
        m->waiting_count = 0;
    /* The only voter is elected without asking anybody. */
    bool stands = role == RAFT_PROSPECTIVE || role == RAFT_CANDIDATE || (role == RAFT_LEADER && !q->accepts);
    if (stands && !m->electing) {
        m->electing = true;
        m->stood_ns = io_now_ns(q->io);
    }
}

void quorum_meter_elected(struct quorum *q)
{
    struct quorum_meter *m = &q->meter;

    if (m->electing)
        recent_add(&m->numbers.elections_us, io_now_ms(q->io), us_since(q, m->stood_ns));
    m->electing = false;
}

const struct quorum_numbers *quorum_numbers(const struct quorum *q)
{
    return &q->meter.numbers;
}
