/* The end of a log in memory. */
#include "log/tail.h"

#include <stdlib.h>

#include "log/head.h"
#include "log/state.h"

static struct tail_block *last_block(const struct tail *t)
{
    return t->count == 0 ? NULL : tail_block_of(t, t->count - 1);
}

/* ---- blocks -------------------------------------------------------------------------------- */

static struct tail_block *block_allocate(struct log_memory *m, uint32_t capacity)
{
    struct tail_block *b;

    if (capacity == TAIL_BLOCK_BYTES_MAX && !list_empty(&m->spare)) {
        m->spare_count--;
        return container_of(list_take_head(&m->spare), struct tail_block, cached);
    }
    b = malloc(sizeof(*b) + capacity / TAIL_PAGE_BYTES * sizeof(b->starts[0]));
    ASSERT(b != NULL);
    b->p = aligned_alloc(TAIL_PAGE_BYTES, capacity);
    ASSERT(b->p != NULL);
    ledger_charge(m->ledger, LEDGER_TAILS, capacity);
    return b;
}

static void block_release(struct log_memory *m, struct tail_block *b)
{
    uint32_t capacity = b->capacity;

    free(b->p);
    free(b);
    ledger_return(m->ledger, LEDGER_TAILS, capacity);
}

static void block_free(struct tail_block *b)
{
    struct log_memory *m = b->memory;

    if (b->capacity == TAIL_BLOCK_BYTES_MAX && m->spare_count < TAIL_SPARE_MAX) {
        m->spare_count++;
        list_add_head(&m->spare, &b->cached);
        return;
    }
    block_release(m, b);
}

void tail_spare_free(struct log_memory *m)
{
    while (!list_empty(&m->spare))
        block_release(m, container_of(list_take_head(&m->spare), struct tail_block, cached));
    m->spare_count = 0;
}

static struct tail_block *block_new(struct log *log, struct segment *s, uint32_t capacity)
{
    struct tail_block *b = block_allocate(log->memory, capacity);
    uint64_t position = s->size_bytes / TAIL_PAGE_BYTES * TAIL_PAGE_BYTES;
    uint32_t from = (uint32_t)(s->size_bytes - position);

    *b = (struct tail_block){
        .log = log,
        .memory = log->memory,
        .segment = s,
        .position = position,
        .stream = log->tail.stream - from,
        .capacity = capacity,
        .from = from,
        .used = from,
        .refs = 1,
        .p = b->p,
    };
    for (uint32_t i = 0; i < capacity / TAIL_PAGE_BYTES; i++)
        b->starts[i].at = TAIL_NONE;
    b->memory->used_bytes += capacity;
    return b;
}

void tail_block_unref(struct tail_block *b)
{
    ASSERT(b->refs > 0);
    if (--b->refs > 0)
        return;
    b->memory->used_bytes -= b->capacity;
    block_free(b);
}

void tail_block_read(struct tail_block *b)
{
    b->refs++;
    if (b->readers++ == 0)
        b->memory->read_bytes += b->capacity;
}

void tail_block_read_end(struct tail_block *b)
{
    ASSERT(b->readers > 0);
    if (--b->readers == 0)
        b->memory->read_bytes -= b->capacity;
    tail_block_unref(b);
}

static void tail_push(struct tail *t, struct tail_block *b)
{
    if (t->first + t->count == t->capacity) {
        if (t->first > t->capacity / 2) {
            memmove(t->blocks, t->blocks + t->first, t->count * sizeof(struct tail_block *));
            t->first = 0;
        } else {
            t->capacity = t->capacity == 0 ? 4 : t->capacity * 2;
            t->blocks = realloc(t->blocks, t->capacity * sizeof(struct tail_block *));
            ASSERT(t->blocks != NULL);
        }
    }
    t->blocks[t->first + t->count++] = b;
}

/* The oldest block goes, once it is only a cache. */
static void tail_drop_first(struct tail *t)
{
    struct tail_block *b = tail_block_of(t, 0);

    ASSERT(t->undrained > 0);
    t->first++;
    t->count--;
    t->undrained--;
    if (t->count == 0)
        t->first = 0;
    if (list_linked(&b->cached))
        list_remove(&b->cached);
    b->log = NULL;
    tail_block_unref(b);
}

static void drop_cached(struct log_memory *m, uint64_t to_bytes)
{
    while (m->used_bytes > to_bytes && !list_empty(&m->cached)) {
        struct tail_block *b = container_of(m->cached.next, struct tail_block, cached);
        struct tail *t = &b->log->tail;
        ASSERT(tail_block_of(t, 0) == b);
        tail_drop_first(t);
    }
    if (m->used_bytes <= to_bytes || list_empty(&m->undrained))
        return;
    struct log *log = container_of(list_take_head(&m->undrained), struct log, user.undrained);
    log->user.drain_soon = true;
    worker_wake(log);
}

void log_memory_shrink(struct log_memory *m)
{
    drop_cached(m, m->limit_bytes);
}

void log_memory_give(struct log_memory *m, uint64_t bytes)
{
    if (m->cached.next == NULL)
        return; /* no log has been opened yet */
    drop_cached(m, m->used_bytes > bytes ? m->used_bytes - bytes : 0);
    tail_spare_free(m);
}

void tail_clear(struct tail *t)
{
    t->undrained = t->count;
    while (t->count > 0)
        tail_drop_first(t);
    t->undrained = 0;
}

void tail_forget(struct tail *t, const struct segment *s)
{
    while (t->count > 0 && tail_block_of(t, 0)->segment == s)
        tail_drop_first(t);
}

void tail_deinit(struct tail *t)
{
    tail_clear(t);
    free(t->blocks);
    *t = (struct tail){0};
}

/* ---- append -------------------------------------------------------------------------------- */

/* Enough for what comes, and twice the last block while a log is busy: an idle partition holds one
 * page, a busy one writes large. */
static uint32_t capacity_for(const struct log *log, const struct segment *s, uint32_t n)
{
    const struct tail_block *last = last_block(&log->tail);
    uint32_t need = n + (uint32_t)(s->size_bytes % TAIL_PAGE_BYTES);

    if (last != NULL && last->segment == s && need < last->capacity * 2)
        need = last->capacity * 2;
    if (need > TAIL_BLOCK_BYTES_MAX)
        need = TAIL_BLOCK_BYTES_MAX;
    return (need + TAIL_PAGE_BYTES - 1) / TAIL_PAGE_BYTES * TAIL_PAGE_BYTES;
}

/* The block that takes the next byte at the end of `s`. */
static struct tail_block *block_for_append(struct log *log, struct segment *s, uint32_t n)
{
    struct tail *t = &log->tail;
    struct tail_block *last = last_block(t);

    if (last != NULL && last->segment == s && last->used < last->capacity) {
        if (list_linked(&last->cached)) { /* it was wholly drained: no longer */
            list_remove(&last->cached);
            t->undrained = t->count - 1;
        }
        return last;
    }
    struct tail_block *b = block_new(log, s, capacity_for(log, s, n));
    b->floor_offset = log->end;
    b->next_offset = log->end;
    b->next_position = s->size_bytes;
    tail_push(t, b);
    log_memory_shrink(log->memory);
    return b;
}

static void note_start(struct tail_block *b, int64_t base_offset)
{
    struct tail_start *start = &b->starts[b->used / TAIL_PAGE_BYTES];

    if (start->at == TAIL_NONE)
        *start = (struct tail_start){b->used, base_offset};
}

void tail_append(struct log *log, struct segment *s, const struct batch *batch, int64_t base_offset,
                 int32_t leader_epoch)
{
    struct tail *t = &log->tail;
    const uint8_t *p = batch->bytes.p;
    uint32_t left = (uint32_t)batch->bytes.n;
    uint64_t start_position = s->size_bytes;
    uint8_t stamp[16]; /* base offset, length, leader epoch */
    struct tail_block *b = block_for_append(log, s, left);

    memcpy(stamp, p, sizeof(stamp));
    put_u64(stamp, (uint64_t)base_offset);
    put_u32(stamp + 12, (uint32_t)leader_epoch);
    note_start(b, base_offset);
    if (b->used == b->from)
        b->floor_offset = base_offset;
    while (left > 0) {
        if (b->used == b->capacity) {
            b = block_for_append(log, s, left);
            b->floor_offset = base_offset;
            b->next_position = start_position;
        }
        uint32_t n = b->capacity - b->used < left ? b->capacity - b->used : left;
        uint64_t done = s->size_bytes - start_position;
        uint32_t stamped = 0;
        if (done < sizeof(stamp)) { /* the first bytes come from the stamp */
            stamped = (uint32_t)(sizeof(stamp) - done) < n ? (uint32_t)(sizeof(stamp) - done) : n;
            memcpy(b->p + b->used, stamp + done, stamped);
        }
        memcpy(b->p + b->used + stamped, p + stamped, n - stamped);
        b->used += n;
        p += n;
        left -= n;
        s->size_bytes += n;
        t->stream += n;
    }
    b->next_offset = base_offset + batch->last_offset_delta + 1;
    b->next_position = s->size_bytes;
}

/* ---- read ---------------------------------------------------------------------------------- */

int64_t tail_first_offset(const struct log *log)
{
    const struct tail *t = &log->tail;

    for (uint32_t i = 0; i < t->count; i++) {
        const struct tail_block *b = tail_block_of(t, i);
        for (uint32_t page = 0; page < b->capacity / TAIL_PAGE_BYTES; page++) {
            if (b->starts[page].at != TAIL_NONE)
                return b->starts[page].base_offset;
        }
    }
    return log->end;
}

bool tail_is_end(const struct tail *t, struct tail_at at)
{
    return at.block >= t->count;
}

uint64_t tail_stream_at(const struct tail *t, struct tail_at at)
{
    return tail_is_end(t, at) ? t->stream : tail_block_of(t, at.block)->stream + at.at;
}

struct tail_at tail_forward(const struct tail *t, struct tail_at at, uint32_t n)
{
    while (at.block < t->count) {
        const struct tail_block *b = tail_block_of(t, at.block);
        if (n < b->used - at.at)
            return (struct tail_at){at.block, at.at + n};
        n -= b->used - at.at;
        at.block++;
        at.at = at.block < t->count ? tail_block_of(t, at.block)->from : 0;
    }
    ASSERT(n == 0);
    return at;
}

struct batch tail_head(const struct tail *t, struct tail_at at)
{
    const struct tail_block *b = tail_block_of(t, at.block);
    uint8_t bytes[BATCH_HEADER_BYTES];
    struct batch head;

    if (b->used - at.at >= BATCH_HEADER_BYTES) {
        int rc = head_read(b->p + at.at, &head);
        ASSERT(rc == 0); /* it was a batch when it was appended, and memory does not change */
        return head;
    }
    for (uint32_t have = 0; have < BATCH_HEADER_BYTES;) { /* it crosses a border */
        b = tail_block_of(t, at.block);
        uint32_t n = b->used - at.at;
        if (n > BATCH_HEADER_BYTES - have)
            n = BATCH_HEADER_BYTES - have;
        memcpy(bytes + have, b->p + at.at, n);
        have += n;
        at = tail_forward(t, at, n);
    }
    int rc = head_read(bytes, &head);
    ASSERT(rc == 0);
    head.bytes.p = NULL;
    return head;
}

/* The last noted start in `b` with a base offset <= `offset`. */
static bool start_before(const struct tail_block *b, int64_t offset, uint32_t *at)
{
    for (uint32_t page = b->capacity / TAIL_PAGE_BYTES; page-- > 0;) {
        if (b->starts[page].at == TAIL_NONE || b->starts[page].base_offset > offset)
            continue;
        *at = b->starts[page].at;
        return true;
    }
    return false;
}

struct tail_at tail_find(const struct tail *t, int64_t offset)
{
    uint32_t low = 0, high = t->count;
    struct tail_at at = {0, 0};

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (tail_block_of(t, middle)->floor_offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    at.block = low == 0 ? 0 : low - 1;
    while (!start_before(tail_block_of(t, at.block), offset, &at.at)) {
        ASSERT(at.block > 0);
        at.block--;
    }
    while (!tail_is_end(t, at)) {
        struct batch head = tail_head(t, at);
        if (head.last_offset >= offset)
            break;
        at = tail_forward(t, at, (uint32_t)head.bytes.n);
    }
    return at;
}

uint32_t tail_copy(const struct tail *t, const struct segment *s, uint64_t position, uint32_t n,
                   uint8_t *into)
{
    uint32_t copied = 0;

    for (uint32_t i = t->count; i-- > 0;) { /* what is asked for is near the end */
        const struct tail_block *b = tail_block_of(t, i);
        if (b->segment != s || b->position + b->from > position)
            continue;
        for (; i < t->count && copied < n; i++) {
            b = tail_block_of(t, i);
            if (b->segment != s || position < b->position + b->from ||
                position >= b->position + b->used)
                break;
            uint32_t at = (uint32_t)(position - b->position);
            uint32_t part = b->used - at < n - copied ? b->used - at : n - copied;
            memcpy(into + copied, b->p + at, part);
            copied += part;
            position += part;
        }
        break;
    }
    return copied;
}
