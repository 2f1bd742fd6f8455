/* The last causes of each partition, and of all together not more than fit. */
#include "telemetry/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct cause {
    struct list in_all;     /* in causes->all, oldest first */
    struct list in_subject; /* in subject->causes, oldest first */
    struct subject *subject;
    int64_t wall_ms;
    char words[];
};

struct subject {
    struct map_node node;   /* in causes->subjects */
    struct list causes;
    uint32_t count;
    int32_t partition;
    char topic[];
};

struct subject_key {
    struct str topic;
    int32_t partition;
};

static bool subject_equal(const struct map_node *node, const void *key)
{
    const struct subject *s = container_of(node, const struct subject, node);
    const struct subject_key *k = key;

    return s->partition == k->partition && str_equal(str_of(s->topic), k->topic);
}

static uint64_t hash_of(const struct subject_key *k)
{
    return str_hash(k->topic) * 31 + (uint64_t)k->partition;
}

void causes_init(struct causes *c)
{
    map_init(&c->subjects, subject_equal);
    list_init(&c->all);
    c->count = 0;
}

static void forget(struct causes *c, struct cause *one)
{
    struct subject *s = one->subject;

    list_remove(&one->in_all);
    list_remove(&one->in_subject);
    free(one);
    c->count--;
    if (--s->count > 0)
        return;
    map_remove(&c->subjects, &s->node);
    free(s);
}

static struct cause *first(struct list *of_all)
{
    return container_of(of_all->next, struct cause, in_all);
}

void causes_deinit(struct causes *c)
{
    while (!list_empty(&c->all))
        forget(c, first(&c->all));
    map_deinit(&c->subjects);
}

static struct subject *subject_get(struct causes *c, const struct subject_key *key)
{
    struct map_node *node = map_find(&c->subjects, hash_of(key), key);
    struct subject *s;

    if (node != NULL)
        return container_of(node, struct subject, node);
    s = calloc(1, sizeof *s + (size_t)key->topic.n + 1);
    ASSERT(s != NULL);
    memcpy(s->topic, key->topic.p, (size_t)key->topic.n);
    s->partition = key->partition;
    list_init(&s->causes);
    map_add(&c->subjects, &s->node, hash_of(key));
    return s;
}

static void keep(struct causes *c, const struct subject_key *key, int64_t wall_ms, const char *words)
{
    size_t n = strlen(words);
    struct subject *s = subject_get(c, key);
    struct cause *one = malloc(sizeof *one + n + 1);

    ASSERT(one != NULL);
    memcpy(one->words, words, n + 1);
    one->subject = s;
    one->wall_ms = wall_ms;
    list_add_tail(&c->all, &one->in_all);
    list_add_tail(&s->causes, &one->in_subject);
    s->count++;
    c->count++;
    if (s->count > CAUSES_OF_ONE_MAX)
        forget(c, container_of(s->causes.next, struct cause, in_subject));
    if (c->count > CAUSES_MAX)
        forget(c, first(&c->all));
}

void telemetry_cause(struct telemetry *t, struct str topic, int32_t partition, int64_t wall_ms, const char *format, ...)
{
    char words[CAUSE_BYTES_MAX];
    va_list args;

    if (t == NULL)
        return;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    make_one_line(words);
    keep(&t->causes, &(struct subject_key){topic, partition}, wall_ms, words);
}

void telemetry_causes_forget(struct telemetry *t, struct str topic)
{
    LIST_EACH(it, &t->causes.all) {
        struct cause *one = container_of(it, struct cause, in_all);
        if (str_equal(str_of(one->subject->topic), topic))
            forget(&t->causes, one);
    }
}

void telemetry_causes_each(const struct telemetry *t, struct str topic, int32_t partition,
                           void (*each)(void *ctx, int64_t wall_ms, const char *words), void *ctx)
{
    struct subject_key key = {topic, partition};
    struct map_node *node = map_find(&t->causes.subjects, hash_of(&key), &key);

    if (node == NULL)
        return;
    LIST_EACH(it, &container_of(node, struct subject, node)->causes) {
        const struct cause *one = container_of(it, struct cause, in_subject);
        each(ctx, one->wall_ms, one->words);
    }
}
