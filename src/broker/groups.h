/* broker/groups.h - the coordinator partitions of __consumer_offsets that a shard hosts, and how
 * requests reach them (internal).
 *
 *   replica leads ──► groups_leading ──► load from the log ──► serves
 *   request ── groups_ask ──► the shard of the group's partition ── group_handle … ready ──► joined
 */
#pragma once

#include "broker/scatter.h"
#include "coordinator/coordinator.h"
#include "group/group.h"

struct groups *groups_new(struct broker_shard *shard);
void groups_free(struct groups *g); /* nothing is hosted any more */

/* From room replica: a partition of an internal topic began or ceased to lead; its high watermark
 * moved. */
void groups_leading(struct groups *g, struct replica *r, bool leads);
void groups_committed(struct groups *g, struct replica *r);
/* Topics are gone: their committed offsets are removed. */
void groups_topic_deleted(struct groups *g, const struct image_topic *topic);
/* All hosts end (the broker stops). Completes when their loads have ended. */
void groups_close(struct groups *g, struct op *op);

/* How many partitions of the groups' topic this shard serves, loads, or cannot load, and how long a load has taken. */
struct groups_numbers {
    uint32_t by_phase[COORDINATOR_FAILED + 1];
    int64_t load_ms_max; /* at most since the start */
};
struct groups_numbers groups_numbers(const struct groups *g);

/* One question to the coordinator of one group. */
struct group_ask {
    struct str group_id;
    const void *request;  /* decoded request for this group only */
    void *response;       /* initialised; filled by the coordinator */
    int32_t authorized_operations;
    enum kerr error;      /* when no coordinator could be asked; otherwise KERR_NONE */
    struct scatter_part *part;
    struct group_call call;
    struct group_partition *asked; /* while it waits */
};

/* Ask about `count` groups under the request's API, save those whose `error` is set already;
 * `joined` when all have answered. The asks live as long as the request. */
void groups_ask(struct request *r, struct group_ask *asks, uint32_t count,
                void (*joined)(struct scatter *s));
/* The connection is gone: joins and syncs that wait are forgotten. */
void groups_cancel(struct request *r);

/* Every partition hosted by any shard answers (ListGroups): `merge` runs on the request's shard per
 * answer. */
void groups_ask_all(struct request *r, void (*merge)(struct request *r, const void *response),
                    void (*done)(struct request *r));

/* The partition of __consumer_offsets that holds a group, -1 when the topic is not there. */
int32_t groups_partition(const struct image *image, struct str group_id);

/* A request about one group, whole: may the principal do `operation` on it? Then its coordinator is
 * asked with the request's own message and response, and the answer leaves. `failed` sets `error`
 * in the response when it may not, or nobody could be asked. */
void groups_ask_one(struct request *r, struct str group_id, enum acl_operation operation,
                    void (*failed)(struct request *r, enum kerr error));
