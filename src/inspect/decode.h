/* inspect/decode.h - what the records of internal topics say, as JSON (internal). */
#pragma once

#include "inspect/inspect.h"
#include "record/record.h"

/* A record's key and value as they are to be printed. */
struct decoded {
    struct text key, value; /* owned; used again by the next decode_record */
    bool has_key, has_value;
    bool is_json[2];        /* of key, value: JSON; else text */
    int error;              /* < 0: the record is not what the decoder expects, and `key` or `value` says so */
    struct arena arena;     /* private */
};

void decoded_init(struct decoded *d);
void decoded_deinit(struct decoded *d);

/* What cannot be decoded is said in words in place of the key (of the value in metadata), as Kafka's tool
 * does, and in `error`. Not for control records. */
void decode_record(struct decoded *d, enum inspect_decoder decoder, const struct record *record);

/* A control record. ABORT, COMMIT: `*coordinator_epoch`; KRaft's: `value` is JSON; others: nothing but
 * `*type`.
 * Fails  ERR_CORRUPT, ERR_SHORT, ERR_VERSION, ERR_LIMIT */
MUST int decode_control(struct decoded *d, const struct record *record, int16_t *type,
                        int32_t *coordinator_epoch);
