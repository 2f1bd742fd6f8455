/* See leaders.h. */
#include "leaders.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- logs ------------------------------------------------------------------------------------- */

static void note_epoch(struct leader_log *l)
{
    ASSERT(l->epoch_count < EPOCHS_MAX);
    l->epochs[l->epoch_count++] = (struct epoch_end){l->epoch, l->end};
}

void leader_append(struct rig *g, struct leader_log *l, uint32_t batches, uint32_t records)
{
    struct batch_builder b;
    struct text bytes = {0};
    char value[64];

    batch_builder_init(&b);
    while (batches-- > 0) {
        ASSERT(l->count < BATCHES_MAX);
        for (uint32_t i = 0; i < records; i++) {
            snprintf(value, sizeof value, "%u-%d-%d-%lld", l->id, l->partition, l->epoch, (long long)l->end + i);
            batch_builder_add(&b, 1000, BYTES_NULL, bytes_of_str(str_of(value)), NULL, 0);
        }
        b.base_offset = l->end;
        b.leader_epoch = l->epoch;
        text_clear(&bytes);
        CHECK_EQ(batch_builder_finish(&b, &bytes), 0);
        uint8_t *copy = malloc(bytes.n);
        memcpy(copy, bytes.p, bytes.n);
        l->batches[l->count++] =
            (struct leader_batch){l->end, l->end + records - 1, l->epoch, copy, (int32_t)bytes.n};
        l->end += records;
    }
    batch_builder_deinit(&b);
    text_deinit(&bytes);
    leaders_wake(g);
}

static void cut(struct leader_log *l, int64_t end)
{
    while (l->count > 0 && l->batches[l->count - 1].last >= end)
        free(l->batches[--l->count].bytes);
    while (l->epoch_count > 0 && l->epochs[l->epoch_count - 1].end_offset >= end)
        l->epoch_count--;
    l->end = end;
    if (l->high_watermark > end)
        l->high_watermark = end;
    if (l->acknowledged > end)
        l->acknowledged = end;
}

void leader_elect(struct rig *g, struct leader_log *l, int32_t broker, int64_t end)
{
    if (end < l->end)
        cut(l, end);
    l->epoch++;
    l->broker = broker;
    note_epoch(l);
    meta_leader(&g->lab, l->id, l->partition, broker == 0 ? -1 : broker);
    leaders_wake(g);
}

void leader_mark(struct rig *g, struct leader_log *l, int64_t high_watermark, int64_t start)
{
    l->high_watermark = high_watermark;
    l->start = start;
    leaders_wake(g);
}

struct leader_log *leader_log_find(struct rig *g, struct uuid id, int32_t partition)
{
    for (uint32_t i = 0; i < g->log_count; i++) {
        struct leader_log *l = g->logs[i];
        if (uuid_equal(topic_id(l->id), id) && l->partition == partition)
            return l;
    }
    return NULL;
}

struct leader_log *rig_partition(struct rig *g, uint8_t id, int32_t partition, int32_t broker)
{
    int32_t replicas[] = {broker, broker == 2 ? 3 : 2, ME};
    struct leader_log *l = calloc(1, sizeof *l);

    ASSERT(g->log_count < LOGS_MAX);
    ASSERT(leader_log_find(g, topic_id(id), partition) == NULL);
    *l = (struct leader_log){.id = id, .partition = partition, .broker = broker};
    snprintf(l->topic, sizeof l->topic, "topic%u", id);
    if (image_topic_by_id(g->lab.image, topic_id(id)) == NULL)
        meta_topic(&g->lab, l->topic, id, 0);
    meta_partition(&g->lab, id, partition, replicas, 3, NULL);
    note_epoch(l);
    g->logs[g->log_count++] = l;
    return l;
}

void rig_delete(struct rig *g, uint8_t id)
{
    meta_remove(&g->lab, id);
    for (uint32_t i = 0; i < g->log_count; i++)
        g->logs[i]->gone |= g->logs[i]->id == id;
}

/* ---- the rig ---------------------------------------------------------------------------------- */

struct rig *rig_new(uint64_t seed, const struct sim_options *options)
{
    return rig_new_with(seed, options, 1);
}

struct rig *rig_new_with(uint64_t seed, const struct sim_options *options, uint32_t dir_count)
{
    struct rig *g = calloc(1, sizeof *g);
    char host[8];

    g->script = script_new_with(seed, LEADERS_MAX, options);
    lab_init_in(&g->lab, script_sim(g->script), 1, dir_count);
    g->lab.has_peers = true;
    g->broker_epoch = 100;
    for (int32_t id = 2; id <= LEADERS_MAX; id++) {
        g->leaders[id] = (struct leader){.rig = g, .id = id};
        snprintf(host, sizeof host, "b%d", id);
        meta_broker(&g->lab, id, 10 + id, host, SCRIPT_PORT);
    }
    leaders_serve(g);
    return g;
}

void rig_free(struct rig *g)
{
    for (int32_t id = 2; id <= LEADERS_MAX; id++) {
        io_timer_clear(&g->leaders[id].timer);
        g->leaders[id].parked = NULL;
    }
    lab_deinit(&g->lab);
    script_free(g->script);
    for (uint32_t i = 0; i < g->log_count; i++) {
        cut(g->logs[i], 0);
        free(g->logs[i]);
    }
    free(g);
}

void rig_close(struct rig *g)
{
    CHECK_EQ(lab_stop(&g->lab), 0);
    rig_free(g);
}

void rig_start(struct rig *g)
{
    meta_broker(&g->lab, ME, ++g->broker_epoch, "one", SCRIPT_PORT);
    CHECK_EQ(lab_start(&g->lab), 0);
}

void rig_apply(struct rig *g)
{
    CHECK_EQ(lab_apply(&g->lab), 0);
}

struct replica *rig_replica(struct rig *g, const struct leader_log *l)
{
    return lab_get(&g->lab, l->id, l->partition);
}

int64_t rig_end(struct rig *g, const struct leader_log *l)
{
    struct replica *r = lab_find(&g->lab, l->id, l->partition);

    return r == NULL ? -1 : log_end(replica_log(r));
}

static bool has_all(struct rig *g, const struct leader_log *l)
{
    struct replica *r = lab_find(&g->lab, l->id, l->partition);

    int32_t last = l->count == 0 ? -1 : l->batches[l->count - 1].epoch;

    return r != NULL && log_end(replica_log(r)) == l->end && log_stable(replica_log(r)) == l->end &&
           log_start(replica_log(r)) >= l->start && log_latest_epoch(replica_log(r)) >= last &&
           log_epoch_start(replica_log(r), last) <= (l->count == 0 ? 0 : l->batches[l->count - 1].base) &&
           (l->broker < 2 || replica_high_watermark(r) == l->end);
}

bool rig_has_all(struct rig *g)
{
    for (uint32_t i = 0; i < g->log_count; i++) {
        if (!g->logs[i]->gone && !has_all(g, g->logs[i]))
            return false;
    }
    return true;
}

/* The follower's bytes are those of the leader's batches from the first on that it has. */
static void check_log(struct rig *g, const struct leader_log *l)
{
    struct log *log = replica_log(rig_replica(g, l));
    struct arena arena = {0};
    struct text bytes = {0};
    uint32_t at = 0;
    struct wait w;

    for (int64_t offset = log_start(log); offset < log_end(log);) {
        struct log_read read = {.offset = offset, .limit = log_end(log), .max_bytes = 1 << 20, .first_whole = true,
                                .arena = &arena};
        struct batch b;
        text_clear(&bytes);
        log_read_bytes(log, &read, &bytes, wait_begin(&w));
        CHECK(wait_end(&g->lab, &w) >= 0);
        struct bytes rest = bytes_of_str(text_str(&bytes));
        CHECK(rest.n > 0);
        while (batch_next(&rest, &b) == 1) {
            while (at < l->count && l->batches[at].base < b.base_offset)
                at++;
            CHECK(at < l->count);
            CHECK_BYTES(b.bytes.p, (size_t)b.bytes.n, l->batches[at].bytes, (size_t)l->batches[at].n);
            offset = b.last_offset + 1;
        }
    }
    arena_deinit(&arena);
    text_deinit(&bytes);
    for (uint32_t i = 0; i < l->epoch_count; i++) {
        int64_t start = log_epoch_start(log, l->epochs[i].epoch), next = i + 1 < l->epoch_count
            ? l->epochs[i + 1].end_offset : l->end;
        if (start >= 0 && l->epochs[i].end_offset >= log_start(log) && next > l->epochs[i].end_offset)
            CHECK_EQ(start, l->epochs[i].end_offset);
    }
}

void rig_check(struct rig *g)
{
    for (uint32_t i = 0; i < g->log_count; i++) {
        if (!g->logs[i]->gone && lab_find(&g->lab, g->logs[i]->id, g->logs[i]->partition) != NULL)
            check_log(g, g->logs[i]);
    }
}

void rig_settle(struct rig *g)
{
    UNTIL(&g->lab, rig_has_all(g));
    rig_check(g);
}
