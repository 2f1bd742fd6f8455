/* The copy of a log that moves: batch by batch, as they lie there, while the log grows. */
#include "replica/move.h"

/* One read: enough for a disk, little to hold. What was copied is made durable after FLUSH_BYTES of it, which bounds
 * what waits in memory. */
#define PIECE_BYTES (1u << 20)
#define FLUSH_BYTES (8u << 20)

#define ASSIGNED_MS 20
#define STABLE_MS 2
#define ROOM_MS 1000
#define METADATA_VERSION_DIRECTORIES 17

/* Only what is stable: it stays, also when this node loses power. */
static bool has_more(const struct move *m)
{
    return !m->begun || log_end(m->log) < log_stable(m->replica->log);
}

static void read_piece(struct move *m, struct op *op)
{
    struct log *from = m->replica->log;
    int64_t at = m->begun ? log_end(m->log) : log_start(from);

    arena_reset(&m->arena);
    text_clear(&m->bytes);
    m->read = (struct log_read){
        .offset = at < log_start(from) ? log_start(from) : at, /* old segments went meanwhile */
        .limit = log_stable(from),
        .max_bytes = PIECE_BYTES,
        .first_whole = true,
        .arena = &m->arena,
    };
    log_read_bytes(from, &m->read, &m->bytes, op);
}

/* At the beginning; and when the source has dropped batches that the copy lacks, and with them what they say of
 * producers. */
static bool begins_anew(const struct move *m)
{
    if (!m->begun)
        return true;
    if (m->read.offset <= log_end(m->log))
        return false;
    return m->bytes.n < 8 || get_i64(m->bytes.p) > log_end(m->log);
}

/* Where the source starts, though its first batch may lie behind that (compaction), or hold it in its middle: with the
 * whole batch, then. */
static void begin_anew(struct move *m, struct op *op)
{
    int64_t offset = m->read.offset;

    if (m->bytes.n >= 8 && get_i64(m->bytes.p) < offset)
        offset = get_i64(m->bytes.p);
    m->begun = true;
    log_begin_copy(m->log, offset, m->replica->log, op);
}

static bool there_is_room(const struct move *m)
{
    return log_dir_take_room(m->to, (int64_t)m->bytes.n);
}

/* 0: go on. The end is not held up: nothing is appended meanwhile. */
static int64_t held_ms(const struct move *m)
{
    int64_t wait_ms = m->replica->paused ? 0 : replicas_throttle_ms(m->replica->set, THROTTLE_MOVES);

    return wait_ms < MOVE_TURN_MS ? wait_ms : MOVE_TURN_MS; /* the rate may change */
}

static int append_piece(struct move *m)
{
    m->unflushed_bytes += m->bytes.n;
    replicas_copied(m->replica->set, THROTTLE_MOVES, m->bytes.n);
    return log_append_stamped(m->log, bytes_of_str(text_str(&m->bytes)), io_wall_ms(move_io(m)));
}

static bool flush_is_due(const struct move *m)
{
    return m->unflushed_bytes > 0 && (m->unflushed_bytes >= FLUSH_BYTES || !has_more(m));
}

/* ---- all of it ------------------------------------------------------------------------------- */

static bool is_assigned(const struct move *m)
{
    const struct replica *r = m->replica;
    const struct image *image = r->set->image;
    const struct image_partition *p;

    if (image == NULL)
        return false;
    if (image_metadata_version(image) < METADATA_VERSION_DIRECTORIES)
        return true;
    p = image_partition_find(image, r->topic_id, r->partition);
    return p != NULL && uuid_equal(replica_assigned_to(r->set, p), m->to->directory_id);
}

static bool is_whole(const struct move *m)
{
    const struct log *from = m->replica->log;

    return log_stable(from) == log_end(from) && !has_more(m);
}

static void copy_run(struct flow *f)
{
    struct move *m = container_of(f, struct move, copy);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(move_io(m), &f->op));
    while (move_goes_on(m)) {
        if (has_more(m)) {
            if (held_ms(m) > 0) {
                FLOW_WAIT(f, "wait for the throttle", move_pause(m, held_ms(m), &f->op));
                continue;
            }
            FLOW_WAIT(f, "read", read_piece(m, &f->op));
            if (f->result == -ERANGE || !move_goes_on(m)) /* its start has moved */
                continue;
            if (f->result < 0)
                goto failed;
            if (begins_anew(m))
                FLOW_TRY(f, "begin", begin_anew(m, &f->op));
            if (!there_is_room(m)) {
                FLOW_WAIT(f, "wait for room", move_pause(m, ROOM_MS, &f->op));
                continue;
            }
            f->result = append_piece(m);
            if (f->result < 0)
                goto failed;
        }
        if (move_goes_on(m) && flush_is_due(m)) {
            m->unflushed_bytes = 0;
            FLOW_TRY(f, "flush", log_flush(m->log, &f->op));
        }
        if (!move_goes_on(m) || has_more(m))
            continue;
        if (!is_assigned(m)) {
            if (!m->told)
                move_tell(m, m->to->directory_id);
            FLOW_WAIT(f, "wait for the controller", move_pause(m, ASSIGNED_MS, &f->op));
            continue;
        }
        m->replica->paused = true;
        if (is_whole(m))
            break;
        FLOW_WAIT(f, "wait for the source", move_pause(m, STABLE_MS, &f->op));
    }
    FLOW_END(f);
    flow_done(f, move_goes_on(m) ? 0 : -ECANCELED);
    return;
failed:
    flow_done(f, f->result);
}

void move_copy(struct move *m, struct op *op)
{
    flow_start(&m->copy, copy_run, op);
}
