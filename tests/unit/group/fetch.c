#include "rig.h"

/* "orders 0:7 1:- ", topics in the order of the answer. */
static const char *fetched(struct rig *r, const struct offset_fetch_response_groups *g)
{
    struct text line = {0};

    if (g->error_code != KERR_NONE)
        text_printf(&line, "%s ", kerr_name(g->error_code));
    for (int32_t i = 0; i < g->topics_count; i++) {
        text_printf(&line, "%.*s ", STR_ARG(g->topics[i].name));
        for (int32_t k = 0; k < g->topics[i].partitions_count; k++) {
            const struct offset_fetch_response_groups_topics_partitions *p =
                &g->topics[i].partitions[k];
            text_printf(&line, "%d:%d", p->partition_index, (int)p->committed_offset);
            if (p->error_code != KERR_NONE)
                text_printf(&line, "!%s", kerr_name(p->error_code));
            text_printf(&line, " ");
        }
    }
    const char *kept = arena_printf(&r->arena, "%.*s", STR_ARG(text_str(&line))).p;
    text_deinit(&line);
    return kept;
}

static struct offset_fetch_request *fetch_of(struct rig *r, int32_t groups)
{
    struct offset_fetch_request *q = rig_take(r, &offset_fetch_request_message);

    q->groups_count = groups;
    q->groups = arena_take_array(&r->arena, (size_t)groups, sizeof(*q->groups));
    for (int32_t i = 0; i < groups; i++) {
        offset_fetch_request_groups_init(&q->groups[i]);
        q->groups[i].topics_count = -1;
    }
    return q;
}

static void ask_topic(struct rig *r, struct offset_fetch_request_groups *g, struct str topic,
                      struct uuid id)
{
    static int32_t partitions[] = {0, 1};

    g->topics = arena_take(&r->arena, sizeof(*g->topics));
    g->topics_count = 1;
    offset_fetch_request_groups_topics_init(g->topics);
    g->topics->name = topic;
    g->topics->topic_id = id;
    g->topics->partition_indexes = partitions;
    g->topics->partition_indexes_count = 2;
}

static const struct offset_fetch_response *ask(struct rig *r, int16_t version,
                                               const struct offset_fetch_request *q)
{
    struct call *c = rig_ask(r, API_OFFSET_FETCH, version, q);

    CHECK(c->done);
    return c->response;
}

TEST(fetch, several_groups_at_once)
{
    struct rig r;
    rig_init(&r);
    rig_commit_offset(&r, "g", STR(""), -1, "orders", 0, 7);
    rig_commit_offset(&r, "h", STR(""), -1, "other", 0, 8);

    struct offset_fetch_request *q = fetch_of(&r, 3);
    q->groups[0].group_id = STR("g");
    ask_topic(&r, &q->groups[0], STR("orders"), UUID_ZERO);
    q->groups[1].group_id = STR("h");
    q->groups[2].group_id = STR("nobody");
    const struct offset_fetch_response *a = ask(&r, 8, q);
    CHECK_EQ(a->groups_count, 3);
    CHECK_TEXT(fetched(&r, &a->groups[0]), "orders 0:7 1:-1 ");
    CHECK_TEXT(a->groups[0].topics[0].partitions[0].metadata, "note");
    CHECK_EQ(a->groups[0].topics[0].partitions[0].committed_leader_epoch, -1);
    CHECK_TEXT(a->groups[0].topics[0].partitions[1].metadata, "");
    CHECK_TEXT(fetched(&r, &a->groups[1]), "other 0:8 ");
    CHECK_TEXT(fetched(&r, &a->groups[2]), "");
    rig_end(&r);
}

TEST(fetch, old_versions_ask_for_one)
{
    struct rig r;
    rig_init(&r);
    struct offset_fetch_request *q = rig_take(&r, &offset_fetch_request_message);
    struct offset_fetch_request_topics topic;
    int32_t partitions[] = {0, 2};

    rig_commit_offset(&r, "g", STR(""), -1, "orders", 2, 9);
    offset_fetch_request_topics_init(&topic);
    topic.name = STR("orders");
    topic.partition_indexes = partitions;
    topic.partition_indexes_count = 2;
    q->group_id = STR("g");
    q->topics = &topic;
    q->topics_count = 1;
    for (int16_t version = 1; version <= 7; version++) {
        const struct offset_fetch_response *a = ask(&r, version, q);
        CHECK_EQ(a->topics_count, 1);
        CHECK_TEXT(a->topics[0].name, "orders");
        CHECK_EQ(a->topics[0].partitions[0].committed_offset, -1);
        CHECK_EQ(a->topics[0].partitions[1].committed_offset, 9);
        CHECK_TEXT(a->topics[0].partitions[1].metadata, "note");
        CHECK_EQ(a->error_code, KERR_NONE);
    }
    q->topics_count = -1;
    for (int16_t version = 2; version <= 7; version++) {
        const struct offset_fetch_response *a = ask(&r, version, q);
        CHECK_EQ(a->topics_count, 1);
        CHECK_EQ(a->topics[0].partitions_count, 1);
        CHECK_EQ(a->topics[0].partitions[0].committed_offset, 9);
    }
    rig_end(&r);
}

TEST(fetch, from_version_10_topics_have_ids)
{
    struct rig r;
    rig_init(&r);
    rig_commit_offset(&r, "g", STR(""), -1, "orders", 0, 7);

    struct offset_fetch_request *q = fetch_of(&r, 1);
    q->groups[0].group_id = STR("g");
    ask_topic(&r, &q->groups[0], STR(""), rig_topic_id("orders"));
    const struct offset_fetch_response *a = ask(&r, 10, q);
    CHECK(uuid_equal(a->groups[0].topics[0].topic_id, rig_topic_id("orders")));
    CHECK_TEXT(fetched(&r, &a->groups[0]), " 0:7 1:-1 ");
    ask_topic(&r, &q->groups[0], STR(""), rig_topic_id("nothing"));
    CHECK_TEXT(fetched(&r, &ask(&r, 10, q)->groups[0]),
               " 0:-1!UNKNOWN_TOPIC_ID 1:-1!UNKNOWN_TOPIC_ID ");
    q->groups[0].topics_count = -1;
    a = ask(&r, 10, q);
    CHECK_EQ(a->groups[0].topics_count, 1);
    CHECK(uuid_equal(a->groups[0].topics[0].topic_id, rig_topic_id("orders")));
    rig_end(&r);
}

/* The offset is of a topic that had the same name. */
TEST(fetch, an_offset_of_another_topic_of_that_name_is_none)
{
    struct rig r;
    rig_init(&r);
    struct offset_commit_value value;

    offset_commit_value_init(&value);
    value.offset = 3;
    value.metadata = STR("");
    value.topic_id = rig_topic_id("former");
    record_offset(r.p, STR("g"), STR("orders"), 0, &value, false);
    CHECK_EQ(records_append(r.p), KERR_NONE);
    struct offset_fetch_request *q = fetch_of(&r, 1);
    q->groups[0].group_id = STR("g");
    ask_topic(&r, &q->groups[0], STR(""), rig_topic_id("orders"));
    CHECK_TEXT(fetched(&r, &ask(&r, 10, q)->groups[0]), " 0:-1 1:-1 ");
    rig_end(&r);
}

static bool only_other(const struct group_call *call, struct str topic)
{
    return str_equal(topic, STR("other"));
}

TEST(fetch, topics_that_the_asker_may_not_see_are_left_out)
{
    struct rig r;
    rig_init(&r);
    rig_commit_offset(&r, "g", STR(""), -1, "orders", 0, 7);
    rig_commit_offset(&r, "g", STR(""), -1, "other", 0, 8);

    r.topic_allowed = only_other;
    struct offset_fetch_request *q = fetch_of(&r, 1);
    q->groups[0].group_id = STR("g");
    CHECK_TEXT(fetched(&r, &ask(&r, 8, q)->groups[0]), "other 0:8 ");
    rig_end(&r);
}
