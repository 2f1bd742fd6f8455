/* base/error.h - trouble is a negative int: the system's errno, negated, or one of ours. */
#pragma once

#include <stdint.h>

#define ERROR_LIST(X)                                                              \
    X(ERR_CORRUPT, -1001, "the bytes fail their checksum or make no sense")        \
    X(ERR_SHORT, -1002, "the input ends before the value does")                    \
    X(ERR_LIMIT, -1003, "a fixed limit would be exceeded")                         \
    X(ERR_FENCED, -1004, "a newer epoch is known")                                 \
    X(ERR_VERSION, -1005, "the version is not one that this program knows")        \
    X(ERR_CLOSED, -1006, "it is closed or closing")                                \
    X(ERR_OFFLINE, -1007, "the log directory is offline after a failure")

enum error {
#define X(name, code, text) name = code,
    ERROR_LIST(X)
#undef X
};

/* Words for `error` (negative or zero); never NULL, never freed. */
const char *error_text(int error);

/* What an operator will read: each caller adds what it was doing, outermost first. */
struct fail {
    int error;       /* 0 = nothing failed */
    char text[500];
};

/* Begin a message; returns `error` so that it can be returned at once. `f` may be NULL. */
int fail_set(struct fail *f, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "FORMAT: " before the message; returns the error that is already there. `f` is not NULL and
 * holds a failure. What does not fit is lost at the end of the text. */
int fail_wrap(struct fail *f, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Return the error of `call`. The only macro of ours that returns. */
#define TRY(call)                      \
    do {                               \
        int try_error_ = (call);       \
        if (UNLIKELY(try_error_ < 0))  \
            return try_error_;         \
    } while (0)
