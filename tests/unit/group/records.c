/* What is written, to the byte. */
#include "rig.h"

/* Key and value of the log's record at `offset` in hexadecimal: "key=value". */
static const char *hex_at(struct rig *r, int64_t offset)
{
    struct bytes rest = {(const uint8_t *)r->log.p, (int32_t)r->log.n};
    struct text out = {0};
    struct batch b;

    while (batch_next(&rest, &b) > 0) {
        struct records records;
        struct record record;

        CHECK(records_begin(&records, &b, 1 << 20) == 0);
        while (records_next(&records, &record) > 0) {
            if (record.offset != offset)
                continue;
            for (int32_t i = 0; i < record.key.n; i++)
                text_printf(&out, "%02x", record.key.p[i]);
            text_printf(&out, "=");
            for (int32_t i = 0; i < record.value.n; i++)
                text_printf(&out, "%02x", record.value.p[i]);
        }
        records_end(&records);
    }
    const char *kept = arena_printf(&r->arena, "%.*s", STR_ARG(text_str(&out))).p;
    text_deinit(&out);
    return kept;
}

TEST(records, an_offset)
{
    struct rig r;
    struct offset_commit_value value;
    rig_init(&r);

    offset_commit_value_init(&value);
    value.offset = 42;
    value.leader_epoch = 7;
    value.metadata = STR("m");
    value.commit_timestamp = 1000;
    record_offset(r.p, STR("g"), STR("foo"), 3, &value, false);
    value.topic_id = (struct uuid){{0xaa, 0xbb}};
    record_offset(r.p, STR("g"), STR("foo"), 3, &value, false);
    value.expire_timestamp = 2000;
    record_offset(r.p, STR("g"), STR("foo"), 3, &value, true);
    CHECK_EQ(records_append(r.p), KERR_NONE);
    CHECK_TEXT(hex_at(&r, 0),
               "00010001670003666f6f00000003=0004000000000000002a00000007026d00000000000003e800");
    CHECK_TEXT(hex_at(&r, 1),
               "00010001670003666f6f00000003=0004000000000000002a00000007026d00000000000003e8010010"
               "aabb0000000000000000000000000000");
    CHECK_TEXT(hex_at(&r, 2),
               "00010001670003666f6f00000003=0001000000000000002a00016d00000000000003e8"
               "00000000000007d0");
    record_offset_tombstone(r.p, offset_find(group_find(r.p, STR("g")), STR("foo"), 3));
    CHECK_EQ(records_append(r.p), KERR_NONE);
    CHECK_TEXT(hex_at(&r, 3), "00010001670003666f6f00000003=");
    rig_end(&r);
}

TEST(records, an_empty_group)
{
    struct rig r;
    rig_init(&r);
    struct group *g = group_get(r.p, STR("g"));

    g->protocol_type = own_str(STR("consumer"));
    g->generation = 2;
    g->state_ms = 1000;
    record_group(r.p, g, NULL);
    record_group_tombstone(r.p, STR("h"));
    CHECK_EQ(records_append(r.p), KERR_NONE);
    CHECK_TEXT(hex_at(&r, 0),
               "0002000167=00030008636f6e73756d657200000002ffffffff00000000000003e800000000");
    CHECK_TEXT(hex_at(&r, 1), "0002000168=");
    rig_end(&r);
}

/* The same sequence as a Kafka node writes for one consumer that comes, commits and leaves. */
TEST(records, the_life_of_a_group)
{
    struct rig r;
    rig_init(&r);
    struct call *a = rig_join(&r, "g", "", 3);
    rig_pass(&r, 3000);
    struct str id = join_of(a)->member_id;

    rig_sync(&r, "g", id, 1, rig_assign(&r, id, "x", STR_NULL, NULL));
    rig_commit_offset(&r, "g", id, 1, "orders", 0, 5);
    rig_leave(&r, "g", id);
    const char *expected =
        arena_printf(
            &r.arena,
            "0: {\"group\":\"g\"} = v3 "
            "{\"protocolType\":\"\",\"generation\":0,\"protocol\":null,\"leader\":null,"
            "\"currentStateTimestamp\":1000000000000,\"members\":[]}\n"
            "1: {\"group\":\"g\"} = v3 "
            "{\"protocolType\":\"consumer\",\"generation\":1,\"protocol\":\"range\","
            "\"leader\":\"%.*s\",\"currentStateTimestamp\":1000000003000,\"members\":[{"
            "\"memberId\":\"%.*s\","
            "\"groupInstanceId\":null,\"clientId\":\"app\",\"clientHost\":\"/"
            "127.0.0.1\",\"rebalanceTimeout\":60000,"
            "\"sessionTimeout\":10000,\"subscription\":\"bWV0YQ==\",\"assignment\":\"eA==\"}]}\n"
            "2: {\"group\":\"g\",\"topic\":\"orders\",\"partition\":0} = v4 "
            "{\"offset\":5,\"leaderEpoch\":-1,"
            "\"metadata\":\"note\",\"commitTimestamp\":1000000003000,\"topicId\":"
            "\"q29yZGVycwAAAAAAAAAAAA\"}\n"
            "3: {\"group\":\"g\"} = v3 "
            "{\"protocolType\":\"consumer\",\"generation\":2,\"protocol\":null,"
            "\"leader\":null,\"currentStateTimestamp\":1000000003000,\"members\":[]}\n",
            STR_ARG(id), STR_ARG(id))
            .p;
    CHECK_TEXT(rig_dump(&r), expected);
    rig_end(&r);
}

/* ---- what is read --------------------------------------------------------------------------- */

static void write_raw(struct rig *r, struct bytes key, struct bytes value)
{
    struct batch_builder b;
    struct text batch = {0};

    batch_builder_init(&b);
    batch_builder_add(&b, RIG_WALL_MS, key, value, NULL, 0);
    CHECK(batch_builder_finish(&b, &batch) == 0);
    rig_append_raw(r, bytes_of_str(text_str(&batch)));
    text_deinit(&batch);
    batch_builder_deinit(&b);
}

#define BYTES(text) ((struct bytes){(const uint8_t *)(text), (int32_t)sizeof(text) - 1})
#define OFFSET_KEY "\0\1\0\1g\0\3foo\0\0\0\3"

TEST(records, older_versions_are_read)
{
    struct rig r;
    rig_init_empty(&r);

    write_raw(&r, BYTES("\0\0\0\1g\0\3foo\0\0\0\1"),
              BYTES("\0\0\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\0\3\350"));
    write_raw(&r, BYTES(OFFSET_KEY), BYTES("\0\3\0\0\0\0\0\0\0\52\0\0\0\7\0\1m\0\0\0\0\0\0\3\350"));
    rig_load(&r);
    CHECK_EQ(rig_offset(&r, "g", "foo", 1, false, NULL), 5);
    CHECK_EQ(rig_offset(&r, "g", "foo", 3, false, NULL), 42);
    rig_end(&r);
}

TEST(records, an_unknown_type_is_skipped)
{
    struct rig r;
    rig_init_empty(&r);

    write_raw(&r, BYTES("\0\143\0\1g"), BYTES("\0\0whatever"));
    write_raw(&r, BYTES(OFFSET_KEY), BYTES("\0\3\0\0\0\0\0\0\0\52\0\0\0\7\0\1m\0\0\0\0\0\0\3\350"));
    rig_load(&r);
    CHECK_EQ(rig_offset(&r, "g", "foo", 3, false, NULL), 42);
    rig_end(&r);
}

/* Who skipped it would serve an older offset. */
TEST(records, a_known_type_of_the_future_does_not_load)
{
    struct rig r;
    rig_init_empty(&r);

    write_raw(&r, BYTES(OFFSET_KEY), BYTES("\0\5whatever"));
    CHECK_EQ(rig_try_load(&r), ERR_VERSION);
    CHECK(str_starts(str_of(r.p->coordinator.fail.text),
                     STR("the record at offset 0: of type 1, value version 5")));
    CHECK_EQ(join_of(rig_join(&r, "g", "", 9))->error_code, KERR_NOT_COORDINATOR);
    rig_end(&r);
}

TEST(records, a_cut_record_does_not_load)
{
    struct rig r;
    rig_init_empty(&r);

    write_raw(&r, BYTES(OFFSET_KEY), BYTES("\0\3\0\0"));
    CHECK_EQ(rig_try_load(&r), ERR_SHORT);
    rig_end(&r);
}
