/* vectors.h - samples of messages that Kafka wrote, held against our codecs.
 *
 * A table is text, tab separated, its first line the names of the columns. Three kinds:
 *
 *   kind name version sample hex json                       a message alone
 *   log part name type version sample hex json              a record of an internal log
 *   kind name headerVersion version sample hex json         a frame with its length and header
 */
#pragma once

#include <stdio.h>

#include "base/base.h"

struct vector_totals {
    unsigned passed;  /* rows */
    unsigned failed;
};

/* Check all rows of `table`, which is called `name` in messages. Each row that fails is reported
 * on standard error. Not `thorough`: bytes are changed one by one only in the rows with the most
 * content. A table of record batches (name, hex, json) is passed over: `record` checks those.
 * Returns -EINVAL, with a message, when it is no table at all. */
int vectors_check(struct str table, const char *name, bool thorough, struct vector_totals *totals);
