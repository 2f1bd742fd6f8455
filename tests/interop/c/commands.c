/* The commands of our_consumer: each says what its answer holds beside the code. */
#include "our_consumer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define WORDS_MAX 256

typedef int command_run(struct program *p, char **words, uint32_t count, struct mr_error *e);

static struct mr_partition partition_of(char **words)
{
    return (struct mr_partition){words[0], atoi(words[1])};
}

static int subscribe(struct program *p, char **words, uint32_t count, struct mr_error *e)
{
    return mr_subscribe(p->consumer, (const char *const *)words, count, e);
}

static bool begins(void *ctx, const char *topic)
{
    const struct program *p = ctx;

    return strncmp(topic, p->prefix, strlen(p->prefix)) == 0;
}

static int match(struct program *p, char **words, uint32_t count, struct mr_error *e)
{
    snprintf(p->prefix, sizeof p->prefix, "%s", words[0]);
    return mr_subscribe_matching(p->consumer, begins, p, e);
}

static int unsubscribe(struct program *p, char **words, uint32_t count, struct mr_error *e)
{
    return mr_unsubscribe(p->consumer, e);
}

static int assign(struct program *p, char **words, uint32_t count, struct mr_error *e)
{
    struct mr_partition partitions[WORDS_MAX / 2];

    for (uint32_t i = 0; i < count / 2; i++)
        partitions[i] = partition_of(&words[2 * i]);
    return mr_assign(p->consumer, partitions, count / 2, e);
}

static int assignment(struct program *p, char **words, uint32_t count, struct mr_error *e)
{
    struct mr_partition *partitions;
    uint32_t n;
    int rc = mr_assignment(p->consumer, &partitions, &n, e);

    if (rc < 0)
        return rc;
    fputs(",\"partitions\":", stdout);
    say_partitions(partitions, n);
    mr_partitions_free(partitions);
    return 0;
}

static int place(struct program *p, char **words, uint32_t count, struct mr_error *e)
{
    struct mr_place at;
    int rc = mr_place(p->consumer, partition_of(words), &at, e);

    if (rc < 0)
        return rc;
    printf(",\"position\":%" PRId64 ",\"committed\":%" PRId64 ",\"end\":%" PRId64 ",\"start\":%" PRId64 ",\"paused\":%d",
           at.position, at.committed, at.high_watermark, at.log_start, at.paused);
    say_text("why_not", at.why_not);
    return 0;
}

static int seek(struct program *p, char **words, uint32_t count, struct mr_error *e)
{
    return mr_seek(p->consumer, partition_of(words), atoll(words[2]), e);
}

static int seek_time(struct program *p, char **words, uint32_t count, struct mr_error *e)
{
    return mr_seek_time(p->consumer, partition_of(words), atoll(words[2]), e);
}

static int pause_one(struct program *p, char **words, uint32_t count, struct mr_error *e)
{
    return mr_pause(p->consumer, partition_of(words), e);
}

static int resume_one(struct program *p, char **words, uint32_t count, struct mr_error *e)
{
    return mr_resume(p->consumer, partition_of(words), e);
}

static void say_offsets(const struct mr_offset *offsets, uint32_t count)
{
    fputs(",\"offsets\":[", stdout);
    for (uint32_t i = 0; i < count; i++) {
        fputs(i == 0 ? "[" : ",[", stdout);
        say_bytes(mr_text(offsets[i].topic));
        printf(",%d,%" PRId64 ",%" PRId64 "]", offsets[i].partition, offsets[i].offset, offsets[i].timestamp_ms);
    }
    putchar(']');
}

static int offsets_by_time(struct program *p, char **words, uint32_t count, struct mr_error *e)
{
    struct mr_offset at[WORDS_MAX / 3] = {0};

    for (uint32_t i = 0; i < count / 3; i++)
        at[i] = (struct mr_offset){words[3 * i], atoi(words[3 * i + 1]), .timestamp_ms = atoll(words[3 * i + 2])};
    int rc = mr_offsets_for_times(p->consumer, at, count / 3, CALL_MS, e);
    if (rc == 0)
        say_offsets(at, count / 3);
    return rc;
}

static int commit(struct program *p, char **words, uint32_t count, struct mr_error *e)
{
    struct mr_offset at[WORDS_MAX / 3] = {0};

    for (uint32_t i = 0; i < count / 3; i++)
        at[i] = (struct mr_offset){words[3 * i], atoi(words[3 * i + 1]), atoll(words[3 * i + 2])};
    return count == 0 ? mr_commit(p->consumer, CALL_MS, e) : mr_commit_offsets(p->consumer, at, count / 3, CALL_MS, e);
}

static int committed(struct program *p, char **words, uint32_t count, struct mr_error *e)
{
    struct mr_offset at[WORDS_MAX / 2] = {0};

    for (uint32_t i = 0; i < count / 2; i++)
        at[i] = (struct mr_offset){words[2 * i], atoi(words[2 * i + 1])};
    int rc = mr_committed(p->consumer, at, count / 2, CALL_MS, e);
    if (rc == 0)
        say_offsets(at, count / 2);
    return rc;
}

static int done(struct program *p, char **words, uint32_t count, struct mr_error *e)
{
    p->done_to = strcmp(words[0], "all") == 0 ? MR_DONE_ALL : MR_DONE_NONE;
    return 0;
}

static int close_all(struct program *p, char **words, uint32_t count, struct mr_error *e)
{
    int rc = mr_consumer_close(p->consumer, CALL_MS, e);

    p->consumer = NULL;
    mr_loop_free(p->loop);
    return rc;
}

static const struct {
    const char *name;
    command_run *run;
    uint32_t words;   /* the least */
    uint32_t at_once; /* words come in groups of so many */
} commands[] = {
    {"subscribe", subscribe, 1, 1},   {"match", match, 1, 1},       {"unsubscribe", unsubscribe, 0, 1},
    {"assign", assign, 0, 2},         {"place", place, 2, 2},       {"assignment", assignment, 0, 1},
    {"seek", seek, 3, 3},             {"pause", pause_one, 2, 2},   {"resume", resume_one, 2, 2},
    {"seek-time", seek_time, 3, 3},   {"commit", commit, 0, 3},     {"committed", committed, 2, 2},
    {"offsets", offsets_by_time, 3, 3}, {"done", done, 1, 1},       {"close", close_all, 0, 1},
};
#define COMMANDS (sizeof commands / sizeof commands[0])

void obey(struct program *p, char *line)
{
    char *words[WORDS_MAX], *rest = line;
    struct mr_error e = {0};
    uint32_t count = 0;
    size_t i = 0;

    while (count < WORDS_MAX && (words[count] = strtok_r(count == 0 ? line : NULL, " ", &rest)) != NULL)
        count++;
    while (count > 0 && i < COMMANDS && strcmp(commands[i].name, words[0]) != 0)
        i++;
    if (count == 0 || i == COMMANDS || count - 1 < commands[i].words || (count - 1) % commands[i].at_once != 0)
        die("no such command", count == 0 ? "" : words[0]);
    printf("{\"answer\":\"%s\"", words[0]);
    (void)commands[i].run(p, words + 1, count - 1, &e);
    putchar(',');
    say_error(&e);
    puts("}");
}
