/* message.c - what the samples of Kafka do not show: limits, nulls, loss, pieces, lookup. */

#include "protocol/message.h"

#include "check.h"
#include "protocol/add_partitions_to_txn.h"
#include "protocol/consumer_group_member_metadata_record.h"
#include "protocol/fetch.h"
#include "protocol/heartbeat.h"
#include "protocol/layout.h"
#include "protocol/list_groups.h"
#include "protocol/metadata.h"
#include "protocol/partition_record.h"
#include "protocol/produce.h"

#define READ(type, bytes_, version, arena, out)                                                  \
    type##_read((struct bytes){(const uint8_t *)(bytes_), (int32_t)sizeof(bytes_) - 1}, version, \
                arena, out)

TEST(message, defaults_are_the_schemas)
{
    struct fetch_request r;
    struct fetch_response_responses_partitions p;

    fetch_request_init(&r);
    CHECK_EQ(r.replica_id, -1);
    CHECK_EQ(r.max_bytes, INT32_MAX);
    CHECK_EQ(r.replica_state.replica_epoch, -1);
    CHECK_EQ(r.topics_count, 0);
    CHECK(str_is_null(r.cluster_id));
    CHECK_EQ(r.rack_id.n, 0);

    fetch_response_responses_partitions_init(&p);
    CHECK_EQ(p.records.n, -1);
    CHECK_EQ(p.aborted_transactions_count, 0);
    CHECK_EQ(p.preferred_read_replica, -1);
    CHECK_EQ(p.diverging_epoch.end_offset, -1);
}

TEST(message, a_version_out_of_range_is_refused)
{
    struct produce_request r;
    struct arena arena;
    uint8_t byte = 0;

    arena_init(&arena, 0);
    for (int version = -1; version < 20; version++) {
        bool exists = version >= 3 && version <= 13;
        int used = produce_request_read((struct bytes){&byte, 1}, (int16_t)version, &arena, &r);
        CHECK_EQ(used, exists ? ERR_SHORT : ERR_VERSION);
        used = tables_read(&produce_request_message, (struct bytes){&byte, 1}, (int16_t)version,
                           &arena, &r);
        CHECK_EQ(used, exists ? ERR_SHORT : ERR_VERSION);
        produce_request_init(&r);
        CHECK_EQ(produce_request_size(&r, (int16_t)version) < 0, !exists);
        CHECK_EQ(message_has_version(&produce_request_message, (int16_t)version), exists);
    }
    arena_deinit(&arena);
}

/* 2^28 elements of at least 4 bytes are not in 12 bytes: refused before memory is taken. */
TEST(message, a_count_is_checked_before_memory_is_taken)
{
    struct partition_record r;
    struct arena arena;
    static const char many[] = "\0\0\0\1"            /* partition */
                               "0123456789abcdef"    /* topic id */
                               "\x81\x80\x80\x80\1"; /* replicas: 2^28 */

    arena_init(&arena, 0);
    CHECK_EQ(READ(partition_record, many, 0, &arena, &r), ERR_SHORT);
    CHECK_EQ(arena.taken_bytes, 0);
    arena_deinit(&arena);
}

TEST(message, the_arena_of_a_decode_is_bounded)
{
    struct list_groups_response r;
    struct arena arena;
    struct text in = {0};
    static const char head[] = "\0\0\0\0"
                               "\0\0"
                               "\xe9\x07"; /* throttle, error, 1000 groups */

    text_add(&in, head, sizeof(head) - 1);
    for (int i = 0; i < 1000; i++)
        text_add(&in, "\1\1\0", 3); /* two empty strings, no tags */
    text_add(&in, "\0", 1);         /* no tags at the end */
    arena_init(&arena, 0);
    int used = list_groups_response_read(bytes_of_str(text_str(&in)), 3, &arena, &r);
    CHECK_EQ(used, (int)in.n);
    CHECK(arena.taken_bytes <= 32 * in.n + 65536);
    arena_deinit(&arena);

    arena_init(&arena, 1000);
    used = list_groups_response_read(bytes_of_str(text_str(&in)), 3, &arena, &r);
    CHECK_EQ(used, ERR_LIMIT);
    CHECK_EQ(r.groups_count, 0); /* what failed is the defaults again */
    arena_deinit(&arena);
    text_deinit(&in);
}

TEST(message, lengths_that_cannot_be_are_corrupt)
{
    struct length_case {
        const char *what;
        const char *bytes;
        int n;
        int16_t version;
        int error;
    } const cases[] = {
        {"topics -2", "\xff\xff\xff\xfe", 4, 1, ERR_CORRUPT},
        {"topics null in version 0", "\xff\xff\xff\xff", 4, 0, ERR_CORRUPT},
        {"topics null in version 1", "\xff\xff\xff\xff", 4, 1, 4},
        {"name -2", "\0\0\0\1\xff\xfe", 6, 0, ERR_CORRUPT},
        {"name null in version 0", "\0\0\0\1\xff\xff", 6, 0, ERR_CORRUPT},
        {"varint of six bytes", "\x80\x80\x80\x80\x80\x01", 6, 9, ERR_CORRUPT},
        {"varint that does not fit", "\xff\xff\xff\xff\x7f", 5, 9, ERR_CORRUPT},
        {"varint that is cut", "\xff\xff\xff\xff", 4, 9, ERR_SHORT},
        {"length of 2^31", "\x81\x80\x80\x80\x08", 5, 9, ERR_CORRUPT},
    };
    struct metadata_request r;

    for (size_t i = 0; i < array_count(cases); i++) {
        struct arena arena;
        struct bytes in = {(const uint8_t *)cases[i].bytes, cases[i].n};

        arena_init(&arena, 0);
        int hot = metadata_request_read(in, cases[i].version, &arena, &r);
        int tables = tables_read(&metadata_request_message, in, cases[i].version, &arena, &r);
        arena_deinit(&arena);
        if (hot != cases[i].error && !(hot == ERR_SHORT && cases[i].error > 0))
            check_fail(__FILE__, __LINE__, "%s: %d", cases[i].what, hot);
        CHECK_EQ(tables, hot);
    }
}

TEST(message, tags_are_checked)
{
    /* replicas .. adding_replicas empty, leader, epochs; then the tagged fields */
    static const char front[] = "\0\0\0\1"
                                "0123456789abcdef"
                                "\1\1\1\1"
                                "\0\0\0\1"
                                "\0\0\0\1"
                                "\0\0\0\1";
    static const struct {
        const char *what, *tags;
        int n, error;
    } cases[] = {
        {"tag 0 of one byte", "\1\0\1\5", 4, 0},
        {"tag 0 twice", "\2\0\1\5\0\1\5", 7, ERR_CORRUPT},
        {"out of order", "\2\7\1x\0\1\5", 7, ERR_CORRUPT},
        {"too short for its field", "\1\0\0", 3, ERR_CORRUPT},
        {"longer than its field", "\1\0\2\5\5", 5, ERR_CORRUPT},
        {"longer than the input", "\1\0\2\5", 4, ERR_SHORT},
        {"unknown", "\1\x63\3abc", 6, 0},
        {"unknown, in order", "\3\0\1\5\7\0\x63\3abc", 11, 0},
    };

    for (size_t i = 0; i < array_count(cases); i++) {
        struct partition_record r;
        struct arena arena;
        struct text in = {0};

        text_add(&in, front, sizeof(front) - 1);
        text_add(&in, cases[i].tags, (size_t)cases[i].n);
        arena_init(&arena, 0);
        int used = partition_record_read(bytes_of_str(text_str(&in)), 0, &arena, &r);
        int expected = cases[i].error < 0 ? cases[i].error : (int)in.n;
        if (used != expected)
            check_fail(__FILE__, __LINE__, "%s: %d", cases[i].what, used);
        if (used > 0) {
            uint8_t out[100];
            CHECK_EQ(partition_record_size(&r, 0), used);
            partition_record_write(&r, 0, out);
            CHECK_BYTES(out, (size_t)used, in.p, in.n);
        }
        arena_deinit(&arena);
        text_deinit(&in);
    }
}

/* A proxy that reads version 1 of a record and writes version 2 must not send a tag twice. */
TEST(message, unknown_tags_of_an_older_version_give_way_to_known_fields)
{
    struct partition_record r;
    struct arena arena;
    int32_t one = 7;
    uint8_t out[100];
    static const char raw[] = "\1\1\1"
                              "\2\1\1"
                              "\x63\1x"; /* tags 1, 2: arrays without elements */

    arena_init(&arena, 0);
    partition_record_init(&r);
    r.unknown_tags = (struct bytes){(const uint8_t *)raw, sizeof(raw) - 1};
    r.last_known_elr = &one;
    r.last_known_elr_count = 1;
    int64_t size = partition_record_size(&r, 2);
    CHECK(size > 0);
    partition_record_write(&r, 2, out);

    struct partition_record back;
    CHECK_EQ(partition_record_read((struct bytes){out, (int32_t)size}, 2, &arena, &back), size);
    CHECK_EQ(back.last_known_elr_count, 1);
    CHECK_EQ(back.eligible_leader_replicas_count, -1);
    CHECK_EQ(back.unknown_tags.n, 3);
    arena_deinit(&arena);
}

TEST(message, unknown_tags_that_make_no_sense_are_not_written)
{
    struct partition_record r;
    static const char raw[] = "\x63\5x";

    partition_record_init(&r);
    r.unknown_tags = (struct bytes){(const uint8_t *)raw, sizeof(raw) - 1};
    CHECK_EQ(partition_record_size(&r, 0), -EINVAL);
    CHECK_TEXT(message_obstacle(&partition_record_message, 0, &r), "tagged fields");
}

/* KIP-848: a member of the consumer protocol carries an explicit null, a classic one leaves the
 * tag out and means a struct of defaults. */
TEST(message, a_tagged_struct_may_be_null)
{
    struct consumer_group_member_metadata_value v, back;
    struct arena arena;
    uint8_t out[100];

    arena_init(&arena, 0);
    consumer_group_member_metadata_value_init(&v);
    CHECK(v.classic_member_metadata != NULL);
    int64_t size = consumer_group_member_metadata_value_size(&v, 0);
    consumer_group_member_metadata_value_write(&v, 0, out);
    CHECK_EQ(out[size - 1], 0); /* no tagged fields */

    v.classic_member_metadata = NULL;
    size = consumer_group_member_metadata_value_size(&v, 0);
    consumer_group_member_metadata_value_write(&v, 0, out);
    CHECK_BYTES(out + size - 4, 4, "\1\0\1\0", 4);
    CHECK_EQ(consumer_group_member_metadata_value_read((struct bytes){out, (int32_t)size}, 0,
                                                       &arena, &back),
             size);
    CHECK(back.classic_member_metadata == NULL);
    arena_deinit(&arena);
}

TEST(message, what_a_version_cannot_carry_is_an_error_or_is_dropped)
{
    struct metadata_request r;
    struct fetch_request f;

    metadata_request_init(&r);
    CHECK_EQ(metadata_request_size(&r, 0), 4);
    r.include_topic_authorized_operations = true; /* 8+, not lossy */
    CHECK_EQ(metadata_request_size(&r, 7), -EINVAL);
    CHECK_TEXT(message_obstacle(&metadata_request_message, 7, &r),
               "includeTopicAuthorizedOperations");
    CHECK_EQ(metadata_request_size(&r, 8), 7);

    fetch_request_init(&f);
    f.session_epoch = 5; /* 7+, lossy */
    CHECK(fetch_request_size(&f, 4) > 0);
    f.replica_state.replica_id = 5; /* 15+ */
    CHECK_EQ(fetch_request_size(&f, 14), -EINVAL);
    CHECK_TEXT(message_obstacle(&fetch_request_message, 14, &f), "replicaState");
    CHECK(message_obstacle(&fetch_request_message, 15, &f) == NULL);
}

TEST(message, null_is_an_error_where_the_version_does_not_allow_it)
{
    struct metadata_request r;
    struct metadata_request_topics topic;

    metadata_request_init(&r);
    r.topics_count = -1;
    CHECK_EQ(metadata_request_size(&r, 0), -EINVAL);
    CHECK_EQ(metadata_request_size(&r, 1), 4);
    metadata_request_topics_init(&topic);
    topic.name = STR_NULL;
    r.topics = &topic;
    r.topics_count = 1;
    CHECK_EQ(metadata_request_size(&r, 9), -EINVAL);
    CHECK_TEXT(message_obstacle(&metadata_request_message, 9, &r), "name");
    CHECK(metadata_request_size(&r, 12) > 0);
}

TEST(message, a_string_has_32767_bytes_at_most)
{
    struct metadata_request r;
    struct metadata_request_topics topic;
    static char letters[32768];

    metadata_request_init(&r);
    metadata_request_topics_init(&topic);
    memset(letters, 'a', sizeof(letters));
    topic.name = (struct str){letters, 32767};
    r.topics = &topic;
    r.topics_count = 1;
    CHECK(metadata_request_size(&r, 1) > 32767);
    CHECK(metadata_request_size(&r, 12) > 32767);

    /* One byte more is no string, even where its compact length could say so. */
    static char long_name[40000] = "\2\x81\x80\2"; /* one topic, 32768 bytes */
    struct bytes in = {(const uint8_t *)long_name, sizeof(long_name)};
    struct metadata_request read;
    struct arena arena;
    arena_init(&arena, 0);
    CHECK_EQ(metadata_request_read(in, 9, &arena, &read), ERR_CORRUPT);
    CHECK_EQ(message_read(&metadata_request_message, in, 9, &arena, &read), ERR_CORRUPT);
    long_name[1] = '\x80'; /* 32767 */
    CHECK(metadata_request_read(in, 9, &arena, &read) > 32767);
    arena_deinit(&arena);
    topic.name.n = 32768;
    CHECK_EQ(metadata_request_size(&r, 1), ERR_LIMIT);
    CHECK_EQ(metadata_request_size(&r, 12), ERR_LIMIT);
}

/* Records that lie in a file are sent by whoever knows where: the message leaves room for them. */
TEST(message, records_by_reference_are_left_out_of_the_head)
{
    struct fetch_response r;
    struct fetch_response_responses topic;
    struct fetch_response_responses_partitions p[3];
    struct message_extent extent, tables;
    struct message_cut cuts[2], more[2];

    fetch_response_init(&r);
    fetch_response_responses_init(&topic);
    for (int i = 0; i < 3; i++) {
        fetch_response_responses_partitions_init(&p[i]);
        p[i].partition_index = i;
    }
    p[0].records = (struct bytes){NULL, 1000000};
    p[1].records = (struct bytes){NULL, 0};
    p[2].records = (struct bytes){(const uint8_t *)"abc", 3};
    topic.partitions = p;
    topic.partitions_count = 3;
    r.responses = &topic;
    r.responses_count = 1;

    for (int16_t v = 4; v <= 18; v++) {
        uint8_t head[400], same[400];
        CHECK_EQ(fetch_response_measure(&r, v, &extent), 0);
        CHECK_EQ(tables_measure(&fetch_response_message, v, &r, &tables), 0);
        CHECK_EQ(extent.total_bytes, tables.total_bytes);
        CHECK_EQ(extent.head_bytes, tables.head_bytes);
        CHECK_EQ(extent.cuts, 2);
        CHECK_EQ(extent.total_bytes - extent.head_bytes, 1000003);
        CHECK_EQ(fetch_response_size(&r, v), extent.total_bytes);

        fetch_response_write_pieces(&r, v, head, cuts);
        tables_write_pieces(&fetch_response_message, v, &r, same, more);
        CHECK_BYTES(head, (size_t)extent.head_bytes, same, (size_t)extent.head_bytes);
        CHECK_EQ(cuts[0].at, more[0].at);
        CHECK_EQ(cuts[1].at, more[1].at);
        CHECK_EQ(cuts[0].records.n, 1000000);
        CHECK(cuts[0].records.p == NULL);
        CHECK_BYTES(cuts[1].records.p, 3, "abc", 3);
        CHECK(cuts[1].at > cuts[0].at);
    }
    uint8_t whole[400];
    CHECK_ASSERTS(fetch_response_write(&r, 12, whole));
}

TEST(message, messages_are_found_by_key_and_name)
{
    CHECK(message_find(MESSAGE_REQUEST, 0) == &produce_request_message);
    CHECK(message_find(MESSAGE_RESPONSE, 24) == &add_partitions_to_txn_response_message);
    CHECK(message_find(MESSAGE_METADATA, 3) == &partition_record_message);
    CHECK(message_find(MESSAGE_GROUP_VALUE, 5) == &consumer_group_member_metadata_value_message);
    CHECK(message_find(MESSAGE_REQUEST, 4) == NULL); /* withdrawn */
    CHECK(message_find(MESSAGE_METADATA, 6) == NULL);
    CHECK(message_find(MESSAGE_REQUEST, -1) == NULL);
    CHECK(message_find(MESSAGE_REQUEST, 999) == NULL);
    CHECK(message_find(MESSAGE_DATA, 0) == NULL); /* those have no keys */
    CHECK(message_find_by_name(STR("FetchResponse")) == &fetch_response_message);
    CHECK(message_find_by_name(STR("Fetch")) == NULL);
    for (int i = 0; i < message_count; i++) {
        const struct message *m = message_list[i];
        CHECK(message_find_by_name(str_of(m->name)) == m);
        CHECK(m->key < 0 || message_find((enum message_kind)m->kind, m->key) == m);
    }
}

/* Whoever asks for a message by its API gets the specialised functions, where there are some. */
TEST(message, what_is_specialised_is_used)
{
    struct message_extent extent;
    struct heartbeat_response r;
    struct message_cut cuts[1];
    uint8_t head[8], same[8];
    int count = 0;

    for (int i = 0; i < message_count; i++) {
        const struct message_hot *hot = message_list[i]->hot;
        CHECK(hot == NULL || hot->message == message_list[i]);
        count += hot != NULL;
    }
    CHECK_EQ(count, message_hot_count);
    CHECK(produce_request_message.hot != NULL);
    CHECK(fetch_response_message.hot != NULL);

    heartbeat_response_init(&r); /* without records: in one piece */
    r.error_code = 27;
    CHECK_EQ(message_measure(&heartbeat_response_message, 4, &r, &extent), 0);
    CHECK_EQ(extent.total_bytes, 7);
    CHECK_EQ(extent.head_bytes, 7);
    CHECK_EQ(extent.cuts, 0);
    message_write_pieces(&heartbeat_response_message, 4, &r, head, cuts);
    tables_write(&heartbeat_response_message, 4, &r, same);
    CHECK_BYTES(head, 7, same, 7);
    CHECK_EQ(message_measure(&heartbeat_response_message, 99, &r, &extent), ERR_VERSION);
}

TEST(message, defaults_can_be_written_and_read_in_every_version)
{
    for (int i = 0; i < message_count; i++) {
        const struct message *message = message_list[i];

        for (int16_t v = message->low; v <= message->high; v++) {
            struct arena arena;
            arena_init(&arena, 0);
            void *m = arena_take(&arena, message_struct_bytes(message));
            void *back = arena_take(&arena, message_struct_bytes(message));
            message_init(message, m);
            int64_t size = message_size(message, v, m);
            /* an array of null records and the like has no default that every version can carry */
            if (size >= 0) {
                uint8_t *out = arena_take(&arena, (size_t)size);
                message_write(message, v, m, out);
                CHECK_EQ(message_read(message, (struct bytes){out, (int32_t)size}, v, &arena, back),
                         size);
                CHECK(message_equal(message, m, back));
            } else {
                const char *why = message_obstacle(message, v, m);
                if (why == NULL || size != -EINVAL)
                    check_fail(__FILE__, __LINE__, "%s version %d", message->name, v);
            }
            arena_deinit(&arena);
        }
    }
}

TEST(message, prints_json)
{
    struct metadata_response r;
    struct metadata_response_brokers b;
    struct text out = {0};

    metadata_response_init(&r);
    metadata_response_brokers_init(&b);
    b.node_id = 1;
    b.host = STR("a\"b");
    b.port = 9092;
    r.brokers = &b;
    r.brokers_count = 1;
    message_print(&metadata_response_message, 1, &r, &out);
    CHECK_TEXT(text_str(&out),
               "{\"brokers\":[{\"nodeId\":1,\"host\":\"a\\\"b\",\"port\":9092,\"rack\":null}],"
               "\"controllerId\":-1,\"topics\":[]}");
    text_deinit(&out);
}
