#include "lab.h"

#include <stdlib.h>

void lab_settings(struct producer_settings *s)
{
    producer_settings_init(s);
    s->batch_size = 512;
    s->buffer_memory = 64 << 10;
    s->linger_ms = 0;
    s->max_request_size = 8 << 10;
}

void lab_open(struct lab *l, const struct producer_settings *s)
{
    *l = (struct lab){.now_ms = 1000, .who = {.idempotent = s->idempotence, .producer_id = 7, .producer_epoch = 3}};
    CHECK_EQ(accumulator_init(&l->a, s, 42), 0);
    l->rules = (struct lane_rules){
        .retries = s->retries,
        .delivery_timeout_ms = s->delivery_timeout_ms,
        .acks = s->acks,
        .bumps = &l->bumps,
    };
}

void lab_close(struct lab *l)
{
    CHECK_EQ(l->a.batches, 0);
    CHECK_EQ(l->a.memory.used_bytes, 0);
    accumulator_deinit(&l->a);
    text_deinit(&l->scratch);
}

struct producer_topic *lab_topic(struct lab *l, const char *name, int32_t partitions)
{
    struct producer_topic *t = accumulator_topic(&l->a, str_of(name));

    CHECK(t != NULL);
    if (partitions > 0)
        CHECK_EQ(accumulator_partitions(t, partitions), 0);
    return t;
}

int lab_append(struct lab *l, struct producer_topic *t, int32_t partition, const char *key, const char *value,
               uint64_t tag)
{
    struct producer_record r = {
        .topic = t,
        .partition = partition,
        .key = bytes_of_str(str_of(key)),
        .value = bytes_of_str(str_of(value)),
        .timestamp_ms = -1,
        .tag = tag,
    };

    return accumulator_append(&l->a, &r, l->now_ms, 1767225600000 + l->now_ms);
}

void lab_lead(struct producer_topic *t, struct producer_node *node)
{
    for (int32_t i = 0; i < t->partition_count; i++)
        t->parts[i]->node = node;
}

static void drop_list(struct lab *l, struct list *batches)
{
    LIST_EACH(it, batches) {
        list_remove(it);
        accumulator_free(&l->a, container_of(it, struct producer_batch, node));
    }
}

void lab_drop(struct lab *l, struct producer_topic *t)
{
    drop_list(l, &t->waiting);
    for (int32_t i = 0; i < t->part_count; i++) {
        struct producer_partition *part = t->parts[i];
        accumulator_close_open(part);
        drop_list(l, &part->queue);
        drop_list(l, &part->lane.unacked);
        part->queued = 0;
    }
}

struct bytes lab_seal(struct lab *l, struct producer_batch *b)
{
    batch_seal(b, codec_level_default(b->codec), &l->scratch);
    return (struct bytes){batch_bytes(b), (int32_t)b->n};
}

void lab_dump(struct producer_batch *b, struct text *out)
{
    struct batch view;
    struct records records;
    struct record r;
    int32_t i = 0;

    CHECK_EQ(batch_read((struct bytes){batch_bytes(b), (int32_t)b->n}, &view, NULL), b->n);
    CHECK(batch_crc_ok(&view));
    CHECK_EQ(records_begin(&records, &view, 1 << 20), 0);
    text_printf(out, "%d:", b->part->index);
    while (records_next(&records, &r) == 1) {
        CHECK_EQ(r.offset_delta, i);
        text_printf(out, " %.*s=%.*s", STR_ARG(str_of_bytes(r.key)), STR_ARG(str_of_bytes(r.value)));
        if (b->has_tags)
            text_printf(out, "#%" PRIu64, batch_tags_end(b)[-1 - i]);
        i++;
    }
    CHECK_EQ(i, b->count);
    records_end(&records);
    text_add(out, "\n", 1);
}
