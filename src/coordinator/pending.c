/* Records of open transactions, held as batches by producer id until the marker (C4). */
#include "coordinator/internal.h"

#include <stdlib.h>

struct pending {
    struct map_node node;
    int64_t producer_id;
    struct text batches; /* one behind the other, in the order of the log */
};

static uint64_t hash_of(int64_t producer_id)
{
    return (uint64_t)producer_id * 0x9e3779b97f4a7c15u;
}

static struct pending *pending_find(const struct coordinator *c, int64_t producer_id)
{
    struct map_node *node = map_find(&c->pending, hash_of(producer_id), &producer_id);

    return node == NULL ? NULL : container_of(node, struct pending, node);
}

/* Tell the machine what waits. */
static int announce(struct coordinator *c, const struct batch *b, int64_t from)
{
    struct records records;
    struct record record;
    int more = records_begin(&records, b, BATCH_PLAIN_BYTES_MAX);

    if (more == 0) {
        while ((more = records_next(&records, &record)) > 0) {
            c->offset = record.offset;
            if (record.offset >= from && c->machine->held != NULL)
                c->machine->held(c->state, b->producer_id, record.key, record.value);
        }
        records_end(&records);
    }
    if (more < 0)
        return fail_set(&c->fail, more, "the transactional batch at offset %" PRId64 ": %s",
                        b->base_offset, error_text(more));
    return 0;
}

int pending_hold(struct coordinator *c, const struct batch *b, int64_t from)
{
    struct pending *p = pending_find(c, b->producer_id);

    if (b->count == 0)
        return 0;
    TRY(announce(c, b, from));
    if (p == NULL) {
        p = calloc(1, sizeof(*p));
        ASSERT(p != NULL);
        p->producer_id = b->producer_id;
        map_add(&c->pending, &p->node, hash_of(b->producer_id));
    }
    text_add(&p->batches, b->bytes.p, (size_t)b->bytes.n);
    return 0;
}

static int pending_apply(struct coordinator *c, const struct pending *p)
{
    struct bytes rest = bytes_of_str(text_str(&p->batches));
    struct batch b;

    for (int more; (more = batch_next(&rest, &b)) != 0;) {
        ASSERT(more > 0); /* whole when they were held */
        TRY(apply_records(c, &b, 0));
    }
    return 0;
}

int pending_decide(struct coordinator *c, int64_t producer_id, bool commit)
{
    struct pending *p = pending_find(c, producer_id);
    int error = 0;

    if (p != NULL) {
        map_remove(&c->pending, &p->node);
        if (commit)
            error = pending_apply(c, p);
        text_deinit(&p->batches);
        free(p);
    }
    if (error == 0 && c->machine->decided != NULL)
        c->machine->decided(c->state, producer_id, commit);
    return error;
}

void pending_free(struct coordinator *c)
{
    MAP_EACH (node, &c->pending) {
        struct pending *p = container_of(node, struct pending, node);

        map_remove(&c->pending, node);
        text_deinit(&p->batches);
        free(p);
    }
    map_deinit(&c->pending);
}

bool pending_equal(const struct map_node *node, const void *key)
{
    return container_of(node, const struct pending, node)->producer_id == *(const int64_t *)key;
}
