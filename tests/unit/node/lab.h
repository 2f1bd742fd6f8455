/* A node whose quorum the test plays: who leads, in which epoch, and what is committed. Controllers 1 and 2 are
 * scripted nodes (support/script.h), b1 and b2: the one that leads registers the node's broker, unfences it, and opens
 * Envelopes; the other one says NOT_CONTROLLER. The shards are played, too.
 */
#pragma once

#include "node/internal.h"
#include "script.h"

#define SEC INT64_C(1000000000)
#define NODE_ID 7
#define LAB_METADATA_VERSION 30

/* What quorum/quorum.h declares, as the test wants it. */
struct quorum {
    struct io *io;
    struct quorum_listener listener;
    int32_t node_id, leader, epoch;
    bool hidden;                /* nobody knows where the leader is */
    bool hold;                  /* nothing is committed */
    bool broken;                /* nothing can be appended */
    struct text log;            /* appended, not delivered */
    int64_t end, delivered;
    struct io_timer timer;
    struct text records;        /* of the batch that is being made: length, record ... */
    struct quorum_open opened;
};

extern struct quorum *lab_quorum_opened; /* the last one */
void lab_quorum_free(struct quorum *q);  /* quorum_close does not: the controllers look at it until the end */

struct lab {
    struct script *s;
    struct io *io;
    struct config *settings;
    struct telemetry *telemetry;
    struct telemetry_sink sink;
    struct text said;           /* "WARN: line\n" */
    struct log_memory memory;
    struct log_dir *dir;
    struct node_options options;
    struct listener advertised, controller_listener;
    struct node *node;
    struct quorum *quorum;
    struct fail fail, fatal;
    struct script_wait started;
    struct text states;
    bool opened;                /* the node's hook */

    bool hold;                  /* publications wait for the test */
    const struct image *before, *after;
    struct op *publishing;

    /* what the controllers know and do */
    int64_t broker_epoch;       /* -1 never registered */
    bool fenced;
    bool amends;                /* the next registration is of the same incarnation */
    int16_t metadata_version;
    int64_t lags_ms;            /* what is committed is delivered so much later */
    enum kerr refuse;           /* heartbeats and registrations are answered so */
    int lets_go_at;             /* the so-and-so-manieth heartbeat that wants to; 0 never */
    int wants_to_go;
    struct text beats;          /* "+MS fence=F down=D offset=O\n", ms since the beat before, to ten */
    int64_t last_beat_ns;
    int16_t envelope_error;
    uint8_t envelope[1000];     /* the last one's bytes, behind the header */
    int32_t envelope_bytes;
    struct text carried_out;    /* names of topics, each in "<>", as often as it was created elsewhere */
};

/* `roles` as in process.roles. Nothing runs yet: for settings. */
void lab_init(struct lab *lab, uint64_t seed, const char *roles);
void lab_set(struct lab *lab, const char *name, const char *value);
/* Begin to start: until the quorum is open. */
void lab_open(struct lab *lab);
/* Open, let controller 1 lead in epoch 1, and wait until the node runs. */
void lab_run(struct lab *lab);
/* Leave if it was not done, close, and free everything. */
void lab_end(struct lab *lab);
/* How many times it was said. */
uint32_t lab_lines(const struct lab *lab, const char *part);
void lab_publish(struct lab *lab); /* let the held publication end */

/* Who leads; -1 nobody. What this node has appended and is not committed is gone. */
void lab_lead(struct lab *lab, int32_t id, int32_t epoch);
/* This node's controller may begin. */
void lab_claim(struct lab *lab, int32_t epoch);
/* Commit what was added, as one batch. */
void lab_commit(struct lab *lab);
void lab_add_metadata_version(struct lab *lab);
/* A broker that is registered, not fenced, and listens at b1:SCRIPT_PORT and the like. */
void lab_add_broker(struct lab *lab, int32_t id, struct uuid incarnation, int64_t epoch);
/* Its Fetch of the metadata log comes here. */
void lab_fetched(struct lab *lab, int32_t id);
void lab_add(struct lab *lab, const struct message *message, int16_t version, const void *record);

/* ---- a client's request --------------------------------------------------------------------------- */

struct question {
    struct controller_call call;
    struct arena arena;
    void *request;
    void *response;
    bool done;
    enum kerr error;
};
/* Of an API in its highest version, with an empty request; CreateTopics has one topic. */
void question_init(struct question *q, int16_t api_key);
void question_forward(struct lab *lab, struct question *q);
void question_end(struct question *q);
/* How often it was carried out by the controllers elsewhere: CreateTopics. */
uint32_t lab_carried_out(const struct lab *lab, const struct question *q);
