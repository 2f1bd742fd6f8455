/* Lives of images and their states. */
#include "image/internal.h"

#include <stdlib.h>

struct state state_copy(const struct state *s)
{
    struct state copy = *s;

    copy.topics = sorted_copy(&s->topics);
    copy.topic_ids = sorted_copy(&s->topic_ids);
    copy.brokers = sorted_copy(&s->brokers);
    copy.controllers = sorted_copy(&s->controllers);
    copy.features = sorted_copy(&s->features);
    copy.configs = sorted_copy(&s->configs);
    copy.quotas = sorted_copy(&s->quotas);
    copy.acls = sorted_copy(&s->acls);
    copy.scram = sorted_copy(&s->scram);
    copy.tokens = sorted_copy(&s->tokens);
    return copy;
}

void state_deinit(struct state *s)
{
    sorted_deinit(&s->topics);
    sorted_deinit(&s->topic_ids);
    sorted_deinit(&s->brokers);
    sorted_deinit(&s->controllers);
    sorted_deinit(&s->features);
    sorted_deinit(&s->configs);
    sorted_deinit(&s->quotas);
    sorted_deinit(&s->acls);
    sorted_deinit(&s->scram);
    sorted_deinit(&s->tokens);
    *s = (struct state){0};
}

struct image *image_empty(void)
{
    struct image *i = take_memory(sizeof(*i));

    *i = (struct image){.offset = -1};
    atomic_init(&i->refs, 1);
    return i;
}

/* The count is no part of what an image says, so it may change in a const one. */
static struct image *unlocked(const struct image *i)
{
    return (struct image *)(uintptr_t)i;
}

struct image *image_ref(const struct image *i)
{
    struct image *image = unlocked(i);

    atomic_fetch_add_explicit(&image->refs, 1, memory_order_relaxed);
    return image;
}

void image_unref(const struct image *i)
{
    struct image *image = unlocked(i);

    if (i == NULL || atomic_fetch_sub_explicit(&image->refs, 1, memory_order_acq_rel) != 1)
        return;
    state_deinit(&image->visible);
    state_deinit(&image->open);
    free(image);
}

int64_t image_offset(const struct image *i)
{
    return i->offset;
}

int32_t image_epoch(const struct image *i)
{
    return i->epoch;
}

int64_t image_timestamp_ms(const struct image *i)
{
    return i->timestamp_ms;
}

bool image_in_transaction(const struct image *i)
{
    return i->in_transaction;
}
