/* cli/console.h - records as lines of text: what console producer and consumer share, with each other and their parts.
 */
#pragma once

#include "cli/tool.h"
#include "record/record.h"

/* Java has no bound; a line of more is a mistake. */
#define CONSOLE_HEADERS_MAX 1000

/* A record that came as a line. Its bytes lie in the line, or in the arena of whoever read it. */
struct console_record {
    struct str topic;     /* null: the line does not say */
    int32_t partition;    /* -1: likewise */
    int64_t timestamp_ms; /* -1: likewise */
    struct bytes key, value;
    int32_t header_count;
    struct record_header headers[CONSOLE_HEADERS_MAX];
};

/* ---- line_reader.c: as Kafka's LineMessageReader; pure ------------------------------------------ */

struct line_rules {
    bool parse_key, parse_headers, ignore_error;
    struct str key_separator, headers_delimiter, headers_separator, headers_key_separator;
    struct str null_marker; /* null = none */
};
void line_rules_init(struct line_rules *r);
/* Take one of the reader's properties; others are for other readers. Text is borrowed. */
void line_rules_set(struct line_rules *r, struct str name, struct str value);
/* Separators that cannot be told apart: -EINVAL. */
MUST int line_rules_check(const struct line_rules *r, struct fail *f);
/* -EINVAL, and `f` says what line `number` lacks. */
MUST int line_read(const struct line_rules *r, struct str line, int64_t number, struct console_record *out,
                   struct fail *f);

/* ---- record_json.c: one JSON object a record ----------------------------------------------------- */

/* {"topic": "t", "partition": 0, "offset": 7, "timestamp": 1, "key": null, "value": "v", "headers": [{"key": "k",
 * "value": "v"}]} Bytes that are no UTF-8, or hold a NUL, are {"base64": "..."}. Without a line's end. */
void record_json_print(struct text *out, struct str topic, int32_t partition, const struct record *r);
/* The same back; all but "value" may be missing, names that are not known are passed over. */
MUST int record_json_read(struct str line, struct arena *arena, struct console_record *out, struct fail *f);

/* ---- formatter.c: as Kafka's formatters --------------------------------------------------------- */

enum format_kind {
    FORMAT_DEFAULT,
    FORMAT_LOGGING,
    FORMAT_NOTHING,
    FORMAT_JSON,
    FORMAT_OFFSETS, /* of __consumer_offsets: commits */
    FORMAT_GROUPS,  /* and classic groups */
    FORMAT_TRANSACTIONS,
};
/* How the bytes of a key, value or header become letters. */
enum format_bytes { BYTES_AS_THEY_ARE, BYTES_SHORT, BYTES_INTEGER, BYTES_LONG, BYTES_UUID };

struct format {
    enum format_kind kind;
    bool print_timestamp, print_key, print_value, print_partition, print_offset, print_delivery, print_epoch,
        print_headers;
    struct str key_separator, line_separator, headers_separator, null_literal;
    enum format_bytes key, value, headers;
};
void format_init(struct format *f);
/* By the name of Kafka's class, with or without its package. -EINVAL: there is no such formatter here. */
MUST int format_set_class(struct format *f, struct str name, struct fail *fail);
/* Take one of the formatter's properties; others do not matter. Text is borrowed. -EINVAL: a deserializer that is not
 * here. */
MUST int format_set(struct format *f, struct str name, struct str value, struct fail *fail);

/* Where a record was read. */
struct format_place {
    struct str topic;
    int32_t partition, leader_epoch; /* -1 = not known */
    bool log_append_time;
};
/* Append the record to `out`; what a LoggingMessageFormatter logs goes to `log`. -EINVAL: bytes that its deserializer
 * does not take; then `out` is as it was. */
MUST int format_record(const struct format *f, const struct format_place *where, const struct record *r,
                       struct text *out, struct text *log, struct fail *fail);

/* formatter_coordinator.c: the last three kinds. Records of other types, and of types that nobody knows, print
 * nothing. */
MUST int format_coordinator(enum format_kind kind, const struct record *r, struct text *out, struct fail *fail);

/* ---- console.c ----------------------------------------------------------------------------------- */

/* Nobody answers: say so once on standard error, as the tool goes on trying. */
#define CONSOLE_PATIENCE_MS 3000
void console_say_unreachable(struct tool *t, const struct client_health *h);

/* A line on standard error, at once. */
void console_note(struct tool *t, const char *format, ...) PRINTF(2, 3);
