/* image/internal.h - what the files of room image share. */
#pragma once

#include "image/image.h"
#include "image/sorted.h"

/* Everything that the records say; copying it is cheap. */
struct state {
    struct sorted topics;      /* topic_item by name */
    struct sorted topic_ids;   /* the same items by id */
    struct sorted brokers;     /* broker_item */
    struct sorted controllers; /* controller_item */
    struct sorted features;    /* feature_item */
    struct sorted configs;     /* config_item by type, resource, name */
    struct sorted quotas;      /* the rest: kept_item, records kept as they are */
    struct sorted acls;
    struct sorted scram;
    struct sorted tokens;
    int64_t next_producer_id; /* 0 = none given out */
    int16_t metadata_version; /* 0 = not set */
};

struct state state_copy(const struct state *s);
void state_deinit(struct state *s);

/* An open metadata transaction shows as two states: `visible` without its records, `open` with. */
struct image {
    atomic_uint refs;
    bool in_transaction;
    int32_t epoch;
    int64_t offset, timestamp_ms;
    struct state visible;
    struct state open; /* empty unless in_transaction */
};

/* A topic's settings: shared by the images in which they are the same. */
struct topic_config {
    struct shared shared;
    struct config *values;
};

struct topic_item {
    struct shared shared;
    struct image_topic topic;
    struct topic_config *config; /* may be NULL */
};

struct broker_item {
    struct shared shared;
    struct image_broker broker;
};

struct controller_item {
    struct shared shared;
    struct image_controller controller;
};

struct feature_item {
    struct shared shared;
    struct image_feature feature;
};

struct config_key {
    int8_t type;
    struct str resource, name;
};

struct config_item {
    struct shared shared;
    struct config_key key;
    struct str value;
};

/* A record that does not act inside the image: its framed bytes, found by a key. */
struct kept_item {
    struct shared shared;
    struct bytes key, framed;
};

sorted_compare compare_topic_name; /* key: struct str */
sorted_compare compare_topic_id;   /* key: struct uuid */
sorted_compare compare_broker;     /* key: int32_t */
sorted_compare compare_controller; /* key: int32_t */
sorted_compare compare_feature;    /* key: struct str */
sorted_compare compare_config;     /* key: struct config_key; a null name stands before all */
sorted_compare compare_kept;       /* key: struct bytes */

/* A topic that an edit is changing. */
struct draft {
    struct map_node node;
    struct list order;
    struct uuid id;
    struct topic_item *base;            /* what the sets hold; a reference of ours */
    struct image_partition *partitions; /* in the edit's `drafted`, arrays there or in `base` */
    int32_t count, capacity;
    bool config_changed;
};

struct image_edit {
    struct state state; /* with all records but those of `drafts` */
    struct state saved; /* before an open transaction */
    bool in_transaction;
    bool failed;
    struct map drafts;    /* by topic id */
    struct list order;    /* the same, oldest first */
    struct arena drafted; /* of the drafts */
    struct arena scratch; /* of the record that is being applied */
};

/* ---- topic.c ---- */
int apply_topic(struct image_edit *e, const void *record, struct fail *f);
int apply_remove_topic(struct image_edit *e, const void *record, struct fail *f);
int apply_partition(struct image_edit *e, const void *record, struct fail *f);
int apply_partition_change(struct image_edit *e, const void *record, struct fail *f);
int apply_clear_elr(struct image_edit *e, const void *record, struct fail *f);
/* A setting of the topic changed, if there is such a topic. */
void topic_config_changed(struct image_edit *e, struct str name);
/* Put what the drafts say into the state; no draft is left. */
void drafts_finish(struct image_edit *e);
void drafts_drop(struct image_edit *e);

/* ---- cluster.c ---- */
int apply_register_broker(struct image_edit *e, const void *record, struct fail *f);
int apply_unregister_broker(struct image_edit *e, const void *record, struct fail *f);
int apply_broker_change(struct image_edit *e, const void *record, struct fail *f);
int apply_fence_broker(struct image_edit *e, const void *record, struct fail *f);
int apply_unfence_broker(struct image_edit *e, const void *record, struct fail *f);
int apply_register_controller(struct image_edit *e, const void *record, struct fail *f);
int apply_unregister_controller(struct image_edit *e, const void *record, struct fail *f);
int apply_feature_level(struct image_edit *e, const void *record, struct fail *f);
int apply_producer_ids(struct image_edit *e, const void *record, struct fail *f);

/* ---- kept.c ---- */
int apply_config(struct image_edit *e, const void *record, struct fail *f);
void config_remove_all(struct image_edit *e, int8_t type, struct str resource);
int apply_client_quota(struct image_edit *e, const void *record, struct fail *f);
int apply_acl(struct image_edit *e, const void *record, struct fail *f);
int apply_remove_acl(struct image_edit *e, const void *record, struct fail *f);
int apply_scram(struct image_edit *e, const void *record, struct fail *f);
int apply_remove_scram(struct image_edit *e, const void *record, struct fail *f);
int apply_token(struct image_edit *e, const void *record, struct fail *f);
int apply_remove_token(struct image_edit *e, const void *record, struct fail *f);

/* A piece of an item's one allocation, copied to `*at`, which moves behind it. */
static inline struct str copy_str(char **at, struct str s)
{
    char *p = *at;

    if (s.n < 0)
        return STR_NULL;
    if (s.n > 0)
        memcpy(p, s.p, (size_t)s.n);
    *at += s.n;
    return (struct str){p, s.n};
}

static inline size_t str_size(struct str s)
{
    return s.n > 0 ? (size_t)s.n : 0;
}
