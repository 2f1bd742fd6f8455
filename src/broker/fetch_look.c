/* A pass of a Fetch over what is due on one shard.
 *
 *   due ──► looked at ──┬─ an error, something to read or to tell ──► due, until the client has moved on
 *    ▲                  ├─ a follower's throttle is exceeded ────────► due, looked at when the window has moved
 *    ▲                  └─ nothing ──────────────────────────────────► quiet, watches its replica ─┐
 *    └──────────────────────────────────── its mark has moved ◄────────────────────────────────────┘
 */
#include "broker/fetch_set.h"
#include "broker/metrics.h"

static const struct fetch_pass *pass_of(const struct scatter_part *part)
{
    return part->scatter->state;
}

static struct fetch_side *side_of(const struct scatter_part *part)
{
    return &pass_of(part)->set->sides[part->shard->index];
}

/* ---- what moves ------------------------------------------------------------------------------- */

static void wake_arrived(struct io *io, struct io_message *m)
{
    fetch_woken(container_of(m, struct fetch_side, wake));
}

/* By message also on the own shard, because this is called from within the replica. A follower is not answered for a
 * high watermark that has moved, but hears of it with the next answer: unless consumers read from it. */
static void item_moved(struct replica_watch *w)
{
    struct fetch_item *item = container_of(w, struct fetch_item, watch);
    struct fetch_side *side = item->side;

#ifndef MUTANT_BROKER_FETCH_MISSES_MOVES
    if (!list_linked(&item->due))
        list_add_tail(&side->due, &item->due);
#endif
    if (w->only_mark && !side->set->by_rack)
        return;
    side->moved = true;
    if (!side->armed)
        return;
    side->armed = false;
    side->posted++;
    side->wake.run = wake_arrived;
    io_post(side->shard->io, side->set->home->index, &side->wake);
}

static void item_watch(const struct fetch_pass *pass, struct fetch_item *item, struct replica *replica)
{
    if (list_linked(&item->watch.node))
        return;
    item->watch.moved = item_moved;
    item->watch.any_role = pass->may_follow;
    item->watch.follower = item->set->reader >= 0;
    item->watch.follower_id = item->set->reader;
    item->watch.heard_ms = &item->side->heard_ms;
    replica_watch(replica, &item->watch);
}

static void item_leave(struct fetch_item *item)
{
    replica_watch_cancel(&item->watch);
    if (list_linked(&item->due))
        list_remove(&item->due);
}

void fetch_side_leave(struct fetch_side *side)
{
    LIST_EACH(it, &side->items)
        item_leave(container_of(it, struct fetch_item, in_side));
}

/* ---- the end of a pass ------------------------------------------------------------------------ */

/* Up to where it may be read: by followers also what is not stable here. */
static int64_t mark_of(const struct fetch_pass *pass, const struct replica *replica)
{
#ifdef MUTANT_BROKER_READS_PAST_WATERMARK
    return log_end(replica_log(replica));
#endif
    if (pass->set->reader >= 0)
        return log_end(replica_log(replica));
    return pass->isolation == READ_COMMITTED ? replica_last_stable_offset(replica)
                                             : replica_high_watermark(replica);
}

/* The part has enough to be sent, or must not wait. */
static bool part_is_enough(const struct fetch_pass *pass, const struct fetch_part *p)
{
    return p->failed || p->full || pass->last || p->bytes >= pass->min_bytes;
}

/* What has something to send is watched as well: it may get more. */
static void watch_results(struct scatter_part *part)
{
    const struct fetch_part *p = part->state;

    LIST_EACH(it, &p->results) {
        const struct fetch_result *result = container_of(it, struct fetch_result, node);
        item_watch(pass_of(part), result->item, result->replica);
        if (replica_log(result->replica) == NULL || mark_of(pass_of(part), result->replica) != result->read.limit)
            side_of(part)->moved = true;
    }
}

static void part_read_ended(struct scatter_part *part)
{
    struct fetch_part *p = part->state;
    struct fetch_side *side = side_of(part);

    if (--p->reading > 0)
        return;
    if (!part_is_enough(pass_of(part), p)) {
        watch_results(part);
        p->again = side->moved;
        /* A wake that has not come home yet will make the next pass. */
        side->armed = !side->moved && side->posted == side->received;
    }
    scatter_part_done(part);
}

/* ---- read ------------------------------------------------------------------------------------- */

static void result_release(struct fetch_result *result)
{
    log_spans_release(&result->spans);
    replica_release(result->replica);
    list_remove(&result->node);
}

static void item_fail(struct scatter_part *part, struct fetch_item *item, enum kerr error)
{
    struct fetch_part *p = part->state;

    item->error = error;
    if (item->result != NULL)
        result_release(item->result);
    item->result = NULL;
    p->failed = true;
    metrics_fetch_failed(part->shard, item->name);
}

static void aborted_done(struct op *op, int64_t result)
{
    struct fetch_result *r = container_of(op, struct fetch_result, op);
    struct scatter_part *part = r->part;

    if (result < 0)
        item_fail(part, r->item, KERR_KAFKA_STORAGE_ERROR);
    else
        r->aborted_count = result;
    part_read_ended(part);
}

/* The spans are there: count them, and say which transactions in them were aborted. */
static void result_read(struct fetch_result *result)
{
    struct scatter_part *part = result->part;
    struct fetch_item *item = result->item;
    struct fetch_part *p = part->state;
    struct log *log = replica_log(result->replica);

    if (log == NULL) { /* it was closed or deleted while it was read, or its directory has failed */
        item_fail(part, item, replica_absence(part->shard->replicas, item->topic_id, item->partition));
        part_read_ended(part);
        return;
    }
    p->bytes += result->spans.total_bytes;
    if (pass_of(part)->isolation != READ_COMMITTED || result->spans.total_bytes == 0 || log_never_aborted(log)) {
        part_read_ended(part);
        return;
    }
    op_init(&result->op, aborted_done);
    log_aborted_between(log, result->read.offset, result->read.limit, &part->arena, &result->aborted, &result->op);
}

static void cold_done(struct op *op, int64_t result)
{
    struct fetch_result *r = container_of(op, struct fetch_result, op);
    struct scatter_part *part = r->part;
    struct fetch_part *p = part->state;

    p->reserved_bytes -= r->read.max_bytes;
    if (result >= 0) {
        result_read(r);
        return;
    }
    if (result == -ERANGE) /* the log's start has moved past it meanwhile */
        item_fail(part, r->item, KERR_OFFSET_OUT_OF_RANGE);
    else
        item_fail(part, r->item, result == ERR_CORRUPT ? KERR_CORRUPT_MESSAGE : KERR_KAFKA_STORAGE_ERROR);
    part_read_ended(part);
}

static void item_read(struct scatter_part *part, struct fetch_item *item, struct replica *replica,
                      uint32_t bytes_max)
{
    struct fetch_part *p = part->state;
    struct fetch_result *result = arena_take(&part->arena, sizeof *result);
    const struct fetch_pass *pass = pass_of(part);

    result->item = item;
    result->part = part;
    result->replica = replica;
    result->throttled = pass->set->reader >= 0 && replica_is_throttled(replica);
    result->aborted_count = pass->isolation == READ_COMMITTED ? 0 : -1;
    result->read = (struct log_read){
        .offset = item->offset,
        .limit = mark_of(pass, replica),
        .max_bytes = bytes_max,
        .first_whole = p->bytes + p->reserved_bytes == 0,
        .arena = &part->arena,
    };
    replica_hold(replica);
    list_add_tail(&p->results, &result->node);
    item->result = result;
    p->reading++;
    if (log_read_tail(replica_log(replica), &result->read, &result->spans)) {
        result_read(result);
        return;
    }
    p->reserved_bytes += bytes_max;
    op_init(&result->op, cold_done);
    log_read_cold(replica_log(replica), &result->read, &result->spans, &result->op);
}

/* ---- look ------------------------------------------------------------------------------------- */

static uint32_t budget(const struct fetch_pass *pass, const struct fetch_part *p, int32_t partition_max)
{
    uint64_t taken = p->bytes + p->reserved_bytes;
    uint64_t left = pass->max_bytes > taken ? pass->max_bytes - taken : 0;

    return partition_max < 0 ? 0 : (uint64_t)partition_max < left ? (uint32_t)partition_max : (uint32_t)left;
}

/* A follower outside of the ISR that is throttled gets nothing for now; the other partitions go on. It is not watched:
 * what is appended changes nothing. */
static bool item_is_held(struct scatter_part *part, struct fetch_item *item, struct replica *replica)
{
    struct fetch_part *p = part->state;
    int32_t reader = item->set->reader;
    int64_t held_ms = reader < 0 ? 0 : replica_held_ms(replica, reader);

    if (held_ms > 0 && (p->held_ms == 0 || held_ms < p->held_ms))
        p->held_ms = held_ms;
    return held_ms > 0;
}

/* There is something to say about it. */
static void item_stays_due(struct scatter_part *part, struct fetch_item *item, struct list *seen)
{
    struct fetch_part *p = part->state;

    list_add_tail(seen, &item->due);
    item->next_seen = NULL;
    *p->seen_end = item;
    p->seen_end = &item->next_seen;
}

/* False: nothing is read of it, but an error, where it diverges, or whom to ask is to be told at once. */
static bool item_let_in(struct scatter_part *part, struct fetch_item *item, struct replica *replica)
{
    struct fetch_part *p = part->state;

    item->high_watermark = item->last_stable_offset = item->log_start = -1;
    item->diverging = (struct epoch_end){.epoch = -1, .end_offset = -1};
    item->preferred = -1;
    item->error = replica == NULL ? replica_absence(part->shard->replicas, item->topic_id, item->partition)
                                  : fetch_admit(pass_of(part), item, replica);
    if (item->error != KERR_NONE) {
        item_fail(part, item, item->error);
        return false;
    }
    item->high_watermark = replica_high_watermark(replica);
    item->last_stable_offset = replica_last_stable_offset(replica);
    item->log_start = log_start(replica_log(replica));
    item->preferred = fetch_preferred(part, item, replica);
    if (item->diverging.epoch < 0 && item->preferred < 0)
        return true;
    p->failed = true; /* to be answered at once */
    return false;
}

/* Look at an item that is in no list. It stays due, behind those that are left unread, or becomes quiet. */
static void item_look(struct scatter_part *part, struct fetch_item *item, struct list *seen)
{
    const struct fetch_pass *pass = pass_of(part);
    struct fetch_part *p = part->state;
    struct replica *replica = replica_find(part->shard->replicas, item->topic_id, item->partition);

    replica_watch_cancel(&item->watch);
    if (!item_let_in(part, item, replica)) {
        item_stays_due(part, item, seen);
        return;
    }
    if (item->offset >= mark_of(pass, replica)) {
        item_watch(pass, item, replica);
        if (pass->set->by_rack && pass->set->reader >= 0 && item->told_high_watermark >= 0 &&
            item->told_high_watermark != item->high_watermark)
            p->failed = true; /* the follower's consumers wait for it */
        if (item->told_high_watermark != item->high_watermark || item->told_log_start != item->log_start)
            item_stays_due(part, item, seen);
        return;
    }
    if (item_is_held(part, item, replica)) {
        item_stays_due(part, item, seen);
        return;
    }
    uint32_t bytes_max = budget(pass, p, item->bytes_max);
    if (bytes_max == 0 && p->bytes + p->reserved_bytes > 0) {
        p->full = true;
        list_add_tail(&item->side->due, &item->due);
        return;
    }
    item_stays_due(part, item, seen);
    item_read(part, item, replica, bytes_max);
}

/* The client has asked for these anew: with another offset, for the first time, or no more. */
static void take_touched(struct scatter_part *part, struct fetch_side *side)
{
    for (uint32_t i = 0; i < part->count; i++) {
        struct fetch_item *item = part->items[i];
        item_leave(item);
        if (!item->leaving)
            list_add_tail(&side->due, &item->due);
    }
}

static void release_results(struct scatter_part *part)
{
    const struct fetch_part *p = part->state;

    if (p == NULL)
        return;
    LIST_EACH(it, &p->results)
        result_release(container_of(it, struct fetch_result, node));
}

void fetch_look(struct scatter_part *part)
{
    struct fetch_side *side = side_of(part);
    struct list seen = LIST_INIT(seen), due = LIST_INIT(due);
    struct fetch_part *p;

    release_results(part);
    arena_reset(&part->arena); /* of the pass before */
    p = arena_take(&part->arena, sizeof *p);
    part->state = p;
    list_init(&p->results);
    p->seen_end = &p->seen;
    p->reading = 1;
    side->armed = side->moved = false;
    if (pass_of(part)->first) {
        side->heard_ms = io_now_ms(part->shard->io);
#ifdef MUTANT_BROKER_FETCH_TELLS_ONCE
        LIST_EACH(it, &side->due) {
            struct fetch_item *item = container_of(it, struct fetch_item, due);
            if (item->result != NULL)
                list_remove(it);
            item->result = NULL;
        }
#endif
        take_touched(part, side);
    }
    list_move_all(&due, &side->due);
    for (struct list *node; (node = list_take_head(&due)) != NULL;) {
        struct fetch_item *item = container_of(node, struct fetch_item, due);
        item->result = NULL;
        item_look(part, item, &seen);
    }
    list_move_all(&side->due, &seen);
    part_read_ended(part);
}

void fetch_release(struct scatter_part *part)
{
    release_results(part);
    if (!pass_of(part)->alone) {
        scatter_part_done(part);
        return;
    }
    fetch_side_leave(side_of(part));
    scatter_part_done_after(part); /* behind a wake that may be on its way */
}
