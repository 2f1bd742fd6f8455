/* Errors as an application is told of them: what, where, what to do. */
#include <stdio.h>

#include "producer/sender.h"

static enum producer_advice advice_of(const struct producer_batch *b)
{
    switch (b->why) {
    case WHY_NONE:
        return PRODUCER_FINE;
    case WHY_LATE:
    case WHY_SEQUENCE:
        return PRODUCER_RETRY;
    case WHY_CLOSED:
    case WHY_FATAL:
        return PRODUCER_ABORT;
    case WHY_TOPIC:
    case WHY_PARTITION:
        return PRODUCER_GIVE_UP;
    case WHY_BROKER:
        break;
    }
    return kerr_is_retriable(b->fate.code) ? PRODUCER_RETRY : PRODUCER_GIVE_UP;
}

/* Why a batch was not delivered in time, as far as that can be said. */
static const char *why_late(const struct producer_batch *b)
{
    if (b->part == NULL)
        return b->topic->error == KERR_UNKNOWN_TOPIC_OR_PARTITION ? "the topic does not exist; create it"
                                                                  : "no broker has told of the topic; see whether "
                                                                    "bootstrap.servers can be reached";
    if (b->fate.attempts == 0 && b->part->node == NULL)
        return "the partition has no leader; see whether its brokers are up";
    if (b->fate.attempts == 0)
        return "it could not be sent; see whether the broker is up, or write less than it takes";
    return "the broker has not acknowledged it";
}

static void say_late(struct producer *p, const struct producer_batch *b, char *out, size_t n)
{
    snprintf(out, n, "not delivered within delivery.timeout.ms=%lld, after %u attempts: %s",
             (long long)p->rules.delivery_timeout_ms, b->fate.attempts, why_late(b));
}

static void say_why(struct producer *p, const struct producer_batch *b, char *out, size_t n)
{
    switch (b->why) {
    case WHY_NONE:
        break;
    case WHY_BROKER:
        snprintf(out, n, "%s%s%s, after %u attempts", kerr_name(b->fate.code), b->detail != NULL ? ": " : "",
                 b->detail != NULL ? b->detail : "", b->fate.attempts);
        break;
    case WHY_LATE:
        say_late(p, b, out, n);
        break;
    case WHY_CLOSED:
        snprintf(out, n, "the producer was closed before it was acknowledged; give producer_close more time");
        break;
    case WHY_SEQUENCE:
        snprintf(out, n, "the broker does not know any more whether it has these records; look for them before sending "
                         "them again");
        break;
    case WHY_TOPIC:
        snprintf(out, n, "%s", kerr_name(b->fate.code));
        break;
    case WHY_PARTITION:
        snprintf(out, n, "there is no partition %d; the topic has %d", b->wanted, b->topic->partition_count);
        break;
    case WHY_FATAL:
        snprintf(out, n, "%s", p->fatal_text);
        break;
    }
}

void error_of_batch(struct producer *p, const struct producer_batch *b, struct producer_error *out)
{
    char *at = p->words;
    size_t n = sizeof p->words;
    int used;

    *out = (struct producer_error){
        .code = b->fate.code,
        .advice = advice_of(b),
        .definite = b->fate.definite,
        .text = STR(""),
    };
    if (b->why == WHY_NONE)
        return;
    used = snprintf(at, n, "%d records for %.*s", b->count - b->placed, STR_ARG(b->topic->name));
    if (b->part != NULL)
        used += snprintf(at + used, n - (size_t)used, "-%d", b->part->index);
    used += snprintf(at + used, n - (size_t)used, "%s: ", b->fate.definite ? "" : " (which a broker may have)");
    say_why(p, b, at + used, n - (size_t)used);
    out->text = str_of(p->words);
}
