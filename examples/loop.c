/* loop.c - a producer in an event loop of the caller's: no other thread exists.
 *
 *     example_loop BOOTSTRAP TOPIC COUNT
 */
#include <millrace/client.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static void acked(void *ctx, const struct mr_ack *ack)
{
    long *left = ctx;

    if (ack->error.code != MR_OK)
        fprintf(stderr, "%s\n", ack->error.text);
    *left -= ack->count;
}

int main(int argc, char **argv)
{
    struct mr_error e;
    long left = argc > 3 ? atol(argv[3]) : 10;
    struct mr_producer_hooks hooks = {.ctx = &left, .acked = acked};

    if (argc < 3) {
        fprintf(stderr, "usage: %s BOOTSTRAP TOPIC COUNT\n", argv[0]);
        return 2;
    }
    struct mr_settings *s = mr_settings_new();
    struct mr_loop *l = mr_loop_new(&e);
    struct mr_producer *p = NULL;
    if (l != NULL && mr_set(s, "bootstrap.servers", argv[1], &e) == 0)
        p = mr_producer_open(s, &hooks, l, &e);
    mr_settings_free(s);
    if (p == NULL) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    struct mr_record r = {
        .topic = mr_producer_topic(p, argv[2]),
        .partition = MR_ANY,
        .key = MR_NULL,
        .value = mr_text("from a loop"),
        .timestamp_ms = MR_NOW,
    };
    for (long i = left; i > 0; i--) {
        if (mr_produce(p, &r, 0, &e) < 0) {
            fprintf(stderr, "%s\n", e.text);
            return 1;
        }
    }
    /* Here a program has descriptors of its own, too. */
    struct pollfd fd = {.fd = mr_loop_fd(l), .events = POLLIN};
    while (left > 0) {
        poll(&fd, 1, (int)mr_loop_due_ms(l));
        mr_loop_run(l, 0, &e);
    }
    mr_producer_close(p, 10000, &e);
    mr_loop_free(l);
    printf("all are written\n");
    return 0;
}
