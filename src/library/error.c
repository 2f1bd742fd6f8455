#include <stdarg.h>
#include <stdio.h>

#include "library/internal.h"

enum mr_code code_of_trouble(int trouble)
{
    switch (trouble) {
    case 0:
        return MR_OK;
    case -ETIMEDOUT:
        return MR_TIMED_OUT;
    case -EAGAIN:
        return MR_FULL;
    case -EINVAL:
    case -ERANGE:
    case -EBUSY:
        return MR_INVALID;
    case ERR_LIMIT:
        return MR_TOO_LARGE;
    case -ENOENT:
        return MR_NOT_ASSIGNED;
    case -ECONNRESET:
    case -ECONNREFUSED:
    case -EHOSTUNREACH:
        return MR_CONNECTION;
    case ERR_CORRUPT:
    case ERR_SHORT:
        return MR_DAMAGED;
    case ERR_CLOSED:
    case -ECANCELED:
        return MR_CLOSED;
    case -ENOMEM:
        return MR_MEMORY;
    default:
        return MR_SYSTEM;
    }
}

static enum mr_advice advice_of(enum mr_code code)
{
    switch (code) {
    case MR_OK:
        return MR_FINE;
    case MR_TIMED_OUT:
    case MR_FULL:
    case MR_CONNECTION:
    case MR_MEMORY:
        return MR_RETRY;
    case MR_DAMAGED:
        return MR_SEEK;
    case MR_CLOSED:
    case MR_FORKED:
        return MR_CLOSE;
    default:
        return MR_REPAIR;
    }
}

int error_set(struct mr_error *e, enum mr_code code, enum mr_advice advice, bool definite, const char *format, ...)
{
    va_list args;

    if (e == NULL)
        return code;
    *e = (struct mr_error){.code = code, .advice = advice, .definite = definite};
    va_start(args, format);
    vsnprintf(e->text, sizeof e->text, format, args);
    va_end(args);
    return code;
}

int error_of_trouble(struct mr_error *e, int trouble, const char *what)
{
    enum mr_code code = code_of_trouble(trouble);

    return error_set(e, code, advice_of(code), true, "%s: %s", what, error_text(trouble));
}

int error_of_end(struct mr_error *e, int trouble, const char *what)
{
    return error_set(e, code_of_trouble(trouble), MR_CLOSE, true, "%s: %s", what, error_text(trouble));
}

int error_fail(struct mr_error *e, const struct fail *f)
{
    enum mr_code code = code_of_trouble(f->error);

    return error_set(e, code, advice_of(code), true, "%s", f->text);
}

const char *mr_kafka_code_name(int32_t kafka_code)
{
    return kerr_name((int16_t)kafka_code);
}

const char *mr_version(void)
{
    return MILLRACE_VERSION;
}
