/* produce.c - send lines of standard input to a topic.
 *
 *     example_produce BOOTSTRAP TOPIC < FILE
 */
#include <millrace/client.h>
#include <stdio.h>
#include <stdlib.h>

static void acked(void *ctx, const struct mr_ack *ack)
{
    long *failed = ctx;

    if (ack->error.code == MR_OK)
        return;
    *failed += ack->count;
    fprintf(stderr, "%d records were not written: %s\n", ack->count, ack->error.text);
}

static int die(const char *what, const struct mr_error *e)
{
    fprintf(stderr, "%s: %s\n", what, e->text);
    return 1;
}

int main(int argc, char **argv)
{
    long failed = 0, count = 0;
    struct mr_producer_hooks hooks = {.ctx = &failed, .acked = acked};
    struct mr_error e;
    char line[4096];

    if (argc != 3) {
        fprintf(stderr, "usage: %s BOOTSTRAP TOPIC < FILE\n", argv[0]);
        return 2;
    }
    struct mr_settings *s = mr_settings_new();
    if (mr_set(s, "bootstrap.servers", argv[1], &e) < 0 || mr_set(s, "linger.ms", "5", &e) < 0)
        return die("settings", &e);
    struct mr_producer *p = mr_producer_open(s, &hooks, NULL, &e);
    mr_settings_free(s);
    if (p == NULL)
        return die("open", &e);
    struct mr_topic *topic = mr_producer_topic(p, argv[2]);
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        struct mr_record r = {
            .topic = topic,
            .partition = MR_ANY,
            .key = MR_NULL,
            .value = mr_text(line),
            .timestamp_ms = MR_NOW,
        };
        if (mr_produce(p, &r, 60000, &e) < 0) /* waits while the buffer is full */
            return die("produce", &e);
        count++;
    }
    if (mr_producer_close(p, 30000, &e) < 0)
        fprintf(stderr, "close: %s\n", e.text);
    printf("%ld records, %ld failed\n", count, failed);
    return failed > 0;
}
