#include "broker/scatter.h"

/* Items are few (partitions of a request); the array of a part grows by doubling in the request's
 * arena. */
#define ITEMS_FIRST 8

struct scatter *scatter_new(struct request *r, void (*run)(struct scatter_part *part),
                            void (*joined)(struct scatter *s))
{
    struct broker *b = r->shard->broker;
    struct scatter *s = arena_take(&r->arena, sizeof *s);

    s->request = r;
    s->home = r->shard;
    s->run = run;
    s->joined = joined;
    s->parts = arena_take_array(&r->arena, b->shard_count, sizeof *s->parts);
    for (uint32_t i = 0; i < b->shard_count; i++) {
        s->parts[i].scatter = s;
        s->parts[i].shard = &b->shards[i];
        arena_init(&s->parts[i].arena, 0);
    }
    list_add_tail(&r->scatters, &s->node);
    return s;
}

void scatter_deinit(struct scatter *s)
{
    ASSERT(s->left == 0);
    for (uint32_t i = 0; i < s->home->broker->shard_count; i++)
        arena_deinit(&s->parts[i].arena);
}

void scatter_add(struct scatter *s, uint32_t shard, void *item)
{
    struct scatter_part *part = &s->parts[shard];

    if (part->count == part->capacity) {
        uint32_t capacity = part->capacity == 0 ? ITEMS_FIRST : part->capacity * 2;
        void **items = arena_take_array(&s->request->arena, capacity, sizeof *items);
        if (part->count > 0)
            memcpy(items, part->items, part->count * sizeof *items);
        part->items = items;
        part->capacity = capacity;
    }
    part->items[part->count++] = item;
}

void scatter_include(struct scatter *s, uint32_t shard)
{
    s->parts[shard].included = true;
}

void scatter_everywhere(struct scatter *s)
{
    for (uint32_t i = 0; i < s->home->broker->shard_count; i++)
        scatter_include(s, i);
}

/* On the part's shard. */
static void part_arrived(struct io *io, struct io_message *m)
{
    struct scatter_part *part = container_of(m, struct scatter_part, message);

    part->scatter->run(part);
}

/* Back on the request's shard. */
static void part_returned(struct io *io, struct io_message *m)
{
    struct scatter *s = container_of(m, struct scatter_part, message)->scatter;

    ASSERT(s->left > 0);
    if (--s->left == 0)
        s->joined(s);
}

void scatter_part_done(struct scatter_part *part)
{
    if (part->shard == part->scatter->home)
        part_returned(part->shard->io, &part->message);
    else
        scatter_part_done_after(part);
}

void scatter_part_done_after(struct scatter_part *part)
{
    part->message.run = part_returned;
    io_post(part->shard->io, part->scatter->home->index, &part->message);
}

void scatter_run(struct scatter *s)
{
    uint32_t shard_count = s->home->broker->shard_count;

    /* One more than there are parts, so that `joined` waits for the end of this loop. */
    ASSERT(s->left == 0);
    s->left = 1;
    for (uint32_t i = 0; i < shard_count; i++) {
        struct scatter_part *part = &s->parts[i];
        if (part->count == 0 && !part->included)
            continue;
        s->left++;
        if (part->shard == s->home) {
            s->run(part);
            continue;
        }
        part->message.run = part_arrived;
        io_post(s->home->io, i, &part->message);
    }
    if (--s->left == 0)
        s->joined(s);
}

void scatter_again(struct scatter *s, void (*run)(struct scatter_part *part),
                   void (*joined)(struct scatter *s))
{
    s->run = run;
    s->joined = joined;
    scatter_run(s);
}

static void interruption_returned(struct io *io, struct io_message *m)
{
    struct scatter *s = container_of(m, struct scatter_part, interruption)->scatter;

    if (--s->left == 0)
        s->joined(s);
}

static void interruption_arrived(struct io *io, struct io_message *m)
{
    struct scatter_part *part = container_of(m, struct scatter_part, interruption);

    part->interrupt(part);
    part->interruption.run = interruption_returned;
    io_post(io, part->scatter->home->index, &part->interruption);
}

void scatter_interrupt(struct scatter *s, void (*interrupt)(struct scatter_part *part))
{
    for (uint32_t i = 0; i < s->home->broker->shard_count; i++) {
        struct scatter_part *part = &s->parts[i];
        if (part->count == 0)
            continue;
        s->left++;
        part->interrupt = interrupt;
        part->interruption.run = interruption_arrived;
        io_post(s->home->io, i, &part->interruption);
    }
}
