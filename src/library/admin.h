/* library/admin.h - what the files about mr_admin share.
 *
 *   caller's thread                      the loop's thread
 *   mr_create_topics: answer_new         begun ─► admin_send ─► ... ─► take, for each part that was answered: rows
 *     the request, copied ── answer_ask ─►                              again: another question? once more
 *   mr_answer_wait ◄───────────────────────────────────────────────── ended ─► how.done
 */
#pragma once

#include <stdatomic.h>

#include "admin/admin.h"
#include "library/internal.h"
#include <millrace/admin.h>

struct mr_admin {
    struct handle handle;
    struct admin *admin;      /* the loop's thread's; its client is the handle's */
    struct list answers;      /* struct mr_answer that are asked; the loop's thread's */
    struct job *closing;
    int32_t api_timeout_ms;   /* default.api.timeout.ms */
    bool asks_controllers;    /* bootstrap.controllers */
};

enum answer_rows {
    ROWS_OUTCOME,
    ROWS_TOPIC,
    ROWS_CONFIG,
    ROWS_CLUSTER,
    ROWS_QUORUM,
    ROWS_LOG_DIR,
    ROWS_REASSIGNMENT,
    ROWS_OFFSET,
    ROWS_GROUP,
    ROWS_ACL,
    ROWS_QUOTA,
    ROWS_SCRAM_USER,
    ROWS_TOKEN,
    ROWS_FEATURE,
    ROWS_SHARE_OFFSET,
    ROWS_STREAMS_GROUP,
    ROWS_TRANSACTION,
    ROWS_PRODUCER_STATE,
};

/* What a call asks, and how its answer is read. */
struct answer_verb {
    const char *name;         /* "mr_create_topics" */
    int16_t api_key;
    enum answer_rows rows;
    /* Make rows of one node's answer. */
    void (*take)(struct mr_answer *r, const struct admin_part *part, const void *response);
    /* NULL; else called when all is taken: true = it has set another verb and request, which are asked now. `result` is
     * admin_send's. */
    bool (*again)(struct mr_answer *r, int64_t result);
};

struct mr_answer {
    struct mr_admin *admin;
    struct mr_loop *loop;
    struct io_message begin, leave;
    struct op op;
    struct list node;         /* in admin->answers, while it is asked */
    struct admin_call call;
    struct mr_how how;
    const char *name;         /* of the first verb: who waits may look at it */
    const struct answer_verb *verb; /* the loop's thread's, until it has ended */
    void *request;            /* in the arena, as all that it names */
    struct str *more;         /* of `again`: what is to be asked for once more */
    int32_t more_count;
    struct arena arena;       /* of the request, and of what rows name */
    void *rows;
    uint32_t count, capacity, failed;
    int64_t deadline_ms;      /* of clock_ms */
    struct mr_error error;    /* trouble; code MR_OK = none */
    atomic_bool ended;        /* set once, with the loop's lock held; rows and errors do not change any more */
    bool left;                /* under the loop's lock: the caller has freed it */
    bool left_arrived;        /* the loop's thread knows */
};

/* ---- asking ----------------------------------------------------------------------------------- */

/* An answer to be; its `request` is initialised. NULL without memory. */
struct mr_answer *answer_new(struct mr_admin *a, const struct answer_verb *verb, const struct mr_how *how);
/* Send it. Returns `r`. */
struct mr_answer *answer_ask(struct mr_answer *r);
/* Milliseconds, for requests that say how long a broker may take. */
int32_t answer_timeout_ms(const struct mr_answer *r);
/* Another question in place of the first one, for `again`: `request` is a new one, initialised. */
void answer_renew(struct mr_answer *r, const struct answer_verb *verb);

/* Memory of the answer, zeroed. */
void *answer_array(struct mr_answer *r, size_t count, size_t element_bytes);
/* A copy of the caller's text. NULL is not allowed: the call will end with MR_INVALID, "`what` is NULL". */
struct str answer_text(struct mr_answer *r, const char *text, const char *what);
/* Likewise where NULL says something. */
struct str answer_text_or_null(struct mr_answer *r, const char *text);
struct str *answer_texts(struct mr_answer *r, const char *const *texts, uint32_t count, const char *what);
int32_t *answer_numbers(struct mr_answer *r, const int32_t *numbers, uint32_t count);
/* It cannot be: the call ends with MR_INVALID and the first of these words. */
void answer_refuse(struct mr_answer *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What the caller gives one by one, by the name that it is of: partitions by topic, changes by resource. */
struct answer_named {
    struct str name;
    const uint32_t *indexes;  /* in what the caller gave */
    int32_t count;
};
/* `names[i]` is that of the caller's element i. Names come in their order. */
struct answer_named *answer_by_name(struct mr_answer *r, const struct str *names, uint32_t count, int32_t *name_count);
/* The names of their topics. */
struct str *answer_topics(struct mr_answer *r, const struct mr_partition *partitions, uint32_t count);
struct str *answer_topics_of_offsets(struct mr_answer *r, const struct mr_offset *offsets, uint32_t count);

/* ---- reading ---------------------------------------------------------------------------------- */

/* The next row, zeroed; it moves when another one is added. */
void *answer_row(struct mr_answer *r);
/* A terminated copy; NULL for null. */
const char *answer_keep(struct mr_answer *r, struct str s);
const char *answer_keep_or_empty(struct mr_answer *r, struct str s); /* "" for null */
/* Of a row: `code` is enum kerr, `message` the broker's words, or null. */
void answer_row_error(struct mr_answer *r, struct mr_error *e, int16_t code, struct str message);
/* A row of outcomes. */
struct mr_outcome *answer_outcome(struct mr_answer *r, struct str name, int32_t partition, int16_t code,
                                  struct str message);
/* The whole answer is an error, which has no row: trouble. True: so it is. */
bool answer_is_refused(struct mr_answer *r, int16_t code, struct str message);
