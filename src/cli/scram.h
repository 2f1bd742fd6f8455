/* cli/scram.h - apart from internal.h, because OpenSSL's headers use names of room config. */
#pragma once

#include "admin/scram.h"
#include "io/io.h"

/* A password under a new salt, as AlterUserScramCredentials sends it. */
struct scram_secret {
    int8_t mechanism; /* the protocol's number */
    int iterations;
    int salted_bytes;
    uint8_t salt[SCRAM_SALT_BYTES], salted[SCRAM_KEY_BYTES_MAX];
};
/* Of kafka-configs.sh: `value` is [iterations=N,]password=... -EINVAL in Kafka's words. */
MUST int scram_secret(struct io *io, struct str mechanism, struct str value, struct scram_secret *out, struct fail *f);

/* One argument of --add-scram, SCRAM-SHA-256=[name=alice,password=...], as a framed
 * UserScramCredentialRecord. -EINVAL in Kafka's words. */
MUST int scram_record(struct io *io, struct str argument, struct text *framed, struct fail *f);
