/* Records applied, one by one. */
#include "image/internal.h"

#include <stdlib.h>

static bool draft_is(const struct map_node *node, const void *key)
{
    return uuid_equal(container_of(node, struct draft, node)->id, *(const struct uuid *)key);
}

struct image_edit *image_edit_begin(const struct image *base)
{
    struct image_edit *e = take_memory(sizeof(*e));

    *e = (struct image_edit){.in_transaction = base->in_transaction};
    if (base->in_transaction) {
        e->state = state_copy(&base->open);
        e->saved = state_copy(&base->visible);
    } else {
        e->state = state_copy(&base->visible);
    }
    map_init(&e->drafts, draft_is);
    list_init(&e->order);
    arena_init(&e->drafted, 0);
    arena_init(&e->scratch, 0);
    return e;
}

static void edit_free(struct image_edit *e)
{
    drafts_drop(e);
    state_deinit(&e->state);
    state_deinit(&e->saved);
    map_deinit(&e->drafts);
    arena_deinit(&e->drafted);
    arena_deinit(&e->scratch);
    free(e);
}

void image_edit_abandon(struct image_edit *e)
{
    if (e != NULL)
        edit_free(e);
}

struct image *image_edit_finish(struct image_edit *e, int64_t offset, int32_t epoch,
                                int64_t timestamp_ms)
{
    struct image *i = image_empty();

    ASSERT(!e->failed);
    drafts_finish(e);
    i->offset = offset;
    i->epoch = epoch;
    i->timestamp_ms = timestamp_ms;
    i->in_transaction = e->in_transaction;
    if (e->in_transaction) {
        i->visible = state_copy(&e->saved);
        i->open = state_copy(&e->state);
    } else {
        i->visible = state_copy(&e->state);
    }
    edit_free(e);
    return i;
}

/* ---- metadata transactions (KIP-868) ------------------------------------------------------------
 */

static int apply_begin_transaction(struct image_edit *e, const void *record, struct fail *f)
{
    if (e->in_transaction)
        return fail_set(f, ERR_CORRUPT, "a metadata transaction is open already");
    drafts_finish(e);
    e->saved = state_copy(&e->state);
    e->in_transaction = true;
    return 0;
}

static int apply_end_transaction(struct image_edit *e, const void *record, struct fail *f)
{
    if (!e->in_transaction)
        return fail_set(f, ERR_CORRUPT, "no metadata transaction is open");
    state_deinit(&e->saved);
    e->in_transaction = false;
    return 0;
}

static int apply_abort_transaction(struct image_edit *e, const void *record, struct fail *f)
{
    if (!e->in_transaction)
        return fail_set(f, ERR_CORRUPT, "no metadata transaction is open");
    drafts_drop(e);
    state_deinit(&e->state);
    e->state = e->saved;
    e->saved = (struct state){0};
    e->in_transaction = false;
    return 0;
}

/* NoOp; and what only clusters that came from ZooKeeper wrote. */
static int apply_nothing(struct image_edit *e, const void *record, struct fail *f)
{
    return 0;
}

/* ---- the way in --------------------------------------------------------------------------------
 */

typedef int apply_record(struct image_edit *e, const void *record, struct fail *f);

static apply_record *const apply_of_type[] = {
    [0] = apply_register_broker,
    [1] = apply_unregister_broker,
    [2] = apply_topic,
    [3] = apply_partition,
    [4] = apply_config,
    [5] = apply_partition_change,
    [7] = apply_fence_broker,
    [8] = apply_unfence_broker,
    [9] = apply_remove_topic,
    [10] = apply_token,
    [11] = apply_scram,
    [12] = apply_feature_level,
    [14] = apply_client_quota,
    [15] = apply_producer_ids,
    [17] = apply_broker_change,
    [18] = apply_acl,
    [19] = apply_remove_acl,
    [20] = apply_nothing,
    [21] = apply_nothing,
    [22] = apply_remove_scram,
    [23] = apply_begin_transaction,
    [24] = apply_end_transaction,
    [25] = apply_abort_transaction,
    [26] = apply_remove_token,
    [27] = apply_register_controller,
    [28] = apply_clear_elr,
    [29] = apply_unregister_controller,
};

/* A long edit (a snapshot) must not hold every topic twice. */
#define DRAFTED_BYTES_MAX ((size_t)16 << 20)

int image_edit_apply(struct image_edit *e, struct bytes framed, struct fail *f)
{
    struct message_framed record = {0};
    struct fail own = {0};
    int rc;

    ASSERT(!e->failed);
    if (f == NULL)
        f = &own;
    arena_reset(&e->scratch);
    rc = message_metadata_read(framed, MESSAGE_METADATA, &e->scratch, &record);
    if (rc < 0) {
        e->failed = true;
        return fail_set(f, rc, "metadata record%s%s: %s", record.message == NULL ? "" : " ",
                        record.message == NULL ? "" : record.message->name, error_text(rc));
    }
    ASSERT((size_t)record.message->key < array_count(apply_of_type));
    ASSERT(apply_of_type[record.message->key] != NULL);
    rc = apply_of_type[record.message->key](e, record.value, f);
    if (rc < 0) {
        e->failed = true;
        return fail_wrap(f, "metadata record %s", record.message->name);
    }
    if (e->drafted.taken_bytes > DRAFTED_BYTES_MAX)
        drafts_finish(e);
    return 0;
}
