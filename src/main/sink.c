#define _GNU_SOURCE
#include "main/sink.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

static void write_line(struct telemetry_sink *sink, enum log_level level, const char *room,
                       const char *line)
{
    char out[TELEMETRY_LINE_MAX + 128];
    char day[32];
    struct timespec now;
    struct tm local;

    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);
    strftime(day, sizeof day, "%Y-%m-%d %H:%M:%S", &local);
    int n = snprintf(out, sizeof out, "[%s,%03d] %s %s: %s\n", day, (int)(now.tv_nsec / 1000000),
                     log_level_name(level), room, line);
    if (n >= (int)sizeof out)
        n = (int)sizeof out - 1;
    /* A closed standard error is no reason to stop. */
    ssize_t written = write(STDERR_FILENO, out, (size_t)n);
    (void)written;
}

struct telemetry_sink stderr_sink = {.write = write_line, .level = LOG_INFO};
