/* Without a group: all partitions of the topics that are asked for, and what comes to them. A group would share them
 * out in seconds; a look at the metadata takes a millisecond. */
#include "cli/console_consumer.h"

#include <stdlib.h>

bool consume_wants(void *ctx, struct str topic)
{
    struct console_consumer *x = ctx;

    if (x->pattern == NULL)
        return str_equal(topic, value_of(&x->tool, CC_TOPIC));
    return pattern_matches(x->pattern, topic) && !(x->settings.exclude_internal_topics && topic_is_internal(topic));
}

static void changed(struct client_watch *w)
{
    struct console_consumer *x = container_of(w, struct console_consumer, follow.watch);
    struct consumer_partition *parts;
    uint32_t count = 0, capacity = 0;

    for (const struct client_topic *t = NULL; (t = client_topic_next(x->follow.client, t)) != NULL;)
        capacity += t->error == KERR_NONE && consume_wants(x, t->name) ? (uint32_t)t->partition_count : 0;
    if (capacity == 0)
        return;
    parts = malloc(capacity * sizeof(*parts));
    ASSERT(parts != NULL);
    for (const struct client_topic *t = NULL; (t = client_topic_next(x->follow.client, t)) != NULL;) {
        for (int32_t i = 0; t->error == KERR_NONE && consume_wants(x, t->name) && i < t->partition_count; i++)
            parts[count++] = (struct consumer_partition){t->name, i};
    }
    struct fail f = {0};
    if (consumer_assign(x->consumer, parts, count, &f) < 0)
        consume_fail(x, f.text);
    free(parts);
}

int follow_begin(struct console_consumer *x)
{
    x->follow.client = client_new(x->tool.io, x->tool.telemetry, &x->settings.client, &x->tool.fail);
    if (x->follow.client == NULL)
        return x->tool.fail.error;
    x->follow.watch.changed = changed;
    client_watch(x->follow.client, &x->follow.watch);
    if (x->pattern == NULL)
        client_want(x->follow.client, value_of(&x->tool, CC_TOPIC));
    else
        client_want_all(x->follow.client);
    return 0;
}

void follow_complain(struct console_consumer *x)
{
    struct client_health h;
    const struct client_topic *t;

    client_health(x->follow.client, &h);
    console_say_unreachable(&x->tool, &h);
    t = x->pattern != NULL ? NULL : client_topic(x->follow.client, value_of(&x->tool, CC_TOPIC));
    if (t != NULL && t->error != KERR_NONE)
        console_note(&x->tool, "%s: %.*s: %s. Waiting for it.", x->tool.info->program, STR_ARG(t->name),
                     kerr_name(t->error));
}
