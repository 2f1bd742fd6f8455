#include "broker/fetch_set.h"

#include <stdlib.h>

#include "broker/session.h"

/* How an item is found again: by the topic's id or name, as the session's clients say it. */
struct item_key {
    struct str name;
    struct uuid topic_id;
    int32_t partition;
    bool by_id;
};

static bool item_equal(const struct map_node *node, const void *key)
{
    const struct fetch_item *item = container_of(node, const struct fetch_item, node);
    const struct item_key *k = key;

    return item->partition == k->partition &&
           (k->by_id ? uuid_equal(item->topic_id, k->topic_id) : str_equal(item->name, k->name));
}

static uint64_t key_hash(const struct item_key *k)
{
    return (k->by_id ? uuid_hash(k->topic_id) : str_hash(k->name)) + (uint64_t)k->partition * UINT64_C(0x9E3779B97F4A7C15);
}

static struct fetch_item *find(const struct fetch_set *set, const struct item_key *key)
{
    struct map_node *node = map_find(&set->index, key_hash(key), key);

    return node == NULL ? NULL : container_of(node, struct fetch_item, node);
}

/* ---- one item --------------------------------------------------------------------------------- */

static struct fetch_item *item_new(struct fetch_set *set, struct str name)
{
    size_t size_bytes = sizeof(struct fetch_item) + (size_t)(name.n > 0 ? name.n : 0);
    struct fetch_item *item = set->arena != NULL ? arena_take(set->arena, size_bytes) : calloc(1, size_bytes);

    ASSERT(item != NULL);
    if (set->arena == NULL) {
        set->counted_bytes += size_bytes;
        ledger_charge(&set->home->ledger, LEDGER_WORK, size_bytes);
    }
    if (name.n > 0)
        memcpy(item + 1, name.p, (size_t)name.n);
    item->name = (struct str){(const char *)(item + 1), name.n};
    item->set = set;
    return item;
}

static void item_free(struct fetch_item *item)
{
    struct fetch_set *set = item->set;
    size_t size_bytes = sizeof *item + (size_t)(item->name.n > 0 ? item->name.n : 0);

    if (set->arena != NULL)
        return;
    set->counted_bytes -= size_bytes;
    ledger_return(&set->home->ledger, LEDGER_WORK, size_bytes);
    free(item);
}

int32_t fetch_reader(const struct request *r)
{
    const struct fetch_request *m = r->message;
    int32_t id = r->version >= 15 ? m->replica_state.replica_id : m->replica_id;

    return id < 0 ? -1 : id;
}

/* Other brokers read what they replicate, whatever topics they may read. */
static bool may_read(const struct fetch_set *set, const struct request *r, struct str topic)
{
    if (set->reader >= 0)
        return request_authorize(r, ACL_CLUSTER_ACTION, RESOURCE_CLUSTER, STR("kafka-cluster"));
    return request_authorize(r, ACL_READ, RESOURCE_TOPIC, topic);
}

/* Where it lies, or why it is refused, by what this shard shows to clients now. */
static void item_resolve(struct fetch_item *item, struct request *r, const struct image_topic *topic)
{
    struct fetch_set *set = item->set;

    item->refused = KERR_NONE;
    if (topic == NULL)
        item->refused = set->by_id ? KERR_UNKNOWN_TOPIC_ID : KERR_UNKNOWN_TOPIC_OR_PARTITION;
    else if (item->partition < 0 || item->partition >= topic->partition_count)
        item->refused = KERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (!may_read(set, r, item->name))
        item->refused = KERR_TOPIC_AUTHORIZATION_FAILED;
    if (item->refused != KERR_NONE) {
        set->refused++;
        return;
    }
    item->topic_id = topic->id;
    item->side = &set->sides[shard_of(r->shard->broker, topic->id, item->partition)];
    list_add_tail(&item->side->items, &item->in_side);
}

static struct fetch_item *item_add(struct fetch_set *set, struct request *r, const struct image_topic *topic,
                                   const struct item_key *key)
{
    struct fetch_item *item = item_new(set, set->by_id && topic != NULL ? topic->name : key->name);

    item->topic_id = key->topic_id;
    item->partition = key->partition;
    item->told_high_watermark = item->told_log_start = -2;
    item->preferred = -1;
    item_resolve(item, r, topic);
    list_add_tail(&set->items, &item->in_set);
    if (set->arena == NULL)
        map_add(&set->index, &item->node, key_hash(key));
    set->count++;
    return item;
}

/* It is no longer in the index. */
static void item_let_go(struct fetch_item *item, struct scatter *scatter)
{
    struct fetch_set *set = item->set;

    list_remove(&item->in_set);
    set->count--;
    set->doubtful -= item->doubtful;
    set->refused -= item->refused != KERR_NONE;
    if (item->side == NULL) {
        item_free(item);
        return;
    }
    list_remove(&item->in_side);
    list_add_tail(&set->leaving, &item->in_set);
    item->leaving = true;
    scatter_add(scatter, item->side->shard->index, item);
}

/* ---- what a request changes ------------------------------------------------------------------- */

static const struct image_topic *topic_find(const struct fetch_set *set, const struct request *r, struct str name,
                                            struct uuid topic_id)
{
    return set->by_id ? image_topic_by_id(r->shard->image, topic_id) : image_topic_find(r->shard->image, name);
}

static void item_ask(struct fetch_item *item, const struct fetch_request_topics_partitions *asked,
                     struct scatter *scatter)
{
    item->offset = asked->fetch_offset;
    item->leader_epoch = asked->current_leader_epoch;
    item->last_epoch = asked->last_fetched_epoch;
    item->bytes_max = asked->partition_max_bytes;
    item->asked_log_start = asked->log_start_offset;
    if (item->side != NULL)
        scatter_add(scatter, item->side->shard->index, item);
}

/* What was refused may be there now; of what failed the topic may be another one of the same name. */
static void item_renew(struct fetch_item *item, struct request *r, struct scatter *scatter)
{
    struct fetch_set *set = item->set;
    const struct image_topic *topic = topic_find(set, r, item->name, item->topic_id);
    struct item_key key = {item->name, item->topic_id, item->partition, set->by_id};
    bool same = item->side != NULL && topic != NULL && uuid_equal(topic->id, item->topic_id) &&
                may_read(set, r, item->name);

    set->doubtful -= item->doubtful;
    item->doubtful = false;
    if (same)
        return;
    map_remove(&set->index, &item->node); /* before its successor, which has the same key */
    struct fetch_item *anew = item_add(set, r, topic, &key);
    anew->offset = item->offset;
    anew->leader_epoch = item->leader_epoch;
    anew->last_epoch = item->last_epoch;
    anew->bytes_max = item->bytes_max;
    anew->asked_log_start = item->asked_log_start;
    if (anew->side != NULL)
        scatter_add(scatter, anew->side->shard->index, anew);
    item_let_go(item, scatter);
}

static void renew_doubtful(struct fetch_set *set, struct request *r, struct scatter *scatter)
{
    bool all = set->authorizer != r->shard->authorizer;
    uint32_t left = set->count;

    set->authorizer = r->shard->authorizer;
    if (!all && set->doubtful == 0)
        return;
    for (struct list *it = set->items.next, *next; left-- > 0; it = next) { /* successors go to the end */
        struct fetch_item *item = container_of(it, struct fetch_item, in_set);
        next = it->next;
        if (all || item->doubtful)
            item_renew(item, r, scatter);
    }
}

static void add_topic(struct fetch_set *set, struct request *r, const struct fetch_request_topics *asked,
                      struct scatter *scatter)
{
    const struct image_topic *topic = topic_find(set, r, asked->topic, asked->topic_id);
    struct item_key key = {asked->topic, asked->topic_id, -1, set->by_id};

    for (int32_t i = 0; i < asked->partitions_count; i++) {
        key.partition = asked->partitions[i].partition;
        struct fetch_item *item = set->arena != NULL ? NULL : find(set, &key);
        if (item == NULL)
            item = item_add(set, r, topic, &key);
        item_ask(item, &asked->partitions[i], scatter);
    }
}

static void forget_topic(struct fetch_set *set, const struct fetch_request_forgotten_topics_data *asked,
                         struct scatter *scatter)
{
    struct item_key key = {asked->topic, asked->topic_id, -1, set->by_id};

    for (int32_t i = 0; i < asked->partitions_count; i++) {
        key.partition = asked->partitions[i];
        struct fetch_item *item = find(set, &key);
        if (item == NULL)
            continue;
        map_remove(&set->index, &item->node);
        item_let_go(item, scatter);
    }
}

void fetch_set_update(struct fetch_set *set, struct request *r, struct scatter *scatter)
{
    const struct fetch_request *m = r->message;

    renew_doubtful(set, r, scatter);
    for (int32_t i = 0; i < m->topics_count; i++)
        add_topic(set, r, &m->topics[i], scatter);
    if (set->arena == NULL) {
        for (int32_t i = 0; i < m->forgotten_topics_data_count; i++)
            forget_topic(set, &m->forgotten_topics_data[i], scatter);
    }
    if (set->isolation != m->isolation_level) { /* what was quiet for one may have records for the other */
        LIST_EACH(it, &set->items) {
            struct fetch_item *item = container_of(it, struct fetch_item, in_set);
            if (item->side != NULL)
                scatter_add(scatter, item->side->shard->index, item);
        }
    }
    set->isolation = m->isolation_level;
    for (uint32_t i = 0; i < set->home->broker->shard_count; i++) {
        if (!list_empty(&set->sides[i].items))
            scatter_include(scatter, i);
    }
}

void fetch_set_left(struct fetch_set *set)
{
    for (struct list *node; (node = list_take_head(&set->leaving)) != NULL;)
        item_free(container_of(node, struct fetch_item, in_set));
}

/* ---- begin and end ---------------------------------------------------------------------------- */

void fetch_set_init(struct fetch_set *set, struct request *r, struct arena *arena)
{
    struct broker *b = r->shard->broker;

    *set = (struct fetch_set){
        .home = r->shard,
        .arena = arena,
        .by_id = r->version >= 13,
        .isolation = ((const struct fetch_request *)r->message)->isolation_level,
        .reader = fetch_reader(r),
        .by_rack = str_equal(config_str(r->shard->settings, BROKER_REPLICA_SELECTOR_CLASS),
                             STR("org.apache.kafka.common.replica.RackAwareReplicaSelector")),
        .authorizer = r->shard->authorizer,
        .sides = arena != NULL ? arena_take_array(arena, b->shard_count, sizeof *set->sides)
                               : calloc(b->shard_count, sizeof *set->sides),
    };
    ASSERT(set->sides != NULL);
    map_init(&set->index, item_equal);
    list_init(&set->items);
    list_init(&set->leaving);
    for (uint32_t i = 0; i < b->shard_count; i++) {
        struct fetch_side *side = &set->sides[i];
        side->set = set;
        side->shard = &b->shards[i];
        list_init(&side->items);
        list_init(&side->due);
    }
}

static void set_free(struct fetch_set *set)
{
    fetch_set_left(set);
    for (struct list *node; (node = list_take_head(&set->items)) != NULL;)
        item_free(container_of(node, struct fetch_item, in_set));
    ASSERT(set->counted_bytes == 0);
    map_deinit(&set->index);
    free(set->sides);
    free(set);
}

static void side_left(struct io *io, struct io_message *m)
{
    struct fetch_set *set = container_of(m, struct fetch_side, leave)->set;
    struct broker_shard *home = set->home;

    if (--set->sides_left > 0)
        return;
    set_free(set);
    shard_unhold(home);
}

/* The way back is behind every wake that the side has sent. */
static void leave_arrived(struct io *io, struct io_message *m)
{
    struct fetch_side *side = container_of(m, struct fetch_side, leave);

    fetch_side_leave(side);
    side->leave.run = side_left;
    io_post(io, side->set->home->index, &side->leave);
}

void fetch_set_end(struct fetch_set *set)
{
    struct broker_shard *home = set->home;

    ASSERT(set->pass == NULL && set->arena == NULL);
    home->held_count++;
    set->sides_left = home->broker->shard_count;
    for (uint32_t i = 0; i < home->broker->shard_count; i++) {
        set->sides[i].leave.run = leave_arrived;
        io_post(home->io, i, &set->sides[i].leave);
    }
}
