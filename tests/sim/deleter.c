/* Deletes records of the lasting topics: up to somewhere, up to the high watermark, and, in vain, beyond it. One
 * thing after another, each until it is told, so that it knows what must be: T11. */
#include <stdlib.h>

#include "clients.h"
#include "protocol/delete_records.h"

#define TO_HIGH_WATERMARK (-1)
#define BEYOND (INT64_C(1) << 40)

struct deleter {
    struct client client;
    struct peer *peer;
    struct flow flow;
    struct rpc rpc;
    struct part *part;   /* what it works on; NULL = nothing */
    int64_t offset;
    int64_t high_before; /* the most that the start may be without this deed */
    int64_t floor;       /* of the high watermark when it was asked last */
    bool in_doubt;       /* an earlier try may have acted */
};

struct client *deleter_client(struct deleter *d) { return &d->client; }

static struct part *any_part(struct deleter *d)
{
    struct truth *t = d->client.world->truth;
    struct topic *topic;

    if (t->topic_count == 0)
        return NULL;
    topic = t->topics[client_below(&d->client, t->topic_count)];
    if (!topic->lasting || topic->state != TOPIC_LIVES)
        return NULL;
    return &topic->parts[client_below(&d->client, (uint64_t)topic->partition_count)];
}

static void choose(struct deleter *d)
{
    d->in_doubt = false;
    d->part = d->client.world->calm_ns != 0 ? NULL : any_part(d);
    if (d->part == NULL)
        return;
    d->high_before = d->part->start_high;
    switch (client_below(&d->client, 5)) {
    case 0:
        d->offset = BEYOND;
        return;
    case 1:
        d->offset = TO_HIGH_WATERMARK;
        d->part->start_high = START_UNKNOWN;
        return;
    default:
        d->offset = (int64_t)client_below(&d->client, (uint64_t)d->part->floor + 1);
        if (d->offset > d->high_before)
            d->part->start_high = d->offset;
    }
}

static void begin_delete(struct deleter *d)
{
    struct delete_records_request_topics_partitions partition;
    struct delete_records_request_topics topic;
    struct delete_records_request m;

    d->floor = d->part->floor;
    delete_records_request_init(&m);
    delete_records_request_topics_init(&topic);
    delete_records_request_topics_partitions_init(&partition);
    partition.partition_index = d->part->partition;
    partition.offset = d->offset;
    topic.name = str_of(d->part->topic->name);
    topic.partitions = &partition;
    topic.partitions_count = 1;
    m.topics = &topic;
    m.topics_count = 1;
    m.timeout_ms = 1000;
    rpc_begin(&d->rpc, &d->client, d->peer, API_DELETE_RECORDS, client_draw_version(&d->client, API_DELETE_RECORDS, 0, 2),
              &m, &d->flow.op);
}

/* T11: what the node says that it has done. */
static void take_low_watermark(struct deleter *d, int64_t low)
{
    struct part *p = d->part;
    int64_t least = d->offset == TO_HIGH_WATERMARK ? d->floor : d->offset;

    if (low < least || low < p->start_low)
        broken(d->client.world, "%s-%d: records below %" PRId64 " were to be deleted, below %" PRId64
               " they were; now the start is %" PRId64, p->topic->name, p->partition, least, p->start_low, low);
    if (low > p->start_high)
        broken(d->client.world, "%s-%d: the start is %" PRId64 ", but nobody asked for more than %" PRId64,
               p->topic->name, p->partition, low, p->start_high);
    p->start_low = low;
    if (d->client.world->plan.retention_bytes < 0)
        p->start_high = low > d->high_before ? low : d->high_before;
}

/* True when it is done. */
static bool take_answer(struct deleter *d)
{
    const struct delete_records_response *a = d->rpc.answer;
    struct client *c = &d->client;
    int16_t error;

    if (a->topics_count != 1 || a->topics[0].partitions_count != 1)
        broken(c->world, "DeleteRecords of one partition was answered with %d topics", a->topics_count);
    error = a->topics[0].partitions[0].error_code;
    if (error == KERR_NONE && d->offset != BEYOND) {
        take_low_watermark(d, a->topics[0].partitions[0].low_watermark);
        return true;
    }
    if (error == KERR_OFFSET_OUT_OF_RANGE && d->offset == BEYOND)
        return true;
    if (error == KERR_NONE)
        broken(c->world, "%s-%d: records beyond the high watermark were deleted", d->part->topic->name,
               d->part->partition);
    expect_passing(c, "DeleteRecords", error);
    return false;
}

/* After trouble wait longer than anything of the old connection can still take effect. */
static int64_t pause_ns(struct deleter *d)
{
    return d->in_doubt ? client_ms(&d->client, 250, 400) : client_ms(&d->client, 10, 100);
}

static void deleter_run(struct flow *f)
{
    struct deleter *d = container_of(f, struct deleter, flow);
    struct client *c = &d->client;

    FLOW_BEGIN(f);
    while (!c->stop) {
        choose(d);
        while (d->part != NULL) {
            FLOW_WAIT(f, "ask", begin_delete(d));
            d->in_doubt = d->in_doubt || (f->result < 0 && d->rpc.call.sent);
            if (f->result == 0 && take_answer(d))
                break;
            FLOW_WAIT(f, "back off", client_sleep(c, pause_ns(d), &f->op));
        }
        FLOW_WAIT(f, "pause", client_sleep(c, client_ms(c, 10, 300), &f->op));
    }
    FLOW_WAIT(f, "close", peer_close(d->peer, &f->op));
    FLOW_END(f);
    c->stopped = true;
}

struct deleter *deleter_new(struct world *w)
{
    struct deleter *d = calloc(1, sizeof *d);

    ASSERT(d != NULL);
    client_init(&d->client, w, "deleter", false);
    d->peer = client_connect(&d->client, 1500, 1);
    return d;
}

void deleter_begin(struct deleter *d)
{
    flow_start(&d->flow, deleter_run, NULL);
}

void deleter_free(struct deleter *d)
{
    if (d == NULL)
        return;
    rpc_deinit(&d->rpc);
    client_deinit(&d->client);
    free(d);
}
