#include "cli/console.h"

#include <stdarg.h>

void console_note(struct tool *t, const char *format, ...)
{
    struct cli *c = t->cli;
    va_list args;

    va_start(args, format);
    text_vprintf(&c->err, format, args);
    va_end(args);
    text_add(&c->err, "\n", 1);
    if (c->flush != NULL)
        (void)c->flush(c); /* `out` is empty: what such a tool says there goes another way */
}

void console_say_unreachable(struct tool *t, const struct client_health *h)
{
    if (h->state != CLIENT_UP)
        console_note(t, "%s: %s: is the broker up, and is this the address of one of its listeners? Trying on.",
                     t->info->program, h->reason[0] == '\0' ? "no broker has answered yet" : h->reason);
}
