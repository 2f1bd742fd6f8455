/* leaders.h - brokers 2, 3, 4 that lead, for the tests of fetchers: script.h's, with a log for each partition in
 * memory, and the lab's node, which follows them. They check what they are asked: that a fetch offset is stable, that sessions
 * are used as KIP-227 has it. */
#pragma once

#include "lab.h"
#include "protocol/fetch.h"
#include "protocol/list_offsets.h"
#include "script.h"

#define LOGS_MAX 64
#define BATCHES_MAX 2000
#define EPOCHS_MAX 100
#define LEADERS_MAX 4 /* highest broker */

struct leader_batch {
    int64_t base, last;
    int32_t epoch;
    uint8_t *bytes;
    int32_t n;
};

/* A partition, as whoever leads it has it. */
struct leader_log {
    uint8_t id;              /* of the topic */
    char topic[16];
    int32_t partition;
    int32_t broker;          /* that leads; 0 nobody */
    int32_t epoch;           /* leader epoch */
    bool gone;               /* nobody knows it any more */
    int64_t start, end, high_watermark;
    struct leader_batch batches[BATCHES_MAX];
    uint32_t count;
    struct epoch_end epochs[EPOCHS_MAX]; /* and where each starts */
    uint32_t epoch_count;
    int16_t error;           /* is answered instead, `errors` times */
    uint32_t errors;
    uint32_t damages;        /* the next so many answers with records have a bit flipped */
    int64_t acknowledged;    /* the highest fetch offset that fitted, less what was cut since */
    uint32_t fetches;        /* in which it was mentioned */
    uint32_t refused;        /* answers with an error */
    uint32_t divergences, out_of_ranges;
};

struct leader_entry {
    struct leader_log *log;
    struct fetch_request_topics_partitions asked;
    int64_t told_mark, told_start;
    bool is_new;
};

struct leader {
    struct rig *rig;
    int32_t id;
    int32_t session_id, session_epoch; /* 0 none; the epoch that is expected next */
    struct leader_entry entries[LOGS_MAX];
    uint32_t entry_count;
    struct script_request *parked;
    struct io_timer timer;
    int64_t delay_ms;        /* the next answer that something wakes is put together, and leaves so much later */
    bool is_delayed;
    uint32_t full, incremental; /* Fetches */
    uint32_t mentioned;      /* partitions in requests */
};

struct rig {
    struct script *script;
    struct lab lab;
    int64_t broker_epoch;    /* of the node that follows */
    struct leader leaders[LEADERS_MAX + 1];
    struct leader_log *logs[LOGS_MAX];
    uint32_t log_count;
    bool sessionless;        /* leaders have no room for sessions */
    uint32_t max_bytes;      /* of an answer; 0 = as asked */
};

/* The node has one shard: a session of its own for each leader. */
struct rig *rig_new(uint64_t seed, const struct sim_options *options);
struct rig *rig_new_with(uint64_t seed, const struct sim_options *options, uint32_t dir_count);
void rig_free(struct rig *g);
/* The node stops cleanly, and all ends. */
void rig_close(struct rig *g);
/* The node starts (again): registered anew, all that metadata says is applied. */
void rig_start(struct rig *g);
void rig_apply(struct rig *g);

/* A new partition of the topic `id` ("topic<id>"), led by `broker`. Metadata is not applied. */
struct leader_log *rig_partition(struct rig *g, uint8_t id, int32_t partition, int32_t broker);
void rig_delete(struct rig *g, uint8_t id);
/* The leader appends batches, of `records` each. */
void leader_append(struct rig *g, struct leader_log *l, uint32_t batches, uint32_t records);
/* `broker` leads from now on, in the next epoch, with what lies below `end`. 0: nobody does; ME: the node itself.
 * Metadata says so, and is not applied. */
void leader_elect(struct rig *g, struct leader_log *l, int32_t broker, int64_t end);
/* Its high watermark, or its start, is that. */
void leader_mark(struct rig *g, struct leader_log *l, int64_t high_watermark, int64_t start);
/* Also one that was deleted: ids are not used again. NULL. */
struct leader_log *leader_log_find(struct rig *g, struct uuid id, int32_t partition);
/* leaders_serve.c: from now on they answer. */
void leaders_serve(struct rig *g);
/* What waits at the leaders is looked at again. */
void leaders_wake(struct rig *g);

struct replica *rig_replica(struct rig *g, const struct leader_log *l);
int64_t rig_end(struct rig *g, const struct leader_log *l);
bool rig_has_all(struct rig *g); /* every replica ends where its leader does, and is stable, and knows its mark */
/* The node's logs are their leaders', byte for byte. */
void rig_check(struct rig *g);
/* Wait for the first, then check. */
void rig_settle(struct rig *g);
