/* support.h - what the tests of this room share. */
#pragma once

#include "golden.h"
#include "record/record.h"

#define PLAIN_BYTES_MAX (16 << 20)

/* Bytes of a text in hexadecimal. The caller ends it. */
struct text of_hex(const char *hex);

static inline struct bytes bytes_of_text(const struct text *t)
{
    return bytes_of_str(text_str(t));
}

static inline struct bytes bytes_of(const char *text)
{
    return bytes_of_str(str_of(text));
}

/* All batches in `in`, one line each, with a line for each record:
 *
 *   base..last offset, fields, codec and marks
 *     offset timestamp sequence "key" "value" "header"="value"      ~ is null
 */
void batch_dump(struct bytes in, struct text *out);

/* The same for records only. */
void batch_dump_records(const struct batch *batch, struct text *out);

/* What batch_dump must say of it. */
void golden_expected(const struct golden *g, struct text *out);

const struct golden *golden_get(const char *name);
