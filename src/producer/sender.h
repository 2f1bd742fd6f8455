/* producer/sender.h - the side of the producer that asks brokers. Private to this room.
 *
 *   producer_run: topics to want ─► metadata ─► deadlines ─► what each partition may send ─► one Produce per node
 *                                                                                              │
 *   hooks.acked ◄─ done batches, in order ◄───────────── lanes ◄───────────────────── answers ◄┘
 *
 * Everything that happens asks for a run in a turn of its own (producer_soon), so many answers make one run.
 */
#pragma once

#include "producer/accumulator.h"
#include "protocol/init_producer_id.h"
#include "protocol/produce.h"

/* One Produce. */
struct produce_call {
    struct client_call call;
    struct producer *producer;
    struct producer_node *node;
    uint64_t number;                  /* from 1 on; none has had it before */
    struct list link;                 /* of producer.calls, or of those that are about to be sent */
    struct producer_batch **batches;  /* by topic, then in the order of adding */
    uint32_t count, capacity;
    uint64_t bytes;                   /* of records */
    int64_t deadline_ms;              /* of its oldest batch */
    bool left;                        /* its batches know that some byte of it may have left */
    struct produce_request request;
    struct arena arena;               /* its arrays */
};

/* Who we are: InitProducerId. */
struct identity {
    struct lane_identity who;
    struct client_call call;
    struct init_producer_id_request request;
    bool asking;
    uint32_t attempts;
    int64_t retry_at_ms;
};

struct producer {
    struct io *io;
    struct client *client;
    struct accumulator accumulator;
    struct producer_hooks hooks;
    void *ctx;
    struct lane_rules rules;
    struct identity identity;
    struct producer_node **nodes;
    uint32_t node_count;
    struct list calls;                /* on their way */
    uint64_t last_call;               /* number of the newest */
    struct client_watch watch;
    struct io_timer timer;
    struct text scratch;              /* of compression */
    struct list done;                 /* batches to be told of */
    struct list failed;               /* those that have waited for their partitions: told of behind what has one */
    int64_t next_ms;                  /* when the next run is due, while one is made */
    int64_t idle_check_ms;            /* INT64_MAX = no topic is wanted */
    uint64_t flushes;                 /* under way */
    bool metadata_changed;
    bool running;

    int16_t fatal_code;               /* KERR_NONE = none */
    bool fatal_told;
    char fatal_text[300];
    char words[500];                  /* the text of the error that is being told */

    struct op *closing;               /* NULL */
    int64_t close_at_ms;
    bool cut_short;                   /* something failed because the deadline of the close had come */

    uint64_t records_acked, records_failed, batches_retried, epochs_bumped;
};

static inline int64_t producer_now_ms(const struct producer *p)
{
    return io_now_ms(p->io);
}

static inline void producer_lock(struct producer *p)
{
    if (p->hooks.lock != NULL)
        p->hooks.lock(p->ctx);
}

static inline void producer_unlock(struct producer *p)
{
    if (p->hooks.unlock != NULL)
        p->hooks.unlock(p->ctx);
}

/* -EINVAL: settings that do not fit each other. */
MUST int producer_settings_check(const struct producer_settings *s, struct fail *f);
/* A run in the next turn. */
void producer_soon(struct producer *p);
/* The run that is being made, or the next one, is followed by one at `at_ms`. */
static inline void producer_again_at(struct producer *p, int64_t at_ms)
{
    if (at_ms < p->next_ms)
        p->next_ms = at_ms;
}
/* The producer has come to its end: what it has fails, nothing more is taken. With the lock held. */
void producer_fail(struct producer *p, int16_t code, const char *format, ...) PRINTF(3, 4);

/* What waits for the partitions of `t` fails, and is told of behind what does not wait. With the lock held. */
void producer_fail_waiting(struct producer_topic *t, enum batch_why why, int16_t code);

/* ---- topics.c, with the lock held ---------------------------------------------------------- */

void sender_want_topics(struct producer *p);
void sender_read_topics(struct producer *p);
/* Topics that nobody has written to for long are not kept fresh any more. */
void sender_forget_topics(struct producer *p, int64_t now_ms);
void sender_close_topics(struct producer *p);

/* ---- requests.c --------------------------------------------------------------------------------- */

/* Fill requests with what may be sent now, and put them into `ready`. With the lock held. */
void produce_calls_fill(struct producer *p, int64_t now_ms, struct list *ready);
/* Send them; without the lock. */
void produce_calls_send(struct producer *p, struct list *ready);
/* Which requests have left meanwhile; those that have not, and have a batch whose time is up, are taken back. With the
 * lock held. */
void produce_calls_note(struct producer *p, int64_t now_ms);
/* Those that have not left although their batches have another leader now end early; all: they end in any case. */
void produce_calls_cancel(struct producer *p, bool all);
void produce_call_free(struct produce_call *call);

/* ---- answers.c ------------------------------------------------------------------------------------ */

void produce_answered(struct op *op, int64_t result);

/* ---- identity.c ----------------------------------------------------------------------------------- */

/* Ask for a producer id where one is missing. With the lock held. */
void sender_seek_identity(struct producer *p, int64_t now_ms);
void sender_cancel_identity(struct producer *p);

/* ---- error.c ----------------------------------------------------------------------------------------- */

/* What the application is told of a batch. The text is in producer.words. */
void error_of_batch(struct producer *p, const struct producer_batch *b, struct producer_error *out);
