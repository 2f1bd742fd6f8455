/* admin/scram.h - what SCRAM makes of a password before it is told to anybody. Rule: RFC 5802. */
#pragma once

#include "base/base.h"

#define SCRAM_SALT_BYTES 20
#define SCRAM_KEY_BYTES_MAX 64
#define SCRAM_ITERATIONS_MIN 4096 /* that Kafka takes, */
#define SCRAM_ITERATIONS_MAX 16384

/* SaltedPassword into `out`: its bytes, as many as the digest has. `mechanism` as in the protocol: 1 SCRAM-SHA-256, 2
 * SCRAM-SHA-512. -EINVAL: another one, or OpenSSL cannot derive it. Cost: `iterations` times a digest, on this thread. */
MUST int scram_salted_password(int8_t mechanism, struct str password, struct bytes salt, int iterations,
                               uint8_t out[SCRAM_KEY_BYTES_MAX]);
