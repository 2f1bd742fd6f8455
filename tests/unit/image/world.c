#include "world.h"

#include <stdlib.h>

#include "protocol/config_record.h"
#include "protocol/feature_level_record.h"
#include "protocol/partition_record.h"
#include "protocol/topic_record.h"

static struct arena kept;

struct bytes framed(const struct message *message, int16_t version, const void *record)
{
    int64_t size = message_metadata_size(message, version, record);
    uint8_t *p;

    CHECK(size > 0);
    p = arena_take(&kept, (size_t)size);
    message_metadata_write(message, version, record, p);
    return (struct bytes){p, (int32_t)size};
}

void world_apply(struct image **i, const struct message *message, int16_t version,
                 const void *record)
{
    struct image_edit *e = image_edit_begin(*i);
    struct fail f = {0};
    struct image *next;

    if (image_edit_apply(e, framed(message, version, record), &f) < 0)
        check_fail(__FILE__, __LINE__, "%s", f.text);
    next = image_edit_finish(e, image_offset(*i) + 1, 1, 1000);
    image_unref(*i);
    *i = next;
}

void world_refuse(const struct image *i, const struct message *message, int16_t version,
                  const void *record, struct fail *f)
{
    struct image_edit *e = image_edit_begin(i);
    int rc = image_edit_apply(e, framed(message, version, record), f);

    image_edit_abandon(e);
    CHECK(rc < 0);
    CHECK_EQ(f->error, rc);
}

struct uuid world_id(uint8_t n)
{
    struct uuid id = UUID_ZERO;

    id.b[0] = n;
    return id;
}

void world_feature(struct image **i, const char *name, int16_t level)
{
    struct feature_level_record r;

    feature_level_record_init(&r);
    r.name = str_of(name);
    r.feature_level = level;
    world_apply(i, &feature_level_record_message, 0, &r);
}

void world_topic(struct image **i, const char *name, uint8_t id)
{
    struct topic_record r;

    topic_record_init(&r);
    r.name = str_of(name);
    r.topic_id = world_id(id);
    world_apply(i, &topic_record_message, 0, &r);
}

void world_partition(struct image **i, uint8_t topic, int32_t partition)
{
    int32_t replicas[] = {1, 2}, isr[] = {2};
    struct partition_record r;

    partition_record_init(&r);
    r.partition_id = partition;
    r.topic_id = world_id(topic);
    r.replicas = replicas;
    r.replicas_count = 2;
    r.isr = isr;
    r.isr_count = 1;
    r.leader = 2;
    r.leader_epoch = 5;
    r.partition_epoch = 7;
    world_apply(i, &partition_record_message, 0, &r);
}

void world_config(struct image **i, int8_t type, const char *resource, const char *name,
                  const char *value)
{
    struct config_record r;

    config_record_init(&r);
    r.resource_type = type;
    r.resource_name = str_of(resource);
    r.name = str_of(name);
    r.value = str_of(value);
    world_apply(i, &config_record_message, 0, &r);
}

struct str world_print(const struct image *i, bool bare)
{
    struct text text = {0};
    struct str out;

    image_print(i, &text);
    out = arena_str(&kept, text_str(&text));
    text_deinit(&text);
    if (bare) {
        const char *line = memchr(out.p, '\n', (size_t)out.n);
        out.n -= (int32_t)(line - out.p);
        out.p = line;
    }
    return out;
}

struct rewrite {
    struct image_edit *edit;
    struct fail f;
};

static void rewrite_one(void *ctx, struct bytes record)
{
    struct rewrite *r = ctx;

    if (image_edit_apply(r->edit, record, &r->f) < 0)
        check_fail(__FILE__, __LINE__, "%s", r->f.text);
}

struct image *world_rewrite(const struct image *i)
{
    struct image *empty = image_empty();
    struct rewrite r = {.edit = image_edit_begin(empty)};

    image_write(i, rewrite_one, &r);
    image_unref(empty);
    return image_edit_finish(r.edit, image_offset(i), image_epoch(i), image_timestamp_ms(i));
}

void world_end(void)
{
    arena_deinit(&kept);
}
