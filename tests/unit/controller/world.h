/* A controller over a log that is a text, for tests.
 *
 * Each record that is appended becomes a line "TYPE vN {json}" in `records`. What is appended is
 * committed by world_commit; world_ask does it at once. Every batch is also applied to an image of
 * its own, as a standby would do it. */
#pragma once

#include "check.h"
#include "controller/controller.h"

struct world {
    struct controller *c;
    struct prng prng;
    struct config *settings;
    struct text bootstrap;
    struct text records; /* since world_records */
    struct text news;    /* since world_news */
    struct image *standby;
    struct arena arena; /* of requests and answers, to the end */
    int64_t end;        /* of the log */
    int64_t now_ms;
    int append_error; /* what the log fails with; 0 */
    int appends;
    int16_t kraft_version; /* of the quorum */
    enum kerr upgrade_error; /* why that is not raised; NONE */
    int64_t epochs[40]; /* of brokers, as world_broker has registered them */
    bool ours;  /* they register from here on as brokers of this program do */
    bool racks; /* brokers register from here on in rack odd or even, by their id */
};

/* A controller that leads an empty log of a 4.3 cluster; `features` false: it has yet to claim. */
void world_begin(struct world *w, bool claim);
/* One that leads a log in which only the metadata version stands. */
void world_begin_at(struct world *w, int16_t metadata_version);
/* A record in the log that the controller has not written: before its term. */
void world_add(struct world *w, const struct message *message, const void *record);
void world_end(struct world *w);
void world_claim(struct world *w, int32_t epoch);

/* The records since the last call. */
struct str world_records(struct world *w);

/* What the controller has told since the last call, a line each: "orders-0 is led by ...". "(quiet)" behind what is no
 * line of a log, "(bad)" behind bad news. */
struct str world_news(struct world *w);

/* Ask and wait: commit, tick. */
enum kerr world_ask(struct world *w, int16_t api_key, int16_t version, const void *request,
                    void *response);
void world_commit(struct world *w);

/* A broker with directories `id`*10 and (when `two`) `id`*10+1, registered; its epoch. */
int64_t world_register(struct world *w, int32_t id, uint8_t incarnation, int64_t previous_epoch,
                       bool two);
/* Registered and unfenced. */
int64_t world_broker(struct world *w, int32_t id);
enum kerr world_beat(struct world *w, int32_t id, int64_t epoch, bool want_fence, bool want_stop);

struct uuid world_id(uint8_t n);

/* Ask to create one topic; the answer's message or NULL; `*error`. */
struct str world_create(struct world *w, const char *name, int32_t partitions, int16_t factor,
                        enum kerr *error);
/* One partition that lies on these brokers. */
void world_create_on(struct world *w, const char *name, const int32_t *brokers, int32_t count);

const struct image_partition *world_partition(const struct world *w, const char *topic,
                                              int32_t partition);
/* "LEADER@LEADER EPOCH.PARTITION EPOCH [REPLICAS] isr ISR", then what is not empty: "elr", "last", "adding",
 * "removing", "recovering". */
struct str world_show(struct world *w, const char *topic);
/* The same of a partition that is not the first. */
struct str world_show_partition(struct world *w, const struct image_partition *p);

#define PROPOSED_MAX 8

/* What a leader asks for by AlterPartition. */
struct proposal {
    int32_t sender;
    int64_t sender_epoch;
    struct uuid topic;
    int32_t partition, leader_epoch, partition_epoch;
    int8_t recovery;
    int16_t version;
    int32_t count, isr[PROPOSED_MAX];
    int64_t epochs[PROPOSED_MAX];
};
/* As the leader of the partition would propose it now: these brokers, with their epochs. */
struct proposal world_proposal(const struct world *w, const char *topic, int32_t partition,
                               const int32_t *isr, int32_t count);
/* The partition's error, or the request's. */
enum kerr world_propose(struct world *w, const struct proposal *p);
