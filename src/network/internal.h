/* network/internal.h - what the two files of the client end share: calls (peer.c), the connection (peer_connection.c).
 *
 *   CLOSED ─ a call, peer_connect ─► CONNECTING ─► OPEN ─ trouble, a call's timeout ─► CLOSING ─► CLOSED
 *     └──── back-off before the next try ────────────────────────────────────────────────────────┘
 *
 * A call's end may bring the next call or peer_close, at once: so it comes last, when the state is
 * whole again. Only a completion frees the peer, never peer_close itself.
 */
#pragma once

#include "network/network.h"

#define LENGTH_BYTES 4

enum peer_phase { PEER_CLOSED, PEER_CONNECTING, PEER_OPEN, PEER_CLOSING };

struct peer {
    struct io *io;
    struct telemetry *telemetry;
    struct peer_settings settings;
    char *client_id;
    struct io_socket *socket;
    enum peer_phase phase;

    struct list waiting;   /* struct peer_call: not sent yet, each with its time limit */
    struct list in_flight; /* sent, in order */
    uint32_t in_flight_count;
    int32_t next_correlation_id;

    struct op connect, send, receive, close;
    struct buf *header;    /* room for length and header of the request that is sent from its caller's memory */
    struct io_span span;   /* of one that was copied */
    struct buf *copy;      /* held while it is sent: the answer may come before the send has completed */
    struct peer_call *sending; /* whose memory is being sent, or who only waits for that; else NULL */
    bool send_under_way, receiving;

    struct bytes lent;     /* what the receive under way brings */
    uint8_t length[LENGTH_BYTES];
    uint32_t length_got;
    struct buf *frame;     /* being filled; NULL between frames */

    bool wanted;           /* peer_connect */
    struct io_timer timer; /* CLOSED and something to do: the back-off; CONNECTING: its limit */
    int64_t backoff_ms;    /* of the next failure */
    int64_t backoff_until_ns;
    int64_t setup_ms;      /* limit of the next try */
    int trouble;           /* why the connection ends */
    struct op *closed;     /* of peer_close */
};

/* ---- peer.c ---------------------------------------------------------------------------------- */

/* Do what can be done now: connect, send, receive. */
void peer_advance(struct peer *p);
void peer_call_end(struct peer_call *call, int64_t result);
void peer_fail_all(struct list *calls, int error);
/* The answer in `frame` belongs to the call at the head: a node answers in order. Takes the frame. */
void peer_take_answer(struct peer *p, struct buf *frame);
/* The end of peer_close: nothing is in flight any more. */
void peer_free(struct peer *p);

/* ---- peer_connection.c ------------------------------------------------------------------------ */

/* Connect now, or when the back-off is over. */
void peer_open(struct peer *p);
void peer_receive_more(struct peer *p);
/* End the connection; the socket's other operations complete before its close. */
void peer_hang_up(struct peer *p, int trouble);

static inline int64_t peer_after_ns(const struct peer *p, int64_t ms)
{
    return io_now_ns(p->io) + ms * 1000000;
}
