/* our_consumer.h - what the files of our_consumer share. */
#pragma once

#include <millrace/client.h>

#define CALL_MS 30000 /* of each call that waits */
#define LINE_BYTES_MAX 16384

struct program {
    struct mr_loop *loop;         /* NULL: the library's thread */
    struct mr_consumer *consumer; /* NULL: closed */
    int ready[2];                 /* a pipe: hooks.ready ─► the turn */
    int64_t done_to;              /* of the chunks that come */
    bool commits_revoked;
    char prefix[256];             /* of match */
    char line[LINE_BYTES_MAX];    /* what has come of commands */
    size_t line_bytes;
};

/* The test is to see why: ends the process with 2. */
void die(const char *what, const char *why);

/* Do what the line says, and answer. The line is cut into its words. */
void obey(struct program *p, char *line);

/* JSON, a piece at a time. */
void say_bytes(struct mr_bytes b);
void say_text(const char *key, const char *text); /* with a comma before it */
void say_partitions(const struct mr_partition *partitions, uint32_t count);
void say_error(const struct mr_error *e);         /* its fields */
void say_record(const struct mr_chunk *k, const struct mr_read *r);
