/* support/script_internal.h - what script.c and script_answers.c share. */
#pragma once

#include "script.h"

struct script_rule {
    script_handler *handler;
    void *ctx;
};

struct script_broker {
    struct script *script;
    int32_t id;
    struct sim_node *node;
    struct io *io;
    struct io_listener *listener;
    struct op accept, close;
    struct io_socket *accepted;
    bool up, hidden, accepting;
    const char *rack; /* NULL none */
    struct list connections;
    uint32_t connection_count;
    uint32_t counts[API_KEY_COUNT];
    int16_t low[API_KEY_COUNT], high[API_KEY_COUNT];
    struct script_rule rules[API_KEY_COUNT];
};

struct script {
    struct sim *sim;
    struct sim_node *machine;
    struct telemetry *telemetry;
    struct script_broker brokers[SCRIPT_BROKERS_MAX + 1]; /* by id */
    uint32_t broker_count;
    struct text log, bootstrap;
    struct list faults;
    struct script_topic *topics;
    uint32_t topic_count;
    char cluster_id[64];
    int32_t controller, coordinator;
    int16_t coordinator_error;
    bool ending;
};

struct script_connection {
    struct script_broker *broker;
    struct conn *conn;
    struct list node;
    struct list unanswered; /* struct script_request */
    bool closed;
};

struct script_planned {
    struct list node;
    int32_t broker;
    int16_t api_key;
    enum script_fault fault;
    int64_t argument;
};

/* script_serve.c: a connection that was accepted, and its end; what is held back is let go. */
void script_serve(struct script_broker *b, struct io_socket *socket);
void script_drop_held(struct script_connection *c);

/* Handlers where a test has none; NULL: the API is not offered. */
script_handler *script_default(int16_t api_key);
