/* A partition whose end is outside of its leader's log: what it does then depends on where that ends and begins.
 *
 *   the leader's log ends below our end   ─► ours is cut there (an election of a replica that lacked records)
 *   it begins above our end               ─► ours begins anew where it does (the follower was away for long)
 *   neither                               ─► it was so only for a moment: go on
 */
#include "replica/fetcher.h"

#define VERSION_LOW 7
#define AT_ONCE_MAX 1000 /* partitions in one request */
#define LATEST (-1)
#define EARLIEST (-2)

void following_lose(struct following *p)
{
    following_set_state(p, FOLLOWING_LOST);
    p->begins = false;
    list_add_tail(&p->fetcher->lost, &p->lost);
    offsets_pump(p->fetcher);
}

/* ---- a request -------------------------------------------------------------------------------- */

/* The text of it must not end with a partition that is deleted meanwhile. */
static void add(struct fetcher *f, const struct following *p, struct list_offsets_request_topics_partitions *one)
{
    struct list_offsets_request *q = &f->offsets_request;
    struct list_offsets_request_topics *t = q->topics_count == 0 ? NULL : &q->topics[q->topics_count - 1];

    list_offsets_request_topics_partitions_init(one);
    one->partition_index = p->partition;
    one->current_leader_epoch = p->leader_epoch;
    one->timestamp = p->begins ? EARLIEST : LATEST;
    if (t == NULL || !str_equal(t->name, str_of(p->replica->topic))) {
        t = &q->topics[q->topics_count++];
        list_offsets_request_topics_init(t);
        t->name = arena_str(&f->offsets_arena, str_of(p->replica->topic));
        t->partitions = one;
    }
    t->partitions_count++;
}

static void make_request(struct fetcher *f)
{
    struct list_offsets_request *q = &f->offsets_request;
    struct list_offsets_request_topics_partitions *ones;

    arena_reset(&f->offsets_arena);
    list_offsets_request_init(q);
    q->replica_id = f->set->options.node_id;
    q->topics = arena_take_array(&f->offsets_arena, AT_ONCE_MAX, sizeof *q->topics);
    ones = arena_take_array(&f->offsets_arena, AT_ONCE_MAX, sizeof *ones);
    ASSERT(q->topics != NULL && ones != NULL);
    for (uint32_t i = 0; i < AT_ONCE_MAX && !list_empty(&f->lost); i++) {
        struct following *p = container_of(list_take_head(&f->lost), struct following, lost);
        list_add_tail(&f->asking, &p->lost);
        p->in_offsets = true;
        add(f, p, &ones[i]);
    }
}

/* ---- an answer -------------------------------------------------------------------------------- */

static void ends_below(struct following *p, int64_t leader_end)
{
    struct replica *r = p->replica;
    int64_t end = log_end(r->log);

    say(r->set->options.telemetry, LOG_WARN, "replica",
        "%s-%d is cut from %lld to %lld: broker %d, which leads it, has no more; it was elected without all that was "
        "committed, or has lost records", r->topic, r->partition, (long long)end, (long long)leader_end,
        p->fetcher->leader);
    following_cut(p, leader_end, leader_end < log_start(r->log), BYTES_NULL);
}

static void begins_above(struct following *p, int64_t leader_start)
{
    struct replica *r = p->replica;

    say(r->set->options.telemetry, LOG_WARN, "replica",
        "%s-%d ends at %lld, below the first offset of its leader, broker %d: it begins anew at %lld", r->topic,
        r->partition, (long long)log_end(r->log), p->fetcher->leader, (long long)leader_start);
    following_cut(p, leader_start, true, BYTES_NULL);
}

static void take_offset(struct following *p, int64_t offset)
{
    int64_t end = log_end(p->replica->log);

    if (!p->begins && offset < end) {
        ends_below(p, offset);
    } else if (!p->begins) {
        p->begins = true;
        list_remove(&p->lost);
        list_add_tail(&p->fetcher->lost, &p->lost);
    } else if (offset > end) {
        begins_above(p, offset);
    } else {
        following_wait(p);
    }
}

static struct following *asked_for(struct fetcher *f, struct str topic, int32_t partition)
{
    const struct image_topic *t = f->set->image == NULL ? NULL : image_topic_find(f->set->image, topic);

    return t == NULL ? NULL : following_find(f, t->id, partition);
}

static void take_answer(struct fetcher *f, const struct list_offsets_response *a)
{
    for (int32_t t = 0; t < a->topics_count; t++) {
        for (int32_t i = 0; i < a->topics[t].partitions_count; i++) {
            const struct list_offsets_response_topics_partitions *one = &a->topics[t].partitions[i];
            struct following *p = asked_for(f, a->topics[t].name, one->partition_index);
            if (p != NULL && p->in_offsets && one->error_code == KERR_NONE && one->offset >= 0) {
                p->in_offsets = false;
                take_offset(p, one->offset);
            }
        }
    }
}

/* Those that got no answer, or an error, are asked for again by the next Fetch. */
static void answered(struct op *op, int64_t result)
{
    struct fetcher *f = container_of(op, struct fetcher, offsets.op);
    struct replicas *rs = f->set;

    f->offsets_busy = false;
    if (result == 0)
        take_answer(f, f->offsets.response);
    client_call_release(&f->offsets);
    LIST_EACH (it, &f->asking)
        following_wait(container_of(it, struct following, lost));
    offsets_pump(f);
    fetcher_pump(f);
    aside_ended(rs); /* the last: the set may be gone then */
}

void offsets_pump(struct fetcher *f)
{
    const struct metadata_version *v = fetcher_version(f);

    if (f->offsets_busy || list_empty(&f->lost) || !f->known || f->set->fetchers_closed)
        return;
    f->offsets_busy = true;
    aside_begun(f->set);
    make_request(f);
    op_init(&f->offsets.op, answered);
    f->offsets.target = (struct client_target){.kind = CLIENT_NODE, .node_id = f->leader};
    f->offsets.api_key = API_LIST_OFFSETS;
    f->offsets.version_low = VERSION_LOW;
    f->offsets.version_high = v == NULL ? VERSION_LOW : v->list_offsets_request;
    f->offsets.request = &f->offsets_request;
    f->offsets.timeout_ms = config_i64(f->set->broker, BROKER_REPLICA_SOCKET_TIMEOUT_MS);
    client_send(f->set->options.brokers, &f->offsets);
}
