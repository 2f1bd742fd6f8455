/* inspect/rows.h - lines of output: Kafka's "name: value name: value", or a JSON object each (internal). */
#pragma once

#include "inspect/inspect.h"

struct row {
    struct inspect_output *output;
    const char *file; /* what the line is about; JSON only */
    bool json;
    bool begun;       /* a field is there */
};

/* `type` is said in JSON only, `lead` in text only ("| " of a record). */
void row_begin(struct row *r, const char *type, const char *lead);
void row_number(struct row *r, const char *name, int64_t value);
void row_bool(struct row *r, const char *name, bool value);
void row_word(struct row *r, const char *name, const char *value); /* NULL: null in JSON, nothing in text */
/* As it is, but for bytes that are no UTF-8; a string in JSON. */
void row_text(struct row *r, const char *name, struct str value);
/* JSON in both; in text `separator` stands behind the name. */
void row_json(struct row *r, const char *name, const char *separator, struct str json);
void row_end(struct row *r);

/* A line by itself: as it is in text, under `name` in JSON. */
void row_line(struct row *r, const char *type, const char *name, const char *format, ...) PRINTF(4, 5);

/* A line for standard error. */
void output_error(struct inspect_output *o, const char *format, ...) PRINTF(2, 3);
/* Flush when there is much. False when nobody reads the lines any more. */
bool output_goes_on(struct inspect_output *o);
