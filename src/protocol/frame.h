/* protocol/frame.h - what stands before a message: headers of requests and responses, and the
 * prefixes of records in the internal logs.
 *
 *   request   i16 key, i16 version, i32 correlation, i16-string client id [, tags]   then the body
 *   response  i32 correlation [, tags]                                               then the body
 *   metadata, tiered value   varints 1, type, version                                then the body
 *   coordinator key          i16 type                                                then the body
 *   coordinator value        i16 version                                             then the body
 *
 * The length that precedes a request or response on a connection is `network`'s.
 */
#pragma once

#include "protocol/message.h"
#include "protocol/request_header.h" /* generated */

/* Header versions of an API's version: request 1, or 2 when the body is flexible; response 0 or 1,
 * and 0 for every ApiVersions response, so that a client can read it whatever version answers.
 * ERR_VERSION for an unknown key; a version out of range is judged as the nearest that exists. */
int request_header_version(int16_t api_key, int16_t api_version);
int response_header_version(int16_t api_key, int16_t api_version);

/* Read the header of the request in `frame`.
 *
 *   -> bytes used: the body begins there
 *   out  client_id points into the frame
 *
 * An ApiVersions request of a version that we do not know may have any header behind its first
 * eight bytes: what cannot be read is left null, because it has to be answered (KIP-511).
 *
 * Fails  ERR_SHORT, ERR_CORRUPT
 *        ERR_VERSION  the API key is unknown or withdrawn: close the connection. A version out of
 *                     the API's range is no failure: check it with api_has_version */
MUST int request_header_read(struct bytes frame, struct request_header *out);

/* For requests that we send. */
MUST int64_t request_header_size(const struct request_header *h);
void request_header_write(const struct request_header *h, uint8_t *out);

/* 4 or 5 bytes. `api_key` must be known. */
uint32_t response_header_size(int16_t api_key, int16_t api_version);
void response_header_write(int16_t api_key, int16_t api_version, int32_t correlation_id,
                           uint8_t *out);

/* -> bytes used; ERR_SHORT, ERR_CORRUPT, ERR_VERSION (unknown key). */
MUST int response_header_read(struct bytes frame, int16_t api_key, int16_t api_version,
                              int32_t *correlation_id);

/* A record of an internal log, read. */
struct message_framed {
    const struct message *message;
    int16_t version;
    void *value;                      /* the message's struct, from the arena */
};

/* Read the value of a record of the metadata log (MESSAGE_METADATA) or of the tiered-storage log
 * (MESSAGE_TIERED). All of `in` must be used.
 *
 * Fails  ERR_SHORT, ERR_CORRUPT, ERR_LIMIT; ERR_VERSION for an unknown type or version, and then
 *        out->message is NULL or known, so that the caller can say which */
MUST int message_metadata_read(struct bytes in, enum message_kind kind, struct arena *arena,
                               struct message_framed *out);

/* The record's prefix and body. Fails as message_size. */
MUST int64_t message_metadata_size(const struct message *message, int16_t version, const void *m);
void message_metadata_write(const struct message *message, int16_t version, const void *m,
                            uint8_t *out);

/* Read the key of a coordinator's record: `kind` is MESSAGE_GROUP_KEY, MESSAGE_SHARE_KEY or
 * MESSAGE_TRANSACTION_KEY. ERR_VERSION for a type that we do not know (skip the record, as Kafka
 * does). */
MUST int message_key_read(struct bytes in, enum message_kind kind, struct arena *arena,
                          struct message_framed *out);

/* Read the value that belongs to a key of that `kind` and type; `in` must not be null (a
 * tombstone). */
MUST int message_value_read(struct bytes in, enum message_kind kind, int16_t type,
                            struct arena *arena, struct message_framed *out);

/* A coordinator's key (its type from the message; version 0) or value (its version). */
MUST int64_t message_coordinator_size(const struct message *message, int16_t version,
                                      const void *m);
void message_coordinator_write(const struct message *message, int16_t version, const void *m,
                               uint8_t *out);
