/* cli/console_producer.h - kafka-console-producer.sh and `millrace produce`.
 *
 *   standard input ─► produce.c: lines ─► line_reader.c or record_json.c ─► room producer
 *   words, status  ◄──────────────────── acknowledgements ◄───────────────────────┘
 */
#pragma once

#include "cli/console.h"
#include "cli/output.h"
#include "producer/producer.h"

enum console_producer_option {
    CP_TOPIC,
    CP_SYNC,
    CP_COMPRESSION_CODEC,
    CP_BATCH_SIZE,
    CP_MAX_RETRIES,
    CP_RETRY_BACKOFF_MS,
    CP_TIMEOUT,
    CP_ACKS,
    CP_REQUEST_TIMEOUT_MS,
    CP_METADATA_EXPIRY_MS,
    CP_MAX_BLOCK_MS,
    CP_MAX_MEMORY_BYTES,
    CP_MAX_PARTITION_MEMORY_BYTES,
    CP_LINE_READER,
    CP_SOCKET_BUFFER_SIZE,
    CP_READER_PROPERTY,
    CP_PROPERTY, /* its older spelling */
    CP_READER_CONFIG,
    CP_JSON,
    CP_SERVER,
    CP_COMMAND_PROPERTY,
    CP_PRODUCER_PROPERTY,
    CP_COMMAND_CONFIG,
    CP_PRODUCER_CONFIG,
    CP_OPTIONS
};

struct console_producer {
    struct tool tool;
    struct producer_settings settings;
    struct client *client;
    struct producer *producer;
    struct line_rules rules;
    struct text reader_text;   /* of --reader-config */
    struct arena reader_names; /* what of it is used */
    struct output prompt;
    char piece[64 << 10]; /* of standard input, while it is read */
    struct text in;       /* what was read; lines from `at` on are not produced yet */
    size_t at;
    size_t looked; /* no line ends before this */
    struct op read_op;
    bool reading, at_end; /* at_end: no more is read */
    bool skip_lf;         /* the last line has ended with CR */
    int64_t line_number;
    struct console_record record;
    struct arena arena; /* of what a line of JSON says */
    struct op *waiting; /* the flow, for input or room */
    bool interrupted;
    bool failed; /* something that ends it */
    int64_t records_failed;
    struct io_timer patience;
};

/* Words of both tools: -EINVAL, and the tool's fail. */
MUST int console_producer_check(struct tool *t);
/* Settings and reader, of words and files. */
MUST int produce_prepare(struct console_producer *x);
void produce_run(struct flow *f); /* of the tool */
void produce_free(struct tool *t);
