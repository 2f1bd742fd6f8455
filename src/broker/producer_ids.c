#include "broker/producer_ids.h"

/* A request that asks for a block; others of the shard may do so at the same time: ids are plenty. */
struct asking {
    struct op op;
    struct scatter_part *part;
    struct producer_id_block block;
    int64_t result;
    void (*taken)(struct request *r, int64_t id);
};

static int64_t next_id(struct producer_id_block *b)
{
    b->count--;
    return b->first++;
}

static void allocated(struct op *op, int64_t result)
{
    struct asking *a = container_of(op, struct asking, op);

    a->result = result;
    scatter_part_done(a->part);
}

/* On the home shard. */
static void part_allocate(struct scatter_part *part)
{
    struct asking *a = part->items[0];

    a->part = part;
    op_init(&a->op, allocated);
    node_allocate_producer_ids(part->shard->broker->node, &a->block, &a->op);
}

static void joined(struct scatter *s)
{
    struct asking *a = s->state;

    if (a->result < 0 || a->block.count <= 0) {
        a->taken(s->request, -1);
        return;
    }
    int64_t id = next_id(&a->block);
    if (s->home->producer_ids.count == 0)
        s->home->producer_ids = a->block;
    a->taken(s->request, id);
}

void producer_id_take(struct request *r, void (*taken)(struct request *r, int64_t id))
{
    struct scatter *s;
    struct asking *a;

    if (r->shard->producer_ids.count > 0) {
        taken(r, next_id(&r->shard->producer_ids));
        return;
    }
    a = arena_take(&r->arena, sizeof *a);
    a->taken = taken;
    s = scatter_new(r, part_allocate, joined);
    s->state = a;
    scatter_add(s, 0, a);
    scatter_run(s);
}
