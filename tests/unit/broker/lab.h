/* lab.h - a broker on a node of the simulator, and clients that speak to it byte by byte.
 *
 * A test reads as a talk: client_ask sends a request and lets the world go on until the answer has
 * come. */
#pragma once

#include "broker/broker.h"
#include "check.h"
#include "protocol/protocol.h"
#include "simulator/simulator.h"

#define MS INT64_C(1000000)
#define SEC INT64_C(1000000000)

struct lab {
    struct sim *sim;
    struct sim_node *node;
    uint32_t shards;
    struct io *doors[SIM_SHARDS_MAX];
    struct telemetry_sink sink;
    struct text said;           /* warnings and errors, one a line */
    struct config *settings;
    struct broker_options options;
    struct broker *broker;      /* NULL when there is none */
    struct fail fail;
    struct text ready;          /* what `ready` told last */
    struct fail fatal;          /* what `fatal` told; error 0 none */
    struct sim_node *clients;   /* where they run */
};

/* A node with one directory /data/a, unformatted; the broker formats it. Nothing runs yet. */
void lab_init(struct lab *lab, uint64_t seed, const struct sim_options *options, uint32_t shards);
void lab_deinit(struct lab *lab); /* whatever runs is killed and freed first */
void lab_set(struct lab *lab, const char *name, const char *value); /* before the start */

/* A new process; until the broker has started or failed to (then the trouble, and lab->fail). */
int64_t lab_start(struct lab *lab);
/* Cleanly, and the process exits; also after a start that failed. What broker_stop said. */
int64_t lab_stop(struct lab *lab);
/* kill -9, and free what is left of the broker. */
void lab_kill(struct lab *lab);
void lab_metrics(struct lab *lab, struct text *out);
int64_t lab_why(struct lab *lab, const char *topic, int32_t partition, struct text *out); /* broker_why's result */
/* Until the broker holds so many connections: a request that waits keeps its connection. */
void lab_until_connections(struct lab *lab, int count);

#define UNTIL(lab, condition)                                                                \
    do {                                                                                     \
        int64_t until_limit_ = sim_now_ns((lab)->sim) + 3600 * SEC;                          \
        while (!(condition)) {                                                               \
            if (sim_now_ns((lab)->sim) > until_limit_ || !sim_step((lab)->sim))              \
                check_fail(__FILE__, __LINE__, "it never comes to: %s", #condition);         \
        }                                                                                    \
    } while (0)
void lab_pass(struct lab *lab, int64_t ns);

/* An operation that a test waits for. */
struct wait {
    struct op op;
    bool done;
    int64_t result;
};
struct op *wait_begin(struct wait *w);
int64_t wait_end(struct lab *lab, struct wait *w);

/* A new process begins to start; `w` ends as lab_start does. */
void lab_begin(struct lab *lab, struct wait *w);

/* Letter of the log directory /data/LETTER that holds the partition; 0 none. */
char lab_dir_of(struct lab *lab, const char *topic, int32_t partition);

/* ---- a client -------------------------------------------------------------------------------- */

struct client {
    struct lab *lab;
    struct io_socket *socket;
    struct op receive;
    struct bytes lent;
    struct text in;      /* received, not yet looked at */
    bool open;           /* the broker has not closed it */
    int32_t correlation; /* of the last request */
    struct arena arena;  /* of answers */
};

void client_open(struct lab *lab, struct client *c, uint16_t port);
void client_end(struct client *c); /* also frees its memory */
void client_send_bytes(struct client *c, struct bytes bytes);
/* Does not wait. The correlation id is that of the request before, plus 1. */
void client_post(struct client *c, int16_t key, int16_t version, const void *request);
/* As client_post but into `out`, behind what is there. */
void client_write(struct client *c, int16_t key, int16_t version, const void *request,
                  struct text *out);
/* Is a whole answer there? */
bool client_has_answer(const struct client *c);
/* Wait for the next answer, which must be to `correlation`. */
void *client_answer(struct client *c, int16_t key, int16_t version, int32_t correlation);
/* Send, and wait for the answer. */
void *client_ask(struct client *c, int16_t key, int16_t version, const void *request);
/* Wait until the broker closes the connection; no answer may come before. */
void client_until_closed(struct client *c);

/* ---- what is asked over and over ------------------------------------------------------------- */

/* Topics with the settings in `configs`: "name=value", NULL at the end; NULL none. */
struct uuid lab_topic(struct lab *lab, struct client *c, const char *name, int32_t partitions);
void lab_delete_topic(struct lab *lab, struct client *c, const char *name);
/* Only send the request: CreateTopics version 7, DeleteTopics version 6. */
void lab_topic_later(struct client *c, const char *name, int32_t partitions);
void lab_delete_topic_later(struct client *c, const char *name);

/* A batch of `count` records "0", "1", ...; the memory is the arena's. */
struct bytes batch_of(struct arena *arena, int32_t count);
/* A Produce request of one batch, from the arena. Version 13: by id. */
#define PRODUCE_VERSION 13
const void *produce_of(struct arena *arena, struct uuid topic, int32_t partition, int16_t acks,
                       struct bytes batch);
/* Produce with acks=all; the base offset. */
int64_t lab_produce(struct client *c, struct uuid topic, int32_t partition, int32_t count);

/* A Fetch from offset `at` of one partition. */
#define FETCH_VERSION 13
const void *fetch_of(struct arena *arena, struct uuid topic, int32_t partition, int64_t at,
                     int32_t min_bytes, int32_t max_wait_ms);
/* The one partition of a Fetch answer. */
struct fetch_response_responses_partitions;
const struct fetch_response_responses_partitions *fetched(const void *answer);
int32_t records_in(struct bytes records);
