/* quorum-state and meta.properties: bytes as Kafka writes them, and what is refused. */
#include "rig.h"
#include "quorum/internal.h"

static void check_prints(struct raft_election e, int16_t kraft_version, const char *expected)
{
    const struct raft_voters voters = {
        .kraft_version = kraft_version, .count = 2, .voters = {{.id = 2}, {.id = 3}}};
    struct raft_election read;
    struct text out = {0};
    struct fail f = {0};

    election_print(&e, &voters, &out);
    CHECK_TEXT(text_str(&out), expected);
    CHECK_EQ(election_parse(text_str(&out), &read, &f), 0);
    CHECK_EQ(read.epoch, e.epoch);
    CHECK_EQ(read.leader_id, e.leader_id);
    CHECK_EQ(read.voted_id, e.voted_id);
    CHECK(uuid_equal(read.voted_directory_id, e.voted_directory_id));
    text_deinit(&out);
}

TEST(quorum_state, is_printed_as_kafka_prints_it)
{
    struct raft_election e = {.epoch = 5, .leader_id = -1, .voted_id = 3};

    check_prints(e, 0,
                 "{\"clusterId\":\"\",\"leaderId\":-1,\"leaderEpoch\":5,\"votedId\":3,"
                 "\"appliedOffset\":0,\"currentVoters\":[{\"voterId\":2},{\"voterId\":3}],"
                 "\"data_version\":0}");
    CHECK_EQ(uuid_parse(STR("J8aAPcfLQt2bqs1JT_rMgQ"), &e.voted_directory_id), 0);
    check_prints(e, 1,
                 "{\"leaderId\":-1,\"leaderEpoch\":5,\"votedId\":3,"
                 "\"votedDirectoryId\":\"J8aAPcfLQt2bqs1JT_rMgQ\",\"data_version\":1}");
}

static void check_reads(const char *text, const char *expected)
{
    struct raft_election e;
    struct fail f = {0};
    struct text out = {0};

    if (election_parse(str_of(text), &e, &f) < 0)
        text_printf(&out, "%s: %s", error_text(f.error), f.text);
    else
        text_printf(&out, "%d %d %d", e.epoch, e.leader_id, e.voted_id);
    CHECK_TEXT(text_str(&out), expected);
    text_deinit(&out);
}

#define CORRUPT "the bytes fail their checksum or make no sense: "

TEST(quorum_state, is_read_leniently_but_not_guessed)
{
    check_reads("{\"leaderId\":1,\"leaderEpoch\":4,\"votedId\":-1,\"data_version\":0}", "4 1 -1");
    check_reads(" { \"new\" : [ {\"a\":\"}\\\"\"}, 2 ], \"votedId\":-1 ,\"leaderEpoch\" : 4,\n"
                "\"leaderId\":1,\"data_version\":0 }\n",
                "4 1 -1");
    check_reads("", CORRUPT "it is not one JSON object");
    check_reads("{", CORRUPT "it is not one JSON object");
    check_reads("{}", CORRUPT "\"data_version\" is \"\", must be a number from 0 on");
    check_reads("{\"leaderId\":1}x", CORRUPT "it is not one JSON object");
    check_reads("{\"leaderId\":[1}", CORRUPT "it is not one JSON object");
    check_reads("{\"leaderId\":\"1", CORRUPT "it is not one JSON object");
    check_reads("{\"leaderId\":-2,\"leaderEpoch\":4,\"votedId\":-1,\"data_version\":0}",
                CORRUPT "\"leaderId\" is \"-2\", must be a number from -1 on");
    check_reads("{\"leaderId\":1,\"leaderEpoch\":-4,\"votedId\":-1,\"data_version\":0}",
                CORRUPT "\"leaderEpoch\" is \"-4\", must be a number from 0 on");
    check_reads("{\"leaderId\":1,\"leaderEpoch\":4,\"data_version\":0}",
                CORRUPT "\"votedId\" is \"\", must be a number from -1 on");
    check_reads("{\"leaderId\":1,\"leaderEpoch\":4,\"votedId\":-1,\"data_version\":1}",
                CORRUPT "\"votedDirectoryId\" is \"\", must be 22 letters");
    check_reads("{\"leaderId\":1,\"leaderEpoch\":4,\"votedId\":-1,\"data_version\":2}",
                "the version is not one that this program knows: data_version is 2, known are 0 "
                "and 1");
}

/* ---- meta.properties --------------------------------------------------------------------- */

TEST(meta_properties, are_printed_as_kafka_prints_them)
{
    struct meta_properties m = {.cluster_id = CLUSTER, .node_id = 1, .version = 1};
    struct text out = {0};

    CHECK_EQ(uuid_parse(STR("IZjGpXpTfi1LAwsxS1yi0g"), &m.directory_id), 0);
    meta_properties_print(&m, 1795560129450, &out);
    CHECK_TEXT(text_str(&out), "#\n#Tue Nov 24 22:42:09 UTC 2026\nnode.id=1\n"
                               "directory.id=IZjGpXpTfi1LAwsxS1yi0g\nversion=1\n"
                               "cluster.id=" CLUSTER "\n");
    text_clear(&out);
    meta_properties_print(&m, 951782400000, &out); /* a leap day of a century's year */
    CHECK(str_starts(text_str(&out), STR("#\n#Tue Feb 29 00:00:00 UTC 2000\n")));
    text_clear(&out);
    meta_properties_print(&m, 4107542399000, &out); /* 2100 has none */
    CHECK(str_starts(text_str(&out), STR("#\n#Sun Feb 28 23:59:59 UTC 2100\n")));
    text_deinit(&out);
}

static void check_meta(const char *text, const char *expected)
{
    struct meta_properties m;
    struct fail f = {0};
    struct text out = {0};
    char id[UUID_TEXT_BYTES];

    if (meta_properties_parse(str_of(text), &m, &f) < 0)
        text_printf(&out, "%s", f.text);
    else
        text_printf(&out, "v%d node %d cluster %s directory %s", m.version, m.node_id, m.cluster_id,
                    uuid_text(m.directory_id, id));
    CHECK_TEXT(text_str(&out), expected);
    text_deinit(&out);
}

TEST(meta_properties, are_read_as_java_properties)
{
    check_meta("#\n#x\nnode.id=3\nversion=1\ncluster.id=c\n",
               "v1 node 3 cluster c directory AAAAAAAAAAAAAAAAAAAAAA");
    check_meta(
        "\r\n! note\r\n  cluster.id : a\\:b \r\nversion 1\r\nnode.id=\t3\r\nother=\\u0041\r\n"
        "directory.id=IZjGpXpTfi1LAwsxS1yi0g",
        "v1 node 3 cluster a:b directory IZjGpXpTfi1LAwsxS1yi0g");
    check_meta("broker.id=7\n", "v0 node 7 cluster  directory AAAAAAAAAAAAAAAAAAAAAA");
    check_meta("", "v0 node -1 cluster  directory AAAAAAAAAAAAAAAAAAAAAA");
    check_meta("version=1\nnode.id=3\n", "cluster.id is missing");
    check_meta("version=1\ncluster.id=c\n", "node.id is missing");
    check_meta("version=2\n", "version is 2, known are 0 and 1");
    check_meta("version=1\nnode.id=x\n", "node.id is \"x\", must be a number from 0 on");
    check_meta("directory.id=x\n", "directory.id is \"x\", must be 22 letters");
    check_meta("cluster.id=\n", "cluster.id is \"\", must have 1 to 63 letters");
}
