/* frame.c - headers, records of internal logs, API table, error codes, features. */

#include "protocol/frame.h"

#include "check.h"
#include "protocol/facts.h"
#include "protocol/offset_commit_record.h"
#include "protocol/topic_record.h"

#define FRAME(literal) ((struct bytes){(const uint8_t *)(literal), (int32_t)sizeof(literal) - 1})

TEST(frame, header_versions_follow_the_flexible_versions)
{
    CHECK_EQ(request_header_version(API_PRODUCE, 8), 1);
    CHECK_EQ(request_header_version(API_PRODUCE, 9), 2);
    CHECK_EQ(response_header_version(API_PRODUCE, 8), 0);
    CHECK_EQ(response_header_version(API_PRODUCE, 9), 1);
    CHECK_EQ(request_header_version(API_API_VERSIONS, 3), 2);
    CHECK_EQ(response_header_version(API_API_VERSIONS, 5), 0);
    CHECK_EQ(request_header_version(API_SASL_HANDSHAKE, 1), 1);
    CHECK_EQ(request_header_version(4, 0), ERR_VERSION); /* withdrawn */
    CHECK_EQ(request_header_version(-5, 0), ERR_VERSION);
    CHECK_EQ(request_header_version(30000, 0), ERR_VERSION);
}

TEST(frame, a_request_header_is_read)
{
    struct request_header h;

    CHECK_EQ(request_header_read(FRAME("\0\0\0\x08\1\2\3\4\0\2ab++"), &h), 12);
    CHECK_EQ(h.request_api_key, API_PRODUCE);
    CHECK_EQ(h.request_api_version, 8);
    CHECK_EQ(h.correlation_id, 0x01020304);
    CHECK_TEXT(h.client_id, "ab");
    /* version 9 is flexible, but the client id never is */
    CHECK_EQ(request_header_read(FRAME("\0\0\0\x09\1\2\3\4\xff\xff\1\7\1x++"), &h), 14);
    CHECK(str_is_null(h.client_id));
    CHECK_EQ(h.unknown_tags.n, 3);
    CHECK_EQ(request_header_size(&h), 14);
}

TEST(frame, a_bad_request_header_is_refused)
{
    struct request_header h;

    CHECK_EQ(request_header_read(FRAME(""), &h), ERR_SHORT);
    CHECK_EQ(request_header_read(FRAME("\0\0\0\x08\1\2\3"), &h), ERR_SHORT);
    CHECK_EQ(request_header_read(FRAME("\0\0\0\x08\1\2\3\4\0\3ab"), &h), ERR_SHORT);
    CHECK_EQ(request_header_read(FRAME("\0\0\0\x08\1\2\3\4\xff\xfe"), &h), ERR_CORRUPT);
    CHECK_EQ(request_header_read(FRAME("\0\0\0\x09\1\2\3\4\xff\xff\2\7\1x\7\1x"), &h), ERR_CORRUPT);
    CHECK_EQ(request_header_read(FRAME("\0\4\0\0\1\2\3\4\xff\xff"), &h), ERR_VERSION);
    CHECK_EQ(request_header_read(FRAME("GET / HTTP/1.1\r\n"), &h), ERR_VERSION);
}

/* A newer client asks with a version that we do not know; it must be told which we do. */
TEST(frame, any_header_of_an_unknown_api_versions_version_is_read)
{
    struct request_header h;

    CHECK_EQ(request_header_read(FRAME("\0\x12\0\x63\0\0\0\5\0\1a\0"), &h), 12);
    CHECK_TEXT(h.client_id, "a");
    CHECK(request_header_read(FRAME("\0\x12\0\x63\0\0\0\5"), &h) > 0);
    CHECK_EQ(h.correlation_id, 5);
    CHECK(str_is_null(h.client_id));
    CHECK(request_header_read(FRAME("\0\x12\0\x63\0\0\0\5\x7f\xff\0"), &h) > 0);
    CHECK(str_is_null(h.client_id));
    /* but one that we know must be right */
    CHECK_EQ(request_header_read(FRAME("\0\x12\0\3\0\0\0\5"), &h), ERR_SHORT);
}

TEST(frame, a_response_header_is_read_and_written)
{
    uint8_t out[5];
    int32_t id;

    CHECK_EQ(response_header_size(API_FETCH, 12), 5);
    response_header_write(API_FETCH, 12, 77, out);
    CHECK_BYTES(out, 5, "\0\0\0\x4d\0", 5);
    CHECK_EQ(response_header_read((struct bytes){out, 5}, API_FETCH, 12, &id), 5);
    CHECK_EQ(id, 77);
    CHECK_EQ(response_header_read((struct bytes){out, 4}, API_FETCH, 12, &id), ERR_SHORT);
    CHECK_EQ(response_header_read((struct bytes){out, 3}, API_FETCH, 11, &id), ERR_SHORT);
    CHECK_EQ(response_header_read((struct bytes){out, 4}, API_FETCH, 11, &id), 4);
}

TEST(frame, a_metadata_record_has_its_type_and_version_before_it)
{
    struct topic_record topic;
    struct message_framed framed;
    struct arena arena;
    uint8_t out[100];

    arena_init(&arena, 0);
    topic_record_init(&topic);
    topic.name = STR("orders");
    int64_t size = message_metadata_size(&topic_record_message, 0, &topic);
    message_metadata_write(&topic_record_message, 0, &topic, out);
    CHECK_BYTES(out, 10, "\1\2\0\7orders", 10);

    struct bytes in = {out, (int32_t)size};
    CHECK_EQ(message_metadata_read(in, MESSAGE_METADATA, &arena, &framed), 0);
    CHECK(framed.message == &topic_record_message);
    CHECK_TEXT(((struct topic_record *)framed.value)->name, "orders");
    out[size] = 0;
    in.n++; /* Kafka too refuses what follows a record */
    CHECK_EQ(message_metadata_read(in, MESSAGE_METADATA, &arena, &framed), ERR_CORRUPT);
    arena_deinit(&arena);
}

TEST(frame, an_unknown_record_says_what_it_is)
{
    struct message_framed framed;
    struct arena arena;

    arena_init(&arena, 0);
    CHECK_EQ(message_metadata_read(FRAME("\1\2\x09"), MESSAGE_METADATA, &arena, &framed),
             ERR_VERSION);
    CHECK(framed.message == &topic_record_message);
    CHECK_EQ(framed.version, 9);
    CHECK_EQ(message_metadata_read(FRAME("\1\x7f\0"), MESSAGE_METADATA, &arena, &framed),
             ERR_VERSION);
    CHECK(framed.message == NULL);
    CHECK_EQ(message_metadata_read(FRAME("\2\2\0"), MESSAGE_METADATA, &arena, &framed),
             ERR_VERSION);
    CHECK_EQ(message_metadata_read(FRAME(""), MESSAGE_METADATA, &arena, &framed), ERR_SHORT);
    CHECK_EQ(message_key_read(FRAME("\0\x63"), MESSAGE_GROUP_KEY, &arena, &framed), ERR_VERSION);
    CHECK_EQ(message_key_read(FRAME("\0"), MESSAGE_GROUP_KEY, &arena, &framed), ERR_SHORT);
    arena_deinit(&arena);
}

TEST(frame, a_coordinators_key_and_value_go_together)
{
    struct offset_commit_key key;
    struct offset_commit_value value;
    struct message_framed framed;
    struct arena arena;
    uint8_t out[100];

    arena_init(&arena, 0);
    offset_commit_key_init(&key);
    key.group = STR("g");
    key.topic = STR("t");
    int64_t size = message_coordinator_size(&offset_commit_key_message, 0, &key);
    message_coordinator_write(&offset_commit_key_message, 0, &key, out);
    CHECK_BYTES(out, (size_t)size, "\0\1\0\1g\0\1t\0\0\0\0", 12); /* type 1 */
    CHECK_EQ(
        message_key_read((struct bytes){out, (int32_t)size}, MESSAGE_GROUP_KEY, &arena, &framed),
        0);
    CHECK(framed.message == &offset_commit_key_message);

    offset_commit_value_init(&value);
    value.offset = 42;
    size = message_coordinator_size(&offset_commit_value_message, 3, &value);
    message_coordinator_write(&offset_commit_value_message, 3, &value, out);
    CHECK_BYTES(out, 2, "\0\3", 2); /* version 3 */
    CHECK_EQ(message_value_read((struct bytes){out, (int32_t)size}, MESSAGE_GROUP_VALUE,
                                framed.message->key, &arena, &framed),
             0);
    CHECK_EQ(framed.version, 3);
    CHECK_EQ(((struct offset_commit_value *)framed.value)->offset, 42);
    arena_deinit(&arena);
}

TEST(facts, the_api_table_agrees_with_the_messages)
{
    int apis = 0;

    for (int16_t key = 0; key < API_KEY_COUNT; key++) {
        const struct api *api = api_find(key);
        if (api == NULL) {
            CHECK(key >= 4 && key <= 7); /* withdrawn with ZooKeeper */
            continue;
        }
        apis++;
        CHECK_EQ(api->key, key);
        CHECK_EQ(api->request->key, key);
        CHECK_EQ(api->response->key, key);
        CHECK_EQ(api->response->low, api->low);
        CHECK_EQ(api->response->high, api->high);
        CHECK_EQ(api->offered_high, api->request->unstable ? api->high - 1 : api->high);
        CHECK_EQ(api->offered_low, key == API_PRODUCE ? 0 : api->low);
        CHECK(api->listeners != 0);
    }
    CHECK_EQ(apis, 91);
    CHECK_TEXT(api_name(API_FETCH), "Fetch");
    CHECK_TEXT(api_name(5), "Unknown");
    CHECK(api_has_version(api_find(API_FETCH), 4));
    CHECK(!api_has_version(api_find(API_FETCH), 3));
    CHECK(api_find(API_CREATE_TOPICS)->forwardable);
    CHECK(api_find(API_VOTE)->cluster_action);
    CHECK_EQ(api_find(API_VOTE)->listeners, LISTENER_CONTROLLER);
}

TEST(facts, error_codes_have_names_and_advice)
{
    CHECK_TEXT(kerr_name(KERR_NONE), "NONE");
    CHECK_TEXT(kerr_name(KERR_UNKNOWN_SERVER_ERROR), "UNKNOWN_SERVER_ERROR");
    CHECK_TEXT(kerr_name(KERR_CONTROLLER_ID_NOT_REGISTERED), "CONTROLLER_ID_NOT_REGISTERED");
    CHECK_TEXT(kerr_name(3000), "UNKNOWN_SERVER_ERROR");
    CHECK_TEXT(kerr_name(-7), "UNKNOWN_SERVER_ERROR");
    CHECK(kerr_is_retriable(KERR_NOT_COORDINATOR));
    CHECK(!kerr_needs_metadata(KERR_NOT_COORDINATOR));
    CHECK(kerr_needs_metadata(KERR_NOT_LEADER_OR_FOLLOWER));
    CHECK(!kerr_is_retriable(KERR_INVALID_REQUEST));
}

TEST(facts, features_and_metadata_versions)
{
    const struct feature *f = &features[FEATURE_METADATA_VERSION];

    CHECK_EQ(f->low, 7);
    CHECK_EQ(f->latest, 33);
    CHECK_EQ(f->level_count, 28);
    CHECK_EQ(feature_find(STR("transaction.version")), FEATURE_TRANSACTION_VERSION);
    CHECK_EQ(feature_find(STR("no.such.version")), FEATURE_COUNT);
    CHECK_EQ(features[FEATURE_ELIGIBLE_LEADER_REPLICAS_VERSION].levels[1].needs_metadata_version,
             23);
    CHECK_EQ(features[FEATURE_TRANSACTION_VERSION].levels[2].since, 24);

    const struct metadata_version *v = metadata_version_find(17);
    CHECK_TEXT(v->name, "3.7-IV2");
    CHECK_EQ(v->partition_record, 1);
    CHECK_EQ(v->defaults[FEATURE_METADATA_VERSION], 17);
    CHECK(metadata_version_find(6) == NULL);
    CHECK(metadata_version_find(35) == NULL);
    CHECK(metadata_version_find_by_name(STR("3.7-IV2")) == v);
    CHECK_EQ(metadata_version_find_by_name(STR("3.7"))->level, 19);
    CHECK_EQ(metadata_version_find_by_name(STR("4.0"))->level, 25);
    CHECK(metadata_version_find_by_name(STR("3")) == NULL);
    CHECK(metadata_version_find_by_name(STR("")) == NULL);
    CHECK_EQ(metadata_version_find(33)->defaults[FEATURE_SHARE_VERSION], 2);
}

/* A feature's default at a metadata version is the highest level that has come by then. */
TEST(facts, defaults_agree_with_the_levels)
{
    for (int i = 0; i < metadata_version_count; i++) {
        const struct metadata_version *v = &metadata_version_rows[i];
        for (int f = 0; f < FEATURE_COUNT; f++) {
            int16_t level = 0;
            if (f == FEATURE_METADATA_VERSION)
                continue;
            for (int16_t l = 0; l < features[f].level_count; l++) {
                if (features[f].levels[l].since <= v->level)
                    level = features[f].levels[l].level;
            }
            CHECK_EQ(v->defaults[f], level);
        }
    }
}
