/* lab.h - a real broker on a node of the simulator, consumers beside it, and what a test says to both. */
#pragma once

#include "broker/broker.h"
#include "check.h"
#include "consumer/consumer.h"
#include "simulator/simulator.h"

#define MS INT64_C(1000000)
#define SEC INT64_C(1000000000)

struct lab {
    struct sim *sim;
    struct sim_node *node;
    struct io *doors[2];
    struct telemetry *telemetry;
    struct config *settings;
    struct broker_options options;
    struct broker *broker;
    struct fail fail;
    struct sim_node *machine; /* where clients run */
    struct io *io;
    struct client *client;    /* of the test itself */
};

void lab_open(struct lab *lab, uint64_t seed); /* the broker is up */
void lab_end(struct lab *lab);
void lab_start(struct lab *lab);
void lab_kill(struct lab *lab);

#define UNTIL(lab, condition)                                                                \
    do {                                                                                     \
        int64_t until_limit_ = sim_now_ns((lab)->sim) + 600 * SEC;                           \
        while (!(condition)) {                                                               \
            if (sim_now_ns((lab)->sim) > until_limit_ || !sim_step((lab)->sim))              \
                check_fail(__FILE__, __LINE__, "it never comes to: %s", #condition);         \
        }                                                                                    \
    } while (0)
void lab_pass(struct lab *lab, int64_t ns);

struct wait {
    struct op op;
    bool done;
    int64_t result;
};
struct op *wait_begin(struct wait *w);
int64_t wait_end(struct lab *lab, struct wait *w);

void lab_topic(struct lab *lab, const char *name, int32_t partitions);
void lab_delete_topic(struct lab *lab, const char *name);
void lab_grow_topic(struct lab *lab, const char *name, int32_t partitions);
/* `count` records "FIRST", "FIRST+1" ... in one batch; the base offset. */
int64_t lab_produce(struct lab *lab, const char *topic, int32_t partition, int32_t first, int32_t count,
                    enum codec codec);

/* ---- a consumer ------------------------------------------------------------------------------------ */

struct reader {
    struct lab *lab;
    struct consumer *consumer; /* NULL: closed */
    struct text events;        /* a line each */
    uint64_t consent;          /* that the newest event wants */
    uint32_t ready;            /* how often it was said */
};

/* Settings for tests: group "g", earliest, short times. */
struct consumer_settings reader_settings(struct lab *lab);
void reader_open(struct reader *r, struct lab *lab, const struct consumer_settings *settings);
int64_t reader_close(struct reader *r);
void reader_assign(struct reader *r, const char *topic, int32_t partition);
/* Take until `count` records were read, release all of them as done: the values, joined by blanks. */
void reader_read(struct reader *r, uint32_t count, struct text *out);
/* Read all that is there within `ns`, done. */
uint32_t reader_drain(struct reader *r, int64_t ns);
/* -> result of a commit of what is done. */
int64_t reader_commit(struct reader *r, struct consumer_call *call);
int64_t reader_times(struct reader *r, struct consumer_call *call); /* consumer_offsets_for */
int64_t reader_committed(struct reader *r, const char *topic, int32_t partition); /* -1 none */
struct consumer_place reader_place(struct reader *r, const char *topic, int32_t partition);
bool reader_has(const struct reader *r, const char *event);
