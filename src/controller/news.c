/* What has changed, and why, in words: the reason is said by who decides, what changed by the images before and after.
 * Told once it is in the log: a decision that is dropped is no news. */
#include "controller/internal.h"

#include <stdarg.h>
#include <stdio.h>

/* Partitions of one decision that are told of as lines: a broker that goes would write ten thousand. */
#define LINES_MAX 20
#define WHY_BYTES_MAX 300

struct noted {
    struct uuid topic;
    int32_t partition;
    uint32_t record; /* of the decision */
    struct str why;
};

void decide_because(struct decision *d, bool tell, const char *format, ...)
{
    char words[WHY_BYTES_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    d->why = arena_printf(&d->c->scratch, "%s", words);
    d->tell_why = tell;
    d->in_order = d->bad = false;
}

void news_note(struct decision *d, struct uuid topic, int32_t partition)
{
    if (d->noted_count == d->noted_capacity) {
        uint32_t capacity = d->noted_capacity == 0 ? 16 : d->noted_capacity * 2;
        struct noted *grown = arena_take_array(&d->c->scratch, capacity, sizeof(*grown));
        if (d->noted_count > 0)
            memcpy(grown, d->noted, d->noted_count * sizeof(*grown));
        d->noted = grown;
        d->noted_capacity = capacity;
    }
    d->noted[d->noted_count++] = (struct noted){topic, partition, d->count, d->why};
}

void news_cut(struct decision *d, uint32_t records)
{
    while (d->noted_count > 0 && d->noted[d->noted_count - 1].record > records)
        d->noted_count--;
}

/* ---- words --------------------------------------------------------------------------------------- */

static void add_ids(struct text *t, const int32_t *p, int32_t n)
{
    text_add_str(t, STR("["));
    for (int32_t i = 0; i < n; i++)
        text_printf(t, "%s%d", i == 0 ? "" : ",", p[i]);
    text_add_str(t, STR("]"));
}

static bool same_ids(const int32_t *a, int32_t n, const int32_t *b, int32_t m)
{
    return n == m && (n == 0 || memcmp(a, b, (size_t)n * sizeof(*a)) == 0);
}

/* Why those that have all records do not lead. */
static void add_candidates(struct text *t, const struct image *i, const struct image_partition *p)
{
    text_add_str(t, STR("; with all records are "));
    if (p->isr_count > 0)
        add_ids(t, p->isr, p->isr_count);
    else if (p->elr_count > 0)
        add_ids(t, p->elr, p->elr_count);
    else
        text_add_str(t, STR("none"));
    text_add_str(t, STR(", alive of its replicas "));
    text_add_str(t, STR("["));
    for (int32_t n = 0, alive = 0; n < p->replica_count; n++) {
        if (broker_is_active(i, p->replicas[n]))
            text_printf(t, "%s%d", alive++ == 0 ? "" : ",", p->replicas[n]);
    }
    text_add_str(t, STR("]"));
}

static void add_leader(struct text *t, const struct image *i, const struct image_partition *p,
                       const struct image_partition *q)
{
    if (q->leader == p->leader)
        return;
    if (q->leader == NO_LEADER) {
        text_printf(t, "is offline in epoch %d: nobody leads, before broker %d", q->leader_epoch,
                    p->leader);
        add_candidates(t, i, q);
    } else if (p->leader == NO_LEADER) {
        text_printf(t, "is led by broker %d in epoch %d, before by nobody", q->leader, q->leader_epoch);
    } else {
        text_printf(t, "is led by broker %d in epoch %d, before by broker %d", q->leader,
                    q->leader_epoch, p->leader);
    }
    if (q->recovery_state != 0 && q->leader != NO_LEADER)
        text_add_str(t, STR(", which may lack records (unclean election)"));
}

static void begin_part(struct text *t)
{
    if (t->n > 0)
        text_add_str(t, STR("; "));
}

static void add_lists(struct text *t, const struct image_partition *p, const struct image_partition *q)
{
    if (!same_ids(q->isr, q->isr_count, p->isr, p->isr_count)) {
        begin_part(t);
        text_add_str(t, STR("its ISR is "));
        add_ids(t, q->isr, q->isr_count);
        text_add_str(t, STR(", before "));
        add_ids(t, p->isr, p->isr_count);
    }
    if (!same_ids(q->replicas, q->replica_count, p->replicas, p->replica_count)) {
        begin_part(t);
        text_add_str(t, STR("its replicas are "));
        add_ids(t, q->replicas, q->replica_count);
        text_add_str(t, STR(", before "));
        add_ids(t, p->replicas, p->replica_count);
    }
    if (q->adding_count + q->removing_count > 0 &&
        (!same_ids(q->adding, q->adding_count, p->adding, p->adding_count) ||
         !same_ids(q->removing, q->removing_count, p->removing, p->removing_count))) {
        begin_part(t);
        text_add_str(t, STR("it is being reassigned, adding "));
        add_ids(t, q->adding, q->adding_count);
        text_add_str(t, STR(", removing "));
        add_ids(t, q->removing, q->removing_count);
    } else if (p->adding_count + p->removing_count > q->adding_count + q->removing_count) {
        begin_part(t);
        text_add_str(t, STR("its reassignment has ended"));
    }
}

/* ---- tell ---------------------------------------------------------------------------------------- */

static bool has(const int32_t *ids, int32_t n, int32_t id)
{
    for (int32_t i = 0; i < n; i++) {
        if (ids[i] == id)
            return true;
    }
    return false;
}

static void count_election(struct controller *c, const struct image *before, const struct noted *n)
{
    const struct image_partition *p = image_partition_find(before, n->topic, n->partition);
    const struct image_partition *q = image_partition_find(c->latest, n->topic, n->partition);

    if (p == NULL || q == NULL || q->leader == NO_LEADER || q->leader == p->leader)
        return;
    c->elections.all++;
    if (q->recovery_state != 0)
        c->elections.unclean++;
    else if (has(p->elr, p->elr_count, q->leader))
        c->elections.eligible++;
}

struct controller_elections controller_elections(const struct controller *c)
{
    return c->elections;
}

static void tell_partition(const struct decision *d, const struct image *before, const struct noted *n,
                           bool loud)
{
    const struct controller *c = d->c;
    const struct image_topic *topic = image_topic_by_id(c->latest, n->topic);
    const struct image_partition *p = image_partition_find(before, n->topic, n->partition);
    const struct image_partition *q = image_partition_find(c->latest, n->topic, n->partition);
    struct text words = {0};

    if (topic == NULL || p == NULL || q == NULL)
        return;
    bool bad = !d->in_order && (q->leader == NO_LEADER || q->recovery_state != 0);
    add_leader(&words, c->latest, p, q);
    add_lists(&words, p, q);
    if (words.n > 0) { /* else only who is eligible has changed */
        if (!str_is_null(n->why))
            text_printf(&words, ": %.*s", STR_ARG(n->why));
        c->settings.told(c->settings.told_ctx, &(struct controller_news){
                                                   .topic = topic->name,
                                                   .partition = n->partition,
                                                   .loud = loud,
                                                   .bad = bad,
                                                   .words = text_str(&words),
                                               });
    }
    text_deinit(&words);
}

void news_tell(struct decision *d, const struct image *before)
{
    struct controller *c = d->c;
    uint32_t count = d->noted_count;

    d->noted_count = 0;
    for (uint32_t i = 0; i < count; i++)
        count_election(c, before, &d->noted[i]);
    if (c->settings.told == NULL)
        return;
    if (d->tell_why) {
        struct text words = {0};
        text_add_str(&words, d->why);
        if (count > 0)
            text_printf(&words, "; %u partitions change", count);
        c->settings.told(c->settings.told_ctx,
                         &(struct controller_news){
                             .topic = STR_NULL, .loud = true, .bad = d->bad, .words = text_str(&words)});
        text_deinit(&words);
    }
    d->tell_why = false;
    for (uint32_t i = 0; i < count; i++)
        tell_partition(d, before, &d->noted[i], i < LINES_MAX);
}

/* Ids are 22 letters; one that somebody makes up may be as long as a request. */
#define CLUSTER_ID_SHOWN_MAX 64

void news_of_stranger(struct controller *c, int32_t broker_id, struct str cluster_id)
{
    struct text words = {0};

    if (c->settings.told == NULL)
        return;
    if (cluster_id.n > CLUSTER_ID_SHOWN_MAX)
        cluster_id.n = CLUSTER_ID_SHOWN_MAX;
    text_printf(&words,
                "broker %d of cluster %.*s is not registered: this is cluster %.*s; format its log directories for this "
                "one, or have it ask its own cluster's controllers",
                broker_id, STR_ARG(cluster_id), STR_ARG(c->settings.cluster_id));
    c->settings.told(c->settings.told_ctx,
                     &(struct controller_news){.topic = STR_NULL, .loud = true, .bad = true, .words = text_str(&words)});
    text_deinit(&words);
}
