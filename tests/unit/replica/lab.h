/* lab.h - a node with its replicas, in the simulator: metadata by real records, one or more shards
 * and log directories. */
#pragma once

#include "check.h"
#include "client/client.h"
#include "replica/replica.h"
#include "simulator/simulator.h"

#define ME 1
#define MS INT64_C(1000000)
#define SEC INT64_C(1000000000)
#define DIRS_MAX 3

/* What a replica said last of its directory; whoever plays the controller grants it. */
struct wish {
    uint8_t id;
    int32_t partition;
    struct uuid directory;
    bool is_set;
};

struct lab {
    struct sim *sim;
    bool borrowed;                     /* it is somebody else's */
    struct sim_node *node;
    uint32_t shard_count, dir_count;
    struct io *io; /* of shard 0 */
    struct telemetry_sink sink;
    struct telemetry *telemetry;
    struct text said;                  /* warnings and errors, one a line */
    struct config *broker;
    struct log_dir *dirs[DIRS_MAX];
    struct log_memory memory[SIM_SHARDS_MAX];
    struct replicas *sets[SIM_SHARDS_MAX];
    struct replica_copied copied;
    bool has_peers;                    /* before the start: it may follow other brokers */
    struct client *peers[SIM_SHARDS_MAX];
    struct image *image;               /* the newest metadata: what records were applied to */
    struct image *applied;             /* what the replicas were told last; NULL */
    struct text told;                  /* of internal topics: "leads __x-0 epoch end ", ... */
    struct text placed;                /* "orders-0 in 1; ": told by a replica in /data1; -2 = lost */
    struct wish wish;
    uint32_t proposals;                /* how often another ISR was proposed */
    struct replication_proposal proposal; /* the last one */
    uint32_t starts_saved;             /* how often */
    uint32_t first_dir;                /* whose /dataN is dirs[0]; those before are missing: before the start */
    bool dirs_missing;                 /* for replicas_new: before the start */
    bool dir_failed;                   /* one or more */
    struct fail fail;
};

/* A node with empty directories /data0, /data1, ...; nothing runs yet. */
void lab_init(struct lab *lab, uint64_t seed, const struct sim_options *options,
              uint32_t shard_count, uint32_t dir_count);
/* The same, in a world that has others in it. */
void lab_init_in(struct lab *lab, struct sim *sim, uint32_t shard_count, uint32_t dir_count);
void lab_deinit(struct lab *lab);

/* Start the process if need be; open the directories, make the sets. A result below 0 is the first trouble. */
int64_t lab_open(struct lab *lab);
int64_t lab_start(struct lab *lab); /* and apply lab->image */
uint32_t lab_online(const struct lab *lab); /* directories that have not failed */
/* Apply lab->image: first trouble. On all shards: remove, then apply. */
int64_t lab_apply(struct lab *lab);
/* As a broker stops: checkpoints, logs, directories; `clean` as the outcome allows. */
int64_t lab_stop(struct lab *lab);
/* Free what a dead process left. */
void lab_bury(struct lab *lab);

/* An operation that a test waits for. */
struct wait {
    struct op op;
    bool done;
    int64_t result;
};
struct op *wait_begin(struct wait *w);
int64_t wait_end(struct lab *lab, struct wait *w);
#define UNTIL(lab, condition)                                                             \
    do {                                                                                  \
        while (!(condition)) {                                                            \
            if (sim_now_ns((lab)->sim) > 3600 * SEC || !sim_step((lab)->sim))             \
                check_fail(__FILE__, __LINE__, "it never comes to: %s", #condition);      \
        }                                                                                 \
    } while (0)
void lab_pass(struct lab *lab, int64_t ns);

/* ---- metadata ------------------------------------------------------------------------------- */

struct uuid topic_id(uint8_t id);
/* A broker that listens to others of the cluster; registered anew when it was there. */
void meta_broker(struct lab *lab, int32_t id, int64_t epoch, const char *host, uint16_t port);
void meta_topic(struct lab *lab, const char *name, uint8_t id, int32_t partitions);
void meta_partition(struct lab *lab, uint8_t id, int32_t partition, const int32_t *replicas,
                    int32_t count, const struct uuid *directory);
void meta_remove(struct lab *lab, uint8_t id);
void meta_leader(struct lab *lab, uint8_t id, int32_t partition, int32_t leader);
/* The first of them leads; a new leader epoch only where it did not. */
void meta_replicas(struct lab *lab, uint8_t id, int32_t partition, const int32_t *replicas,
                   int32_t count);
void meta_isr(struct lab *lab, uint8_t id, int32_t partition, const int32_t *isr, int32_t count);
void meta_config(struct lab *lab, const char *topic, const char *name, const char *value);

void meta_directory(struct lab *lab, uint8_t id, int32_t partition, struct uuid directory);
/* As the controller: the metadata names the directory that was wished last. False: none was. */
bool lab_grant(struct lab *lab);

/* ---- replicas ------------------------------------------------------------------------------- */

struct replica *lab_find(struct lab *lab, uint8_t id, int32_t partition); /* may be NULL */
struct replica *lab_get(struct lab *lab, uint8_t id, int32_t partition);
/* Append one record of that value; KERR_NONE and its offset in `out`. */
enum kerr lab_append(struct replica *r, const char *value, int16_t acks,
                     struct replica_appended *out);
/* Append, and wait until it is committed. */
void lab_put(struct lab *lab, struct replica *r, const char *value);
/* "0:a 1:b " of all records below the high watermark; fewer when the node goes down meanwhile. */
struct str lab_read(struct lab *lab, struct replica *r, struct text *out);
/* Names in a directory that are directories, one after another with a blank; sorted; without the
 * 32 digits that make a name unique. */
struct str lab_names(struct lab *lab, uint32_t dir, struct text *out);
