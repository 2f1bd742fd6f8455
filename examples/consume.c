/* consume.c - a member of a group: print what comes, until nothing has come for some seconds.
 *
 *     example_consume BOOTSTRAP GROUP TOPIC [IDLE_SECONDS]
 */
#include <millrace/client.h>
#include <stdio.h>
#include <stdlib.h>

static void event(void *ctx, struct mr_consumer *c, const struct mr_event *event)
{
    static const char *const names[] = {"revoked", "assigned", "lost", "partition error", "group error"};

    (void)ctx;
    (void)c;
    for (uint32_t i = 0; i < event->count; i++)
        fprintf(stderr, "%s %s-%d\n", names[event->kind], event->partitions[i].topic, event->partitions[i].partition);
    if (event->error.code != MR_OK)
        fprintf(stderr, "%s\n", event->error.text);
}

static int die(const char *what, const struct mr_error *e)
{
    fprintf(stderr, "%s: %s\n", what, e->text);
    return 1;
}

static long print_chunk(struct mr_chunk *k)
{
    struct mr_read r;
    struct mr_error e;
    long n = 0;
    int rc;

    while ((rc = mr_chunk_next(k, &r, &e)) == 1) {
        printf("%s-%d@%lld %.*s\n", mr_chunk_topic(k), mr_chunk_partition(k), (long long)r.offset,
               r.value.n < 0 ? 0 : r.value.n, (const char *)r.value.p);
        n++;
    }
    if (rc < 0)
        fprintf(stderr, "%s\n", e.text);
    mr_chunk_release(k, MR_DONE_ALL); /* what is done may be committed */
    return n;
}

int main(int argc, char **argv)
{
    struct mr_consumer_hooks hooks = {.event = event};
    struct mr_error e;
    struct mr_chunk *k;
    long count = 0;
    int rc;

    if (argc < 4) {
        fprintf(stderr, "usage: %s BOOTSTRAP GROUP TOPIC [IDLE_SECONDS]\n", argv[0]);
        return 2;
    }
    int idle_ms = argc > 4 ? atoi(argv[4]) * 1000 : 5000;
    const char *topics[] = {argv[3]};
    struct mr_settings *s = mr_settings_new();
    if (mr_set(s, "bootstrap.servers", argv[1], &e) < 0 || mr_set(s, "group.id", argv[2], &e) < 0 ||
        mr_set(s, "auto.offset.reset", "earliest", &e) < 0)
        return die("settings", &e);
    struct mr_consumer *c = mr_consumer_open(s, &hooks, NULL, &e);
    mr_settings_free(s);
    if (c == NULL)
        return die("open", &e);
    if (mr_subscribe(c, topics, 1, &e) < 0)
        return die("subscribe", &e);
    while ((rc = mr_poll(c, idle_ms, &k, &e)) == 1)
        count += print_chunk(k);
    if (rc < 0)
        fprintf(stderr, "poll: %s\n", e.text);
    if (mr_consumer_close(c, 10000, &e) < 0) /* commits what is done, and leaves the group */
        return die("close", &e);
    fprintf(stderr, "%ld records\n", count);
    return rc < 0;
}
