/* client_work.h - the same work for two client libraries, so that what differs is theirs.
 *
 *   client_work.c      the command line, the work, figures as JSON
 *   client_gaps.c      one more work: gaps
 *   client_ours.c      libmillrace by its public header: the program client_ours
 *   client_rdkafka.c   librdkafka: the program client_rdkafka
 *
 * A record has no key; its value begins with its number. Whatever goes wrong (a record that is not acknowledged, one that
 * does not come, or comes twice) ends the program with words and exit code 1.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SETTINGS_MAX 32
#define NUMBER_BYTES 8 /* of a value: the record's number */

struct setting {
    const char *name, *value;
};

/* What to do: the command line. */
struct work {
    const char *cluster; /* bootstrap.servers */
    struct setting settings[SETTINGS_MAX];
    int setting_count;
    const char *topic; /* it exists */
    int64_t partitions;
    int64_t records;
    int64_t record_bytes; /* of a value */
    int64_t producers;
    int64_t rate; /* records a second; 0 = as fast as they are taken */
    /* NULL; else called for every batch that is acknowledged, on any thread. */
    void (*acked)(void *ctx, int32_t partition, int records);
    void *acked_ctx;
};

/* Print "PROGRAM: ..." and end the program. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- the library's side --------------------------------------------------------------------- */

/* What was received. */
struct sum {
    uint64_t records, bytes, numbers; /* numbers: their sum */
};

struct sender;
struct receiver;

struct sender *sender_open(const struct work *w);
/* The value is copied. Waits while the library is full. Partition -1: any. */
void sender_put(struct sender *s, int32_t partition, const void *value, size_t n);
/* Let so much time pass, or less; acknowledgements are told meanwhile. */
void sender_wait(struct sender *s, int64_t ns);
/* All records that were put are acknowledged. */
void sender_flush(struct sender *s);
void sender_close(struct sender *s); /* nothing is under way */

/* Reads every partition from its beginning, without a group. */
struct receiver *receiver_open(const struct work *w);
/* Add what has come; waits for it, but not for ever. */
void receiver_take(struct receiver *r, struct sum *sum);
void receiver_close(struct receiver *r);
