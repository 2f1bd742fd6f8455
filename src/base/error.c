#define _GNU_SOURCE /* strerrordesc_np: unlike strerror it is constant and has no buffer */
#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>

const char *error_text(int error)
{
    const char *text;

    switch (error) {
    case 0:
        return "no error";
#define X(name, code, words) \
    case code:               \
        return words;
        ERROR_LIST(X)
#undef X
    default:
        break;
    }
    /* Above the least errno: negating INT_MIN would overflow. */
    text = error < 0 && error > -1000 ? strerrordesc_np(-error) : NULL;
    return text == NULL ? "unknown error" : text;
}

int fail_set(struct fail *f, int error, const char *format, ...)
{
    va_list args;

    ASSERT(error < 0);
    if (f == NULL)
        return error;
    f->error = error;
    va_start(args, format);
    vsnprintf(f->text, sizeof(f->text), format, args);
    va_end(args);
    return error;
}

int fail_wrap(struct fail *f, const char *format, ...)
{
    struct text outer = {0};
    va_list args;

    ASSERT(f != NULL);
    ASSERT(f->error < 0);
    va_start(args, format);
    text_vprintf(&outer, format, args);
    va_end(args);
    text_printf(&outer, ": %s", f->text);
    /* What does not fit is lost at the end, where the detail is. */
    if (outer.n >= sizeof(f->text))
        outer.n = sizeof(f->text) - 1;
    memcpy(f->text, outer.p, outer.n);
    f->text[outer.n] = '\0';
    text_deinit(&outer);
    return f->error;
}
