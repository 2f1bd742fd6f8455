/* DescribeGroups, ListGroups, DeleteGroups, OffsetDelete; and groups of other protocols. */
#include "rig.h"

#include "protocol/consumer_group_current_member_assignment_record.h"
#include "protocol/consumer_group_member_metadata_record.h"
#include "protocol/consumer_group_metadata_record.h"
#include "protocol/consumer_group_target_assignment_metadata_record.h"

TEST(describe, what_is_not_there_is_dead_and_later_not_found)
{
    struct rig r;
    rig_init(&r);
    struct describe_groups_request *q = rig_take(&r, &describe_groups_request_message);
    struct str id = STR("nobody");

    q->groups = &id;
    q->groups_count = 1;
    const struct describe_groups_response *a = rig_ask(&r, API_DESCRIBE_GROUPS, 5, q)->response;
    CHECK_EQ(a->groups[0].error_code, KERR_NONE);
    CHECK_TEXT(a->groups[0].group_state, "Dead");
    a = rig_ask(&r, API_DESCRIBE_GROUPS, 6, q)->response;
    CHECK_EQ(a->groups[0].error_code, KERR_GROUP_ID_NOT_FOUND);
    CHECK_TEXT(a->groups[0].group_state, "Dead");
    CHECK_TEXT(a->groups[0].error_message, "Group nobody not found.");
    rig_end(&r);
}

TEST(describe, a_stable_group_shows_all)
{
    struct rig r;
    rig_init(&r);
    struct describe_groups_request *q = rig_take(&r, &describe_groups_request_message);
    struct str id = STR("g"), member = rig_member(&r, "g");

    q->groups = &id;
    q->groups_count = 1;
    q->include_authorized_operations = true;
    struct call *c = rig_ask(&r, API_DESCRIBE_GROUPS, 6, q);
    const struct describe_groups_response_groups *g =
        ((struct describe_groups_response *)c->response)->groups;
    CHECK_TEXT(g->group_id, "g");
    CHECK_TEXT(g->group_state, "Stable");
    CHECK_TEXT(g->protocol_type, "consumer");
    CHECK_TEXT(g->protocol_data, "range");
    CHECK_EQ(g->members_count, 1);
    CHECK(str_equal(g->members[0].member_id, member));
    CHECK_TEXT(g->members[0].client_id, "app");
    CHECK_TEXT(g->members[0].client_host, "/127.0.0.1");
    CHECK_TEXT(str_of_bytes(g->members[0].member_metadata), "meta");
    CHECK_EQ(g->authorized_operations, 0x108);
    rig_end(&r);
}

/* "g classic Stable consumer", sorted as they come. */
static const char *listed(struct rig *r, const char *state, const char *type)
{
    struct list_groups_request *q = rig_take(r, &list_groups_request_message);
    struct text line = {0};
    struct str *filters = arena_take_array(&r->arena, 2, sizeof(*filters));

    filters[0] = rig_str(r, state);
    filters[1] = rig_str(r, type);
    q->states_filter = &filters[0];
    q->states_filter_count = state == NULL ? 0 : 1;
    q->types_filter = &filters[1];
    q->types_filter_count = type == NULL ? 0 : 1;
    const struct list_groups_response *a = rig_ask(r, API_LIST_GROUPS, 5, q)->response;
    CHECK_EQ(a->error_code, KERR_NONE);
    for (int32_t i = 0; i < a->groups_count; i++)
        text_printf(&line, "%.*s %.*s %.*s %.*s\n", STR_ARG(a->groups[i].group_id),
                    STR_ARG(a->groups[i].group_type), STR_ARG(a->groups[i].group_state),
                    STR_ARG(a->groups[i].protocol_type));
    const char *kept = arena_printf(&r->arena, "%.*s", STR_ARG(text_str(&line))).p;
    text_deinit(&line);
    return kept;
}

TEST(list, by_state_and_type)
{
    struct rig r;
    rig_init(&r);

    CHECK_TEXT(listed(&r, NULL, NULL), "");
    rig_member(&r, "g");
    CHECK_TEXT(listed(&r, NULL, NULL), "g classic Stable consumer\n");
    rig_commit_offset(&r, "offsets", STR(""), -1, "orders", 0, 1);
    CHECK_TEXT(listed(&r, "stable", NULL), "g classic Stable consumer\n");
    CHECK_TEXT(listed(&r, "Empty", "Classic"), "offsets classic Empty \n");
    CHECK_TEXT(listed(&r, NULL, "consumer"), "");
    CHECK_TEXT(listed(&r, "Hungry", NULL), "");
    rig_end(&r);
}

TEST(delete, only_groups_without_members)
{
    struct rig r;
    rig_init(&r);
    struct str id = rig_member(&r, "g");

    rig_commit_offset(&r, "g", id, 1, "orders", 0, 5);
    rig_commit_offset(&r, "g", id, 1, "other", 0, 5);
    CHECK_EQ(rig_delete(&r, "nobody"), KERR_GROUP_ID_NOT_FOUND);
    CHECK_EQ(rig_delete(&r, "g"), KERR_NON_EMPTY_GROUP);
    CHECK_EQ(rig_leave(&r, "g", id), KERR_NONE);
    CHECK_EQ(rig_delete(&r, "g"), KERR_NONE);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, false, NULL), -1);
    CHECK_TEXT(rig_state(&r, "g"), "Dead");
    rig_reload(&r);
    CHECK_EQ(rig_offset(&r, "g", "other", 0, false, NULL), -1);
    CHECK_TEXT(rig_state(&r, "g"), "Dead");
    CHECK_EQ(rig_delete(&r, "g"), KERR_GROUP_ID_NOT_FOUND);
    rig_end(&r);
}

/* ---- OffsetDelete --------------------------------------------------------------------------- */

static enum kerr offset_deleted(struct rig *r, const char *group, const char *topic)
{
    struct offset_delete_request *q = rig_take(r, &offset_delete_request_message);
    struct offset_delete_request_topics *t = arena_take(&r->arena, sizeof(*t));

    t->name = rig_str(r, topic);
    t->partitions = arena_take(&r->arena, sizeof(*t->partitions));
    t->partitions_count = 1;
    q->group_id = rig_str(r, group);
    q->topics = t;
    q->topics_count = 1;
    const struct offset_delete_response *a = rig_ask(r, API_OFFSET_DELETE, 0, q)->response;
    return (enum kerr)(a->error_code != KERR_NONE ? a->error_code
                                                  : a->topics[0].partitions[0].error_code);
}

TEST(offset_delete, what_members_read_stays)
{
    struct rig r;
    rig_init(&r);

    CHECK_EQ(offset_deleted(&r, "g", "orders"), KERR_GROUP_ID_NOT_FOUND);
    CHECK_EQ(offset_deleted(&r, "", "orders"), KERR_INVALID_GROUP_ID);
    struct str id = rig_reader(&r, "g", "orders");
    rig_commit_offset(&r, "g", id, 1, "orders", 0, 5);
    rig_commit_offset(&r, "g", id, 1, "other", 0, 6);
    CHECK_EQ(offset_deleted(&r, "g", "orders"), KERR_GROUP_SUBSCRIBED_TO_TOPIC);
    CHECK_EQ(offset_deleted(&r, "g", "other"), KERR_NONE);
    CHECK_EQ(offset_deleted(&r, "g", "nothing"), KERR_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, false, NULL), 5);
    CHECK_EQ(rig_offset(&r, "g", "other", 0, false, NULL), -1);
    rig_leave(&r, "g", id);
    CHECK_EQ(offset_deleted(&r, "g", "orders"), KERR_NONE);
    rig_reload(&r);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, false, NULL), -1);
    rig_end(&r);
}

TEST(offset_delete, withdraws_what_a_transaction_would_commit)
{
    struct rig r;
    enum kerr error;
    rig_init(&r);

    CHECK_EQ(rig_txn_commit(&r, "g", 7, "orders", 0, 5), KERR_NONE);
    CHECK_EQ(offset_deleted(&r, "g", "orders"), KERR_NONE);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, true, &error), -1);
    CHECK_EQ(error, KERR_NONE);
    rig_marker(&r, 7, true);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, true, NULL), -1);
    rig_end(&r);
}

/* ---- other protocols ------------------------------------------------------------------------ */

static void write(struct rig *r, const struct message *key_message, const void *key,
                  const struct message *value_message, const void *value)
{
    struct batch_builder b;
    struct text batch = {0};
    uint8_t k[200], v[200];
    int64_t k_bytes = message_coordinator_size(key_message, 0, key);
    int64_t v_bytes = value == NULL ? -1 : message_coordinator_size(value_message, 0, value);

    CHECK(k_bytes > 0 && k_bytes < 200 && v_bytes < 200);
    message_coordinator_write(key_message, 0, key, k);
    if (value != NULL)
        message_coordinator_write(value_message, 0, value, v);
    batch_builder_init(&b);
    batch_builder_add(&b, RIG_WALL_MS, (struct bytes){k, (int32_t)k_bytes},
                      value == NULL ? BYTES_NULL : (struct bytes){v, (int32_t)v_bytes}, NULL, 0);
    CHECK(batch_builder_finish(&b, &batch) == 0);
    rig_append_raw(r, bytes_of_str(text_str(&batch)));
    text_deinit(&batch);
    batch_builder_deinit(&b);
}

static void write_consumer_group(struct rig *r, int32_t epoch, int32_t target, int32_t member_epoch)
{
    struct consumer_group_metadata_key group = {.group_id = STR("modern")};
    struct consumer_group_member_metadata_key member = {.group_id = STR("modern"),
                                                        .member_id = STR("m")};
    struct consumer_group_target_assignment_metadata_key target_key = {.group_id = STR("modern")};
    struct consumer_group_current_member_assignment_key current_key = {.group_id = STR("modern"),
                                                                       .member_id = STR("m")};
    struct consumer_group_metadata_value g;
    struct consumer_group_member_metadata_value m;
    struct consumer_group_target_assignment_metadata_value t;
    struct consumer_group_current_member_assignment_value c;

    consumer_group_metadata_value_init(&g);
    consumer_group_member_metadata_value_init(&m);
    consumer_group_target_assignment_metadata_value_init(&t);
    consumer_group_current_member_assignment_value_init(&c);
    g.epoch = epoch;
    t.assignment_epoch = target;
    c.member_epoch = member_epoch;
    write(r, &consumer_group_member_metadata_key_message, &member,
          &consumer_group_member_metadata_value_message, &m);
    write(r, &consumer_group_metadata_key_message, &group, &consumer_group_metadata_value_message,
          &g);
    write(r, &consumer_group_target_assignment_metadata_key_message, &target_key,
          &consumer_group_target_assignment_metadata_value_message, &t);
    write(r, &consumer_group_current_member_assignment_key_message, &current_key,
          &consumer_group_current_member_assignment_value_message, &c);
}

TEST(other_protocols, are_listed_with_their_state)
{
    struct rig r;
    rig_init(&r);

    write_consumer_group(&r, 2, 1, 1);
    rig_reload(&r);
    CHECK_TEXT(listed(&r, NULL, NULL), "modern consumer Assigning consumer\n");
    write_consumer_group(&r, 2, 2, 1);
    rig_reload(&r);
    CHECK_TEXT(listed(&r, NULL, NULL), "modern consumer Reconciling consumer\n");
    write_consumer_group(&r, 2, 2, 2);
    rig_reload(&r);
    CHECK_TEXT(listed(&r, NULL, "CONSUMER"), "modern consumer Stable consumer\n");
    CHECK_TEXT(listed(&r, NULL, "classic"), "");
    rig_end(&r);
}

TEST(other_protocols, are_not_touched)
{
    struct rig r;
    rig_init(&r);

    write_consumer_group(&r, 2, 2, 2);
    rig_reload(&r);
    int64_t end = r.end;
    CHECK_EQ(join_of(rig_join(&r, "modern", "", 9))->error_code, KERR_INCONSISTENT_GROUP_PROTOCOL);
    CHECK_EQ(sync_of(rig_sync(&r, "modern", STR("m"), 2, NULL))->error_code,
             KERR_UNKNOWN_MEMBER_ID);
    CHECK_EQ(rig_heartbeat(&r, "modern", STR("m"), 2), KERR_UNKNOWN_MEMBER_ID);
    CHECK_EQ(rig_leave(&r, "modern", STR("m")), KERR_UNKNOWN_MEMBER_ID);
    CHECK_EQ(rig_commit_offset(&r, "modern", STR("m"), 2, "orders", 0, 1), KERR_UNKNOWN_MEMBER_ID);
    CHECK_EQ(rig_delete(&r, "modern"), KERR_NON_EMPTY_GROUP);
    CHECK_EQ(offset_deleted(&r, "modern", "orders"), KERR_NON_EMPTY_GROUP);
    CHECK_TEXT(rig_state(&r, "modern"), "Dead");
    rig_pass(&r, r.settings.offsets_retention_ms + r.settings.retention_check_interval_ms);
    CHECK_EQ(r.end, end);
    rig_end(&r);
}

TEST(other_protocols, end_with_their_last_record)
{
    struct rig r;
    rig_init(&r);
    struct consumer_group_metadata_key group = {.group_id = STR("modern")};
    struct consumer_group_metadata_value g;

    consumer_group_metadata_value_init(&g);
    g.epoch = 3;
    write(&r, &consumer_group_metadata_key_message, &group, &consumer_group_metadata_value_message,
          &g);
    rig_reload(&r);
    CHECK_TEXT(listed(&r, NULL, NULL), "modern consumer Empty consumer\n");
    CHECK_EQ(rig_delete(&r, "modern"), KERR_GROUP_ID_NOT_FOUND);
    CHECK_EQ(rig_commit_offset(&r, "modern", STR(""), -1, "orders", 0, 4),
             KERR_NONE); /* an administrator's */
    write(&r, &consumer_group_metadata_key_message, &group, NULL, NULL);
    rig_reload(&r);
    CHECK_TEXT(listed(&r, NULL, NULL), "modern classic Empty \n");
    CHECK_EQ(rig_offset(&r, "modern", "orders", 0, false, NULL), 4);
    rig_end(&r);
}
