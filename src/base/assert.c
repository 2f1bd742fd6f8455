#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>

void (*assert_hook)(void);

_Noreturn void assert_failed(const char *what, const char *file, int line, const char *function)
{
    void (*hook)(void) = assert_hook;

    fprintf(stderr, "%s:%d: %s: assertion failed: %s\n", file, line, function, what);
    fflush(stderr);
    assert_hook = NULL; /* a hook that fails an assertion itself must not run again */
    if (hook != NULL)
        hook();
    abort();
}
