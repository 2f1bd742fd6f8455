/* bench.h - an admin before scripted brokers, and one call of it. */
#pragma once

#include "script.h"

#include "admin/admin.h"

#include <errno.h>

struct bench {
    struct script *script;
    struct admin *admin;
    struct admin_call call;
    struct script_wait wait;
    struct arena arena;
};

void bench_open(struct bench *b, uint32_t brokers, int64_t unreachable_ms);
void bench_open_set(struct bench *b, uint32_t brokers, int64_t unreachable_ms, const char *name, const char *value);
void bench_end(struct bench *b);
/* Begin a call, or make it to its end: its result. */
void bench_begin(struct bench *b, int16_t api_key, const void *request);
int64_t bench_ask(struct bench *b, int16_t api_key, const void *request);
int64_t bench_now_ms(struct bench *b);
