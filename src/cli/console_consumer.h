/* cli/console_consumer.h - kafka-console-consumer.sh and `millrace consume`.
 *
 *   words ─► consume_prepare ─► room consumer ── chunks ──► formatter ──► output ── written? ──► chunk released as done
 *                follow.c: which partitions, where no group says it
 *
 *   A record counts as done when it has been written: what a closed pipe did not take is not committed.
 */
#pragma once

#include "cli/console.h"
#include "cli/output.h"
#include "consumer/consumer.h"

enum console_consumer_option {
    CC_TOPIC,
    CC_INCLUDE,
    CC_PARTITION,
    CC_OFFSET,
    CC_FROM_BEGINNING,
    CC_MAX_MESSAGES,
    CC_TIMEOUT_MS,
    CC_GROUP,
    CC_ISOLATION_LEVEL,
    CC_FORMATTER,
    CC_FORMATTER_PROPERTY,
    CC_PROPERTY, /* its older spelling */
    CC_FORMATTER_CONFIG,
    CC_KEY_DESERIALIZER,
    CC_VALUE_DESERIALIZER,
    CC_SKIP_ON_ERROR,
    CC_SYSTEST_EVENTS,
    CC_JSON,
    CC_SERVER,
    CC_COMMAND_PROPERTY,
    CC_CONSUMER_PROPERTY,
    CC_COMMAND_CONFIG,
    CC_CONSUMER_CONFIG,
    CC_OPTIONS
};

/* Which partitions, where no group shares them out: all of the topics that are asked for, and those that come. */
struct follow {
    struct client *client; /* NULL: it is not needed */
    struct client_watch watch;
};

struct console_consumer {
    struct tool tool;
    struct consumer_settings settings;
    struct consumer *consumer;
    struct follow follow;
    struct pattern *pattern; /* of --include */
    struct format format;
    struct text formatter_text;   /* of --formatter-config */
    struct arena formatter_names; /* what of it is used */
    struct output out;
    struct consumer_chunk *chunk; /* being printed */
    int64_t chunk_done;           /* records of it below this are printed */
    struct list held;             /* printed, and not written yet; in order */
    uint32_t held_count;
    int64_t partition, offset;        /* of words; partition -1 = all */
    int64_t messages_max, timeout_ms; /* -1 = none */
    int64_t messages;
    int64_t last_ns; /* when a record has come, or it began */
    struct io_timer quiet, alive;
    bool told;        /* that nobody answers */
    char warned[240]; /* the last warning: it is not repeated */
    struct op *ended; /* what waits for the end */
    bool ending;
};

/* Words of both tools: -EINVAL, and the tool's fail. */
MUST int console_consumer_check(struct tool *t);
/* Settings, group and formatter, of words and files. */
MUST int consume_prepare(struct console_consumer *x);
void consume_run(struct flow *f); /* of the tool */
void consume_free(struct tool *t);

/* It is over: what is printed is written and committed, then the tool ends with tool.status. */
void consume_end(struct console_consumer *x, int status);
/* A record, or all that may come, cannot be read: said as Kafka says it. */
void consume_fail(struct console_consumer *x, const char *why);

/* Is the topic asked for, by its name or by --include? For subscriptions, too. */
bool consume_wants(void *ctx, struct str topic);

MUST int follow_begin(struct console_consumer *x);
/* Why nothing can be followed, said once; for a tool that sees nothing come. */
void follow_complain(struct console_consumer *x);
