/* support/script.h - a cluster of brokers that a test scripts, in the simulator: they decode what they are asked,
 * answer what Kafka would where the test says nothing, and do wrong where it says so.
 *
 *     struct script *s = script_new(seed, 3);            brokers 1, 2, 3 are "b1:9092" ...; all are up
 *     script_topic(s, "orders", 4);                       partition p is led by broker 1 + p % 3, in epoch 0
 *     script_on(s, 0, API_PRODUCE, my_produce, &state);   how each broker (0) answers an API
 *     script_fault(s, 2, API_PRODUCE, SCRIPT_CUT, 0);     the next Produce to broker 2 ends the connection unanswered
 *     ... use script_io(s) for the program under test; SCRIPT_UNTIL(s, done);
 *     CHECK_TEXT(script_log(s), "1 ApiVersions v5\n1 Metadata v13\n...");
 *     script_free(s);
 *
 * A request in a version that the broker did not offer, or that cannot be decoded, fails the test. To use it, a room's
 * tests add script_sources to their files, and see the rooms simulator, network, protocol.
 */
#pragma once

#include "check.h"
#include "io/io.h"
#include "network/network.h"
#include "protocol/protocol.h"
#include "simulator/simulator.h"

#define SCRIPT_BROKERS_MAX 16
#define SCRIPT_PORT 9092

struct script;

struct script *script_new(uint64_t seed, uint32_t brokers);
/* With options of the world: NULL = calm. */
struct script *script_new_with(uint64_t seed, uint32_t brokers, const struct sim_options *options);
void script_free(struct script *s);

struct sim *script_sim(struct script *s);
struct io *script_io(struct script *s);                     /* of the machine of the program under test */
struct telemetry *script_telemetry(struct script *s);
struct sim_node *script_machine(struct script *s);          /* that one */
struct sim_node *script_node(struct script *s, int32_t id); /* of a broker: sim_net_cut and the like */
struct str script_bootstrap(struct script *s);              /* "b1:9092,b2:9092,..." */

/* false: nothing will ever happen again, or an hour has passed. */
bool script_turn(struct script *s);
void script_pass(struct script *s, int64_t ms);
#define SCRIPT_UNTIL(s, condition)                                                        \
    do {                                                                                  \
        while (!(condition)) {                                                            \
            if (!script_turn(s))                                                          \
                check_fail(__FILE__, __LINE__, "it never comes to: %s", #condition);      \
        }                                                                                 \
    } while (0)

/* An operation that a test waits for. */
struct script_wait {
    struct op op;
    bool done;
    int64_t result;
};
struct op *script_wait_begin(struct script_wait *w);
int64_t script_wait_end(struct script *s, struct script_wait *w);

/* ---- what is asked ------------------------------------------------------------------------------ */

/* A line for each request that came, in order: "BROKER API vVERSION". */
const char *script_log(struct script *s);
void script_log_clear(struct script *s);
uint32_t script_count(struct script *s, int32_t broker, int16_t api_key); /* 0 = all brokers; since the start */
uint32_t script_connections(struct script *s, int32_t broker);            /* accepted since the start */
uint32_t script_open_connections(struct script *s, int32_t broker);

struct script_request {
    struct conn_frame frame;  /* first */
    struct script *script;
    int32_t broker;
    int16_t api_key, version;
    char client_id[100];
    const void *message;      /* the API's request struct */
    void *response;           /* its response struct, initialised: the handler fills it */
    struct arena arena;       /* for what the response points to */
    bool parked;              /* set by a handler that answers later, by script_reply, also when the connection has
                                 ended; what is parked at script_free is let go there */
    bool no_answer;           /* set by a handler: none is due */
    struct list node;         /* private from here on */
    bool held;                /* by a fault: silent, or late */
    struct io_timer timer;
    struct answer answer;
    struct io_span span;
    uint8_t *bytes;
};

typedef void script_handler(struct script_request *r, void *ctx);

/* How `broker` (0 = all) answers an API from now on; NULL: as by default (ApiVersions, Metadata, DescribeCluster,
 * FindCoordinator), or it does not offer the API. */
void script_on(struct script *s, int32_t broker, int16_t api_key, script_handler *handler, void *ctx);
void script_reply(struct script_request *r);
/* The broker offers these versions of an API; high < low: it has not got it. 0 = all brokers. */
void script_versions(struct script *s, int32_t broker, int16_t api_key, int16_t low, int16_t high);

/* ---- what is true ------------------------------------------------------------------------------- */

struct script_partition {
    int32_t leader, epoch;
    int16_t error;
};
struct script_topic {
    char name[250];
    struct uuid id;
    int16_t error;         /* answered instead of partitions */
    int32_t partition_count;
    struct script_partition *partitions;
};
/* Make it, or make it anew under another id. */
struct script_topic *script_topic(struct script *s, const char *name, int32_t partitions);
void script_topic_gone(struct script *s, const char *name);
struct script_topic *script_topic_find(struct script *s, struct str name);
/* Another leader, in the next epoch. */
void script_move(struct script *s, const char *topic, int32_t partition, int32_t leader);
/* Who coordinates everything (at first broker 1), or FindCoordinator's error. */
void script_coordinator(struct script *s, int32_t broker, int16_t error);
void script_controller(struct script *s, int32_t broker); /* at first broker 1 */
void script_cluster_id(struct script *s, const char *id);

/* ---- what goes wrong ----------------------------------------------------------------------------- */

/* Nobody listens, and its connections end, as the program under test has heard when this returns; and again. */
void script_stop(struct script *s, int32_t broker);
void script_start(struct script *s, int32_t broker);
/* Metadata does not tell of it any more. */
void script_hide(struct script *s, int32_t broker, bool hidden);
void script_rack(struct script *s, int32_t broker, const char *rack); /* at first it has none; not copied */

enum script_fault {
    SCRIPT_NONE,
    SCRIPT_CUT,          /* the connection ends before the request is looked at */
    SCRIPT_CUT_AFTER,    /* the request is carried out, then the connection ends instead of an answer */
    SCRIPT_SILENT,       /* it is carried out and never answered */
    SCRIPT_DELAY,        /* answered after `argument` ms; later requests of the connection wait behind it */
    SCRIPT_LENGTH,       /* the answer says a length of `argument` */
    SCRIPT_CORRELATION,  /* the answer says another correlation id */
    SCRIPT_SHORT,        /* the answer ends `argument` bytes early; its length is right */
    SCRIPT_GARBAGE,      /* the body is random bytes */
    SCRIPT_FLIP,         /* `argument` bytes of the body, at random, are others */
};
/* The next request of the API (-1 = of any) to `broker` (0 = any); several calls: one request after another. */
void script_fault(struct script *s, int32_t broker, int16_t api_key, enum script_fault fault, int64_t argument);
void script_faults_clear(struct script *s); /* those that have not struck */
