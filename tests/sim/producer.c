/* A producer: makes batches, keeps up to five per partition on their way.
 *
 *   fresh ─► on its way ─► acknowledged
 *              │    ▲
 *   trouble    ▼    │   idempotent only, when nothing of the partition is on its way any more:
 *            waits ─┘   all that are not acknowledged go again, in order
 */
#include <stdlib.h>

#include "clients.h"
#include "protocol/init_producer_id.h"
#include "protocol/produce.h"

#define BATCHES_UNACKED_MAX 5 /* what a broker remembers of a producer: no more may be in doubt */
#define REQUESTS_MAX 5
#define BATCHES_PER_REQUEST_MAX 3
#define TARGETS_MAX (TOPICS_MAX * PARTITIONS_MAX)

struct pending { /* a batch */
    struct list node;
    struct target *target;
    struct text bytes;
    uint32_t first;
    int32_t count, base_sequence;
    int16_t attempts;
    uint32_t life;       /* of the node at the first attempt */
    bool on_its_way, bad;
};

struct target {
    struct part *part;
    struct list unacked; /* struct pending, by sequence */
    uint32_t unacked_count, on_its_way;
    int32_t next_sequence;
    bool waits, gone, last_word;
    bool known;          /* the broker knows this producer here: one batch was acknowledged */
};

struct produce_call {
    struct rpc rpc;
    struct op op;
    struct producer *producer;
    struct pending *batches[BATCHES_PER_REQUEST_MAX];
    uint32_t count;
};

struct producer {
    struct client client;
    struct peer *peer;
    struct flow flow;
    uint32_t number;
    bool idempotent;
    int16_t acks, version;
    int32_t timeout_ms;
    uint32_t records_max, bytes_max, requests_max;
    uint64_t pause_ms_max;
    int64_t producer_id;
    int16_t producer_epoch;
    struct target *targets[TARGETS_MAX];
    uint32_t target_count;
    struct produce_call calls[REQUESTS_MAX];
    uint32_t calls_under_way;
    struct rpc rpc;
    bool said_all, last_words;
    bool bump;              /* the next epoch begins when nothing is on its way */
};

struct client *producer_client(struct producer *p) { return &p->client; }

/* ---- what it writes to ------------------------------------------------------------------------------ */

static void add_targets(struct producer *p)
{
    struct truth *t = p->client.world->truth;

    for (uint32_t i = 0; i < t->topic_count; i++) {
        for (int32_t k = 0; t->topics[i]->state == TOPIC_LIVES && k < t->topics[i]->partition_count; k++) {
            struct part *part = &t->topics[i]->parts[k];
            bool there = false;
            for (uint32_t n = 0; n < p->target_count; n++)
                there = there || p->targets[n]->part == part;
            if (there || p->target_count == TARGETS_MAX)
                continue;
            struct target *target = calloc(1, sizeof *target);
            ASSERT(target != NULL);
            target->part = part;
            list_init(&target->unacked);
            p->targets[p->target_count++] = target;
        }
    }
}

static void batch_free(struct pending *b)
{
    list_remove(&b->node);
    b->target->unacked_count--;
    text_deinit(&b->bytes);
    free(b);
}

/* Nobody will know what became of these: their topic goes. */
static void drop_waiting(struct target *t)
{
    LIST_EACH(it, &t->unacked) {
        struct pending *b = container_of(it, struct pending, node);
        if (!b->on_its_way)
            batch_free(b);
    }
}

/* ---- batches ------------------------------------------------------------------------------------------ */

static uint16_t draw_codec(struct producer *p)
{
    uint64_t n = client_below(&p->client, 14);
    bool may = n < CODEC_COUNT && (n != CODEC_ZSTD || p->version >= 7);

    return may ? (uint16_t)n : CODEC_NONE;
}

static void add_record(struct producer *p, struct batch_builder *b, struct target *t)
{
    uint32_t n = truth_sends(p->client.world->truth, p->number, t->part);
    uint32_t bytes = record_bytes(p->number, n, p->bytes_max);
    struct record_header header = {STR("sim"), {(const uint8_t *)"x", 1}};
    struct bytes key = n % 3 == 0 ? BYTES_NULL : bytes_of_str(STR("key"));
    uint8_t value[RECORD_BYTES_MAX];
    char name[16];

    if (t->part->topic->compacted)
        key = (struct bytes){(const uint8_t *)name, snprintf(name, sizeof name, "%u", record_key(p->number, n))};
    record_fill(p->number, n, bytes, value);
    batch_builder_add(b, io_wall_ms(p->client.io), key,
                      (struct bytes){value, (int32_t)bytes}, &header, n % 5 == 0 ? 1 : 0);
}

static struct pending *make_batch(struct producer *p, struct target *t)
{
    struct pending *out = calloc(1, sizeof *out);
    struct batch_builder b;
    int rc;

    ASSERT(out != NULL);
    batch_builder_init(&b);
    out->target = t;
    out->first = p->client.world->truth->histories[p->number].count;
    out->count = 1 + (int32_t)client_below(&p->client, p->records_max);
    out->base_sequence = t->next_sequence;
    for (int32_t i = 0; i < out->count; i++)
        add_record(p, &b, t);
    b.attributes = draw_codec(p);
    b.level = codec_level_default((enum codec)b.attributes);
    if (p->idempotent) {
        b.producer_id = p->producer_id;
        b.producer_epoch = p->producer_epoch;
        b.base_sequence = out->base_sequence;
        t->next_sequence = sequence_add(t->next_sequence, out->count);
    } else {
        out->bad = client_below(&p->client, 24) == 0;
    }
    rc = batch_builder_finish(&b, &out->bytes);
    ASSERT(rc == 0);
    batch_builder_deinit(&b);
    if (out->bad) /* a line that flips a bit: the checksum must tell */
        out->bytes.p[out->bytes.n - 1] ^= 4;
    list_add_tail(&t->unacked, &out->node);
    t->unacked_count++;
    return out;
}

/* ---- requests --------------------------------------------------------------------------------------------- */

static void call_done(struct op *op, int64_t result);

static void send(struct producer *p, struct produce_call *call)
{
    struct produce_request_topic_data topics[BATCHES_PER_REQUEST_MAX];
    struct produce_request_topic_data_partition_data partitions[BATCHES_PER_REQUEST_MAX];
    struct produce_request m;

    produce_request_init(&m);
    m.acks = p->acks;
    m.timeout_ms = p->timeout_ms;
    m.topic_data = topics;
    m.topic_data_count = (int32_t)call->count;
    for (uint32_t i = 0; i < call->count; i++) {
        struct pending *b = call->batches[i];
        struct topic *topic = b->target->part->topic;
        b->on_its_way = true;
        b->life = b->attempts++ == 0 ? p->client.world->lives : b->life;
        b->target->on_its_way++;
        produce_request_topic_data_partition_data_init(&partitions[i]);
        partitions[i].index = b->target->part->partition;
        partitions[i].records = bytes_of_str(text_str(&b->bytes));
        produce_request_topic_data_init(&topics[i]);
        topics[i].name = str_of(topic->name);
        topics[i].topic_id = topic->id;
        topics[i].partition_data = &partitions[i];
        topics[i].partition_data_count = 1;
    }
    call->producer = p;
    p->calls_under_way++;
    op_init(&call->op, call_done);
    rpc_begin(&call->rpc, &p->client, p->peer, API_PRODUCE, p->version, &m, &call->op);
}

/* The batch that goes next to this partition, or NULL. */
static struct pending *next_batch(struct producer *p, struct target *t, bool fresh)
{
    if (t->waits || t->gone)
        return NULL;
    LIST_EACH(it, &t->unacked) {
        struct pending *b = container_of(it, struct pending, node);
        if (!b->on_its_way)
            return b;
    }
    /* As every broker, this one takes any sequence from a producer that it does not know. */
    if (!fresh || t->unacked_count >= (p->idempotent && !t->known ? 1 : BATCHES_UNACKED_MAX))
        return NULL;
    return make_batch(p, t);
}

static struct produce_call *free_call(struct producer *p)
{
    for (uint32_t i = 0; i < p->requests_max; i++) {
        if (p->calls[i].count == 0)
            return &p->calls[i];
    }
    return NULL;
}

/* Fill requests from the partitions, beginning anywhere. `fresh`: new batches may be made. */
static bool send_some(struct producer *p, bool fresh)
{
    struct produce_call *call = free_call(p);
    uint32_t from, most;

    if (call == NULL || p->target_count == 0 || p->bump)
        return false;
    from = (uint32_t)client_below(&p->client, p->target_count);
    most = 1 + (uint32_t)client_below(&p->client, BATCHES_PER_REQUEST_MAX);
    for (uint32_t i = 0; i < p->target_count && call->count < most; i++) {
        struct target *t = p->targets[(from + i) % p->target_count];
        bool last_word = p->last_words && !t->last_word && t->part->topic->lasting;
        struct pending *b = next_batch(p, t, last_word || (fresh && !p->last_words));
        if (b == NULL)
            continue;
        t->last_word = t->last_word || p->last_words;
        call->batches[call->count++] = b;
    }
    if (call->count == 0)
        return false;
    send(p, call);
    return true;
}

/* ---- answers -------------------------------------------------------------------------------------------------- */

static bool is_definite(int16_t error)
{
    switch (error) {
    case KERR_CORRUPT_MESSAGE:
    case KERR_UNKNOWN_TOPIC_OR_PARTITION:
    case KERR_UNKNOWN_TOPIC_ID:
    case KERR_MESSAGE_TOO_LARGE:
    case KERR_NOT_ENOUGH_REPLICAS:
        return true;
    default:
        return false;
    }
}

static bool topic_goes(const struct pending *b)
{
    return b->target->part->topic->state != TOPIC_LIVES;
}

/* Go again with it when the partition is quiet (idempotent), or let it be. One that names a topic which is gone may
 * still come to the next topic of that name: in this epoch it would be taken for the first batch there. */
static void not_acked(struct producer *p, struct pending *b)
{
    b->target->waits = p->idempotent;
    if (topic_goes(b)) {
        b->target->gone = true;
        p->bump = p->bump || (p->idempotent && p->version < 13);
    }
    if (!p->idempotent || b->target->gone)
        batch_free(b);
}

/* What was meant for an older topic of that name may have come late. */
static bool part_had_namesake(const struct producer *p, const struct part *part)
{
    const struct truth *t = p->client.world->truth;

    for (uint32_t i = 0; i < t->topic_count; i++) {
        if (t->topics[i] != part->topic && strcmp(t->topics[i]->name, part->topic->name) == 0)
            return true;
    }
    return false;
}

/* A snapshot of producers has the last batch of each, so a node that started again may know no more. Of several
 * in doubt an earlier one is then out of order. Kafka's producer gives them up, and goes on in a new epoch. */
static bool is_forgotten(const struct producer *p, const struct pending *b)
{
    bool is_last = sequence_add(b->base_sequence, b->count) == b->target->next_sequence;

    if (p->idempotent && p->version < 13 && part_had_namesake(p, b->target->part))
        return true;
    return p->idempotent && !is_last && b->life != p->client.world->lives;
}

static void refused(struct producer *p, struct pending *b, int16_t error)
{
    struct world *w = p->client.world;
    const struct part *part = b->target->part;
    bool first = b->node.prev == &b->target->unacked;
    bool unknown = error == KERR_UNKNOWN_TOPIC_OR_PARTITION || error == KERR_UNKNOWN_TOPIC_ID;

    if (topic_goes(b)) {
        not_acked(p, b);
        return;
    }
    if (b->bad && error != KERR_CORRUPT_MESSAGE && !error_is_passing(error) && !unknown)
        broken(w, "%s: a batch with a wrong checksum was answered %s", p->client.name, kerr_name(error));
    if (error == KERR_OUT_OF_ORDER_SEQUENCE_NUMBER && first && is_forgotten(p, b))
        p->bump = true;
    else if (error == KERR_OUT_OF_ORDER_SEQUENCE_NUMBER && (first || !p->idempotent))
        broken(w, "%s-%d: %s: the batch of sequence %d follows what was acknowledged, but is answered "
               "OUT_OF_ORDER_SEQUENCE_NUMBER", part->topic->name, part->partition, p->client.name,
               b->base_sequence);
    if (unknown)
        broken(w, "%s-%d: %s: Produce was answered %s, but the topic is there", part->topic->name,
               part->partition, p->client.name, kerr_name(error));
    if (!(b->bad && error == KERR_CORRUPT_MESSAGE) && error != KERR_OUT_OF_ORDER_SEQUENCE_NUMBER)
        expect_passing(&p->client, "Produce", error);
    if (is_definite(error) && !p->idempotent)
        truth_never(w->truth, p->number, b->first, b->count);
    not_acked(p, b);
}

static void acked(struct producer *p, struct produce_call *call, struct pending *b, int64_t base_offset)
{
    struct world *w = p->client.world;
    uint32_t life = b->attempts == 1 && call->rpc.life == w->lives ? w->lives : 0;

    if (b->bad)
        broken(w, "%s: a batch with a wrong checksum was acknowledged", p->client.name);
    if (!topic_goes(b))
        truth_acked(w->truth, p->number, b->first, b->count, base_offset, life);
    b->target->known = true;
    batch_free(b);
}

static const struct produce_response_responses_partition_responses *answer_of(struct producer *p,
                                                                              struct produce_call *call,
                                                                              const struct pending *b)
{
    const struct produce_response *a = call->rpc.answer;
    const struct topic *topic = b->target->part->topic;

    for (int32_t i = 0; i < a->responses_count; i++) {
        const struct produce_response_responses *r = &a->responses[i];
        if (p->version >= 13 ? !uuid_equal(r->topic_id, topic->id)
                             : !str_equal(r->name, str_of(topic->name)))
            continue;
        for (int32_t k = 0; k < r->partition_responses_count; k++) {
            if (r->partition_responses[k].index == b->target->part->partition)
                return &r->partition_responses[k];
        }
    }
    broken(p->client.world, "%s: Produce was not answered for %s-%d", p->client.name, topic->name,
           b->target->part->partition);
}

static void call_done(struct op *op, int64_t result)
{
    struct produce_call *call = container_of(op, struct produce_call, op);
    struct producer *p = call->producer;

    for (uint32_t i = 0; i < call->count; i++) {
        struct pending *b = call->batches[i];
        struct target *t = b->target;
        b->on_its_way = false;
        t->on_its_way--;
        if (result < 0) {
            not_acked(p, b);
        } else {
            const struct produce_response_responses_partition_responses *a = answer_of(p, call, b);
            note(p->client.world, "%s: %s-%d: %d records from %u (sequence %d, attempt %d) -> %s at %" PRId64,
                 p->client.name, t->part->topic->name, t->part->partition, b->count, b->first,
                 b->base_sequence, b->attempts, kerr_name(a->error_code), a->base_offset);
            if (a->error_code == KERR_NONE)
                acked(p, call, b, a->base_offset);
            else
                refused(p, b, a->error_code);
        }
    }
    call->count = 0;
    p->calls_under_way--;
}

/* ---- its life --------------------------------------------------------------------------------------------- */

static void next_epoch(struct producer *p)
{
    p->bump = false;
    p->producer_epoch++;
    for (uint32_t i = 0; i < p->target_count; i++) {
        drop_waiting(p->targets[i]);
        p->targets[i]->next_sequence = 0;
        p->targets[i]->known = false;
    }
}

static void look_after(struct producer *p)
{
    bool open = false;

    if (p->bump && p->calls_under_way == 0)
        next_epoch(p);

    add_targets(p);
    for (uint32_t i = 0; i < p->target_count; i++) {
        struct target *t = p->targets[i];
        if (t->part->topic->state != TOPIC_LIVES)
            t->gone = true;
        if (t->gone)
            drop_waiting(t);
        if (t->on_its_way == 0)
            t->waits = false;
        open = open || t->unacked_count > 0 || (p->last_words && !t->last_word && t->part->topic->lasting);
    }
    p->said_all = p->last_words && p->target_count > 0 && !open && p->calls_under_way == 0;
}

static void begin_init(struct producer *p)
{
    struct init_producer_id_request m;

    init_producer_id_request_init(&m);
    m.transactional_id = STR_NULL;
    m.transaction_timeout_ms = 60000;
    rpc_begin(&p->rpc, &p->client, p->peer, API_INIT_PRODUCER_ID,
              client_draw_version(&p->client, API_INIT_PRODUCER_ID, 0, 5), &m, &p->flow.op);
}

static bool take_init(struct producer *p)
{
    const struct init_producer_id_response *a = p->rpc.answer;

    if (a->error_code != KERR_NONE) {
        expect_passing(&p->client, "InitProducerId", a->error_code);
        return false;
    }
    for (uint32_t i = 0; i < PRODUCERS_MAX; i++) {
        struct producer *other = p->client.world->producers[i];
        if (other != NULL && other != p && other->producer_id == a->producer_id && other->producer_id >= 0)
            broken(p->client.world, "%s: the producer id %" PRId64 " is another's", p->client.name,
                   a->producer_id);
    }
    p->producer_id = a->producer_id;
    p->producer_epoch = a->producer_epoch;
    return true;
}

static void producer_run(struct flow *f)
{
    struct producer *p = container_of(f, struct producer, flow);

    FLOW_BEGIN(f);
    while (p->idempotent && p->producer_id < 0 && !p->client.stop) {
        FLOW_WAIT(f, "init producer id", begin_init(p));
        if (f->result == 0 && take_init(p))
            break;
        FLOW_WAIT(f, "back off", client_sleep(&p->client, client_ms(&p->client, 5, 60), &f->op));
    }
    while (!p->client.stop || p->calls_under_way > 0) {
        look_after(p);
        if (!p->client.stop) {
            while (send_some(p, client_below(&p->client, 3) != 0) && client_below(&p->client, 2) == 0)
                ;
        }
        FLOW_WAIT(f, "pause", client_sleep(&p->client, client_ms(&p->client, 1, p->pause_ms_max), &f->op));
    }
    FLOW_WAIT(f, "close", peer_close(p->peer, &f->op));
    FLOW_END(f);
    p->client.stopped = true;
}

struct producer *producer_create(struct world *w, uint32_t number)
{
    struct producer *p = calloc(1, sizeof *p);
    struct client *c;
    char name[16];

    ASSERT(p != NULL);
    c = &p->client;
    snprintf(name, sizeof name, "producer-%u", number);
    client_init(c, w, name, true);
    p->number = number;
    p->idempotent = client_below(c, 3) != 0;
    p->acks = p->idempotent || client_below(c, 2) == 0 ? -1 : 1;
    p->version = client_draw_version(c, API_PRODUCE, client_below(c, 2) == 0 ? 3 : 9, 13);
    p->timeout_ms = 200 + (int32_t)client_below(c, 1000);
    p->records_max = 1 + (uint32_t)client_below(c, client_below(c, 4) == 0 ? 40 : 5);
    p->bytes_max = RECORD_BYTES_MIN + (uint32_t)client_below(c, RECORD_BYTES_MAX - RECORD_BYTES_MIN + 1);
    p->requests_max = 1 + (uint32_t)client_below(c, REQUESTS_MAX);
    p->pause_ms_max = 4 + client_below(c, 60);
    p->producer_id = -1;
    w->truth->histories[number].idempotent = p->idempotent;
    p->peer = client_connect(c, 200 + (int64_t)client_below(c, 800), REQUESTS_MAX);
    return p;
}

void producer_begin(struct producer *p)
{
    flow_start(&p->flow, producer_run, NULL);
}

void producer_free(struct producer *p)
{
    if (p == NULL)
        return;
    for (uint32_t i = 0; i < p->target_count; i++) {
        drop_waiting(p->targets[i]);
        free(p->targets[i]);
    }
    for (uint32_t i = 0; i < REQUESTS_MAX; i++)
        rpc_deinit(&p->calls[i].rpc);
    rpc_deinit(&p->rpc);
    client_deinit(&p->client);
    free(p);
}

void producer_last_words(struct producer *p)
{
    p->last_words = true;
}

bool producer_has_said_all(const struct producer *p)
{
    return p->said_all;
}
