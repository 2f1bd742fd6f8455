/* Errors as values: what, where, and what the caller may do. */
#include "consumer/internal.h"

#include <stdarg.h>
#include <stdio.h>

static void words(struct consumer_error *e, const char *reason, const char *format, va_list args)
{
    int n = vsnprintf(e->text, sizeof e->text, format, args);

    if (n >= 0 && (size_t)n < sizeof e->text)
        snprintf(e->text + n, sizeof e->text - (size_t)n, ": %s", reason);
}

struct consumer_error *error_code(struct consumer_error *out, int16_t code, enum consumer_advice advice,
                                  const char *format, ...)
{
    va_list args;

    *out = (struct consumer_error){.code = code, .definite = code != KERR_REQUEST_TIMED_OUT, .advice = advice};
    va_start(args, format);
    words(out, kerr_name(code), format, args);
    va_end(args);
    return out;
}

struct consumer_error *error_trouble(struct consumer_error *out, int trouble, enum consumer_advice advice,
                                     const char *format, ...)
{
    va_list args;

    *out = (struct consumer_error){.trouble = trouble, .definite = true, .advice = advice};
    va_start(args, format);
    words(out, error_text(trouble), format, args);
    va_end(args);
    return out;
}

/* What an answer's code means for whoever asked. */
enum consumer_advice advice_of(int16_t code)
{
    switch (code) {
    case KERR_TOPIC_AUTHORIZATION_FAILED:
    case KERR_GROUP_AUTHORIZATION_FAILED:
    case KERR_CLUSTER_AUTHORIZATION_FAILED:
    case KERR_INVALID_TOPIC_EXCEPTION:
    case KERR_OFFSET_METADATA_TOO_LARGE:
    case KERR_INVALID_COMMIT_OFFSET_SIZE:
    case KERR_INVALID_GROUP_ID:
    case KERR_INVALID_SESSION_TIMEOUT:
    case KERR_INCONSISTENT_GROUP_PROTOCOL:
    case KERR_GROUP_MAX_SIZE_REACHED:
    case KERR_UNSUPPORTED_VERSION:
    case KERR_UNSUPPORTED_FOR_MESSAGE_FORMAT:
    case KERR_INVALID_REQUEST:
        return CONSUMER_REPAIR;
    case KERR_FENCED_INSTANCE_ID:
        return CONSUMER_GIVE_UP;
    case KERR_ILLEGAL_GENERATION:
    case KERR_UNKNOWN_MEMBER_ID:
        return CONSUMER_REJOINED;
    case KERR_OFFSET_OUT_OF_RANGE:
    case KERR_CORRUPT_MESSAGE:
        return CONSUMER_SEEK;
    default:
        return CONSUMER_WAIT;
    }
}
