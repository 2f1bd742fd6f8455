/* cli/scram.h - apart from internal.h, because OpenSSL's headers use names of room config. */
#pragma once

#include "io/io.h"

/* One argument of --add-scram, SCRAM-SHA-256=[name=alice,password=...], as a framed
 * UserScramCredentialRecord. -EINVAL in Kafka's words. */
MUST int scram_record(struct io *io, struct str argument, struct text *framed, struct fail *f);
