/* network/network.h - both ends of a Kafka connection: frames, order, back-pressure.
 *
 *   io ── bytes ──► conn ── whole frames ──► session (broker)       server end
 *   io ◄─ spans ─── conn ◄─ answers, sent in the order of the frames ──
 *
 *   peer ── request, correlation id ──► conn of another node ── answer ──► op      client end
 *
 *   N1  A frame is lent whole, in one buffer; its length is checked before memory is taken.
 *   N2  Answers leave in the order in which the frames came, whatever the order in which they were
 *       given.
 *   N3  With `in_flight_max` frames not given back, or `unsent_bytes_max` not sent, or while it is
 *       paused, or its next frame waits for memory, a connection neither reads nor hands out more.
 *   N4  A connection that is closed answers nobody: frames not yet answered are told by `closed`.
 */
#pragma once

#include "base/base.h"
#include "io/io.h"
#include "telemetry/telemetry.h"

/* ---- server end ----------------------------------------------------------------------------- */

struct conn;

struct conn_limits {
    uint32_t frame_bytes_max;  /* socket.request.max.bytes; a longer one closes the connection */
    uint32_t in_flight_max;    /* frames handed out and not given back; >= 1 */
    uint64_t unsent_bytes_max; /* of answers given and not sent; >= 1 */
    struct ledger *ledger;     /* where frames are counted, and wait for memory; NULL */
    uint64_t memory_bytes_max; /* no longer frame can ever be held; 0 = any can */
    int64_t idle_ms;           /* connections.max.idle.ms: without a byte, and without a frame that
                                  waits for its answer; <= 0 never */
};

/* One frame: embedded first in the session's request. Made by `conn_handler.take`. */
struct conn_frame {
    struct list node;     /* private */
    struct conn *conn;
    struct buf *buf;      /* one reference, given back by conn_answer */
    struct bytes bytes;   /* the frame without its length; may be changed in place */
    int64_t received_ns;
    struct answer *answer; /* private, with `answered`: until it was sent */
    bool answered;
};

/* What is sent for a frame. Made by the answerer; `release` runs when all is sent or the connection
 * is gone, exactly once; it frees heads, lets go of log spans and so on. */
struct answer {
    struct io_span *spans; /* beginning with the 4 bytes of length */
    uint32_t span_count;   /* >= 1 */
    uint64_t total_bytes;
    void (*release)(struct answer *a);
};

/* All of it is called from the loop, save `give`, which conn_answer calls too: where no answer
 * is due, or the connection is closed. Inside each, conn_answer, conn_close and conn_pause may
 * be called. */
struct conn_handler {
    /* Memory for the next frame's struct (conn_frame embedded first). NULL closes the
     * connection. */
    struct conn_frame *(*take)(void *ctx);
    /* A whole frame has come. Answer it now or later with conn_answer. */
    void (*frame)(void *ctx, struct conn_frame *frame);
    /* The frame's answer has been sent, or dropped: its memory is the session's again. */
    void (*give)(void *ctx, struct conn_frame *frame);
    /* The connection is down: `why` for a log line (peer, error text, idle, what conn_close was
     * told). Once. Frames handed out stay valid until they are answered (the answer is dropped). */
    void (*closed)(void *ctx, const char *why);
    /* The last frame is back: the conn is freed. Nothing of it is called any more. */
    void (*gone)(void *ctx);
};

/* Takes over the socket. `handler` outlives it. NULL without memory: then the socket is the
 * caller's still. */
struct conn *conn_new(struct io *io, struct telemetry *t, struct io_socket *socket,
                      const struct conn_limits *limits, const struct conn_handler *handler,
                      void *ctx);
void conn_start(struct conn *c);                 /* begin to read */
void conn_set_limits(struct conn *c, const struct conn_limits *limits); /* with the same ledger */

/* Answer a frame, in any order. Takes `a`; NULL = no answer is due (Produce with acks=0): the
 * frame is given back at once. */
void conn_answer(struct conn_frame *frame, struct answer *a);

/* Close: answers not yet sent are dropped. `closed` follows later, and `gone` when every frame
 * is answered; neither inside this call. `why` is static. Accepts repeated calls. */
void conn_close(struct conn *c, const char *why);
/* Stop or go on reading (throttle, quota). */
void conn_pause(struct conn *c, bool paused);
bool conn_is_open(const struct conn *c);

/* ---- client end ----------------------------------------------------------------------------- */

/* A connection to another node that comes and goes: connects when there is something to send, waits
 * with back-off (exponential, jitter +-20%) after it ended, for whatever reason. */
struct peer;

/* For who has something to say first on every connection, and chooses by the answer what to send next. Such a one
 * asks for connections by peer_connect and sends between `opened` and `closed` only: no call waits for another
 * connection. Both come from the loop, never inside a call; inside each, everything but freeing may be done. */
struct peer_hooks {
    void (*opened)(void *ctx);
    /* It has ended, or could not be made: `error` says why, and all its calls have ended. Not after peer_close. */
    void (*closed)(void *ctx, int error);
};

struct peer_settings {
    struct io_address address;
    struct io_connect_options connect;
    struct str client_id;          /* copied */
    int64_t backoff_ms, backoff_max_ms;
    int64_t request_timeout_ms;    /* from sending to the answer's last byte: then the connection
                                      closes, and all that was sent on it ends. Also the most
                                      that a call waits to be sent */
    int64_t setup_timeout_ms;      /* what connecting may take: doubles with each time that it was too short, */
    int64_t setup_timeout_max_ms;  /* up to this, jitter +-20% (KIP-601); 0 = request_timeout_ms, always */
    uint32_t frame_bytes_max;
    uint32_t in_flight_max;        /* >= 1 */
    const struct peer_hooks *hooks; /* NULL; outlives the peer */
    void *ctx;
};

/* NULL without memory. */
struct peer *peer_new(struct io *io, struct telemetry *t, const struct peer_settings *settings);
/* Calls end with ERR_CLOSED, or with the trouble that came first; frees it. May be called where a
 * call ends; once. */
void peer_close(struct peer *p, struct op *op);

/* Connect, when the back-off is over; nothing where it is connected, or tries to. */
void peer_connect(struct peer *p);
/* End the connection, as trouble would: its calls end with `error`. Nothing where there is none. */
void peer_drop(struct peer *p, int error);
/* For the next connection. */
void peer_set_address(struct peer *p, const struct io_address *address);
/* No try begins before this; 0 or past: at once. */
int64_t peer_backoff_until_ns(const struct peer *p);

/* A request on its way. Embedded by the caller; lives until `op` completes. */
struct peer_call {
    struct op op;          /* completes with 0 = answer below; trouble: -ECONNRESET, -ETIMEDOUT,
                              ERR_CORRUPT (no answer to what was asked), ERR_LIMIT, ERR_CLOSED ...
                              Whether the peer acted is then unknown unless `sent` is false */
    int16_t api_key, api_version;
    bool no_answer;        /* none will come (Produce with acks=0): completes with 0 when it was sent */
    int64_t deadline_ns;   /* by which it ends; 0 = by request_timeout_ms */
    bool sent;             /* some byte may have left */
    struct buf *answer;    /* one reference for the caller: buf_unref; NULL after trouble */
    struct bytes body;     /* the answer behind its header */
    struct list node;      /* private */
    struct io_span *spans; /* the caller's, or the whole request below */
    uint32_t span_count;
    struct buf *request;
    int32_t correlation_id;
    bool abandoned;
    struct io_timer timer;
    struct peer *peer;
};

/* Send `body` (copied; null is empty) under api key and version, which must be ones of the API
 * table; the header is made here (header versions by that table). Where a call ends by
 * peer_close, or after it: ends with ERR_CLOSED. */
void peer_send(struct peer *p, struct peer_call *call, struct bytes body);
/* As peer_send, from where the body lies: in spans[1] .. spans[count - 1], at most 2 GiB together; spans[0] is the
 * peer's, for length and header. All of it stays until `op` completes. */
void peer_send_spans(struct peer *p, struct peer_call *call, struct io_span *spans, uint32_t count);
/* The caller wants no answer any more: the call completes with -ECANCELED, later, and as soon as its memory is not
 * needed; where it ends meanwhile, as it ends. The connection stays: an answer that comes is dropped. */
void peer_cancel(struct peer_call *call);
