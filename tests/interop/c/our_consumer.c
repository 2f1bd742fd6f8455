/* A consumer on libmillrace that a test leads: commands come on stdin, what happens goes to stdout, as lines of JSON.
 *
 *     our_consumer BOOTSTRAP [KEY=VALUE...]
 *
 * KEY is a setting of the consumer, or one of the program's own: loop=own runs it in a loop of the program's,
 * without the library's thread; commit=revoked commits in the hook that is told of a revocation.
 *
 *     subscribe TOPIC...                match PREFIX                    unsubscribe
 *     assign [TOPIC PARTITION]...       assignment                      place TOPIC PARTITION
 *     seek TOPIC PARTITION OFFSET       seek-time TOPIC PARTITION MS    offsets [TOPIC PARTITION MS]...
 *     pause TOPIC PARTITION             resume TOPIC PARTITION
 *     commit [TOPIC PARTITION OFFSET]...    committed [TOPIC PARTITION]...
 *     done all|none                     what is read from now on: done, or not
 *     close                             and the program ends; also at the end of stdin
 *
 * A command is answered by one line, {"answer": its name, "code": 0 or an error's, ...}. Beside them are, in the
 * order in which they come: {"record": {...}}, {"assigned": [[TOPIC, PARTITION], ...]}, "revoked" and "lost" likewise, and
 * {"error": {...}}. What is said of a record leaves the process before the record is done. */
#define _GNU_SOURCE
#include "our_consumer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TURN_MS 100 /* the group is to know that somebody polls */

void die(const char *what, const char *why)
{
    fprintf(stderr, "our_consumer: %s: %s\n", what, why);
    exit(2);
}

/* ---- what happens ------------------------------------------------------------------------------ */

static void event(void *ctx, struct mr_consumer *c, const struct mr_event *e)
{
    static const char *const names[] = {"revoked", "assigned", "lost"};
    struct program *p = ctx;
    struct mr_error error = {0};

    if (e->kind == MR_PARTITION_ERROR || e->kind == MR_GROUP_ERROR) {
        printf("{\"error\":{\"of\":\"%s\",", e->kind == MR_GROUP_ERROR ? "group" : "partition");
        say_error(&e->error);
        fputs(",\"partitions\":", stdout);
        say_partitions(e->partitions, e->count);
        puts("}}");
        fflush(stdout);
        return;
    }
    if (e->kind == MR_REVOKED && p->commits_revoked && mr_commit(c, CALL_MS, &error) < 0) {
        fputs("{\"error\":{\"of\":\"commit\",", stdout);
        say_error(&error);
        puts("}}");
    }
    printf("{\"%s\":", names[e->kind]);
    say_partitions(e->partitions, e->count);
    puts("}");
    fflush(stdout); /* before somebody else may say that they are his */
}

static void ready(void *ctx)
{
    struct program *p = ctx;

    /* A full pipe wakes as well. */
    if (write(p->ready[1], "", 1) < 0 && errno != EAGAIN)
        die("wake", strerror(errno));
}

static void read_chunk(struct program *p, struct mr_chunk *k)
{
    struct mr_read r;
    struct mr_error e;
    int rc;

    while ((rc = mr_chunk_next(k, &r, &e)) == 1)
        say_record(k, &r);
    if (rc < 0)
        die("a record", e.text);
    fflush(stdout);
    mr_chunk_release(k, p->done_to);
}

static void take_all(struct program *p)
{
    struct mr_chunk *k;
    struct mr_error e;
    int rc;

    while ((rc = mr_poll(p->consumer, 0, &k, &e)) == 1)
        read_chunk(p, k);
    if (rc < 0)
        die("poll", e.text);
}

/* ---- turns ------------------------------------------------------------------------------------- */

/* False: there will be no more. */
static bool read_commands(struct program *p)
{
    ssize_t n = read(STDIN_FILENO, p->line + p->line_bytes, sizeof p->line - p->line_bytes);
    char *begin = p->line, *end;

    if (n <= 0)
        return false;
    p->line_bytes += (size_t)n;
    while (p->consumer != NULL && (end = memchr(begin, '\n', p->line_bytes)) != NULL) {
        *end = '\0';
        p->line_bytes -= (size_t)(end + 1 - begin);
        obey(p, begin);
        begin = end + 1;
    }
    if (p->line_bytes == sizeof p->line)
        die("a command", "too long");
    memmove(p->line, begin, p->line_bytes);
    return true;
}

static void turn(struct program *p)
{
    struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = p->ready[0], .events = POLLIN}};
    int64_t wait_ms = TURN_MS;
    char bytes[64];

    if (p->loop != NULL) {
        int64_t due_ms = mr_loop_due_ms(p->loop);
        fds[1].fd = mr_loop_fd(p->loop);
        wait_ms = due_ms >= 0 && due_ms < wait_ms ? due_ms : wait_ms;
    }
    poll(fds, 2, (int)wait_ms);
    if (p->loop != NULL)
        mr_loop_run(p->loop, 0, NULL);
    else if ((fds[1].revents & POLLIN) != 0 && read(p->ready[0], bytes, sizeof bytes) < 0 && errno != EAGAIN)
        die("wake", strerror(errno));
    take_all(p);
    if ((fds[0].revents & (POLLIN | POLLHUP)) != 0 && !read_commands(p))
        obey(p, (char[]){"close"});
    fflush(stdout);
}

static void open_consumer(struct program *p, int argc, char **argv)
{
    const struct mr_consumer_hooks hooks = {.ctx = p, .event = event, .ready = ready};
    struct mr_settings *s = mr_settings_new();
    struct mr_error e;

    if (mr_set(s, "bootstrap.servers", argv[1], &e) < 0)
        die(argv[1], e.text);
    for (int i = 2; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (value == NULL)
            die(argv[i], "KEY=VALUE is needed");
        *value++ = '\0';
        if (strcmp(argv[i], "loop") == 0) {
            if ((p->loop = mr_loop_new(&e)) == NULL)
                die("loop", e.text);
        } else if (strcmp(argv[i], "commit") == 0) {
            p->commits_revoked = true;
        } else if (mr_set(s, argv[i], value, &e) < 0) {
            die(argv[i], e.text);
        }
    }
    p->consumer = mr_consumer_open(s, &hooks, p->loop, &e);
    if (p->consumer == NULL)
        die("open", e.text);
    mr_settings_free(s);
}

int main(int argc, char **argv)
{
    static struct program p = {.done_to = MR_DONE_ALL};

    if (argc < 2)
        die("usage", "our_consumer BOOTSTRAP [KEY=VALUE...]");
    if (pipe2(p.ready, O_NONBLOCK | O_CLOEXEC) < 0)
        die("pipe", strerror(errno));
    open_consumer(&p, argc, argv);
    while (p.consumer != NULL)
        turn(&p);
    return 0;
}
