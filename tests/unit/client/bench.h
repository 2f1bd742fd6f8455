/* bench.h - a client before scripted brokers, and calls of a test. */
#pragma once

#include "script.h"

#include "client/client.h"

struct bench {
    struct script *script;
    struct client *client;
    struct client_settings settings;
};

/* Brokers, no client yet: settings may be changed. */
void bench_open(struct bench *b, uint32_t brokers);
void bench_start(struct bench *b);
void bench_end(struct bench *b); /* close the client, look at what is left */

/* A call of the test. Zeroed before the first use. */
struct ask {
    struct client_call call;
    bool done;
    int64_t result;
    int64_t done_ns;
    struct bench *bench;
};
/* Send what `a->call` says (api_key, request, target set). */
void ask_send(struct bench *b, struct ask *a);
int64_t ask_end(struct ask *a); /* wait for it */
/* DescribeCluster to any broker: the least of requests. */
int64_t ask_any(struct bench *b);
