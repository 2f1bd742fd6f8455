/* image/image.h - the cluster's metadata at one offset of the metadata log: immutable.
 *
 *   image at offset 41 ──edit──► apply record 42 … 47 ──finish──► image at offset 47
 *                                (topics that did not change are shared)
 *
 *   M1  An image never changes after image_edit_finish; it is handed over by reference. Its count
 * is the only atomic of the program. M2  Applying a record that makes no sense (unknown topic,
 * wrong epoch, name twice, ...) is an error, by the same checks as Kafka's replay (strict), and
 * leaves the edit unusable. M3  image_write of an image, applied to an empty one, gives an equal
 * image.
 */
#pragma once

#include "base/base.h"
#include "config/config.h"
#include "protocol/protocol.h"

struct image;
struct image_edit;

struct image_partition {
    int32_t partition;
    int32_t leader; /* -1 none */
    int32_t leader_epoch;
    int32_t partition_epoch;
    int8_t recovery_state; /* 0 recovered, 1 recovering */
    int32_t replica_count, isr_count, adding_count, removing_count, elr_count, last_elr_count;
    const int32_t *replicas, *isr, *adding, *removing, *elr, *last_elr;
    const struct uuid *directories; /* replica_count of them; id 0 where the record had none */
};
/* A number whose PartitionRecord has not come, below one that has, is there with no replicas and no
 * leader; image_partition_find does not find it. */

struct image_topic {
    struct str name;
    struct uuid id;
    int32_t partition_count;
    const struct image_partition *partitions; /* by number, 0.. */
    const struct config *config;              /* own settings of the topic; NULL = none */
};

struct image_endpoint {
    struct str name, host;
    uint16_t port;
    int16_t security_protocol;
};

struct image_feature {
    struct str name;
    int16_t min, max;
};

struct image_broker {
    int32_t id;
    int64_t epoch;
    struct uuid incarnation;
    struct str rack; /* null possible */
    bool fenced, in_controlled_shutdown, migrating_zk;
    int32_t endpoint_count, feature_count, directory_count;
    int32_t cordoned_count; /* -1 = the broker has not said (KIP-1066) */
    const struct image_endpoint *endpoints;
    const struct image_feature *features;
    const struct uuid *directories, *cordoned;
};

struct image_controller {
    int32_t id;
    struct uuid incarnation;
    bool zk_migration_ready;
    int32_t endpoint_count, feature_count;
    const struct image_endpoint *endpoints;
    const struct image_feature *features;
};

/* ---- ask ------------------------------------------------------------------------------------- */

struct image *image_empty(void);
struct image *image_ref(const struct image *i);
void image_unref(const struct image *i); /* accepts NULL; on any shard */

int64_t image_offset(const struct image *i); /* of the last record applied; -1 when empty */
int32_t image_epoch(const struct image *i);
int64_t image_timestamp_ms(const struct image *i);

/* A metadata transaction is open: its records are applied, and kept, but nothing here shows them
 * before its end (KIP-868). */
bool image_in_transaction(const struct image *i);

const struct image_topic *image_topic_find(const struct image *i,
                                           struct str name); /* may be NULL */
const struct image_topic *image_topic_by_id(const struct image *i,
                                            struct uuid id); /* may be NULL */
const struct image_partition *image_partition_find(const struct image *i, struct uuid id,
                                                   int32_t partition);
uint32_t image_topic_count(const struct image *i);
const struct image_topic *image_topic_at(const struct image *i,
                                         uint32_t index); /* sorted by name */

uint32_t image_broker_count(const struct image *i);
const struct image_broker *image_broker_at(const struct image *i,
                                           uint32_t index); /* sorted by id */
const struct image_broker *image_broker_find(const struct image *i, int32_t id);
/* Whether a replica that metadata places into `directory` can be reached there: the broker has registered it, and it
 * has not failed since. Ids below 100 are reserved: of a replica that is not assigned yet it is presumed, a lost one
 * is nowhere (KIP-858). */
bool image_broker_has_online(const struct image_broker *b, struct uuid directory);
/* Whether the broker has a replica of the partition, in such a directory. */
bool image_partition_is_online(const struct image_partition *p, const struct image_broker *b);
uint32_t image_controller_count(const struct image *i);
const struct image_controller *image_controller_at(const struct image *i, uint32_t index);
const struct image_controller *image_controller_find(const struct image *i, int32_t id);

/* Finalized level, 0 when not set. */
int16_t image_feature_level(const struct image *i, struct str name);
uint32_t image_feature_count(const struct image *i);
const struct image_feature *image_feature_at(const struct image *i,
                                             uint32_t index); /* max = level */
int16_t image_metadata_version(const struct image *i);

/* Value of a ConfigRecord; false when not set. `type` is the protocol's resource type. */
bool image_config(const struct image *i, int8_t type, struct str resource, struct str name,
                  struct str *out);
/* All values of one resource. */
void image_config_each(const struct image *i, int8_t type, struct str resource,
                       void (*each)(void *ctx, struct str name, struct str value), void *ctx);
/* All resources of a type that have values (ListConfigResources). */
void image_config_resources(const struct image *i, int8_t type,
                            void (*each)(void *ctx, struct str resource), void *ctx);
int64_t image_next_producer_id(const struct image *i);

/* Topics that differ between two images (added, changed, removed), each once: `before` or `after`
 * is NULL when it is not there. A name whose topic was deleted and made again (another id) comes
 * twice: first as removed, then as added. Cost: one pointer comparison a topic. */
void image_topics_changed(const struct image *before, const struct image *after,
                          void (*each)(void *ctx, const struct image_topic *before,
                                       const struct image_topic *after),
                          void *ctx);

/* ---- change ------------------------------------------------------------------------------------
 */

struct image_edit *image_edit_begin(const struct image *base);
/* Apply one record: the framed value of a metadata record (uvarint 1, key, version, message). */
MUST int image_edit_apply(struct image_edit *e, struct bytes framed, struct fail *f);
/* As the records say that were applied so far; NULL. Until the next one. */
const struct image_controller *image_edit_controller(const struct image_edit *e, int32_t id);
/* The image of what was applied; ends the edit. */
struct image *image_edit_finish(struct image_edit *e, int64_t offset, int32_t epoch,
                                int64_t timestamp_ms);
void image_edit_abandon(struct image_edit *e);

/* ---- snapshot ----------------------------------------------------------------------------------
 */

/* All records of the image in Kafka's order, each framed, in the versions of its metadata.version.
 */
void image_write(const struct image *i, void (*each)(void *ctx, struct bytes framed), void *ctx);

/* JSON for people and tests, stable order. */
void image_print(const struct image *i, struct text *out);
