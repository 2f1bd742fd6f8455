/* broker/start.h - how the broker starts and stops: the flows behind broker_start and broker_stop (internal). */
#pragma once

#include "broker/checkpoint.h"
#include "broker/session.h"

/* What is there so far; stopping takes it down in the opposite order. Lives as long as the broker. */
struct life {
    struct flow flow;
    struct broker *broker;
    struct fail *fail;              /* of broker_start's caller, until it has completed */
    struct text text;               /* of a small file */
    struct meta_properties *meta;   /* one per directory */
    bool *formatted;                /* per directory: meta.properties was there */
    char *path;
    uint32_t dir, listener;         /* where the flow is */
    struct io_address address, bound;
    struct io_listener *probe;
    struct node_options node_options;
    struct checkpoints *checkpoints;
    struct checkpoint_lines *lines; /* one per directory, of the end */
    bool has_listeners, running;
    int64_t trouble;                /* first of a stop: no directory is marked clean then */
    int64_t broker_epoch;
};

#define LOG_DIRS_MAX 64
