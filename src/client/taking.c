/* What an answer, or a hint in one, changes of what is known: never back (C4). */
#include "client/internal.h"

#include <stdlib.h>

#include "protocol/metadata.h"

/* ---- partitions ------------------------------------------------------------------------------------ */

typedef const struct metadata_response_topics answer_topic;
typedef const struct metadata_response_topics_partitions answer_partition;

static void show_none(struct topic *t)
{
    free(t->partitions);
    t->partitions = NULL;
    t->shown.partitions = NULL;
    t->shown.partition_count = 0;
}

/* Another topic of the same name begins at epoch 0 again (KIP-516). */
static void epochs_fit(struct topic *t, struct uuid id, int32_t count)
{
    if (!uuid_equal(t->epochs_id, id)) {
        t->epochs_id = id;
        t->epoch_count = 0;
    }
    if (count <= t->epoch_count)
        return;
    t->epochs = realloc(t->epochs, (size_t)count * sizeof *t->epochs);
    ASSERT(t->epochs != NULL);
    while (t->epoch_count < count)
        t->epochs[t->epoch_count++] = -1;
}

static size_t numbers_of(const struct client_partition *p)
{
    return (size_t)p->replica_count + (size_t)p->isr_count + (size_t)p->offline_count;
}

static const int32_t *keep_numbers(int32_t **at, const int32_t *numbers, int32_t count)
{
    const int32_t *kept = *at;

    if (count > 0)
        memcpy(*at, numbers, (size_t)count * sizeof *numbers);
    *at += count;
    return kept;
}

/* `drafts` point into the answer and into what was shown before. */
static void show(struct topic *t, const struct client_partition *drafts, int32_t count)
{
    size_t numbers = 0;

    for (int32_t i = 0; i < count; i++)
        numbers += numbers_of(&drafts[i]);
    struct client_partition *p = malloc((size_t)count * sizeof *p + numbers * sizeof(int32_t) + 1);
    ASSERT(p != NULL);
    int32_t *at = (int32_t *)(p + count);
    for (int32_t i = 0; i < count; i++) {
        p[i] = drafts[i];
        p[i].replicas = keep_numbers(&at, drafts[i].replicas, drafts[i].replica_count);
        p[i].isr = keep_numbers(&at, drafts[i].isr, drafts[i].isr_count);
        p[i].offline = keep_numbers(&at, drafts[i].offline, drafts[i].offline_count);
    }
    show_none(t);
    t->partitions = p;
    t->shown.partitions = p;
    t->shown.partition_count = count;
}

static int32_t not_negative(int32_t count)
{
    return count < 0 ? 0 : count;
}

static struct client_partition draft_of(answer_partition *a)
{
    return (struct client_partition){
        .leader = a->leader_id,
        .leader_epoch = a->leader_epoch,
        .replicas = a->replica_nodes,
        .isr = a->isr_nodes,
        .offline = a->offline_replicas,
        .replica_count = not_negative(a->replica_nodes_count),
        .isr_count = not_negative(a->isr_nodes_count),
        .offline_count = not_negative(a->offline_replicas_count),
    };
}

/* C4: an answer with a lower epoch than one that was seen comes from a broker that lags behind. */
static bool take_partition(struct topic *t, struct client_partition *drafts, answer_partition *a)
{
    int32_t i = a->partition_index;

#ifndef MUTANT_CLIENT_STALE_EPOCH
    if (a->leader_epoch >= 0 && a->leader_epoch < t->epochs[i])
        return drafts[i].leader >= 0;
#endif
    if (a->leader_epoch >= 0)
        t->epochs[i] = a->leader_epoch;
    drafts[i] = draft_of(a);
    return a->leader_id >= 0;
}

/* Whether every partition has a leader. */
static bool take_partitions(struct client *c, struct topic *t, answer_topic *a)
{
    int32_t known = uuid_equal(t->epochs_id, a->topic_id) ? t->shown.partition_count : 0;
    int32_t count = a->partitions_count > known ? a->partitions_count : known; /* they never become fewer */
    bool complete = true;
    struct client_partition *drafts = calloc((size_t)count + 1, sizeof *drafts);

    ASSERT(drafts != NULL);
    epochs_fit(t, a->topic_id, count);
    for (int32_t i = 0; i < count; i++)
        drafts[i] = i < known ? t->partitions[i] : (struct client_partition){.leader = -1, .leader_epoch = -1};
    for (int32_t i = 0; i < a->partitions_count; i++)
        complete &= take_partition(t, drafts, &a->partitions[i]);
    topic_set_id(c, t, a->topic_id);
    show(t, drafts, count);
    free(drafts);
    return complete;
}

/* ---- answers --------------------------------------------------------------------------------------- */

static bool take_topic(struct client *c, struct topic *t, answer_topic *a)
{
    bool complete = !kerr_needs_metadata(a->error_code);

    t->asked = true;
    t->seen = c->metadata.begun;
    t->shown.error = a->error_code;
    t->shown.updated_ns = io_now_ns(c->io);
    if (a->error_code != KERR_NONE) {
        show_none(t);
        return complete;
    }
    t->shown.internal = a->is_internal;
    return take_partitions(c, t, a);
}

/* Topics that the answer should have had. */
static bool look_for_missing(struct client *c)
{
    struct metadata *known = &c->metadata;
    bool complete = true;

    MAP_EACH (node, &known->topics) {
        struct topic *t = topic_of_node(node);
        if (t->seen == known->begun || !t->asked)
            continue;
        if (known->asked_all_topics && t->wants == 0) {
            topic_drop(c, t);
        } else if (known->asked_all_topics) {
            t->shown.error = KERR_UNKNOWN_TOPIC_OR_PARTITION;
            t->shown.updated_ns = io_now_ns(c->io);
            show_none(t);
            complete = false;
        } else if (t->shown.updated_ns == 0) {
            complete = false;
        }
    }
    return complete;
}

static bool is_sane(const struct metadata_response *m)
{
    for (int32_t i = 0; i < m->brokers_count; i++) {
        const struct metadata_response_brokers *b = &m->brokers[i];
        if (b->host.n <= 0 || b->host.n >= IO_HOST_MAX || b->port <= 0 || b->port > UINT16_MAX)
            return false;
    }
    for (int32_t i = 0; i < m->topics_count; i++) {
        answer_topic *t = &m->topics[i];
        for (int32_t j = 0; j < t->partitions_count; j++) {
            int32_t index = t->partitions[j].partition_index;
            if (index < 0 || index >= t->partitions_count)
                return false;
        }
    }
    return true;
}

int metadata_take(struct client *c, const struct metadata_response *m, int16_t version, bool *complete)
{
    struct metadata *known = &c->metadata;
    struct client_broker *brokers =
        arena_take_array(&known->call.arena, (size_t)not_negative(m->brokers_count), sizeof *brokers);

    if (brokers == NULL)
        return -ENOMEM;
    if (!is_sane(m))
        return ERR_CORRUPT;
    for (int32_t i = 0; i < m->brokers_count; i++) {
        const struct metadata_response_brokers *b = &m->brokers[i];
        brokers[i] = (struct client_broker){b->node_id, (uint16_t)b->port, b->host, b->rack};
    }
    for (int32_t i = 0; i < m->topics_count; i++) {
        answer_topic *a = &m->topics[i];
        struct topic *t = a->name.n <= 0 ? NULL : topic_find(c, a->name);
        if (t == NULL && a->name.n > 0 && known->asked_all_topics)
            t = topic_get(c, a->name);
        if (t == NULL)
            continue;
        bool whole = take_topic(c, t, a);
        *complete &= whole || (t->wants == 0 && known->want_all == 0);
    }
    *complete &= look_for_missing(c);
    if (version >= 2)
        cluster_id_set(c, m->cluster_id);
    known->controller_id = m->controller_id;
    brokers_set(c, brokers, (uint32_t)not_negative(m->brokers_count));
    return 0;
}

/* ---- hints ------------------------------------------------------------------------------------------ */

void client_hint(struct client *c, struct str topic, int32_t partition, int32_t leader, int32_t leader_epoch,
                 struct str host, int32_t port)
{
    struct topic *t = topic_find(c, topic);

    if (t == NULL || partition < 0 || partition >= t->shown.partition_count || leader < 0)
        return;
#ifndef MUTANT_CLIENT_OLD_HINT
    if (leader_epoch <= t->epochs[partition])
        return;
#endif
    const struct client_broker *b = client_broker(c, leader);
    bool placed = host.n > 0 && host.n < IO_HOST_MAX && port > 0 && port <= UINT16_MAX;
    if (placed && (b == NULL || b->port != port || !str_equal(b->host, host)))
        broker_put(c, &(struct client_broker){leader, (uint16_t)port, host, b == NULL ? STR_NULL : b->rack});
    else if (b == NULL)
        return;
    t->epochs[partition] = leader_epoch;
    t->partitions[partition].leader = leader;
    t->partitions[partition].leader_epoch = leader_epoch;
    client_changed(c);
}
