#include "producer.h"

#include "protocol/produce.h"

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
    if (load_counts(load, due->intended_ns))
        histogram_add(&load->latency, now_ns - due->intended_ns);
}

void take_answers(struct producer *p, struct conn *c)
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

void check_partitions(const struct producer *p)
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
