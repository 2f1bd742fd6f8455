/* DeleteTopics (key 20), by name or by id (KIP-516). */
#include "controller/internal.h"

#include "protocol/delete_topics.h"
#include "protocol/remove_topic_record.h"

/* One topic that is named, whatever the version. */
struct target {
    struct str name; /* null = by id */
    struct uuid id;
};

static struct target target_at(const struct delete_topics_request *m, int16_t version, int32_t i)
{
    if (version < 6)
        return (struct target){m->topic_names[i], UUID_ZERO};
    return (struct target){m->topics[i].name, m->topics[i].topic_id};
}

static bool same_target(const struct target *a, const struct target *b)
{
    return str_equal(a->name, b->name) && uuid_equal(a->id, b->id);
}

/* How often a target is among the first `end`. */
static int32_t count_target(const struct delete_topics_request *m, int16_t version,
                            const struct target *target, int32_t end)
{
    int32_t n = 0;

    for (int32_t i = 0; i < end; i++) {
        struct target other = target_at(m, version, i);
        n += same_target(&other, target);
    }
    return n;
}

static struct verdict check_target(struct decision *d, const struct delete_topics_request *m,
                                   const struct target *t, int32_t total)
{
    if (!str_is_null(t->name) && !uuid_is_zero(t->id))
        return refuse(d, KERR_INVALID_REQUEST, "You may not specify both topic name and topic id.");
    if (str_is_null(t->name) && uuid_is_zero(t->id))
        return refuse(d, KERR_INVALID_REQUEST, "Neither topic name nor id were specified.");
    if (count_target(m, d->call->api_version, t, total) > 1)
        return refuse(d, KERR_INVALID_REQUEST, "Duplicate topic %s.",
                      str_is_null(t->name) ? "id" : "name");
    return VERDICT_OK;
}

/* By its name although its id is there too: one of them is superfluous. */
static bool id_is_named_too(const struct delete_topics_request *m, int16_t version, struct uuid id,
                            int32_t total)
{
    struct target by_id = {STR_NULL, id};

    return count_target(m, version, &by_id, total) > 0;
}

static struct verdict find_target(struct decision *d, const struct delete_topics_request *m,
                                  const struct target *t, int32_t total,
                                  const struct image_topic **out)
{
    bool by_name = !str_is_null(t->name);
    const struct image_topic *topic =
        by_name ? image_topic_find(d->image, t->name) : image_topic_by_id(d->image, t->id);
    struct str name = topic != NULL ? topic->name : t->name;

    if (by_name && !decision_may(d, ACL_DELETE, RESOURCE_TOPIC, name))
        return (struct verdict){KERR_TOPIC_AUTHORIZATION_FAILED, STR_NULL};
    if (topic == NULL)
        return by_name
                   ? refuse(d, KERR_UNKNOWN_TOPIC_OR_PARTITION,
                            "This server does not host this topic-partition.")
                   : refuse(d, KERR_UNKNOWN_TOPIC_ID, "This server does not host this topic ID.");
    if (!decision_may(d, ACL_DELETE, RESOURCE_TOPIC, name))
        return (struct verdict){KERR_TOPIC_AUTHORIZATION_FAILED, STR_NULL};
    if (by_name && id_is_named_too(m, d->call->api_version, topic->id, total))
        return refuse(d, KERR_INVALID_REQUEST,
                      "The provided topic name maps to an ID that was already supplied.");
    *out = topic;
    return VERDICT_OK;
}

static void remove_topic(struct decision *d, const struct image_topic *topic)
{
    struct remove_topic_record r;

    remove_topic_record_init(&r);
    r.topic_id = topic->id;
    decision_add(d, &remove_topic_record_message, 0, &r);
}

/* A name is told only to who may see it. */
static void fill_names(const struct decision *d, const struct image_topic *topic,
                       struct delete_topics_response_responses *a)
{
    if (!str_is_null(a->name)) {
        a->topic_id = topic->id;
        return;
    }
    if (decision_may(d, ACL_DESCRIBE, RESOURCE_TOPIC, topic->name))
        a->name = arena_str(d->call->arena, topic->name);
}

enum kerr decide_delete_topics(struct decision *d, const void *request, void *response)
{
    const struct delete_topics_request *m = request;
    struct delete_topics_response *all = response;
    int16_t version = d->call->api_version;
    int32_t total = version < 6 ? m->topic_names_count : m->topics_count;

    if (!config_bool(d->c->settings.broker, BROKER_DELETE_TOPIC_ENABLE))
        return version < 3 ? KERR_INVALID_REQUEST : KERR_TOPIC_DELETION_DISABLED;
    all->responses = arena_take_array(d->call->arena, (size_t)total, sizeof(*all->responses));
    all->responses_count = 0;
    for (int32_t i = 0; i < total; i++) {
        struct target t = target_at(m, version, i);
        struct delete_topics_response_responses *a = &all->responses[all->responses_count];
        const struct image_topic *topic = NULL;
        struct verdict v;

        if (count_target(m, version, &t, i) > 0)
            continue;
        delete_topics_response_responses_init(a);
        a->name = t.name;
        a->topic_id = t.id;
        v = check_target(d, m, &t, total);
        if (v.error == KERR_NONE)
            v = find_target(d, m, &t, total, &topic);
        if (v.error == KERR_NONE) {
            fill_names(d, topic, a);
            remove_topic(d, topic);
        }
        a->error_code = (int16_t)v.error;
        a->error_message = v.message;
        all->responses_count++;
    }
    return KERR_NONE;
}
