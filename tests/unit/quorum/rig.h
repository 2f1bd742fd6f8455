/* A quorum in a world, with a listener that writes down what it is told. */
#pragma once

#include "check.h"
#include "io/io.h"
#include "log/log.h"
#include "quorum/quorum.h"
#include "simulator/simulator.h"
#include "telemetry/telemetry.h"

struct io_epoll_world;

#define CLUSTER "bWlsbHJhY2Vnb2xkZW40NA"
#define NODE 1

/* Where tests run: a temporary directory on the real disk, or a node of the simulator. */
struct place {
    struct io *io;
    struct io_epoll_world *epoll;
    struct sim *sim;
    struct sim_node *node;
    char dir[256];
};
void place_real(struct place *p);
void place_sim(struct place *p, uint64_t seed, const struct sim_options *options);
void place_end(struct place *p);

/* Let the world go on until `*flag`; false when it goes nowhere any more. */
bool place_run(struct place *p, const bool *flag);

/* An operation that a test waits for. */
struct wait {
    struct op op;
    bool done;
    int64_t result;
};
struct op *wait_begin(struct wait *w);
int64_t wait_end(struct place *p, struct wait *w);

/* Copy TEST_DIR/golden/FROM (a folder) into the place's directory. */
void place_copy(struct place *p, const char *from);
void place_read(struct place *p, const char *name, struct text *out);
void place_write(struct place *p, const char *name, struct bytes content);
/* Names in the directory, one a line. */
void place_list(struct place *p, const char *name, struct text *out);

struct rig {
    struct place *place;
    struct telemetry_sink sink;
    struct telemetry *telemetry;
    struct log_dir *dir;
    struct log_memory memory;
    struct quorum *q;
    struct quorum_open options;
    struct fail fail;
    struct text trace;     /* what the listener was told, a line each */
    struct text delivered; /* all batches, snapshots' too */
    int64_t next;          /* offset of the log that must come next; -1 any */
    bool from_snapshot;    /* the next batches are a snapshot's */
    bool failed;           /* the directory was taken offline */
    bool caught_up;
    int64_t high_watermark; /* last told */
    int32_t claimed;        /* epoch; -1 */
};

void rig_init(struct rig *r,
              struct place *p);  /* static quorum of node 1; opens the log directory */
int64_t rig_open(struct rig *r); /* the quorum; 0 or trouble in r->fail */
void rig_ready(struct rig *r);   /* until it has claimed and is caught up */
int64_t rig_append(struct rig *r, const char *const *values,
                   uint32_t count); /* last offset or trouble */
void rig_until(struct rig *r, int64_t high_watermark);
int64_t rig_close(struct rig *r);              /* the quorum */
int64_t rig_deinit(struct rig *r, bool clean); /* and the directory */

/* Framed record that carries `text`: a made-up type, which this room does not look into. */
void frame_text(const char *text, struct text *out);
/* Append "offset text" of all data records in batches. */
void print_records(struct bytes batches, struct text *out);
