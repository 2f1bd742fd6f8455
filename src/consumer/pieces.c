/* What has come of a partition and was not taken yet: answers in the order of their offsets, each as whole batches. */
#include "consumer/internal.h"
#include "consumer/pieces.h"
#include "consumer/split.h"

#include <stdlib.h>

#include "protocol/fetch.h"

static bool same_producer(const struct map_node *n, const void *key)
{
    return container_of(n, struct aborted, node)->producer_id == *(const int64_t *)key;
}

static void piece_free(struct piece *p)
{
    map_deinit(&p->aborting);
    free(p->aborted);
    if (p->split != NULL)
        split_unref(p->split);
    fetch_unref(p->from);
    free(p);
}

void piece_end(struct part *p, struct piece *piece)
{
    list_remove(&piece->node);
    piece_free(piece);
    if (list_empty(&p->pieces) && list_linked(&p->full))
        list_remove(&p->full);
}

void pieces_drop(struct part *p)
{
    LIST_EACH(n, &p->pieces)
        piece_end(p, container_of(n, struct piece, node));
    p->piece_bytes = 0;
    p->fetch_from = p->position;
    p->fetch_epoch = p->position_epoch;
}

static int by_first_offset(const void *a, const void *b)
{
    int64_t x = ((const struct aborted *)a)->first_offset, y = ((const struct aborted *)b)->first_offset;

    return (x > y) - (x < y);
}

static void note_aborted(struct piece *piece, const struct fetch_response_responses_partitions *a)
{
    uint32_t n = a->aborted_transactions_count > 0 ? (uint32_t)a->aborted_transactions_count : 0;

    map_init(&piece->aborting, same_producer);
    if (n == 0)
        return;
    piece->aborted = calloc(n, sizeof *piece->aborted);
    ASSERT(piece->aborted != NULL);
    for (uint32_t i = 0; i < n; i++) {
        piece->aborted[i].producer_id = a->aborted_transactions[i].producer_id;
        piece->aborted[i].first_offset = a->aborted_transactions[i].first_offset;
    }
    qsort(piece->aborted, n, sizeof *piece->aborted, by_first_offset);
    piece->aborted_count = n;
}

/* Bytes of the whole batches in `records`, and where they end. What is damaged is among them, so that it is told
 * when its turn comes. */
static int32_t whole_bytes(const struct part *p, struct bytes records, int64_t *next, int32_t *epoch)
{
    struct bytes rest = records;
    struct batch b;
    int rc;

    while ((rc = batch_next(&rest, &b)) > 0) {
        if (b.last_offset < b.base_offset || b.last_offset == INT64_MAX)
            return records.n;
        if (b.last_offset >= *next) {
            *next = b.last_offset + 1;
            *epoch = b.leader_epoch;
        }
    }
    /* A batch that is cut off comes whole with the next answer; unless it is the first. */
    return rc == ERR_SHORT && *next > p->fetch_from ? records.n - rest.n : records.n;
}

void piece_add(struct part *p, struct fetch *f, const struct fetch_response_responses_partitions *a)
{
    int64_t next = p->fetch_from;
    int32_t epoch = p->fetch_epoch;
    struct piece *piece;
    int32_t n;

    if (a->records.n <= 0)
        return;
    n = whole_bytes(p, a->records, &next, &epoch);
    if (next == p->fetch_from) /* nothing of use: not again at once */
        part_back_off(p);
    piece = calloc(1, sizeof *piece);
    ASSERT(piece != NULL);
    piece->rest = (struct bytes){a->records.p, n};
    piece->from = f;
    f->refs++;
    if (p->consumer->settings.read_committed)
        note_aborted(piece, a);
    else
        map_init(&piece->aborting, same_producer);
    list_add_tail(&p->pieces, &piece->node);
    p->piece_bytes += n;
    p->fetch_from = next;
    p->fetch_epoch = epoch;
    if (!p->paused && !list_linked(&p->full))
        list_add_tail(&p->consumer->full, &p->full);
}

/* ---- aborted transactions ------------------------------------------------------------------------ */

static uint64_t hash_of(int64_t producer_id)
{
    return (uint64_t)producer_id * UINT64_C(0x9e3779b97f4a7c15);
}

/* Transactions that begin at or before the batch's end. */
static void open_aborted(struct piece *piece, const struct batch *b)
{
    while (piece->aborted_next < piece->aborted_count &&
           piece->aborted[piece->aborted_next].first_offset <= b->last_offset) {
        struct aborted *a = &piece->aborted[piece->aborted_next++];
        if (map_find(&piece->aborting, hash_of(a->producer_id), &a->producer_id) == NULL)
            map_add(&piece->aborting, &a->node, hash_of(a->producer_id));
    }
}

static struct map_node *aborting_find(struct piece *piece, const struct batch *b)
{
    return piece->aborted_count == 0 ? NULL : map_find(&piece->aborting, hash_of(b->producer_id), &b->producer_id);
}

/* A marker that says "abort" ends the producer's transaction. */
static void take_marker(struct piece *piece, const struct batch *b)
{
    struct map_node *n = aborting_find(piece, b);
    struct records r;
    struct record one;
    int16_t type;

#ifdef MUTANT_CONSUMER_ABORTED_STAYS
    return;
#endif
    if (n == NULL || records_begin(&r, b, (size_t)b->bytes.n) < 0)
        return;
    if (records_next(&r, &one) == 1 && control_type_read(one.key, &type) == 0 && type == CONTROL_ABORT)
        map_remove(&piece->aborting, n);
    records_end(&r);
}

bool piece_is_hidden(struct piece *piece, const struct batch *b)
{
    open_aborted(piece, b);
    if (batch_is_control(b)) {
        take_marker(piece, b);
        return true;
    }
    return batch_is_transactional(b) && aborting_find(piece, b) != NULL;
}
