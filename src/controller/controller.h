/* controller/controller.h - the active controller's decisions, nothing else.
 *
 *   request ──► decide on `latest` ──► records ──► applied to `latest`, appended to the metadata
 * log answer parked ──────────────────── committed ──► answer leaves
 *
 *   K1  Two images: `committed` (what the high watermark has passed) and `latest` (with what was
 *       appended). Decisions are made on `latest`; there is no undo: losing leadership drops it.
 *   K2  Records are applied to `latest` by image's strict checks before they are appended: a record
 *       that would kill a JVM standby never leaves (the process stops instead).
 *   K3  Record versions are those of the finalized metadata.version.
 *
 * A machine: no clock (time comes in), no I/O. Requests come decoded, from the own process or from
 * another broker by Envelope, all through controller_handle.
 */
#pragma once

#include "base/base.h"
#include "config/config.h"
#include "coordinator/coordinator.h"
#include "image/image.h"
#include "protocol/protocol.h"
#include "security/security.h"

struct controller;

/* The metadata log, as room quorum offers it to an active controller. */
struct controller_log {
    /* Append framed records as one atomic batch in `epoch`. 0 and the offset of the last record;
     * ERR_FENCED when not leader of `epoch` any more. */
    int (*append)(void *log, int32_t epoch, const struct bytes *framed, uint32_t count,
                  int64_t *last_offset);
    /* Level of kraft.version, which no record of the metadata tells (KIP-853). */
    int16_t (*kraft_version)(void *log);
    /* Raise it from 0 to 1, as the leader of `epoch`; what is appended next lies behind that. With `validate_only` say
     * whether it could be. NOT_CONTROLLER, REQUEST_TIMED_OUT (not now), INVALID_UPDATE_VERSION (not all voters
     * have said that they support it). */
    enum kerr (*upgrade)(void *log, int32_t epoch, bool validate_only);
    void *log;
};

/* What a decision has changed, and why: for a line, and for whoever asks later. Valid during the call. */
struct controller_news {
    struct str topic;   /* of a partition; null: of the cluster */
    int32_t partition;
    bool loud;          /* one of few: a line of its own */
    bool bad;           /* a broker or a directory is lost, records may be or cannot be had; nobody wants it so */
    struct str words;   /* a sentence, without its subject when that is a partition */
};

struct controller_settings {
    int32_t node_id;
    struct str cluster_id;
    const struct config *broker; /* the node's static settings: defaults of topics */
    int64_t session_timeout_ms;  /* broker.session.timeout.ms */
    int64_t idle_interval_ms;    /* metadata.max.idle.interval.ms: NoOp */
    struct bytes bootstrap;      /* framed? no: the record batches of the bootstrap snapshot */
    /* What it has decided, once it is in the log. NULL: nobody wants to know. */
    void (*told)(void *ctx, const struct controller_news *news);
    void *told_ctx;
};

struct controller *controller_new(const struct controller_settings *settings,
                                  const struct controller_log *log, struct prng *prng);
void controller_free(struct controller *c);

/* Leader of `epoch`: `image` holds everything up to the log's end. Writes activation records
 * (bootstrap on an empty log, abort of an open metadata transaction). */
void controller_claim(struct controller *c, const struct image *image, int32_t epoch,
                      int64_t now_ms);
/* Not leader any more: everything parked is answered with NOT_CONTROLLER. */
void controller_resign(struct controller *c);
bool controller_is_active(const struct controller *c);

/* The high watermark moved: parked answers below it leave. */
void controller_committed(struct controller *c, int64_t offset);

/* Time passes: sessions, NoOp. Returns when to call again (monotonic ms). */
int64_t controller_tick(struct controller *c, int64_t now_ms);

/* This process, or all of its machine, stood still for so long: no session has gone on meanwhile. */
void controller_stood_still(struct controller *c, int64_t ms);

/* When the session of the broker that has registered with this epoch was renewed (monotonic ms). -1: not active, nobody
 * has it, it is fenced, or it lived on after controller_broker_gone. */
int64_t controller_broker_heard_ms(const struct controller *c, int32_t id, int64_t epoch);
/* Its process is gone, it seems: fenced now, not when its session has ended. Once for each registration at most, and not
 * where the above says -1. */
void controller_broker_gone(struct controller *c, int32_t id, int64_t epoch, int64_t now_ms);

/* ---- silence: brokers that stand still ---- */

/* An id for a process: of version 8, as RFC 9562 leaves it to whoever makes it. Kafka's are of version 4, so that a
 * registration tells which program it is of. */
struct uuid controller_incarnation(struct prng *g);

/* Something came from this broker that renews no session: a Fetch of the metadata log, an answer. */
void controller_broker_speaks(struct controller *c, int32_t id, int64_t now_ms);
/* Whatever was not heard until now counts for nothing: it is this process that was late. */
void controller_silence_anew(struct controller *c, int64_t now_ms);

struct controller_silent {
    int32_t id;
    int64_t epoch;
};
/* Brokers of this program, but for the own one, that are neither fenced nor in a controlled shutdown, and were not
 * heard after `since_ms`: by heartbeats, or by what controller_broker_speaks told. A controller that begins hears all of
 * them in that moment. -> how many of them stand in `out`. `*first_ms`: when, of the others, the one was heard that was
 * not heard for longest; INT64_MAX none. */
uint32_t controller_silent(const struct controller *c, int64_t since_ms, struct controller_silent *out, uint32_t max,
                           int64_t *first_ms);
/* Such a one gave no sign when it was asked: fenced now, if it is still silent. Not where more than half of the brokers
 * that are not fenced are silent: then it may be this process that hears nothing. -> was it fenced?
 *
 * A heartbeat unfences it, but one that was fenced so for the third time, none of them five minutes after the one
 * before, is held back: 5 s, then twice as long each time, at most CONTROLLER_HOLD_MS_MAX. Not where a partition needs it:
 * one that nobody leads, or that has less than min.insync.replicas in its ISR. Another incarnation begins anew, and so
 * does another controller. */
#define CONTROLLER_HOLD_MS_MAX 30000
bool controller_broker_silent(struct controller *c, const struct controller_silent *s, int64_t since_ms, int64_t now_ms);

/* One request. Embedded by the caller; lives until `ready`. */
struct controller_call {
    int16_t api_key, api_version;
    const void *request; /* the generated struct of api_key */
    void *response;      /* the generated response struct, initialised; filled in */
    struct arena *arena; /* for what `response` points at */
    const struct principal *principal;
    const struct authorizer *authorizer;
    struct str client_id, host; /* of the client that asks, for who hands the call on; null or empty: not said */
    int64_t now_ms, wall_ms;
    /* Called once, never inside controller_handle... unless nothing has to be waited for: then it
     * is parked at the current end all the same (C2) and called from controller_committed or
     * controller_tick. `error`: KERR_NONE: `response` holds the answer; otherwise the whole request
     * failed so (NOT_CONTROLLER, ...). */
    void (*ready)(struct controller_call *call, enum kerr error);
    struct parked parked; /* private */
    enum kerr failed;     /* private: what `ready` is told */
    void *forwarder;      /* of who hands the call on; the controller does not touch it */
};

/* CreateTopics, DeleteTopics, CreatePartitions, IncrementalAlterConfigs, AlterConfigs,
 * BrokerRegistration, BrokerHeartbeat, ControllerRegistration, AllocateProducerIds,
 * UnregisterBroker, ... (controller_handles). */
void controller_handle(struct controller *c, struct controller_call *call);
bool controller_handles(int16_t api_key);

const struct image *controller_latest(const struct controller *c);

/* Elections of partitions' leaders by what this controller has decided since the start, of which unclean: who leads may
 * lack records; of which from replicas that were not in the ISR, and eligible (KIP-966). */
struct controller_elections {
    uint64_t all, unclean, eligible;
};
struct controller_elections controller_elections(const struct controller *c);
