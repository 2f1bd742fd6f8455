/* protocol/protocol.h - the wire protocol: messages, their versions, error codes, features.
 *
 * The source is schema/: one .wire file per API, record or data format. generate.py makes of it
 * one header per file, which is included by whoever needs the message:
 *
 *     schema/000-Produce.wire                protocol/produce.h             request and response
 *     schema/metadata-003-PartitionRecord    protocol/partition_record.h    the record
 *     schema/group-001-OffsetCommit          protocol/offset_commit_record.h    key and value
 *     schema/data-VotersRecord               protocol/voters_record.h
 *
 * Names follow mechanically. ProduceRequest is `struct produce_request`; the struct under its field
 * topic_data is `struct produce_request_topic_data`, and so on down the path. A struct that the
 * schema uses in several places (`struct X` there) is `struct produce_request_x`. Per message:
 *
 *     void    produce_request_init(struct produce_request *m)     the schema's defaults; every
 *                                                                 nested struct has its own _init
 *     int     produce_request_read(in, version, arena, &m)        bytes used, or an error
 *     int64_t produce_request_size(&m, version)                   bytes, or an error
 *     void    produce_request_write(&m, version, out)             exactly that many
 *     const struct message produce_request_message                for message_* in message.h
 *
 * Messages that hold `records` also have, for heads and records that are sent apart (message.h):
 *
 *     int     fetch_response_measure(&m, version, &extent)
 *     void    fetch_response_write_pieces(&m, version, head, cuts)
 *
 * An element of an array that the caller fills must be initialised too: many defaults are not 0.
 */
#pragma once

#include "base/base.h"
#include "protocol/api_keys.h" /* generated: enum api_key */
#include "protocol/errors.h"   /* generated: enum kerr */
#include "protocol/feature_ids.h" /* generated: enum feature_id */
#include "protocol/frame.h"
#include "protocol/message.h"

/* ---- errors ---- */

/* "NOT_COORDINATOR"; "UNKNOWN_SERVER_ERROR" for a code that nobody knows. */
const char *kerr_name(int16_t code);

/* A client may send the request again. */
bool kerr_is_retriable(int16_t code);

/* Before it does, its metadata is to be fetched again. */
bool kerr_needs_metadata(int16_t code);

/* ---- APIs ---- */

#define LISTENER_BROKER 1
#define LISTENER_CONTROLLER 2

struct api {
    const char *name;                 /* "Produce" */
    const struct message *request;
    const struct message *response;
    int16_t key;                      /* enum api_key */
    int16_t low, high;                /* versions that exist */
    int16_t offered_low, offered_high;/* versions that ApiVersions says; Kafka leaves out
                                         GetTelemetrySubscriptions and PushTelemetry unless a
                                         metrics plugin takes what they bring */
    uint8_t listeners;                /* who serves it: LISTENER_BROKER, LISTENER_CONTROLLER */
    bool forwardable;                 /* a broker passes it to the controller */
    bool cluster_action;              /* for nodes of the cluster only */
    bool response_header_0;           /* its responses have header 0 in every version */
};

/* NULL for an unknown or withdrawn key. */
const struct api *api_find(int16_t key);

/* "Produce"; "Unknown" where api_find gives NULL. */
const char *api_name(int16_t key);

static inline bool api_has_version(const struct api *api, int16_t version)
{
    return version >= api->low && version <= api->high;
}

/* ---- features ---- */

struct feature_level {
    const char *name;                 /* "4.0-IV1", "TV_2" */
    int16_t level;
    int16_t since;                    /* metadata version from which it is a new cluster's default;
                                         0 for metadata.version itself */
    int16_t needs_metadata_version;   /* 0 = none in particular */
    bool production;                  /* may be used */
};

struct feature {
    const char *name;                 /* "metadata.version" */
    const struct feature_level *levels; /* ascending, without gaps */
    int16_t level_count;
    int16_t low, latest;              /* lowest level; highest that may be used */
};

/* What a metadata version switches on. */
struct metadata_version {
    const char *name;                 /* "3.7-IV2" */
    int16_t level;
    bool records_changed;             /* its records differ from those of the version before */
    int16_t defaults[FEATURE_COUNT];  /* default level of every feature; [FEATURE_METADATA_VERSION]
                                         is the level itself */
    int16_t register_broker_record;   /* versions of records and requests from here on */
    int16_t register_controller_record; /* -1 = none yet */
    int16_t partition_change_record;
    int16_t partition_record;
    int16_t fetch_request;            /* of followers */
    int16_t list_offsets_request;
};

extern const struct feature features[FEATURE_COUNT];

/* FEATURE_COUNT when there is none of that name. */
enum feature_id feature_find(struct str name);

/* NULL when there is none. */
const struct metadata_version *metadata_version_find(int16_t level);

/* By "3.7-IV2", or by the release alone, "3.7", which is its last. NULL when there is none. */
const struct metadata_version *metadata_version_find_by_name(struct str name);
