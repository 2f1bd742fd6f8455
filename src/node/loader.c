/* From committed batches to images. */
#include "node/internal.h"

#include <stdlib.h>

#include "record/record.h"

/* A record that cannot be applied: this node does not understand its cluster, so it must not go on.
 */
static int refuse(struct node *n, const struct batch *b, struct fail *f)
{
    fail_wrap(f, "the metadata log cannot be understood at offset %" PRId64, b->base_offset);
    node_fail(n, f);
    return f->error;
}

/* A footer ends a snapshot. */
static void apply_control(struct node *n, const struct record *r)
{
    int16_t type;

    if (control_type_read(r->key, &type) < 0 || type != CONTROL_SNAPSHOT_FOOTER || !n->in_snapshot)
        return;
    n->in_snapshot = false;
    image_unref(n->loaded);
    n->loaded = image_edit_finish(n->edit, n->snapshot_id.end_offset - 1, n->snapshot_id.epoch, 0);
    n->edit = NULL;
}

static int apply_batch(struct node *n, const struct batch *b)
{
    struct records records;
    struct record r;
    struct fail f = {0};
    int rc;

    if (!batch_crc_ok(b)) {
        fail_set(&f, ERR_CORRUPT, "a batch is damaged: its checksum is wrong");
        return refuse(n, b, &f);
    }
    rc = records_begin(&records, b, METADATA_BATCH_BYTES_MAX);
    while (rc >= 0 && (rc = records_next(&records, &r)) == 1) {
        if (batch_is_control(b)) {
            apply_control(n, &r);
            continue;
        }
        rc = image_edit_apply(n->edit, r.value, &f);
        if (rc < 0)
            break;
    }
    records_end(&records);
    if (rc < 0 && f.error == 0)
        fail_set(&f, rc, "a batch cannot be read: %s", error_text(rc));
    return rc < 0 ? refuse(n, b, &f) : 0;
}

void loader_committed(void *ctx, struct bytes batches)
{
    struct node *n = ctx;
    struct batch b = {0};
    struct fail f = {0};
    int more;

    if (n->failed)
        return;
    if (n->edit == NULL)
        n->edit = image_edit_begin(n->loaded);
    while ((more = batch_next(&batches, &b)) == 1) {
        if (apply_batch(n, &b) < 0)
            return;
        if (n->edit == NULL) /* a snapshot has ended */
            n->edit = image_edit_begin(n->loaded);
        controller_registration_seen(n, image_edit_controller(n->edit, n->options.node_id));
    }
    if (more < 0) {
        fail_set(&f, more, "a batch is damaged: %s", error_text(more));
        refuse(n, &b, &f);
        return;
    }
    if (n->in_snapshot)
        return;
    /* The snapshot's own offsets say nothing: its image has its id already. */
    if (b.leader_epoch < 0 || b.last_offset <= image_offset(n->loaded)) {
        image_edit_abandon(n->edit);
        n->edit = NULL;
        return;
    }
    const struct image *next =
        image_edit_finish(n->edit, b.last_offset, b.leader_epoch, b.max_timestamp_ms);
    n->edit = NULL;
    image_unref(n->loaded);
    n->loaded = next;
}

void loader_snapshot(void *ctx, struct raft_snapshot_id id)
{
    struct node *n = ctx;

    if (n->edit != NULL)
        image_edit_abandon(n->edit);
    image_unref(n->loaded);
    n->loaded = image_empty();
    n->edit = image_edit_begin(n->loaded);
    n->in_snapshot = true;
    n->snapshot_id = id;
}

/* ---- snapshots ------------------------------------------------------------------------------- */

/* Records of an image, one after another in one piece of memory. */
struct framed_list {
    struct text bytes;
    size_t *ends;
    uint32_t count, capacity;
};

static void add_framed(void *ctx, struct bytes framed)
{
    struct framed_list *list = ctx;

    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 1024 : list->capacity * 2;
        list->ends = realloc(list->ends, list->capacity * sizeof *list->ends);
        ASSERT(list->ends != NULL);
    }
    text_add(&list->bytes, framed.p, (size_t)framed.n);
    list->ends[list->count++] = list->bytes.n;
}

/* What is shown may be a batch behind. */
static const struct image *written(const struct node *n)
{
#ifdef MUTANT_NODE_SNAPSHOT_MISSES_LAST
    if (n->published != NULL)
        return n->published;
#endif
    return n->loaded;
}

static void snapshot_done(struct op *op, int64_t result)
{
    struct node *n = container_of(op, struct node, snapshot);

    n->snapshotting = false;
    if (result < 0 && result != -EEXIST)
        say(n->telemetry, LOG_ERROR, "node", "cannot write a metadata snapshot: %s",
            error_text((int)result));
}

void loader_snapshot_when_due(struct node *n)
{
    struct framed_list list = {0};
    struct raft_snapshot_id id = {image_offset(n->loaded) + 1, image_epoch(n->loaded)};
    struct bytes *framed;
    size_t at = 0;

    if (n->snapshotting || image_offset(n->loaded) < 0 ||
        !quorum_snapshot_due(n->quorum))
        return;
    n->snapshotting = true;
    image_write(written(n), add_framed, &list);
    framed = calloc(list.count + 1, sizeof *framed);
    ASSERT(framed != NULL);
    for (uint32_t i = 0; i < list.count; i++) {
        framed[i] =
            (struct bytes){(const uint8_t *)list.bytes.p + at, (int32_t)(list.ends[i] - at)};
        at = list.ends[i];
    }
    op_init(&n->snapshot, snapshot_done);
    quorum_snapshot(n->quorum, id, image_timestamp_ms(n->loaded), framed, list.count, &n->snapshot);
    free(framed);
    free(list.ends);
    text_deinit(&list.bytes);
}
