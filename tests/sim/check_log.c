/* The truth about records: T1 to T6. */
#include <stdlib.h>

#include "truth.h"

#define RECORDS_PLAIN_MAX (16u << 20)

struct truth *truth_new(struct world *w)
{
    struct truth *t = calloc(1, sizeof *t);

    ASSERT(t != NULL);
    t->world = w;
    return t;
}

void truth_free(struct truth *t)
{
    for (uint32_t i = 0; i < t->topic_count; i++) {
        for (int32_t p = 0; p < PARTITIONS_MAX; p++) {
            free(t->topics[i]->parts[p].slots);
            free(t->topics[i]->parts[p].spans);
            free(t->topics[i]->parts[p].leaders.leaders);
        }
        free(t->topics[i]);
    }
    for (uint32_t i = 0; i < PRODUCERS_MAX; i++)
        free(t->histories[i].records);
    free(t->quorum.leaders);
    free(t->owners);
    free(t);
}

/* ---- what a record holds ------------------------------------------------------------------------ */

/*  0 producer u32 | 4 number u32 | 8 length u32 | 12 bytes that follow from them  */
#define RECORD_HEAD_BYTES 12

static uint64_t mix(uint32_t producer, uint32_t n)
{
    uint64_t x = ((uint64_t)producer << 32 | n) + UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    return x ^ (x >> 27);
}

uint32_t record_bytes(uint32_t producer, uint32_t n, uint32_t bytes_max)
{
    return RECORD_BYTES_MIN + (uint32_t)(mix(producer, n) % (bytes_max - RECORD_BYTES_MIN + 1));
}

void record_fill(uint32_t producer, uint32_t n, uint32_t bytes, uint8_t *out)
{
    uint64_t x = mix(producer, n);

    put_u32(out, producer);
    put_u32(out + 4, n);
    put_u32(out + 8, bytes);
    for (uint32_t i = RECORD_HEAD_BYTES; i < bytes; i++) {
        out[i] = (uint8_t)(x >> (i % 8 * 8));
        if (i % 64 == 63)
            x = x * UINT64_C(0x94d049bb133111eb) + 1;
    }
}

uint32_t record_key(uint32_t producer, uint32_t n)
{
    return (uint32_t)(mix(producer, n) >> 7) % RECORD_KEYS;
}

/* Whose record it is; its bytes must be those that were sent. */
static void record_owner(struct truth *t, const struct part *part, const struct record *r,
                         uint32_t *producer, uint32_t *n)
{
    uint8_t expected[RECORD_BYTES_MAX];
    uint32_t bytes;

    if (r->value.n < RECORD_BYTES_MIN || r->value.n > RECORD_BYTES_MAX)
        broken(t->world, "%s-%d: the record at %" PRId64 " is of no producer: its value has %d bytes",
               part->topic->name, part->partition, r->offset, r->value.n);
    *producer = get_u32(r->value.p);
    *n = get_u32(r->value.p + 4);
    bytes = get_u32(r->value.p + 8);
    if (*producer >= PRODUCERS_MAX || bytes != (uint32_t)r->value.n)
        broken(t->world, "%s-%d: the record at %" PRId64 " is of no producer", part->topic->name,
               part->partition, r->offset);
    record_fill(*producer, *n, bytes, expected);
    if (memcmp(expected, r->value.p, bytes) != 0)
        broken(t->world, "%s-%d: the record at %" PRId64 " has other bytes than were sent",
               part->topic->name, part->partition, r->offset);
}

/* ---- where records are ---------------------------------------------------------------------------- */

static struct slot *slot_at(struct part *p, int64_t offset)
{
    if (offset >= p->slot_capacity) {
        int64_t capacity = p->slot_capacity * 2 + 256;
        if (capacity <= offset)
            capacity = offset + 256;
        p->slots = realloc(p->slots, (size_t)capacity * sizeof *p->slots);
        ASSERT(p->slots != NULL);
        memset(p->slots + p->slot_capacity, 0,
               (size_t)(capacity - p->slot_capacity) * sizeof *p->slots);
        p->slot_capacity = capacity;
    }
    if (offset >= p->slot_count)
        p->slot_count = offset + 1;
    return &p->slots[offset];
}

/* T3: the nearest records of the same producer in this partition, of those whose offsets are known. */
static void check_order(struct truth *t, uint32_t producer, uint32_t n)
{
    const struct history *h = &t->histories[producer];
    const struct sent *s = &h->records[n];

    for (uint32_t i = n; i-- > 0 && n - i < 64;) {
        const struct sent *before = &h->records[i];
        if (before->part != s->part || before->offset < 0 || before->late || s->late)
            continue;
        if (before->offset > s->offset)
            broken(t->world, "%s-%d: idempotent producer %u: record %u is at %" PRId64
                   ", before record %u at %" PRId64, s->part->topic->name, s->part->partition,
                   producer, n, s->offset, i, before->offset);
        return;
    }
}

/* A request that names its topic may come so late that a new topic has that name; also one that was sent again since. */
static bool is_late(const struct sent *s, const struct part *part)
{
    const struct topic *meant = s->part->topic;

    return s->part != part && s->state != SENT_NEVER && meant->state == TOPIC_GONE &&
           s->part->partition == part->partition && strcmp(meant->name, part->topic->name) == 0;
}

/* T1, T2, T4. */
static void bind(struct truth *t, struct part *part, int64_t offset, uint32_t producer, uint32_t n)
{
    struct history *h = &t->histories[producer];
    struct slot *slot = slot_at(part, offset);
    struct sent *s;

    if (n < h->count && is_late(&h->records[n], part))
        h->records[n] = (struct sent){.part = part, .offset = -1, .late = true};
    if (n >= h->count || h->records[n].part != part)
        broken(t->world, "%s-%d: at %" PRId64 " is record %u of producer %u, which was not sent there",
               part->topic->name, part->partition, offset, n, producer);
    s = &h->records[n];
    if (slot->producer != 0 && (slot->producer != producer + 1 || slot->n != n))
        broken(t->world, "%s-%d: at %" PRId64 " was record %u of producer %u, and now is record %u of "
               "producer %u", part->topic->name, part->partition, offset, slot->n,
               slot->producer - 1, n, producer);
    if (s->state == SENT_NEVER)
        broken(t->world, "%s-%d: record %u of producer %u was refused for good, but is at %" PRId64,
               part->topic->name, part->partition, n, producer, offset);
    if (s->offset >= 0 && s->offset != offset)
        broken(t->world, "%s-%d: record %u of producer %u is at %" PRId64 " and at %" PRId64,
               part->topic->name, part->partition, n, producer, s->offset, offset);
    slot->producer = producer + 1;
    slot->n = n;
    s->offset = offset;
    if (h->idempotent)
        check_order(t, producer, n);
}

/* ---- what producers are told ------------------------------------------------------------------------ */

uint32_t truth_sends(struct truth *t, uint32_t producer, struct part *part)
{
    struct history *h = &t->histories[producer];

    if (h->count == h->capacity) {
        h->capacity = h->capacity * 2 + 256;
        h->records = realloc(h->records, h->capacity * sizeof *h->records);
        ASSERT(h->records != NULL);
    }
    h->records[h->count] = (struct sent){.part = part, .offset = -1};
    return h->count++;
}

void truth_acked(struct truth *t, uint32_t producer, uint32_t first, int32_t count,
                 int64_t base_offset, uint32_t life)
{
    struct history *h = &t->histories[producer];
    struct part *part = h->records[first].part;

    if (t->world->plan.lossy)
        return;
    if (base_offset < 0)
        broken(t->world, "%s-%d: an append was acknowledged at %" PRId64, part->topic->name,
               part->partition, base_offset);
    for (int32_t i = 0; i < count; i++) {
        bind(t, part, base_offset + i, producer, first + (uint32_t)i);
        h->records[first + (uint32_t)i].state = SENT_ACKED;
        h->records[first + (uint32_t)i].life = life;
    }
    if (part->floor < base_offset + count)
        part->floor = base_offset + count;
    t->acked += (uint64_t)count;
}

void truth_never(struct truth *t, uint32_t producer, uint32_t first, int32_t count)
{
    struct history *h = &t->histories[producer];

    if (t->world->plan.lossy)
        return;
    for (int32_t i = 0; i < count; i++) {
        struct sent *s = &h->records[first + (uint32_t)i];
        if (s->offset >= 0)
            broken(t->world, "%s-%d: record %u of producer %u was refused for good, but is at %" PRId64,
                   s->part->topic->name, s->part->partition, first + (uint32_t)i, producer, s->offset);
        s->state = SENT_NEVER;
    }
}

/* ---- what readers see --------------------------------------------------------------------------------- */

/* T6: of the nearest records before and behind it that were read. */
static void check_epochs(struct truth *t, struct part *part, int64_t offset, int32_t epoch)
{
    struct slot *s = slot_at(part, offset);

    if (s->epoch != 0 && s->epoch != epoch + 1)
        broken(t->world, "%s-%d: the record at %" PRId64 " was of leader epoch %d, and now is of %d", part->topic->name,
               part->partition, offset, s->epoch - 1, epoch);
    s->epoch = epoch + 1;
    for (int64_t i = offset - 1; i >= 0 && offset - i < 16; i--) {
        if (part->slots[i].epoch > s->epoch)
            broken(t->world, "%s-%d: leader epoch %d at %" PRId64 " is followed by %d at %" PRId64, part->topic->name,
                   part->partition, part->slots[i].epoch - 1, i, epoch, offset);
    }
    for (int64_t i = offset + 1; i < part->slot_count && i - offset < 16; i++) {
        if (part->slots[i].epoch != 0 && part->slots[i].epoch < s->epoch)
            broken(t->world, "%s-%d: leader epoch %d at %" PRId64 " is followed by %d at %" PRId64, part->topic->name,
                   part->partition, epoch, offset, part->slots[i].epoch - 1, i);
    }
}

/* T6: later lives, later epochs. */
static void check_epoch(struct truth *t, struct part *part, int64_t offset, int32_t epoch, uint32_t life)
{
    struct epoch_span *s = NULL;

    for (uint32_t i = 0; i < part->span_count; i++) {
        if (part->spans[i].life == life)
            s = &part->spans[i];
    }
    if (s == NULL) {
        part->spans = realloc(part->spans, (part->span_count + 1) * sizeof *part->spans);
        ASSERT(part->spans != NULL);
        s = &part->spans[part->span_count++];
        *s = (struct epoch_span){life, epoch, epoch};
    }
    s->low = epoch < s->low ? epoch : s->low;
    s->high = epoch > s->high ? epoch : s->high;
    for (uint32_t i = 0; i < part->span_count; i++) {
        const struct epoch_span *other = &part->spans[i];
        if ((other->life < life && other->high >= s->low) || (other->life > life && other->low <= s->high))
            broken(t->world, "%s-%d: the batch at %" PRId64 " of life %u has leader epoch %d, life %u had %d to %d",
                   part->topic->name, part->partition, offset, life, epoch, other->life, other->low,
                   other->high);
    }
}

static void take_record(struct truth *t, struct part *part, const struct batch *batch,
                        const struct record *r, int64_t from)
{
    uint32_t producer, n;

    if (r->offset < from)
        return;
    record_owner(t, part, r, &producer, &n);
    bind(t, part, r->offset, producer, n);
    slot_at(part, r->offset)->look = t->look;
    check_epochs(t, part, r->offset, batch->leader_epoch);
    if (t->histories[producer].records[n].life != 0)
        check_epoch(t, part, r->offset, batch->leader_epoch, t->histories[producer].records[n].life);
    t->read++;
}

void truth_record(struct truth *t, struct part *part, const struct record *r)
{
    uint32_t producer, n;

    if (t->world->plan.lossy)
        return;
    record_owner(t, part, r, &producer, &n);
    bind(t, part, r->offset, producer, n);
    if (part->floor < r->offset + 1)
        part->floor = r->offset + 1;
    t->read++;
}

void truth_batch(struct truth *t, struct part *part, const struct batch *batch, int64_t from)
{
    struct records records = {0};
    struct record record;
    int rc;

    if (t->world->plan.lossy)
        return;
    if (!batch_crc_ok(batch))
        broken(t->world, "%s-%d: the batch at %" PRId64 " fails its checksum", part->topic->name,
               part->partition, batch->base_offset);
    rc = records_begin(&records, batch, RECORDS_PLAIN_MAX);
    while (rc == 0 && (rc = records_next(&records, &record)) == 1) {
        take_record(t, part, batch, &record, from);
        rc = 0;
    }
    records_end(&records);
    if (rc < 0)
        broken(t->world, "%s-%d: the batch at %" PRId64 " cannot be read: %s", part->topic->name,
               part->partition, batch->base_offset, error_text(rc));
    if (part->floor < batch->last_offset + 1)
        part->floor = batch->last_offset + 1;
}

void truth_high_watermark(struct truth *t, struct part *part, int64_t high_watermark, int64_t floor)
{
    if (t->world->plan.lossy)
        return;
    if (high_watermark < floor && world_is_cluster(t->world))
        return;
    if (high_watermark < floor)
        broken(t->world, "%s-%d: the high watermark is %" PRId64 ", but records below %" PRId64
               " were acknowledged or seen", part->topic->name, part->partition, high_watermark, floor);
    if (part->floor < high_watermark)
        part->floor = high_watermark;
}

/* T1 of a compacted topic: the newest record of each key was read just now. */
static void check_newest(struct truth *t, const struct part *part, int64_t from, int64_t end)
{
    int64_t newest[RECORD_KEYS];

    for (uint32_t k = 0; k < RECORD_KEYS; k++)
        newest[k] = -1;
    for (int64_t i = from; i < end && i < part->slot_count; i++) {
        if (part->slots[i].producer != 0)
            newest[record_key(part->slots[i].producer - 1, part->slots[i].n)] = i;
    }
    for (uint32_t k = 0; k < RECORD_KEYS; k++) {
        if (newest[k] >= 0 && part->slots[newest[k]].look != t->look)
            broken(t->world, "%s-%d: the newest record of key %u, at %" PRId64 ", was not read", part->topic->name,
                   part->partition, k, newest[k]);
    }
}

void truth_whole(struct truth *t, struct part *part, int64_t from, int64_t end)
{
    if (t->world->plan.lossy)
        return;
    if (end < part->floor)
        broken(t->world, "%s-%d: ends at %" PRId64 ", but records below %" PRId64
               " were acknowledged or seen", part->topic->name, part->partition, end, part->floor);
    if (part->topic->compacted) {
        check_newest(t, part, from, end);
        return;
    }
    for (int64_t i = from; i < end; i++) {
        if (i >= part->slot_count || part->slots[i].producer == 0)
            broken(t->world, "%s-%d: nothing was read at %" PRId64, part->topic->name, part->partition,
                   i);
    }
}

void truth_start(struct truth *t, struct part *part, int64_t offset, int64_t start, int64_t low)
{
    if (t->world->plan.lossy)
        return;
    if (offset < low)
        broken(t->world, "%s-%d: offset %" PRId64 " was served, but records below %" PRId64 " were deleted",
               part->topic->name, part->partition, offset, low);
    if (start >= 0 && (start < low || start > part->start_high))
        broken(t->world, "%s-%d: starts at %" PRId64 ", but should from %" PRId64 " to %" PRId64, part->topic->name,
               part->partition, start, low, part->start_high);
}

/* T3 once more, over all records. */
void truth_orders(struct truth *t)
{
    if (t->world->plan.lossy)
        return;
    for (uint32_t p = 0; p < PRODUCERS_MAX; p++) {
        struct history *h = &t->histories[p];
        for (uint32_t n = 0; h->idempotent && n < h->count; n++) {
            if (h->records[n].offset >= 0)
                check_order(t, p, n);
        }
    }
}
