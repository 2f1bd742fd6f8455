/* Formatting: the same bytes as Kafka's tool, but for times and drawn ids. */
#define _GNU_SOURCE /* memmem */
#include "rig.h"
#include "config/config.h"
#include "protocol/user_scram_credential_record.h"
#include "quorum/internal.h"

#include <stdio.h>

#define CHECKPOINT "__cluster_metadata-0/00000000000000000000-0000000000.checkpoint"

/* ---- bytes without what differs each time ------------------------------------------------ */

/* The directory id that a place's meta.properties has. */
static struct uuid directory_of(const struct text *meta)
{
    struct meta_properties m;
    struct fail f = {0};

    CHECK_EQ(meta_properties_parse(text_str(meta), &m, &f), 0);
    return m.directory_id;
}

/* Blank a batch's checksum and times, the header's time in its first record, and the directory. */
static void blank(struct text *content, struct uuid directory)
{
    struct bytes rest = bytes_of_str(text_str(content));
    struct batch b;

    while (batch_next(&rest, &b) == 1) {
        uint8_t *p = (uint8_t *)content->p + (b.bytes.p - (const uint8_t *)content->p);
        struct records records = {0};
        struct record record;
        int16_t type;
        CHECK(batch_crc_ok(&b));
        CHECK_EQ(records_begin(&records, &b, 1 << 20), 0);
        CHECK_EQ(records_next(&records, &record), 1);
        if (batch_is_control(&b) && control_type_read(record.key, &type) == 0 &&
            type == CONTROL_SNAPSHOT_HEADER)
            memset(p + (record.value.p - b.bytes.p) + 2, 0, 8);
        records_end(&records);
        memset(p + 17, 0, 4);
        memset(p + 27, 0, 16);
    }
    CHECK_EQ(rest.n, 0);
    for (char *at = content->p; at != NULL;) {
        at = memmem(at, content->n - (size_t)(at - content->p), directory.b, 16);
        if (at != NULL)
            memset(at, 0, 16);
    }
}

/* ---- formatting -------------------------------------------------------------------------- */

struct request {
    struct format_options o;
    const char *dirs[2];
    char paths[2][300];
    struct text scram;
    struct bytes extra;
    struct text out;
    struct fail fail;
};

/* The user that the golden directories were formatted with. */
static void add_scram(struct request *q)
{
    static const uint8_t stored[] = {0x1a, 0xb1, 0x45, 0xf4, 0x9b, 0x62, 0xf5, 0xef,
                                     0xc9, 0x65, 0xa9, 0x8a, 0xd4, 0x86, 0x64, 0xfe,
                                     0xba, 0x3f, 0x4b, 0x2c, 0x69, 0xa3, 0xab, 0x0d,
                                     0xc8, 0x22, 0x20, 0xb4, 0x3a, 0x65, 0x06, 0x1d};
    static const uint8_t server[] = {0xa5, 0xdb, 0x10, 0x83, 0xff, 0x92, 0x82, 0x75,
                                     0x39, 0x8f, 0xb6, 0xd1, 0xea, 0x47, 0x74, 0xd4,
                                     0x1a, 0xc9, 0x42, 0xe4, 0x3e, 0x51, 0x2e, 0x70,
                                     0x9b, 0x2c, 0x57, 0x46, 0x47, 0x05, 0x97, 0x63};
    struct user_scram_credential_record m;

    user_scram_credential_record_init(&m);
    m.name = STR("alice");
    m.mechanism = 1;
    m.salt = bytes_of_str(STR("alice-salt"));
    m.stored_key = (struct bytes){stored, sizeof(stored)};
    m.server_key = (struct bytes){server, sizeof(server)};
    m.iterations = 4096;
    quorum_frame(&user_scram_credential_record_message, 0, &m, &q->scram);
    q->extra = bytes_of_str(text_str(&q->scram));
    q->o.extra_framed = &q->extra;
    q->o.extra_count = 1;
}

/* Node 1 with `dir_count` directories named a and b; the first holds the metadata. */
static void request_init(struct request *q, struct place *p, int16_t version, uint32_t dir_count)
{
    *q = (struct request){0};
    for (uint32_t i = 0; i < dir_count; i++) {
        snprintf(q->paths[i], sizeof(q->paths[i]), "%s/new/%c", p->dir, (int)('a' + i));
        q->dirs[i] = q->paths[i];
    }
    q->o = (struct format_options){.cluster_id = STR(CLUSTER),
                                   .node_id = NODE,
                                   .dirs = q->dirs,
                                   .dir_count = dir_count,
                                   .metadata_version = version};
}

static void request_standalone(struct request *q)
{
    q->o.standalone = true;
    q->o.initial_voters = (struct raft_voters){
        .count = 1,
        .voters = {{.id = NODE,
                    .endpoints = {{.name = "CONTROLLER", .host = "localhost", .port = 29093}},
                    .endpoint_count = 1,
                    .kraft_version_max = 1}}};
}

static int64_t request_run(struct request *q, struct place *p)
{
    struct wait w;

    text_clear(&q->out);
    quorum_format(p->io, &q->o, &q->out, &q->fail, wait_begin(&w));
    return wait_end(p, &w);
}

static void request_deinit(struct request *q)
{
    text_deinit(&q->scram);
    text_deinit(&q->out);
}

/* ---- against the golden directories ------------------------------------------------------ */

static void check_same(struct place *p, const char *name, struct uuid ours, struct uuid golden)
{
    struct text actual = {0}, expected = {0};
    char path[300];

    snprintf(path, sizeof(path), "new/a/%s", name);
    place_read(p, path, &actual);
    place_read(p, name, &expected);
    blank(&actual, ours);
    blank(&expected, golden);
    CHECK_BYTES(actual.p, actual.n, expected.p, expected.n);
    text_deinit(&actual);
    text_deinit(&expected);
}

/* Format as a golden directory was formatted, and compare each file. */
static void check_golden(const char *version, const char *kind, bool has_bootstrap,
                         bool has_checkpoint)
{
    struct place p;
    struct request q;
    struct text ours = {0}, golden = {0}, names = {0};
    char folder[64];
    bool new = strcmp(version, "4.4.0") == 0;

    place_real(&p);
    snprintf(folder, sizeof(folder), "%s/formatted/%s", version, kind);
    place_copy(&p, folder);
    request_init(&q, &p, new ? 33 : 30, 1);
    add_scram(&q);
    if (strcmp(kind, "standalone") == 0)
        request_standalone(&q);
    q.o.no_initial_controllers = strcmp(kind, "joiner") == 0;
    if (request_run(&q, &p) < 0)
        check_fail(__FILE__, __LINE__, "%s", q.fail.text);

    place_read(&p, "new/a/meta.properties", &ours);
    place_read(&p, "meta.properties", &golden);
    CHECK_EQ(ours.n, golden.n);
    struct uuid our_id = directory_of(&ours), golden_id = directory_of(&golden);
    if (has_bootstrap)
        check_same(&p, "bootstrap.checkpoint", our_id, golden_id);
    if (has_checkpoint)
        check_same(&p, CHECKPOINT, our_id, golden_id);
    place_list(&p, "new/a", &names);
    CHECK_EQ(strstr(names.p, "bootstrap.checkpoint") != NULL, has_bootstrap);
    CHECK_EQ(strstr(names.p, "__cluster_metadata-0") != NULL, has_checkpoint);
    text_deinit(&ours);
    text_deinit(&golden);
    text_deinit(&names);
    request_deinit(&q);
    place_end(&p);
}

TEST(format_golden, static_4_3_1)
{
    check_golden("4.3.1", "static", true, false);
}

TEST(format_golden, standalone_4_3_1)
{
    check_golden("4.3.1", "standalone", true, true);
}

TEST(format_golden, joiner_4_3_1)
{
    check_golden("4.3.1", "joiner", true, false);
}

TEST(format_golden, static_4_4_0)
{
    check_golden("4.4.0", "static", false, true);
}

TEST(format_golden, standalone_4_4_0)
{
    check_golden("4.4.0", "standalone", false, true);
}

TEST(format_golden, joiner_4_4_0)
{
    check_golden("4.4.0", "joiner", false, true);
}

/* ---- what it says and refuses ------------------------------------------------------------ */

static const char bootstrap_line[] =
    "Bootstrap metadata: BootstrapMetadata(records=[ApiMessageAndVersion(FeatureLevelRecord("
    "name='metadata.version', featureLevel=30) at version 0), ApiMessageAndVersion("
    "FeatureLevelRecord(name='eligible.leader.replicas.version', featureLevel=1) at version 0), "
    "ApiMessageAndVersion(FeatureLevelRecord(name='group.version', featureLevel=1) at version 0), "
    "ApiMessageAndVersion(FeatureLevelRecord(name='share.version', featureLevel=1) at version 0), "
    "ApiMessageAndVersion(FeatureLevelRecord(name='streams.version', featureLevel=1) at version "
    "0), "
    "ApiMessageAndVersion(FeatureLevelRecord(name='transaction.version', featureLevel=2) at "
    "version 0)], metadataVersionLevel=30, source=format command)\n";

TEST(format, says_what_kafkas_tool_says)
{
    struct place p;
    struct request q;
    struct text expected = {0}, names = {0};

    place_real(&p);
    request_init(&q, &p, 30, 2);
    CHECK_EQ(request_run(&q, &p), 0);
    text_printf(&expected,
                "%sFormatting metadata directory %s with metadata.version 4.3-IV0.\n"
                "Formatting data directory %s with metadata.version 4.3-IV0.\n",
                bootstrap_line, q.paths[0], q.paths[1]);
    CHECK_TEXT(text_str(&q.out), expected.p);
    place_list(&p, "new/b", &names);
    CHECK_TEXT(text_str(&names), "bootstrap.checkpoint\nmeta.properties\n");

    CHECK_EQ(request_run(&q, &p), -EEXIST);
    text_clear(&expected);
    text_printf(&expected,
                "Log directory %s is already formatted. Use --ignore-formatted to ignore this "
                "directory and format the others.",
                q.paths[0]);
    CHECK_TEXT(q.fail.text, expected.p);

    q.o.ignore_formatted = true;
    CHECK_EQ(request_run(&q, &p), 0);
    CHECK_TEXT(text_str(&q.out), "All of the log directories are already formatted.\n");

    q.o.cluster_id = STR("other");
    CHECK_EQ(request_run(&q, &p), -EINVAL);
    CHECK(strstr(q.fail.text, "Expected other, but read " CLUSTER) != NULL);
    q.o.cluster_id = STR(CLUSTER);
    q.o.node_id = 2;
    CHECK_EQ(request_run(&q, &p), -EINVAL);
    CHECK(strstr(q.fail.text, "Stored node id 1") != NULL);
    text_deinit(&expected);
    text_deinit(&names);
    request_deinit(&q);
    place_end(&p);
}

TEST(format, keys_of_users_are_not_printed)
{
    struct place p;
    struct request q;

    place_real(&p);
    request_init(&q, &p, 30, 1);
    add_scram(&q);
    CHECK_EQ(request_run(&q, &p), 0);
    CHECK(strstr(q.out.p,
                 "UserScramCredentialRecord(name='alice', mechanism=1, salt=[hidden], "
                 "storedKey=[hidden], serverKey=[hidden], iterations=4096) at version 0)") != NULL);
    request_deinit(&q);
    place_end(&p);
}

TEST(format, a_directory_that_is_new_is_formatted_beside_one_that_is_not)
{
    struct place p;
    struct request q;
    struct text first = {0}, again = {0};

    place_real(&p);
    request_init(&q, &p, 30, 1);
    CHECK_EQ(request_run(&q, &p), 0);
    place_read(&p, "new/a/meta.properties", &first);
    request_deinit(&q);
    request_init(&q, &p, 30, 2);
    q.o.ignore_formatted = true;
    CHECK_EQ(request_run(&q, &p), 0);
    CHECK(strstr(q.out.p, "Formatting data directory") != NULL);
    CHECK(strstr(q.out.p, "Formatting metadata directory") == NULL);
    place_read(&p, "new/a/meta.properties", &again);
    CHECK_TEXT(text_str(&again), first.p);
    text_deinit(&first);
    text_deinit(&again);
    request_deinit(&q);
    place_end(&p);
}

TEST(format, no_directory_that_can_be_read_is_an_error)
{
    struct place p;
    struct request q;

    place_real(&p);
    place_write(&p, "new", bytes_of_str(STR("a file")));
    request_init(&q, &p, 30, 1);
    CHECK(request_run(&q, &p) < 0);
    CHECK_TEXT(q.fail.text, "No available log directories to format.");
    CHECK(strstr(q.out.p, "I/O error trying to read log directory") != NULL);
    request_deinit(&q);
    place_end(&p);
}

static void check_features(int16_t version, bool dynamic, const char *name, int16_t level,
                           const char *expected)
{
    const struct image_feature_level asked = {str_of(name), level};
    const struct format_options o = {.metadata_version = version,
                                     .no_initial_controllers = dynamic,
                                     .features = &asked,
                                     .feature_count = name != NULL};
    int16_t levels[FEATURE_COUNT];
    struct fail f = {0};
    struct text out = {0};

    if (format_features(&o, levels, &f) < 0) {
        text_printf(&out, "%s", f.text);
    } else {
        for (int i = 0; i < FEATURE_COUNT; i++)
            text_printf(&out, "%d ", levels[i]);
    }
    CHECK_TEXT(text_str(&out), expected);
    text_deinit(&out);
}

/* Levels in the order metadata, kraft, transaction, group, elr, share, streams. */
TEST(format, levels_follow_the_release)
{
    check_features(30, false, NULL, 0, "30 0 2 1 1 1 1 ");
    check_features(30, true, NULL, 0, "30 1 2 1 1 1 1 ");
    check_features(33, true, NULL, 0, "33 1 2 1 1 2 1 ");
    check_features(25, false, NULL, 0, "25 0 2 1 0 0 0 ");
    check_features(7, false, NULL, 0, "7 0 0 0 0 0 0 ");
    check_features(30, false, "group.version", 0, "30 0 2 0 1 1 1 ");
    check_features(30, false, "group.version", 7, "No feature:group.version with feature level 7");
    check_features(30, false, "nope", 1,
                   "Unsupported feature: nope. Supported features are: "
                   "eligible.leader.replicas.version, group.version, kraft.version, share.version, "
                   "streams.version, transaction.version");
    check_features(21, false, "eligible.leader.replicas.version", 1,
                   "eligible.leader.replicas.version could not be set to 1 because it depends on "
                   "metadata.version level 23");
    check_features(30, false, "kraft.version", 0, "30 0 2 1 1 1 1 ");
    check_features(
        30, true, "kraft.version", 0,
        "Cannot set kraft.version to 0 if controller.quorum.voters is empty and one of the "
        "flags --standalone, --initial-controllers, or --no-initial-controllers is used. "
        "For dynamic controllers support, try removing the --feature flag for "
        "kraft.version.");
    check_features(
        30, false, "kraft.version", 1,
        "Cannot set kraft.version to 1 unless controller.quorum.voters is empty and one of "
        "the flags --standalone, --initial-controllers, or --no-initial-controllers is "
        "used. For dynamic controllers support, try using one of --standalone, "
        "--initial-controllers, or --no-initial-controllers and removing "
        "controller.quorum.voters.");
    check_features(99, false, NULL, 0, "Unknown metadata.version level 99");
}

/* ---- by itself --------------------------------------------------------------------------- */

static void set(struct config *c, const char *name, const char *value)
{
    struct fail f = {0};

    if (config_set(c, CONFIG_STATIC_BROKER, str_of(name), str_of(value), &f) < 0)
        check_fail(__FILE__, __LINE__, "%s", f.text);
}

/* Format as a server does, and open what was written. */
static void check_default(const char *voters, const char *expected)
{
    struct place p;
    struct rig r;
    struct request q;
    struct text text = {0};
    struct meta_properties meta;
    struct wait w;
    struct config *c = config_new(&broker_settings);

    place_real(&p);
    request_init(&q, &p, 30, 2);
    set(c, "process.roles", "broker,controller");
    set(c, "node.id", "1");
    set(c, "listeners", "PLAINTEXT://127.0.0.1:9092,CONTROLLER://:9093");
    set(c, "controller.listener.names", "CONTROLLER");
    if (voters != NULL)
        set(c, "controller.quorum.voters", voters);
    quorum_format_default(p.io, c, q.dirs, 2, 0, STR(CLUSTER), NODE, &q.out, &q.fail,
                          wait_begin(&w));
    CHECK_EQ(wait_end(&p, &w), 0);
    quorum_format_default(p.io, c, q.dirs, 2, 0, STR(CLUSTER), NODE, &q.out, &q.fail,
                          wait_begin(&w));
    CHECK_EQ(wait_end(&p, &w), 0); /* again: nothing is left to do */

    place_read(&p, "new/a/meta.properties", &text);
    CHECK_EQ(meta_properties_parse(text_str(&text), &meta, &q.fail), 0);
    strcat(p.dir, "/new/a");
    rig_init(&r, &p);
    r.options.directory_id = meta.directory_id;
    if (voters == NULL)
        r.options.static_voters = (struct raft_voters){0};
    CHECK_EQ(rig_open(&r), 0);
    rig_ready(&r);
    const struct raft_voter *v = &quorum_voters(r.q)->voters[0];
    text_clear(&text);
    text_printf(&text, "kraft %d voter %d %s://%s:%d", quorum_voters(r.q)->kraft_version, v->id,
                v->endpoints[0].name, v->endpoints[0].host, v->endpoints[0].port);
    CHECK_TEXT(text_str(&text), expected);
    text_deinit(&text);
    CHECK_EQ(rig_deinit(&r, true), 0);
    config_free(c);
    request_deinit(&q);
    p.dir[strlen(p.dir) - strlen("/new/a")] = '\0';
    place_end(&p);
}

TEST(format_default, voters_are_those_of_the_settings)
{
    check_default("1@127.0.0.1:9093", "kraft 0 voter 1 ://:0");
}

TEST(format_default, without_any_the_node_is_the_only_one)
{
    check_default(NULL, "kraft 1 voter 1 CONTROLLER://localhost:9093");
}

/* ---- what a controller reads of it
 * ---------------------------------------------------------------- */

static void read_bootstrap(struct place *p, const char *dir, struct text *out, int64_t expected)
{
    struct fail f = {0};
    struct wait w;
    char path[300];

    snprintf(path, sizeof(path), "%s%s%s", p->dir, dir[0] == '\0' ? "" : "/", dir);
    quorum_bootstrap(p->io, path, out, &f, wait_begin(&w));
    CHECK_EQ(wait_end(p, &w), expected);
    if (expected < 0)
        CHECK(strstr(f.text, "bootstrap.checkpoint") != NULL);
}

/* Number of records, and the first one's level. */
static void count_records(const struct text *batches, uint32_t *count, int32_t *level)
{
    struct bytes rest = bytes_of_str(text_str(batches));
    struct batch b;

    *count = 0;
    while (batch_next(&rest, &b) == 1) {
        CHECK(!batch_is_control(&b));
        if (*count == 0) {
            struct records records = {0};
            struct record record;
            CHECK_EQ(records_begin(&records, &b, 1 << 20), 0);
            CHECK_EQ(records_next(&records, &record), 1);
            *level = get_i16(record.value.p + record.value.n - 3);
            records_end(&records);
        }
        *count += (uint32_t)b.count;
    }
}

TEST(bootstrap, is_found_in_every_layout)
{
    struct place p;
    struct text out = {0};
    uint32_t count;
    int32_t level;

    static const struct {
        const char *folder;
        uint32_t count;
        int32_t level;
    } cases[] = {
        {"4.3.1/formatted/static", 7, 30},
        {"4.3.1/formatted/standalone", 7, 30},
        {"4.3.1/formatted/joiner", 7, 30},
        {"4.4.0/formatted/static", 7, 33},
        {"4.4.0/formatted/standalone", 7, 33},
        {"4.4.0/formatted/joiner", 7, 33},
        {"4.3.1/a", 7, 30},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        place_real(&p);
        place_copy(&p, cases[i].folder);
        read_bootstrap(&p, "", &out, 0);
        count_records(&out, &count, &level);
        CHECK_EQ(count, cases[i].count);
        CHECK_EQ(level, cases[i].level);
        place_end(&p);
    }
    text_deinit(&out);
}

TEST(bootstrap, is_the_default_where_there_is_none_and_refused_where_it_is_torn)
{
    struct place p;
    struct text out = {0}, whole = {0};
    uint32_t count;
    int32_t level;

    place_real(&p);
    read_bootstrap(&p, "", &out, 0);
    count_records(&out, &count, &level);
    CHECK_EQ(count, 1);
    CHECK_EQ(level, FORMAT_METADATA_VERSION);
    place_copy(&p, "4.3.1/formatted/static");
    place_read(&p, "bootstrap.checkpoint", &whole);
    place_write(&p, "bootstrap.checkpoint",
                (struct bytes){(uint8_t *)whole.p, (int32_t)whole.n - 75});
    read_bootstrap(&p, "", &out, ERR_CORRUPT);
    text_deinit(&out);
    text_deinit(&whole);
    place_end(&p);
}
