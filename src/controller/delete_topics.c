/* DeleteTopics (key 20), by name or by id (KIP-516). */
#include "controller/internal.h"

#include "protocol/delete_topics.h"
#include "protocol/remove_topic_record.h"

/* One topic that is named, whatever the version. */
static struct named target_at(const struct delete_topics_request *m, int16_t version, int32_t i)
{
    if (version < 6)
        return (struct named){.name = m->topic_names[i]};
    return (struct named){.name = m->topics[i].name, .id = m->topics[i].topic_id};
}

static struct verdict check_target(struct decision *d, const struct tally *targets,
                                   const struct named *t)
{
    if (!str_is_null(t->name) && !uuid_is_zero(t->id))
        return refuse(d, KERR_INVALID_REQUEST, "You may not specify both topic name and topic id.");
    if (str_is_null(t->name) && uuid_is_zero(t->id))
        return refuse(d, KERR_INVALID_REQUEST, "Neither topic name nor id were specified.");
    if (tally_is_repeated(targets, *t))
        return refuse(d, KERR_INVALID_REQUEST, "Duplicate topic %s.",
                      str_is_null(t->name) ? "id" : "name");
    return VERDICT_OK;
}

static struct verdict find_target(struct decision *d, const struct tally *targets,
                                  const struct named *t, const struct image_topic **out)
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
    /* Its id is there too: one of them is superfluous. */
    if (by_name && tally_first(targets, (struct named){.name = STR_NULL, .id = topic->id}) >= 0)
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
    struct tally targets;

    if (!config_bool(d->c->settings.broker, BROKER_DELETE_TOPIC_ENABLE))
        return version < 3 ? KERR_INVALID_REQUEST : KERR_TOPIC_DELETION_DISABLED;
    tally_make(&targets, &d->c->scratch, total);
    for (int32_t i = 0; i < total; i++)
        tally_add(&targets, target_at(m, version, i));
    tally_sort(&targets);
    all->responses = arena_take_array(d->call->arena, (size_t)total, sizeof(*all->responses));
    all->responses_count = 0;
    for (int32_t i = 0; i < total; i++) {
        struct named t = target_at(m, version, i);
        struct delete_topics_response_responses *a = &all->responses[all->responses_count];
        const struct image_topic *topic = NULL;
        struct verdict v;

        if (tally_first(&targets, t) != i)
            continue;
        delete_topics_response_responses_init(a);
        a->name = t.name;
        a->topic_id = t.id;
        v = check_target(d, &targets, &t);
        if (v.error == KERR_NONE)
            v = find_target(d, &targets, &t, &topic);
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
