/* broker/start.h - how the broker starts and stops: the flows behind broker_start and broker_stop
 * (internal). */
#pragma once

#include "broker/checkpoint.h"
#include "broker/retention.h"
#include "broker/session.h"

/* What is there so far; a stop takes it down in the opposite order. Lives as long as the broker. */
struct life {
    struct flow flow, stage, part; /* of the start or the stop, of a stage of it, and of a piece of that */
    struct broker *broker;
    struct fail *fail;              /* of broker_start's caller, until it has completed */
    struct text text;               /* of a small file */
    struct meta_properties *meta;   /* one per directory */
    bool *formatted;                /* per directory: meta.properties was there */
    bool formatting;                /* those without it have just been formatted */
    char *path;
    uint32_t dir, listener;         /* where the flow is */
    struct io_address address, bound;
    struct io_listener *probe;
    struct io_timer start_limit;    /* server.max.startup.time.ms */
    struct op opened;               /* controllers' listeners accept */
    struct node_options node_options;
    struct retention *retention;
    struct space_watch *space;
    struct checkpoint_lines *lines; /* one per directory, of the end */
    bool has_listeners, running;
    bool published;                 /* an image reaches the shards: from now on logs are opened, and written to */
    bool joining;                   /* the node is being started */
    bool canceled;                  /* the start is to end */
    bool clean;                     /* the directory that is being closed */
    bool stopping;                  /* the logs are being closed: nobody is told of failures any more */
    int64_t trouble;                /* first of a stop: no directory is marked clean then */
    int64_t offline;                /* the same of directories: each is marked clean for itself */
    int64_t broker_epoch;           /* of this life; -1: it has none */
};

#define LOG_DIRS_MAX 64

/* dirs.c: format what is empty where that is wanted, see that all agree, take the locks. One that cannot be opened is
 * offline (broker->missing), unless it holds the metadata log. */
void start_dirs(struct life *l, struct op *op);
/* Every directory's `failed`, with the broker: its replicas go offline on all shards, and the controller is told. Where
 * it holds the metadata log, the broker cannot go on. */
void dir_failed(struct log_dir *dir, struct io *io, const struct fail *why, void *ctx);
/* placing.c: callbacks of a shard's replicas, with the shard. */
void replica_placed(void *ctx, struct replica *r, struct uuid directory);
void replica_save_starts(void *ctx, struct op *op);
/* listen.c: bind every listener on every shard; nobody is let in yet. */
void start_listeners(struct life *l, struct op *op);
/* Home shard: the broker cannot go on. */
void broker_fail(struct broker *b, const struct fail *why);
