/* Metadata logs that Kafka 4.3.1 and 4.4.0 wrote: opened, and every record delivered. */
#include "rig.h"
#include "protocol/message.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const control_names[] = {
    [CONTROL_LEADER_CHANGE] = "LeaderChangeMessage",
    [CONTROL_SNAPSHOT_HEADER] = "SnapshotHeaderRecord",
    [CONTROL_SNAPSHOT_FOOTER] = "SnapshotFooterRecord",
    [CONTROL_KRAFT_VERSION] = "KRaftVersionRecord",
    [CONTROL_KRAFT_VOTERS] = "VotersRecord",
};

/* One record as the expected tables have it: offset, kind, JSON. */
static void print_record(const struct batch *b, const struct record *record, struct text *out)
{
    _Alignas(16) uint8_t m[1024];
    struct arena arena;
    int16_t type = 0, version = 0;
    const struct message *message;
    struct bytes value = record->value;

    text_printf(out, "%d\t", (int)record->offset);
    if (batch_is_control(b)) {
        CHECK_EQ(control_type_read(record->key, &type), 0);
        message = message_find_by_name(str_of(control_names[type]));
        text_printf(out,
                    "control\t{\"control\":\"%s\",\"keyVersion\":0,\"data\":", control_names[type]);
    } else {
        struct rd rd = rd_of(value.p, (size_t)value.n);
        CHECK_EQ(rd_uvarint(&rd), 1);
        type = (int16_t)rd_uvarint(&rd);
        version = (int16_t)rd_uvarint(&rd);
        message = message_find(MESSAGE_METADATA, type);
        CHECK(!rd.failed && message != NULL);
        value = (struct bytes){rd.p, (int32_t)(rd.end - rd.p)};
        text_printf(out, "metadata\t{\"type\":%d,\"name\":\"%s\",\"version\":%d,\"data\":", type,
                    message->name, version);
    }
    CHECK(message_struct_bytes(message) <= sizeof(m));
    arena_init(&arena, 0);
    CHECK_EQ(message_read(message, value, version, &arena, m), value.n);
    message_print(message, version, m, out);
    text_printf(out, "}\n");
    arena_deinit(&arena);
}

static void print_all(struct bytes batches, struct text *out)
{
    struct batch b;

    while (batch_next(&batches, &b) == 1) {
        struct records records = {0};
        struct record record;
        CHECK_EQ(records_begin(&records, &b, 1 << 20), 0);
        while (records_next(&records, &record) == 1)
            print_record(&b, &record, out);
        records_end(&records);
    }
}

/* Lines of the table that are about one file, without its name. `from` leaves out offsets below. */
static void expect(const char *table, const char *file, int64_t from, struct text *out)
{
    char line[16 << 10];
    FILE *f = fopen(table, "r");

    CHECK(f != NULL);
    while (fgets(line, sizeof(line), f) != NULL) {
        size_t n = strlen(file);
        if (strncmp(line, file, n) != 0 || line[n] != '\t')
            continue;
        if (strtoll(line + n + 1, NULL, 10) >= from)
            text_printf(out, "%s", line + n + 1);
    }
    fclose(f);
}

/* As CHECK_TEXT, but shows the first line that differs. */
static void check_lines(const struct text *actual, const struct text *expected)
{
    struct str a = text_str(actual), e = text_str(expected), x, y;

    while (str_cut(&e, '\n', &y)) {
        CHECK(str_cut(&a, '\n', &x));
        check_text(x, y, "a line", __FILE__, __LINE__);
    }
    CHECK_EQ(a.n, 0);
}

#define METADATA "a/__cluster_metadata-0/"

static void open_golden(const char *version, struct place *p, struct rig *r)
{
    char folder[64];

    snprintf(folder, sizeof(folder), "%s/a", version);
    place_real(p);
    place_copy(p, folder);
    rig_init(r, p);
    struct text text = {0};
    struct meta_properties meta;
    struct fail f = {0};
    place_read(p, "meta.properties", &text);
    CHECK_EQ(meta_properties_parse(text_str(&text), &meta, &f), 0);
    text_deinit(&text);
    CHECK_TEXT(meta.cluster_id, CLUSTER);
    CHECK_EQ(meta.node_id, NODE);
    r->options.directory_id = meta.directory_id;
    r->options.static_voters = (struct raft_voters){0};
}

/* What we append to it. */
static const char leader_change[] =
    "\tcontrol\t{\"control\":\"LeaderChangeMessage\",\"keyVersion\":0,\"data\":{\"version\":0,"
    "\"leaderId\":1,\"voters\":[{\"voterId\":1}],\"grantingVoters\":[{\"voterId\":1}]}}\n";

/* The snapshot at 70, then the log behind it, then the epoch that we begin. */
static void check_golden(const char *version, int64_t end)
{
    struct place p;
    struct rig r;
    struct text actual = {0}, expected = {0}, state = {0};
    char table[512];

    open_golden(version, &p, &r);
    int64_t result = rig_open(&r);
    if (result < 0)
        check_fail(__FILE__, __LINE__, "%s", r.fail.text);
    rig_ready(&r);
    snprintf(table, sizeof(table), TEST_DIR "/golden/%s/records.tsv", version);
    expect(table, METADATA "00000000000000000070-0000000001.checkpoint", 0, &expected);
    expect(table, METADATA "00000000000000000000.log", 70, &expected);
    text_printf(&expected, "%d%s", (int)end, leader_change);
    print_all(bytes_of_str(text_str(&r.delivered)), &actual);
    check_lines(&actual, &expected);
    CHECK_EQ(r.claimed, 2);
    CHECK_EQ(r.high_watermark, end + 1);
    place_read(&p, "__cluster_metadata-0/quorum-state", &state);
    CHECK_TEXT(text_str(&state),
               "{\"leaderId\":1,\"leaderEpoch\":2,\"votedId\":-1,"
               "\"votedDirectoryId\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"data_version\":1}");
    text_deinit(&actual);
    text_deinit(&expected);
    text_deinit(&state);
    CHECK_EQ(rig_deinit(&r, true), 0);
    place_end(&p);
}

TEST(quorum_golden, a_log_of_4_3_1_is_delivered_record_by_record)
{
    check_golden("4.3.1", 131);
}

TEST(quorum_golden, a_log_of_4_4_0_is_delivered_record_by_record)
{
    check_golden("4.4.0", 130);
}

/* Without the snapshot the whole log comes, voters among it. */
TEST(quorum_golden, the_log_alone_is_enough)
{
    struct place p;
    struct rig r;
    struct text actual = {0}, expected = {0};
    struct wait w;
    char path[1024];

    open_golden("4.3.1", &p, &r);
    snprintf(path, sizeof(path),
             "%s/__cluster_metadata-0/00000000000000000070-0000000001.checkpoint", p.dir);
    io_remove(p.io, path, wait_begin(&w));
    CHECK_EQ(wait_end(&p, &w), 0);
    CHECK_EQ(rig_open(&r), 0);
    rig_ready(&r);
    expect(TEST_DIR "/golden/4.3.1/records.tsv", METADATA "00000000000000000000.log", 0, &expected);
    text_printf(&expected, "131%s", leader_change);
    print_all(bytes_of_str(text_str(&r.delivered)), &actual);
    check_lines(&actual, &expected);
    CHECK_EQ(r.high_watermark, 132);
    text_deinit(&actual);
    text_deinit(&expected);
    CHECK_EQ(rig_deinit(&r, true), 0);
    place_end(&p);
}

/* A directory whose id the voters do not name is another node's. */
TEST(quorum_golden, another_directory_is_refused_in_words)
{
    struct place p;
    struct rig r;

    open_golden("4.4.0", &p, &r);
    r.options.directory_id = (struct uuid){{9}};
    CHECK_EQ(rig_open(&r), -ENOTSUP);
    CHECK(strstr(r.fail.text, "voter is node 1 with directory uI1qXslqSceTrQNdUX2a2A") != NULL);
    (void)rig_deinit(&r, false);
    place_end(&p);
}

/* A freshly formatted directory of either version starts; the first leader writes the voters. */
static void check_formatted(const char *version)
{
    struct place p;
    struct rig r;
    struct text text = {0}, actual = {0};
    struct meta_properties meta;
    struct fail f = {0};
    char folder[64];

    place_real(&p);
    snprintf(folder, sizeof(folder), "%s/formatted/standalone", version);
    place_copy(&p, folder);
    rig_init(&r, &p);
    place_read(&p, "meta.properties", &text);
    CHECK_EQ(meta_properties_parse(text_str(&text), &meta, &f), 0);
    r.options.directory_id = meta.directory_id;
    r.options.static_voters = (struct raft_voters){0};
    CHECK_EQ(rig_open(&r), 0);
    rig_ready(&r);
    CHECK_TEXT(text_str(&r.trace), "leader 1 epoch 1\n"
                                   "0..2 epoch 1 control\n"
                                   "claim 1\n");
    CHECK_EQ(text_str(&r.delivered).n, 174); /* what Kafka's first batch has too */
    print_all(bytes_of_str(text_str(&r.delivered)), &actual);
    CHECK(strstr(actual.p, "\"control\":\"LeaderChangeMessage\"") != NULL);
    CHECK(strstr(actual.p, "\"kRaftVersion\":1") != NULL);
    CHECK(strstr(actual.p, "{\"name\":\"CONTROLLER\",\"host\":\"localhost\",\"port\":29093}") !=
          NULL);
    CHECK_EQ(rig_deinit(&r, true), 0);

    /* From now on they are in the log. */
    rig_init(&r, &p);
    r.options.directory_id = meta.directory_id;
    r.options.static_voters = (struct raft_voters){0};
    CHECK_EQ(rig_open(&r), 0);
    rig_ready(&r);
    CHECK_TEXT(text_str(&r.trace), "leader 1 epoch 2\n"
                                   "0..2 epoch 1 control\n"
                                   "3..3 epoch 2 control\n"
                                   "claim 2\n");
    text_deinit(&text);
    text_deinit(&actual);
    CHECK_EQ(rig_deinit(&r, true), 0);
    place_end(&p);
}

TEST(quorum_golden, a_directory_that_4_3_1_formatted_starts)
{
    check_formatted("4.3.1");
}

TEST(quorum_golden, a_directory_that_4_4_0_formatted_starts)
{
    check_formatted("4.4.0");
}

TEST(quorum_golden, a_directory_formatted_to_join_is_refused_in_words)
{
    static const char *const versions[] = {"4.3.1", "4.4.0"};

    for (size_t i = 0; i < array_count(versions); i++) {
        struct place p;
        struct rig r;
        char folder[64];
        place_real(&p);
        snprintf(folder, sizeof(folder), "%s/formatted/joiner", versions[i]);
        place_copy(&p, folder);
        rig_init(&r, &p);
        r.options.static_voters = (struct raft_voters){0};
        CHECK_EQ(rig_open(&r), -ENOTSUP);
        CHECK(strstr(r.fail.text, "nobody to ask") != NULL);
        (void)rig_deinit(&r, false);
        place_end(&p);
    }
}
