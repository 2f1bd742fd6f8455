/* cli/placements.h - partitions and the brokers that hold them: as users write them in JSON, as a
 * cluster has them.
 *
 *   {"version": 1, "partitions": [{"topic": "orders", "partition": 0, "replicas": [1, 2],
 * "log_dirs": ["any", "/d"]}]}
 *
 * What is decided about them (kafka-reassign-partitions.sh --generate, `millrace cluster balance`)
 * is a function of the placements, the brokers and, where Kafka begins at random, of numbers that
 * the caller draws.
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

/* Text and arrays lie in `arena`, or are borrowed from who has added them. Zeroed but for the arena
 * = empty. */
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

/* Read JSON as above; with `replicas` each partition must name some. In the order of the text,
 * which is borrowed. */
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

/* ---- placements_ask.c: requests of sorted placements, in their arena
 * ------------------------------- */

/* Where they are to lie; those without replicas are cancelled. The request is initialized first. */
void placements_alter(const struct placements *p, struct alter_partition_reassignments_request *out);
/* Only the partitions of the request are set. */
void placements_elect(const struct placements *p, struct elect_leaders_request *out);
/* The reassignment of a partition in the answer; NULL. */
typedef const struct list_partition_reassignments_response_topics_partitions *moving_ptr;
moving_ptr moving_find(const struct list_partition_reassignments_response *r, struct str topic, int32_t partition);

/* ---- placements_spread.c: what --generate proposes ---------------------------------------------
 */

/* A broker that may hold replicas. */
struct place {
    int32_t id;
    struct str rack; /* null = not known: of none of them, or of all */
};

/* Spread `partitions` with `replicas` each over the places, as Kafka 4.3 does it for new topics and for --generate: from
 * a random place on, one of each rack in turn, unknown racks as one; so that of as many partitions as there are places in
 * racks of one size each place leads one and holds `replicas`. Adds to `out`. -EINVAL when there are fewer places than
 * replicas. */
MUST int placements_spread(const struct place *places, uint32_t count, struct str topic, int32_t partitions,
                           uint32_t replicas, struct prng *random, struct placements *out, struct fail *f);

/* ---- placements_moves.c: what `millrace cluster balance` and `decommission` propose
 * --------------- */

/* Where the partitions are to lie so that nothing lies on `leaving`: each of its replicas goes to
 * the place that holds fewest, in a rack that has no other replica where there is one; the other
 * replicas stay. The replica with the fewest preferred leaders comes first where `leaving` did.
 * Adds those that change to `out`, sorted as `now` is. -EINVAL when a partition has as many
 * replicas as there are places besides `leaving`, or more. */
MUST int placements_leave(const struct placements *now, const struct place *places, uint32_t count, int32_t leaving,
                          struct placements *out, struct fail *f);
/* Where they are to lie so that numbers of replicas of any two places differ by one at most, and
 * those of preferred leaders as well, as far as racks and few moves allow: a replica moves only
 * from a place with more to one with fewer by two or more, and never to a rack that has another
 * replica, unless its own has. Adds those that change to `out`. */
void placements_balance(const struct placements *now, const struct place *places, uint32_t count,
                        struct placements *out);
/* Of `moves`: how many replicas are copied, so that each lies where it is to. */
uint32_t placements_copies(const struct placements *now, const struct placements *moves);
