/* The quorum that the test plays: what quorum/quorum.h declares, as far as a node asks for it. */
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/feature_level_record.h"
#include "protocol/register_broker_record.h"

struct quorum *lab_quorum_opened;

static void add_record(struct text *records, const struct message *message, int16_t version, const void *record)
{
    int64_t n = message_metadata_size(message, version, record);
    uint8_t bytes[1000];

    ASSERT(n > 0 && n <= (int64_t)sizeof bytes);
    message_metadata_write(message, version, record, bytes);
    text_add(records, &(int32_t){(int32_t)n}, 4);
    text_add(records, bytes, (size_t)n);
}

/* -> how many records it has. */
static int64_t add_batch(struct text *log, const struct text *records, int64_t at, int32_t epoch)
{
    struct batch_builder b;
    int64_t count = 0;
    int32_t n;

    batch_builder_init(&b);
    b.base_offset = at;
    b.leader_epoch = epoch;
    for (size_t i = 0; i < records->n; i += 4 + (size_t)n, count++) {
        memcpy(&n, records->p + i, 4);
        batch_builder_add(&b, 1, BYTES_NULL, (struct bytes){(uint8_t *)records->p + i + 4, n}, NULL, 0);
    }
    int rc = batch_builder_finish(&b, log);
    ASSERT(rc == 0 && count > 0);
    batch_builder_deinit(&b);
    return count;
}

static void deliver(struct io_timer *t)
{
    struct quorum *q = container_of(t, struct quorum, timer);
    struct text log = q->log;

    q->log = (struct text){0};
    q->delivered = q->end;
    if (log.n > 0)
        q->listener.committed(q->listener.ctx, (struct bytes){(uint8_t *)log.p, (int32_t)log.n});
    text_deinit(&log);
    q->listener.caught_up(q->listener.ctx, q->end);
}

static void deliver_after(struct quorum *q, int64_t ms)
{
    if (!q->hold)
        io_timer_set(q->io, &q->timer, io_now_ns(q->io) + ms * 1000000, deliver);
}

void quorum_open(const struct quorum_open *o, struct quorum **out, struct fail *f, struct op *op)
{
    struct quorum *q = calloc(1, sizeof *q);

    q->io = o->io;
    q->listener = o->listener;
    q->node_id = o->node_id;
    q->leader = -1;
    q->opened = *o;
    *out = lab_quorum_opened = q;
    io_complete(o->io, op, 0);
}

void quorum_close(struct quorum *q, struct op *op)
{
    io_timer_clear(&q->timer);
    io_complete(q->io, op, 0);
}

/* The scripted controllers look at it as long as they are there. */
void lab_quorum_free(struct quorum *q)
{
    text_deinit(&q->log);
    text_deinit(&q->records);
    free(q);
}

int quorum_append(struct quorum *q, int32_t epoch, const struct bytes *framed, uint32_t count, int64_t *last_offset)
{
    struct text records = {0};

    if (q->leader != q->node_id || epoch != q->epoch)
        return ERR_FENCED;
    if (q->broken)
        return ERR_OFFLINE;
    for (uint32_t i = 0; i < count; i++) {
        text_add(&records, &framed[i].n, 4);
        text_add(&records, framed[i].p, (size_t)framed[i].n);
    }
    q->end += add_batch(&q->log, &records, q->end, epoch);
    *last_offset = q->end - 1;
    text_deinit(&records);
    deliver_after(q, 1);
    return 0;
}

const char *quorum_obstacle(const struct quorum *q)
{
    return NULL;
}

void quorum_leader(const struct quorum *q, int32_t *leader_id, int32_t *epoch)
{
    *leader_id = q->leader;
    *epoch = q->epoch;
}

bool quorum_leader_endpoint(const struct quorum *q, struct raft_endpoint *out)
{
    if (q->leader < 0 || q->leader == q->node_id || q->hidden)
        return false;
    *out = (struct raft_endpoint){.name = "CONTROLLER", .port = SCRIPT_PORT};
    snprintf(out->host, sizeof out->host, "b%d", q->leader);
    return true;
}

const struct raft_voters *quorum_voters(const struct quorum *q)
{
    return &q->opened.static_voters;
}

enum kerr quorum_upgrade(struct quorum *q, int32_t epoch, bool validate_only)
{
    return KERR_INVALID_UPDATE_VERSION; /* the voters that are played have said nothing */
}

bool quorum_handles(int16_t api_key)
{
    return api_key == API_DESCRIBE_QUORUM;
}

void quorum_snapshot(struct quorum *q, struct raft_snapshot_id id, int64_t last_timestamp_ms,
                     const struct bytes *framed, uint32_t count, struct op *op)
{
    ASSERT(!"none is due");
}

bool quorum_snapshot_due(const struct quorum *q)
{
    return false;
}

static void add_metadata_version(struct text *records, int16_t level)
{
    struct feature_level_record r;

    feature_level_record_init(&r);
    r.name = STR("metadata.version");
    r.feature_level = level;
    add_record(records, &feature_level_record_message, 0, &r);
}

void quorum_bootstrap(struct io *io, const char *dir, struct text *out, struct fail *f, struct op *op)
{
    struct text records = {0};

    add_metadata_version(&records, LAB_METADATA_VERSION);
    add_batch(out, &records, 0, 0);
    text_deinit(&records);
    io_complete(io, op, 0);
}

void lab_add(struct lab *lab, const struct message *message, int16_t version, const void *record)
{
    add_record(&lab->quorum->records, message, version, record);
}

void lab_add_metadata_version(struct lab *lab)
{
    add_metadata_version(&lab->quorum->records, lab->metadata_version);
}

void lab_commit(struct lab *lab)
{
    struct quorum *q = lab->quorum;

    q->end += add_batch(&q->log, &q->records, q->end, q->epoch);
    text_clear(&q->records);
    deliver_after(q, lab->lags_ms);
}

void lab_lead(struct lab *lab, int32_t id, int32_t epoch)
{
    struct quorum *q = lab->quorum;

    if (q->leader == q->node_id) {
        text_clear(&q->log);
        q->end = q->delivered;
    }
    q->leader = id;
    q->epoch = epoch;
    q->listener.leader(q->listener.ctx, id, epoch);
}

void lab_claim(struct lab *lab, int32_t epoch)
{
    lab->quorum->listener.claim(lab->quorum->listener.ctx, epoch);
}

void lab_add_broker(struct lab *lab, int32_t id, struct uuid incarnation, int64_t epoch)
{
    struct register_broker_record r;
    char host[IO_HOST_MAX];
    struct register_broker_record_end_points e[2];
    struct uuid directory = {{(uint8_t)(100 + id)}};

    snprintf(host, sizeof host, "b%d", id);
    register_broker_record_init(&r);
    for (int i = 0; i < 2; i++) {
        register_broker_record_end_points_init(&e[i]);
        e[i].name = i == 0 ? STR("OUTSIDE") : STR("PLAINTEXT"); /* nobody listens at the first one's port */
        e[i].host = str_of(host);
        e[i].port = i == 0 ? 1 : SCRIPT_PORT;
    }
    r.broker_id = id;
    r.incarnation_id = incarnation;
    r.broker_epoch = epoch;
    r.end_points = e;
    r.end_points_count = 2;
    r.log_dirs = &directory;
    r.log_dirs_count = 1;
    r.fenced = false;
    lab_add(lab, &register_broker_record_message, 3, &r);
}

void lab_fetched(struct lab *lab, int32_t id)
{
    lab->quorum->listener.fetched(lab->quorum->listener.ctx, id);
}
