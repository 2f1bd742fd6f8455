/* Foreign bytes as the records of Fetch answers: nothing crashes, offsets never go back, nothing is handed out twice,
 * and all memory is given back.
 *
 *   data[0]   1 read_committed, 2 checksums are looked at, 4 chunks are kept until the end
 *   then one answer after another: u8 where to seek before (0xff: nowhere), u8 number of aborted transactions and for
 *   each u8 producer, u8 first offset; u16 n, n bytes of records (as many as there are)
 */
#include "consumer/internal.h"
#include "simulator/simulator.h"

#include <stdint.h>
#include <stdlib.h>

#include "protocol/fetch.h"

#define KEPT_MAX 64
#define ABORTED_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    struct sim *sim;
    struct consumer *c;
    struct part *part;
    struct bytes rest;
    struct consumer_chunk *kept[KEPT_MAX];
    uint32_t kept_count;
    bool keep, closed;
    int64_t next;     /* offsets below it were handed out since the seek */
};

static void on_event(void *ctx, const struct consumer_event *e) {}
static void on_ready(void *ctx) {}

static uint8_t take_byte(struct world *w)
{
    if (w->rest.n == 0)
        return 0;
    w->rest.n--;
    return *w->rest.p++;
}

static struct consumer *consumer_of(struct io *io, struct telemetry *t, uint8_t choice)
{
    static const struct consumer_hooks hooks = {.event = on_event, .ready = on_ready};
    struct consumer_settings s = {
        .client = {.bootstrap_servers = STR("nobody:9092"), .client_id = STR("fuzz"), .client_rack = STR_NULL,
                   .request_timeout_ms = 1000, .reconnect_backoff_ms = 1000, .reconnect_backoff_max_ms = 1000,
                   .retry_backoff_ms = 1000, .retry_backoff_max_ms = 1000, .connection_setup_timeout_ms = 1000,
                   .connection_setup_timeout_max_ms = 1000, .frame_bytes_max = 1 << 20, .in_flight_max = 1},
        .group_id = STR_NULL,
        .group_instance_id = STR_NULL,
        .max_partition_fetch_bytes = 1 << 20,
        .fetch_max_bytes = 1 << 20,
        .buffer_bytes = 1 << 20,
        .max_poll_records = 3, /* most batches come in parts */
        .plain_bytes_max = 1 << 16,
        .read_committed = (choice & 1) != 0,
        .check_crcs = (choice & 2) != 0,
    };

    return consumer_new(io, t, &s, &hooks, NULL);
}

/* As if a Fetch had brought it. */
static void bring(struct world *w)
{
    struct fetch_response_responses_partitions_aborted_transactions aborted[ABORTED_MAX];
    struct fetch_response_responses_partitions a;
    struct fetch *f = calloc(1, sizeof *f);
    uint8_t seek = take_byte(w);
    int32_t n;

    ASSERT(f != NULL);
    fetch_response_responses_partitions_init(&a);
    a.aborted_transactions = aborted;
    a.aborted_transactions_count = take_byte(w) % ABORTED_MAX;
    for (int32_t i = 0; i < a.aborted_transactions_count; i++) {
        fetch_response_responses_partitions_aborted_transactions_init(&aborted[i]);
        aborted[i].producer_id = take_byte(w) % 4;
        aborted[i].first_offset = take_byte(w);
    }
    n = take_byte(w) << 8;
    n |= take_byte(w);
    a.records = (struct bytes){w->rest.p, n < w->rest.n ? n : w->rest.n};
    w->rest.p += a.records.n;
    w->rest.n -= a.records.n;
    if (seek != 0xff || w->part->state != PART_READ) {
        part_place(w->part, seek, -1);
        w->next = seek;
    }
    f->refs = 1;
    f->consumer = w->c;
    list_add_tail(&w->c->fetches, &f->list);
    piece_add(w->part, f, &a);
    fetch_unref(f);
}

static void read_chunk(struct world *w, struct consumer_chunk *k)
{
    struct record record;

    ASSERT(k->first >= w->next && k->next > k->first);
    w->next = k->next;
    for (int turn = 0; turn < 2; turn++) {
        while (consumer_chunk_next(k, &record) > 0)
            ASSERT(record.offset >= k->first);
        consumer_chunk_rewind(k);
    }
    if (w->keep && w->kept_count < KEPT_MAX)
        w->kept[w->kept_count++] = k;
    else
        consumer_chunk_release(k, k->next);
}

static void closed(struct op *op, int64_t result)
{
    *(bool *)op->owner = true;
}

static void end(struct world *w)
{
    struct op op;

    op_init(&op, closed);
    op.owner = &w->closed;
    consumer_close(w->c, 100, &op);
    while (!w->closed && sim_step(w->sim))
        continue;
    ASSERT(w->closed);
    while (w->kept_count > 0)
        consumer_chunk_release(w->kept[--w->kept_count], INT64_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct consumer_partition t_0 = {{"t", 1}, 0};
    struct telemetry *t;
    struct sim_node *node;
    struct world w = {0};

    if (size < 2 || size > 65536)
        return 0;
    w.rest = (struct bytes){data + 1, (int32_t)size - 1};
    w.keep = (data[0] & 4) != 0;
    w.sim = sim_new(1, NULL);
    t = telemetry_new(NULL);
    node = sim_node_new(w.sim, "far");
    sim_node_start(node, 1);
    w.c = consumer_of(sim_node_io(node, 0), t, data[0]);
    ASSERT(w.c != NULL && consumer_assign(w.c, &t_0, 1, NULL) == 0);
    w.part = part_find(w.c, t_0);
    part_place(w.part, 0, -1);
    while (w.rest.n > 0) {
        struct consumer_chunk *k;
        int64_t done = w.part->done;
        bring(&w);
        while ((k = consumer_take(w.c)) != NULL)
            read_chunk(&w, k);
        ASSERT(w.part->done <= w.part->position || w.part->done == done);
    }
    end(&w);
    telemetry_free(t);
    sim_free(w.sim);
    return 0;
}
