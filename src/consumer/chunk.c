/* Cutting chunks from what has come, and reading them. */
#include "consumer/internal.h"
#include "consumer/pieces.h"
#include "consumer/split.h"

#include <stdlib.h>

/* ---- cutting -------------------------------------------------------------------------------- */

static void damaged(struct part *p, const struct batch *b, const char *what)
{
    struct consumer_error e;
    int64_t at = b == NULL || b->base_offset < p->position ? p->position : b->base_offset;

    part_stop(p, at, error_code(&e, KERR_CORRUPT_MESSAGE, CONSUMER_SEEK,
                                "%.*s-%d: the batch at offset %" PRId64 " %s; to go on behind it, seek",
                                STR_ARG(p->id.topic), p->id.partition, at, what));
}

/* The next batch of the piece that is not below the position: 1; 0 = no more; negative: told as damaged. */
static int next_batch(struct part *p, struct piece *piece, struct batch *b)
{
    int rc;

    while ((rc = batch_next(&piece->rest, b)) > 0) {
        p->piece_bytes -= b->bytes.n;
        if (b->last_offset < b->base_offset || b->last_offset == INT64_MAX) {
            damaged(p, b, "ends where no batch can");
            return ERR_CORRUPT;
        }
        if (b->last_offset < p->position)
            continue;
        if (p->consumer->settings.check_crcs && !batch_crc_ok(b)) {
            damaged(p, b, "fails its checksum");
            return ERR_CORRUPT;
        }
        return 1;
    }
    if (rc == ERR_VERSION)
        damaged(p, NULL, "has a format older than magic 2, or none");
    else if (rc == ERR_SHORT)
        damaged(p, NULL, "is cut off: it is damaged, or larger than max.partition.fetch.bytes");
    else if (rc < 0)
        damaged(p, NULL, "has a length that cannot be");
    return rc;
}

static void move_to(struct part *p, const struct batch *b)
{
    p->position = b->last_offset + 1;
    p->position_epoch = b->leader_epoch;
}

static struct chunk *chunk_new(struct part *p, struct piece *piece, const struct batch *b)
{
    struct chunk *k = calloc(1, sizeof *k + (size_t)p->id.topic.n);

    ASSERT(k != NULL);
    memcpy(k + 1, p->id.topic.p, (size_t)p->id.topic.n);
    k->public = (struct consumer_chunk){
        .topic = {(const char *)(k + 1), p->id.topic.n},
        .partition = p->id.partition,
        .first = p->position,
        .attributes = b->attributes,
    };
    k->consumer = p->consumer;
    k->done = p->position;
    k->plain_max = p->consumer->settings.plain_bytes_max;
    k->run = (struct bytes){b->bytes.p, 0};
    k->from = piece->from;
    k->from->refs++;
    list_add_tail(&p->consumer->chunks, &k->all);
    return k;
}

static void extend(struct chunk *k, struct part *p, const struct batch *b)
{
    move_to(p, b);
    k->run.n += b->bytes.n;
    k->records_in_run += b->count;
    k->public.next = k->counts = k->covers = p->position;
    k->public.leader_epoch = k->covers_epoch = b->leader_epoch;
    k->public.bytes = (uint32_t)k->run.n;
}

static bool is_plain(const struct batch *b)
{
    return batch_codec(b) == CODEC_NONE;
}

/* The batch behind the run belongs to it: it is looked at without being taken. */
static bool goes_on(const struct chunk *k, struct part *p, struct piece *piece, struct batch *b)
{
    uint32_t need;

    if (piece->rest.n <= 0 || batch_read(piece->rest, b, &need) < 0)
        return false;
    return is_plain(b) && !batch_is_control(b) && !batch_is_transactional(b) && b->base_offset >= p->position &&
           b->last_offset >= b->base_offset && b->last_offset != INT64_MAX &&
           k->records_in_run + b->count <= p->consumer->settings.max_poll_records &&
           (!p->consumer->settings.check_crcs || batch_crc_ok(b));
}

/* Records of the batch that is given in several chunks. */
static struct chunk *cut_split(struct part *p, struct piece *piece)
{
    struct split *s = piece->split;
    struct chunk *k = chunk_new(p, piece, &s->batch);

    k->split = s;
    s->refs++;
    k->number = s->number;
    k->public.bytes = s->number == 0 ? (uint32_t)s->batch.bytes.n : 0;
    p->position = split_take(s, p->position, p->consumer->settings.max_poll_records, &k->count);
    p->position_epoch = s->batch.leader_epoch;
    k->public.next = k->counts = k->covers = p->position;
    k->public.leader_epoch = k->covers_epoch = s->batch.leader_epoch;
    if (p->position > s->batch.last_offset) {
        split_unref(s);
        piece->split = NULL;
    }
    done_handed_out(p, k);
    return k;
}

/* One chunk of the piece; NULL: nothing in it (any more). */
static struct chunk *cut_piece(struct part *p, struct piece *piece)
{
    const struct consumer_settings *settings = &p->consumer->settings;
    struct chunk *k;
    struct batch b;
    int rc;

    if (piece->split != NULL)
        return cut_split(p, piece);
    while ((rc = next_batch(p, piece, &b)) > 0) {
        if (piece_is_hidden(piece, &b) || b.count == 0) {
            move_to(p, &b);
            done_skipped(p, p->position, p->position_epoch);
            continue;
        }
        piece->split = split_new(&b, p->position, settings->max_poll_records, (size_t)settings->plain_bytes_max);
        if (piece->split != NULL)
            return cut_split(p, piece);
        k = chunk_new(p, piece, &b);
        extend(k, p, &b);
        while (is_plain(&b) && !batch_is_transactional(&b) && goes_on(k, p, piece, &b)) {
            piece->rest.p += b.bytes.n;
            piece->rest.n -= b.bytes.n;
            p->piece_bytes -= b.bytes.n;
            extend(k, p, &b);
        }
        k->rest = k->run;
        done_handed_out(p, k);
        return k;
    }
    if (rc == 0) /* else it went with the others */
        piece_end(p, piece);
    return NULL;
}

struct chunk *chunk_cut(struct part *p)
{
    struct piece *piece;
    struct chunk *k = NULL;

    while (k == NULL && (piece = LIST_FIRST(&p->pieces, struct piece, node)) != NULL)
        k = cut_piece(p, piece);
    return k;
}

/* ---- reading -------------------------------------------------------------------------------- */

static struct chunk *of(struct consumer_chunk *public)
{
    return container_of(public, struct chunk, public);
}

/* Begin the next batch of the run: 1, 0 = no more. */
static int open_next(struct chunk *k)
{
    struct bytes rest = k->rest;
    int rc = batch_next(&rest, &k->batch);

    if (rc <= 0)
        return rc;
    TRY(records_begin(&k->records, &k->batch, (size_t)k->plain_max));
    k->rest = rest;
    k->open = true;
    return 1;
}

static int bad(struct chunk *k, struct record *out, int64_t offset, int error)
{
    k->bad = error != -ENOMEM;
    *out = (struct record){.offset = offset, .key = BYTES_NULL, .value = BYTES_NULL, .headers = BYTES_NULL};
    return error;
}

static int next_of_split(struct chunk *k, struct record *out)
{
    int rc;

    if (!k->open) {
        rc = split_open(k->split, k->number, &k->records);
        if (rc < 0)
            return bad(k, out, k->split->batch.base_offset, rc);
        k->start = records_place(&k->records);
        k->left = k->count;
        k->open = true;
    }
    if (k->left == 0 && k->records.left > 0)
        return 0;
    rc = records_next(&k->records, out);
    if (rc == 0)
        return 0;
    if (rc < 0 || out->offset < k->public.first || out->offset >= k->public.next)
        return bad(k, out, k->split->batch.base_offset, rc < 0 ? rc : ERR_CORRUPT);
    if (--k->left == 0)
        split_mark(k->split, &k->records);
    return 1;
}

int consumer_chunk_next(struct consumer_chunk *public, struct record *out)
{
    struct chunk *k = of(public);
    int rc;

    if (UNLIKELY(k->bad))
        return bad(k, out, k->split == NULL ? k->batch.base_offset : k->split->batch.base_offset, ERR_CORRUPT);
    if (k->split != NULL)
        return next_of_split(k, out);
    for (;;) {
        if (LIKELY(k->open)) {
            rc = records_next(&k->records, out);
            if (LIKELY(rc > 0)) {
                if (LIKELY(out->offset >= public->first))
                    return 1;
                continue;
            }
            if (rc < 0)
                return bad(k, out, k->batch.base_offset, rc);
            if (k->rest.n == 0)
                return 0; /* the last batch stays open, for a rewind */
            records_end(&k->records);
            k->open = false;
        }
        rc = open_next(k);
        if (rc == 0)
            return 0;
        if (rc < 0)
            return bad(k, out, k->batch.base_offset, rc);
    }
}

void consumer_chunk_rewind(struct consumer_chunk *public)
{
    struct chunk *k = of(public);

    k->bad = false;
    if (k->split != NULL) {
        if (k->open)
            records_go(&k->records, k->start);
        k->left = k->count;
        return;
    }
    if (k->open && k->batch.bytes.p == k->run.p) {
        records_rewind(&k->records);
        return;
    }
    if (k->open)
        records_end(&k->records);
    k->open = false;
    k->rest = k->run;
}

/* ---- its end -------------------------------------------------------------------------------- */

void consumer_chunk_done(struct consumer_chunk *public, int64_t offset)
{
    done_up_to(of(public), offset);
}

void consumer_chunk_release(struct consumer_chunk *public, int64_t done_to)
{
    struct chunk *k = of(public);
    struct consumer *c = k->consumer;

    ASSERT(k->from != NULL);
    if (k->open)
        records_end(&k->records);
    k->open = false;
    if (k->split != NULL)
        split_unref(k->split);
    k->split = NULL;
    fetch_unref(k->from);
    k->from = NULL;
    if (c != NULL)
        list_remove(&k->all);
    k->consumer = NULL;
    if (k->part != NULL && done_to > k->done)
        k->done = done_to < k->counts ? done_to : k->counts;
    done_released(k);
    if (c != NULL)
        consumer_poke(c);
}

void chunk_free(struct chunk *k)
{
    ASSERT(k->from == NULL);
    free(k);
}
