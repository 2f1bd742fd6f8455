/* One budget for the process, in shares of the shards that are lent by message.
 *
 *   millrace.memory.bytes   3/4 counted: a share for each shard (base/ledger.h); of it
 *                             2/3 at most caches of the newest records
 *                             1/4 at most what readers hold of them, before they are sent from files
 *                             1/2 at most requests
 *                           1/4 what is not counted: code, metadata, the state of logs and groups, the allocator
 *
 *   short ── borrow ──►  the next shard: as much as it has free, and keeps half of its share
 *         ◄─ lent ────   0: ask the one after it
 *   eased ── back ───►   everything, when nobody waits and the own share is enough
 *         ◄─ taken ───
 *
 * The sum of the limits and what is under way is constant. One message of a shard is under way at a time.
 */
#include "broker/memory.h"

#include <stdlib.h>

#include "broker/session.h"

#define UNCOUNTED_PART 4

/* A request's decoded form takes at most about 27 times its bytes; only hostile ones come near. What a handler
 * takes besides grows with it. */
#define DECODE_BYTES_MAX (16u << 20)
/* Without free memory a request may still have this much, and DECODE_FACTOR times its bytes: enough for what
 * clients really send. */
#define DECODE_BYTES_LEAST (64u << 10)
#define DECODE_FACTOR 8

/* Small loans would go back and forth. */
#define LOAN_BYTES_LEAST ((uint64_t)1 << 20)
/* While somebody waits or something is borrowed, how often is looked whether that can be changed. */
#define LOOK_MS 50

/* ---- shares ---------------------------------------------------------------------------------- */

static uint64_t share_of(const struct broker *b)
{
    uint64_t budget = (uint64_t)config_i64(b->options.settings, BROKER_MILLRACE_MEMORY_BYTES);

    return (budget - budget / UNCOUNTED_PART) / b->shard_count;
}

uint64_t memory_request_max(const struct broker *b)
{
    uint64_t share = share_of(b);

    return share + share / 2 * (b->shard_count - 1);
}

size_t memory_plain_max(const struct broker *b)
{
    return (size_t)share_of(b) / 8;
}

size_t memory_decode_max(const struct broker_shard *shard, uint64_t request_bytes)
{
    uint64_t free_bytes = ledger_free_bytes(&shard->ledger);
    uint64_t least = DECODE_BYTES_LEAST + DECODE_FACTOR * request_bytes;

    if (free_bytes < least)
        free_bytes = least;
    return free_bytes < DECODE_BYTES_MAX ? (size_t)free_bytes : DECODE_BYTES_MAX;
}

/* ---- lending --------------------------------------------------------------------------------- */

static void look_later(struct broker_shard *shard);
static void ask_next(struct broker_shard *shard);

static void loan_ended(struct broker_shard *shard)
{
    shard->loan.under_way = false;
    shard_unhold(shard);
}

static void send_loan(struct broker_shard *shard, uint32_t to, uint64_t bytes,
                      void (*run)(struct io *io, struct io_message *m))
{
    struct loan *l = &shard->loan;

    ASSERT(!l->under_way);
    l->under_way = true;
    l->lender = to;
    l->bytes = bytes;
    l->message.run = run;
    shard->held_count++;
    io_post(shard->io, to, &l->message);
}

/* The borrower has what it was lent. */
static void lent(struct io *io, struct io_message *m)
{
    struct broker_shard *shard = container_of(m, struct broker_shard, loan.message);
    struct loan *l = &shard->loan;

    l->borrowed[l->lender] += l->bytes;
    l->borrowed_bytes += l->bytes;
    ledger_move_limit(&shard->ledger, (int64_t)l->bytes);
    loan_ended(shard);
    ask_next(shard);
}

/* At the lender. */
static void borrow(struct io *io, struct io_message *m)
{
    struct broker_shard *borrower = container_of(m, struct broker_shard, loan.message);
    struct broker_shard *shard = &borrower->broker->shards[borrower->loan.lender];
    struct ledger *ledger = &shard->ledger;
    uint64_t least = share_of(shard->broker) / 2, bytes = borrower->loan.bytes, spare = 0;

    if (list_empty(&ledger->waiting) && ledger->limit_bytes > least)
        spare = ledger->limit_bytes - least;
    if (bytes > spare)
        bytes = spare;
    if (bytes > ledger_free_bytes(ledger))
        log_memory_give(&shard->log_memory, bytes - ledger_free_bytes(ledger));
    if (bytes > ledger_free_bytes(ledger))
        bytes = ledger_free_bytes(ledger);
    ledger_move_limit(ledger, -(int64_t)bytes);
    borrower->loan.bytes = bytes;
    m->run = lent;
    io_post(io, borrower->index, m);
}

/* Still short: the next shard that was not asked in this round. */
static void ask_next(struct broker_shard *shard)
{
    struct loan *l = &shard->loan;
    uint64_t bytes = ledger_short_bytes(&shard->ledger);

    if (l->under_way || l->stopped || bytes == 0 || l->asked >= shard->broker->shard_count - 1) {
        l->asked = 0;
        return;
    }
    l->asked++;
    send_loan(shard, (shard->index + l->asked) % shard->broker->shard_count,
              bytes < LOAN_BYTES_LEAST ? LOAN_BYTES_LEAST : bytes, borrow);
}

static void taken_back(struct io *io, struct io_message *m)
{
    loan_ended(container_of(m, struct broker_shard, loan.message));
}

static void give_back(struct io *io, struct io_message *m)
{
    struct broker_shard *borrower = container_of(m, struct broker_shard, loan.message);
    struct broker_shard *shard = &borrower->broker->shards[borrower->loan.lender];

    ledger_move_limit(&shard->ledger, (int64_t)borrower->loan.bytes);
    m->run = taken_back;
    io_post(io, borrower->index, m);
}

/* One lender gets its memory back, where the own share is enough without it. */
static void repay(struct broker_shard *shard)
{
    struct loan *l = &shard->loan;

    for (uint32_t i = 0; i < shard->broker->shard_count; i++) {
        uint64_t bytes = l->borrowed[i];
        if (bytes == 0 || ledger_free_bytes(&shard->ledger) < bytes)
            continue;
        l->borrowed[i] = 0;
        l->borrowed_bytes -= bytes;
        ledger_move_limit(&shard->ledger, -(int64_t)bytes);
        send_loan(shard, i, bytes, give_back);
        return;
    }
}

static void look(struct io_timer *t)
{
    struct broker_shard *shard = container_of(t, struct broker_shard, loan.timer);

    if (!shard->loan.under_way) {
        if (ledger_short_bytes(&shard->ledger) > 0)
            ask_next(shard);
        else if (list_empty(&shard->ledger.waiting))
            repay(shard);
    }
    look_later(shard);
}

static void look_later(struct broker_shard *shard)
{
    struct loan *l = &shard->loan;
    bool wanted = l->borrowed_bytes > 0 || !list_empty(&shard->ledger.waiting);

    if (wanted && !l->stopped && shard->broker->shard_count > 1)
        io_timer_set(shard->io, &l->timer, io_now_ns(shard->io) + LOOK_MS * INT64_C(1000000), look);
}

/* ---- the ledger asks ------------------------------------------------------------------------- */

static void shrink(void *ctx, uint64_t bytes)
{
    struct broker_shard *shard = ctx;

    log_memory_give(&shard->log_memory, bytes);
}

static void serve(struct op *op, int64_t result)
{
    struct broker_shard *shard = container_of(op, struct broker_shard, loan.serve);

    ledger_serve(&shard->ledger);
    shard_unhold(shard);
}

static void serve_soon(void *ctx)
{
    struct broker_shard *shard = ctx;

    shard->held_count++;
    op_init(&shard->loan.serve, serve);
    io_yield(shard->io, &shard->loan.serve);
}

static void is_short(void *ctx, uint64_t bytes)
{
    struct broker_shard *shard = ctx;

    (void)bytes;
    ask_next(shard);
    if (!io_timer_is_set(&shard->loan.timer))
        look_later(shard);
}

/* ---- life ------------------------------------------------------------------------------------ */

void memory_begin(struct broker *b)
{
    int64_t queued = config_i64(b->options.settings, BROKER_QUEUED_MAX_REQUEST_BYTES);
    uint64_t share = share_of(b);

    for (uint32_t i = 0; i < b->shard_count; i++) {
        struct broker_shard *s = &b->shards[i];
        ledger_init(&s->ledger, share);
        s->ledger.requests_max_bytes = share / 2;
        if (queued > 0 && (uint64_t)queued / b->shard_count < share / 2)
            s->ledger.requests_max_bytes = (uint64_t)queued / b->shard_count;
        s->ledger.shrink = shrink;
        s->ledger.serve_soon = serve_soon;
        s->ledger.is_short = is_short;
        s->ledger.ctx = s;
        s->log_memory.ledger = &s->ledger;
        s->log_memory.limit_bytes = share / 3 * 2;
        s->log_memory.read_bytes_max = share / 4;
        s->loan.borrowed = calloc(b->shard_count, sizeof *s->loan.borrowed);
        ASSERT(s->loan.borrowed != NULL);
    }
}

void memory_stop(struct broker_shard *shard)
{
    shard->loan.stopped = true;
    io_timer_clear(&shard->loan.timer);
}
