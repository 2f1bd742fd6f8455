/* cli/placements.h - partitions and the brokers that hold them: as users write them in JSON, as a cluster has them.
 *
 *   {"version": 1, "partitions": [{"topic": "orders", "partition": 0, "replicas": [1, 2], "log_dirs": ["any", "/d"]}]}
 *
 * What is decided about them (kafka-reassign-partitions.sh --generate, `millrace cluster balance`) is a function of the
 * placements, the brokers and, where Kafka begins at random, of numbers that the caller draws.
 */
#pragma once

#include "cli/json.h"
#include "cli/tool.h"

struct placement {
    struct str topic;
    int32_t partition;
    const int32_t *replicas; /* the preferred leader first; NULL where only the partition is named */
    uint32_t replica_count;
    const struct str *dirs; /* for each replica; null = any. NULL = any for all */
};

/* Text and arrays lie in `arena`, or are borrowed from who has added them. Zeroed but for the arena = empty. */
struct placements {
    struct arena *arena;
    struct placement *all;
    uint32_t count, capacity;
};

struct placement *placements_add(struct placements *p, struct str topic, int32_t partition);
void placements_sort(struct placements *p); /* by topic, then partition */
/* In sorted ones; NULL. */
const struct placement *placements_find(const struct placements *p, struct str topic, int32_t partition);
/* The first of sorted ones that is there twice; NULL. */
const struct placement *placements_twice(const struct placements *p);
/* Every partition that Metadata tells of, sorted. Borrows from the answer. */
void placements_take(struct placements *p, const struct metadata_response *m);

/* Read JSON as above; with `replicas` each partition must name some. In the order of the text, which is borrowed. */
MUST int placements_read(struct placements *p, struct str text, bool replicas, struct fail *f);
/* As Kafka's tools print it, sorted. */
void placements_print(const struct placements *p, struct text *out);
/* "orders-0,orders-1" */
struct str placements_names(const struct placements *p, const char *separator);

/* "1,2,3" */
struct str ids_join(struct arena *a, const int32_t *ids, uint32_t count);
bool ids_contain(const int32_t *ids, uint32_t count, int32_t id);
/* Ascending, each once: how many are left. */
uint32_t ids_unique(int32_t *ids, uint32_t count);

/* ---- placements_spread.c: what --generate proposes --------------------------------------------- */

/* A broker that may hold replicas. */
struct place {
    int32_t id;
    struct str rack; /* null = not known: of none of them, or of all */
};

/* Spread `partitions` with `replicas` each over the places, in their order, as Kafka spreads a new topic: leaders round
 * robin from place number `start` on, followers `shift` further on, which grows by one each round; where racks are known,
 * the replicas of a partition are in different ones as long as there are some. Both numbers are below `count`. Adds to
 * `out`. -EINVAL when there are fewer places than replicas. */
MUST int placements_spread(const struct place *places, uint32_t count, struct str topic, int32_t partitions,
                           uint32_t replicas, uint32_t start, uint32_t shift, struct placements *out, struct fail *f);
