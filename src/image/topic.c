/* Topics and partitions.
 *
 * A topic of an image is one block of memory. A record that changes it opens a draft, whose
 * partitions point into that block and, where they changed, into the edit's arena; the end of the
 * edit makes one new block of it.
 */
#include "image/internal.h"

#include <stdlib.h>

#include "protocol/clear_elr_record.h"
#include "protocol/partition_change_record.h"
#include "protocol/partition_record.h"
#include "protocol/remove_topic_record.h"
#include "protocol/topic_record.h"

/* A number beyond is taken for damage: the block holds every partition below it. */
#define PARTITIONS_MAX 1000000
#define RESOURCE_TYPE_TOPIC 2

/* ---- blocks ------------------------------------------------------------------------------------
 */

static void topic_config_release(struct shared *s)
{
    struct topic_config *c = container_of(s, struct topic_config, shared);

    config_free(c->values);
    free(c);
}

static void topic_release(struct shared *s)
{
    struct topic_item *t = container_of(s, struct topic_item, shared);

    if (t->config != NULL)
        shared_unref(&t->config->shared);
    free(t);
}

static size_t partition_size(const struct image_partition *p)
{
    size_t numbers = (size_t)p->replica_count + (size_t)p->isr_count + (size_t)p->adding_count +
                     (size_t)p->removing_count + (size_t)p->elr_count + (size_t)p->last_elr_count;

    return numbers * sizeof(int32_t) + (size_t)p->replica_count * sizeof(struct uuid);
}

static const int32_t *copy_numbers(char **at, const int32_t *numbers, int32_t count)
{
    char *p = *at;
    size_t size = (size_t)count * sizeof(*numbers);

    if (size > 0)
        memcpy(p, numbers, size);
    *at += size;
    return (const int32_t *)(void *)p;
}

/* Numbers first: uuids and names need no alignment. */
static void copy_partition(char **at, const struct image_partition *from,
                           struct image_partition *to)
{
    *to = *from;
    to->replicas = copy_numbers(at, from->replicas, from->replica_count);
    to->isr = copy_numbers(at, from->isr, from->isr_count);
    to->adding = copy_numbers(at, from->adding, from->adding_count);
    to->removing = copy_numbers(at, from->removing, from->removing_count);
    to->elr = copy_numbers(at, from->elr, from->elr_count);
    to->last_elr = copy_numbers(at, from->last_elr, from->last_elr_count);
    to->directories = (const struct uuid *)(void *)*at;
    if (from->replica_count > 0)
        memcpy(*at, from->directories, (size_t)from->replica_count * sizeof(struct uuid));
    *at += (size_t)from->replica_count * sizeof(struct uuid);
}

/* Takes the reference on `config`. */
static struct topic_item *topic_new(struct str name, struct uuid id,
                                    const struct image_partition *partitions, int32_t count,
                                    struct topic_config *config)
{
    size_t size = sizeof(struct topic_item) + (size_t)count * sizeof(*partitions) + str_size(name);
    struct topic_item *t;
    struct image_partition *own;
    char *at;

    for (int32_t i = 0; i < count; i++)
        size += partition_size(&partitions[i]);
    t = take_memory(size);
    *t = (struct topic_item){.config = config};
    shared_init(&t->shared, topic_release);
    own = (struct image_partition *)(void *)(t + 1);
    at = (char *)(own + count);
    for (int32_t i = 0; i < count; i++)
        copy_partition(&at, &partitions[i], &own[i]);
    t->topic = (struct image_topic){.name = copy_str(&at, name),
                                    .id = id,
                                    .partition_count = count,
                                    .partitions = own,
                                    .config = config == NULL ? NULL : config->values};
    return t;
}

static void topic_put(struct state *s, struct topic_item *t)
{
    shared_ref(&t->shared);
    sorted_put(&s->topics, compare_topic_name, &t->topic.name, &t->shared);
    sorted_put(&s->topic_ids, compare_topic_id, &t->topic.id, &t->shared);
}

static struct topic_item *topic_find(const struct state *s, struct uuid id)
{
    struct shared *found = sorted_find(&s->topic_ids, compare_topic_id, &id);

    return found == NULL ? NULL : container_of(found, struct topic_item, shared);
}

static struct topic_item *topic_find_name(const struct state *s, struct str name)
{
    struct shared *found = sorted_find(&s->topics, compare_topic_name, &name);

    return found == NULL ? NULL : container_of(found, struct topic_item, shared);
}

/* ---- drafts ------------------------------------------------------------------------------------
 */

static struct draft *draft_find(struct image_edit *e, struct uuid id)
{
    struct map_node *node = map_find(&e->drafts, uuid_hash(id), &id);

    return node == NULL ? NULL : container_of(node, struct draft, node);
}

/* The draft of a topic; NULL when there is no such topic. */
static struct draft *draft_get(struct image_edit *e, struct uuid id)
{
    struct draft *d = draft_find(e, id);
    struct topic_item *base;

    if (d != NULL)
        return d;
    base = topic_find(&e->state, id);
    if (base == NULL)
        return NULL;
    d = arena_take(&e->drafted, sizeof(*d));
    d->id = id;
    d->base = base;
    shared_ref(&base->shared);
    d->count = base->topic.partition_count;
    d->capacity = d->count;
    d->partitions = arena_take_array(&e->drafted, (size_t)d->count, sizeof(*d->partitions));
    if (d->count > 0)
        memcpy(d->partitions, base->topic.partitions, (size_t)d->count * sizeof(*d->partitions));
    map_add(&e->drafts, &d->node, uuid_hash(id));
    list_add_tail(&e->order, &d->order);
    return d;
}

static void draft_end(struct image_edit *e, struct draft *d)
{
    map_remove(&e->drafts, &d->node);
    list_remove(&d->order);
    shared_unref(&d->base->shared);
}

void drafts_drop(struct image_edit *e)
{
    LIST_EACH (it, &e->order)
        draft_end(e, container_of(it, struct draft, order));
    arena_reset(&e->drafted);
}

struct collect {
    struct config *values;
};

/* A name that our table lacks, or a value that it refuses, is some newer node's: it stays a record
 * and has no effect here. */
static void collect_config(struct collect *c, struct str name, struct str value)
{
    struct fail ignored = {0};

    if (c->values == NULL)
        c->values = config_new(&topic_settings);
    (void)!config_set(c->values, CONFIG_TOPIC, name, value, &ignored);
}

/* The settings of a topic from its ConfigRecords; NULL when it has none. */
static struct topic_config *topic_config_make(const struct state *s, struct str name)
{
    struct config_key key = {RESOURCE_TYPE_TOPIC, name, STR_NULL};
    struct collect collect = {0};
    struct topic_config *c;

    for (uint32_t at = sorted_lower(&s->configs, compare_config, &key);
         at < sorted_count(&s->configs); at++) {
        const struct config_item *item =
            container_of(sorted_at(&s->configs, at), struct config_item, shared);
        if (item->key.type != RESOURCE_TYPE_TOPIC || !str_equal(item->key.resource, name))
            break;
        collect_config(&collect, item->key.name, item->value);
    }
    if (collect.values == NULL)
        return NULL;
    c = take_memory(sizeof(*c));
    shared_init(&c->shared, topic_config_release);
    c->values = collect.values;
    return c;
}

void drafts_finish(struct image_edit *e)
{
    LIST_EACH (it, &e->order) {
        struct draft *d = container_of(it, struct draft, order);
        struct topic_config *config = d->base->config;

        if (d->config_changed)
            config = topic_config_make(&e->state, d->base->topic.name);
        else if (config != NULL)
            shared_ref(&config->shared);
        topic_put(&e->state,
                  topic_new(d->base->topic.name, d->id, d->partitions, d->count, config));
    }
    drafts_drop(e);
}

void topic_config_changed(struct image_edit *e, struct str name)
{
    struct topic_item *t = topic_find_name(&e->state, name);

    if (t != NULL)
        draft_get(e, t->topic.id)->config_changed = true;
}

/* ---- records -----------------------------------------------------------------------------------
 */

static int no_topic(struct fail *f, struct uuid id)
{
    char text[UUID_TEXT_BYTES];

    return fail_set(f, ERR_CORRUPT, "there is no topic with id %s", uuid_text(id, text));
}

int apply_topic(struct image_edit *e, const void *record, struct fail *f)
{
    const struct topic_record *r = record;
    char text[UUID_TEXT_BYTES];

    if (topic_find_name(&e->state, r->name) != NULL)
        return fail_set(f, ERR_CORRUPT, "there is a topic %.*s already", STR_ARG(r->name));
    if (topic_find(&e->state, r->topic_id) != NULL)
        return fail_set(f, ERR_CORRUPT, "there is a topic with id %s already",
                        uuid_text(r->topic_id, text));
    topic_put(&e->state, topic_new(r->name, r->topic_id, NULL, 0, NULL));
    draft_get(e, r->topic_id)->config_changed = true; /* its settings may have come before it */
    return 0;
}

int apply_remove_topic(struct image_edit *e, const void *record, struct fail *f)
{
    const struct remove_topic_record *r = record;
    struct topic_item *t = topic_find(&e->state, r->topic_id);
    struct draft *d = draft_find(e, r->topic_id);

    if (t == NULL)
        return no_topic(f, r->topic_id);
    shared_ref(&t->shared); /* its name and id are the keys */
    if (d != NULL)
        draft_end(e, d);
    sorted_remove(&e->state.topics, compare_topic_name, &t->topic.name);
    sorted_remove(&e->state.topic_ids, compare_topic_id, &t->topic.id);
    config_remove_all(e, RESOURCE_TYPE_TOPIC, t->topic.name);
    shared_unref(&t->shared);
    return 0;
}

static const int32_t *keep_numbers(struct image_edit *e, const int32_t *numbers, int32_t count)
{
    int32_t *own = arena_take_array(&e->drafted, (size_t)count, sizeof(*own));

    if (count > 0)
        memcpy(own, numbers, (size_t)count * sizeof(*own));
    return own;
}

/* One directory for each replica. None given: all unknown (id 0, "migrating" in Kafka). */
static int set_directories(struct image_edit *e, struct image_partition *p,
                           const struct uuid *directories, int32_t count, struct fail *f)
{
    struct uuid *own;

    if (count > 0 && count != p->replica_count)
        return fail_set(f, ERR_CORRUPT, "partition %d has %d replicas but %d directories",
                        p->partition, p->replica_count, count);
    own = arena_take_array(&e->drafted, (size_t)p->replica_count, sizeof(*own));
    if (count > 0)
        memcpy(own, directories, (size_t)count * sizeof(*own));
    p->directories = own;
    return 0;
}

/* Room for partition number `partition`. Numbers below it that have not come yet have no replicas.
 */
static void draft_grow(struct image_edit *e, struct draft *d, int32_t partition)
{
    if (partition >= d->capacity) {
        int32_t capacity = d->capacity * 2 > partition ? d->capacity * 2 : partition + 1;
        struct image_partition *grown =
            arena_take_array(&e->drafted, (size_t)capacity, sizeof(*grown));
        if (d->count > 0)
            memcpy(grown, d->partitions, (size_t)d->count * sizeof(*grown));
        d->partitions = grown;
        d->capacity = capacity;
    }
    while (d->count <= partition) {
        d->partitions[d->count] = (struct image_partition){.partition = d->count, .leader = -1};
        d->count++;
    }
}

int apply_partition(struct image_edit *e, const void *record, struct fail *f)
{
    const struct partition_record *r = record;
    struct draft *d = draft_get(e, r->topic_id);
    struct image_partition p;

    if (d == NULL)
        return no_topic(f, r->topic_id);
    if (r->partition_id < 0 || r->partition_id >= PARTITIONS_MAX)
        return fail_set(f, ERR_CORRUPT, "there can be no partition %d", r->partition_id);
    if (r->replicas_count <= 0)
        return fail_set(f, ERR_CORRUPT, "partition %d has no replicas", r->partition_id);
    if (r->leader_recovery_state != 0 && r->leader_recovery_state != 1)
        return fail_set(f, ERR_CORRUPT, "leader recovery state %d is not known",
                        r->leader_recovery_state);
    p = (struct image_partition){
        .partition = r->partition_id,
        .leader = r->leader,
        .leader_epoch = r->leader_epoch,
        .partition_epoch = r->partition_epoch,
        .recovery_state = r->leader_recovery_state,
        .replica_count = r->replicas_count,
        .isr_count = r->isr_count,
        .adding_count = r->adding_replicas_count,
        .removing_count = r->removing_replicas_count,
        .elr_count = r->eligible_leader_replicas_count > 0 ? r->eligible_leader_replicas_count : 0,
        .last_elr_count = r->last_known_elr_count > 0 ? r->last_known_elr_count : 0,
    };
    p.replicas = keep_numbers(e, r->replicas, p.replica_count);
    p.isr = keep_numbers(e, r->isr, p.isr_count);
    p.adding = keep_numbers(e, r->adding_replicas, p.adding_count);
    p.removing = keep_numbers(e, r->removing_replicas, p.removing_count);
    p.elr = keep_numbers(e, r->eligible_leader_replicas, p.elr_count);
    p.last_elr = keep_numbers(e, r->last_known_elr, p.last_elr_count);
    TRY(set_directories(e, &p, r->directories, r->directories_count, f));
    draft_grow(e, d, p.partition);
    d->partitions[p.partition] = p;
    return 0;
}

/* Replace one list when the record has it (null = unchanged). */
static void change_numbers(struct image_edit *e, const int32_t *numbers, int32_t count,
                           const int32_t **list, int32_t *list_count)
{
    if (count < 0)
        return;
    *list = keep_numbers(e, numbers, count);
    *list_count = count;
}

/* New replicas come with their directories, except at a metadata version that knows none. */
static int change_replicas(struct image_edit *e, const struct partition_change_record *r,
                           struct image_partition *p, struct fail *f)
{
    int32_t before = p->replica_count;

    change_numbers(e, r->replicas, r->replicas_count, &p->replicas, &p->replica_count);
    if (r->directories_count >= 0)
        return set_directories(e, p, r->directories, r->directories_count, f);
    if (before == p->replica_count)
        return 0;
    for (int32_t i = 0; i < before; i++) {
        if (!uuid_is_zero(p->directories[i]))
            return fail_set(f, ERR_CORRUPT, "partition %d gets %d replicas without directories",
                            p->partition, p->replica_count);
    }
    return set_directories(e, p, NULL, 0, f);
}

/* Every change is a new partition epoch; one that names a leader, even the same, also a new leader
 * epoch. */
int apply_partition_change(struct image_edit *e, const void *record, struct fail *f)
{
    const struct partition_change_record *r = record;
    struct draft *d = draft_get(e, r->topic_id);
    struct image_partition p;

    if (d == NULL)
        return no_topic(f, r->topic_id);
    if (r->partition_id < 0 || r->partition_id >= d->count ||
        d->partitions[r->partition_id].replica_count == 0)
        return fail_set(f, ERR_CORRUPT, "there is no partition %d of topic %.*s", r->partition_id,
                        STR_ARG(d->base->topic.name));
    if (r->leader_recovery_state < -1 || r->leader_recovery_state > 1)
        return fail_set(f, ERR_CORRUPT, "leader recovery state %d is not known",
                        r->leader_recovery_state);
    if (r->replicas_count == 0)
        return fail_set(f, ERR_CORRUPT, "partition %d would have no replicas", r->partition_id);
    p = d->partitions[r->partition_id];
    change_numbers(e, r->isr, r->isr_count, &p.isr, &p.isr_count);
    change_numbers(e, r->removing_replicas, r->removing_replicas_count, &p.removing,
                   &p.removing_count);
    change_numbers(e, r->adding_replicas, r->adding_replicas_count, &p.adding, &p.adding_count);
    change_numbers(e, r->eligible_leader_replicas, r->eligible_leader_replicas_count, &p.elr,
                   &p.elr_count);
    change_numbers(e, r->last_known_elr, r->last_known_elr_count, &p.last_elr, &p.last_elr_count);
    TRY(change_replicas(e, r, &p, f));
    if (r->leader != -2) {
        p.leader = r->leader;
#ifndef MUTANT_IMAGE_EPOCH_STAYS
        p.leader_epoch++;
#endif
    }
    if (r->leader_recovery_state >= 0)
        p.recovery_state = r->leader_recovery_state;
    p.partition_epoch++;
    d->partitions[p.partition] = p;
    return 0;
}

static void clear_elr(struct draft *d)
{
    for (int32_t i = 0; i < d->count; i++) {
        struct image_partition *p = &d->partitions[i];
        if (p->elr_count == 0 && p->last_elr_count == 0)
            continue;
        p->elr_count = 0;
        p->last_elr_count = 0;
        p->partition_epoch++;
    }
}

static bool has_elr(const struct image_topic *t)
{
    for (int32_t i = 0; i < t->partition_count; i++) {
        if (t->partitions[i].elr_count > 0 || t->partitions[i].last_elr_count > 0)
            return true;
    }
    return false;
}

/* Of one topic, or of all when no name is given. */
int apply_clear_elr(struct image_edit *e, const void *record, struct fail *f)
{
    const struct clear_elr_record *r = record;
    struct topic_item *t;

    if (r->topic_name.n > 0) {
        t = topic_find_name(&e->state, r->topic_name);
        if (t == NULL)
            return fail_set(f, ERR_CORRUPT, "there is no topic %.*s", STR_ARG(r->topic_name));
        clear_elr(draft_get(e, t->topic.id));
        return 0;
    }
    for (uint32_t i = 0; i < sorted_count(&e->state.topics); i++) {
        t = container_of(sorted_at(&e->state.topics, i), struct topic_item, shared);
        if (draft_find(e, t->topic.id) != NULL || has_elr(&t->topic))
            clear_elr(draft_get(e, t->topic.id));
    }
    return 0;
}
