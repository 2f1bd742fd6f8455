/* kafka-storage.sh: words in, text and status out, as the tool of 4.3.1 gives them. */
#define _GNU_SOURCE
#include "check.h"
#include "cli/cli.h"
#include "cli/scram.h"
#include "io_epoll/io_epoll.h"
#include "log/journal_format.h"
#include "protocol/protocol.h"
#include "protocol/user_scram_credential_record.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLUSTER "bWlsbHJhY2Vnb2xkZW40NA"

struct place {
    struct io_epoll_world *world;
    char dir[64];
    struct text result; /* "status N", then both outputs; DIR stands for the directory */
};

static void place_begin(struct place *p)
{
    *p = (struct place){0};
    ASSERT(io_epoll_new(1, NULL, &p->world) == 0);
    ASSERT(io_epoll_start(p->world, NULL, NULL) == 0);
    strcpy(p->dir, "/tmp/millrace-cli-XXXXXX");
    ASSERT(mkdtemp(p->dir) != NULL);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    return remove(path);
}

static void place_end(struct place *p)
{
    io_epoll_free(p->world);
    nftw(p->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    text_deinit(&p->result);
}

static void add_masked(struct text *out, struct str text, const char *dir)
{
    size_t n = strlen(dir);

    for (int32_t i = 0; i < text.n; i++) {
        if ((size_t)(text.n - i) >= n && memcmp(text.p + i, dir, n) == 0) {
            text_printf(out, "DIR");
            i += (int32_t)n - 1;
        } else {
            text_add(out, text.p + i, 1);
        }
    }
}

struct wait {
    struct op op;
    bool done;
    int64_t status;
};

static void wait_done(struct op *op, int64_t result)
{
    struct wait *w = container_of(op, struct wait, op);

    w->done = true;
    w->status = result;
}

/* Run "storage" with the words of `line`, split at blanks; DIR in them stands for the directory. */
static struct str run(struct place *p, const char *line)
{
    struct cli c = {.io = io_epoll_shard(p->world, 0)};
    struct wait w = {0};
    struct text words[40] = {{0}};
    char *argv[41];
    struct str rest = str_of(line), word;

    argv[0] = (char[]){"storage"};
    c.argc = 1;
    while (rest.n > 0 && str_cut(&rest, ' ', &word)) {
        struct text *t = &words[c.argc];
        for (int32_t i = 0; i < word.n; i++) {
            bool dir = word.n - i >= 3 && memcmp(word.p + i, "DIR", 3) == 0;
            if (dir)
                text_printf(t, "%s", p->dir);
            else
                text_add(t, word.p + i, 1);
            i += dir ? 2 : 0;
        }
        argv[c.argc++] = t->p;
    }
    c.argv = argv;
    op_init(&w.op, wait_done);
    storage_run(&c, &w.op);
    CHECK(!w.done);
    for (int i = 0; i < 60000 && !w.done; i++) /* two minutes */
        io_epoll_turn(p->world, 2000000);
    CHECK(w.done);
    text_clear(&p->result);
    text_printf(&p->result, "status %d\n", (int)w.status);
    add_masked(&p->result, text_str(&c.out), p->dir);
    if (c.err.n > 0)
        text_printf(&p->result, "--\n");
    add_masked(&p->result, text_str(&c.err), p->dir);
    text_deinit(&c.out);
    text_deinit(&c.err);
    for (size_t i = 0; i < array_count(words); i++)
        text_deinit(&words[i]);
    return text_str(&p->result);
}

static void write_settings(struct place *p, const char *name, const char *roles, const char *voters,
                           const char *dirs)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", p->dir, name);
    FILE *f = fopen(path, "w");
    ASSERT(f != NULL);
    fprintf(f, "process.roles=%s\nnode.id=1\ncontroller.listener.names=CONTROLLER\n%s", roles,
            voters);
    if (strstr(roles, "controller") != NULL)
        fprintf(f, "listeners=PLAINTEXT://localhost:29092,CONTROLLER://localhost:29093\n");
    else
        fprintf(f, "listeners=PLAINTEXT://localhost:29092\n");
    struct str rest = str_of(dirs), dir;
    fprintf(f, "log.dirs=");
    for (bool first = true; str_cut(&rest, ',', &dir); first = false)
        fprintf(f, "%s%s/%.*s", first ? "" : ",", p->dir, STR_ARG(dir));
    fprintf(f, "\n");
    fclose(f);
}

#define VOTERS "controller.quorum.voters=1@localhost:29093\n"
#define SERVERS "controller.quorum.bootstrap.servers=localhost:29093\n"

static bool exists(struct place *p, const char *name)
{
    char path[256];
    struct stat status;

    snprintf(path, sizeof(path), "%s/%s", p->dir, name);
    return stat(path, &status) == 0;
}

#define BOOTSTRAP                                                                                 \
    "Bootstrap metadata: BootstrapMetadata(records=[ApiMessageAndVersion(FeatureLevelRecord("     \
    "name='metadata.version', featureLevel=30) at version 0), ApiMessageAndVersion("              \
    "FeatureLevelRecord(name='eligible.leader.replicas.version', featureLevel=1) at version 0), " \
    "ApiMessageAndVersion(FeatureLevelRecord(name='group.version', featureLevel=1) at version "   \
    "0), "                                                                                        \
    "ApiMessageAndVersion(FeatureLevelRecord(name='share.version', featureLevel=1) at version "   \
    "0), "                                                                                        \
    "ApiMessageAndVersion(FeatureLevelRecord(name='streams.version', featureLevel=1) at version " \
    "0), ApiMessageAndVersion(FeatureLevelRecord(name='transaction.version', featureLevel=2) at " \
    "version 0)], metadataVersionLevel=30, source=format command)\n"

TEST(storage_format, a_static_quorum)
{
    struct place p;

    place_begin(&p);
    write_settings(&p, "s", "broker,controller", VOTERS, "a,b");
    CHECK_TEXT(run(&p, "format -t " CLUSTER " -c DIR/s"),
               "status 0\n" BOOTSTRAP
               "Formatting metadata directory DIR/a with metadata.version 4.3-IV0.\n"
               "Formatting data directory DIR/b with metadata.version 4.3-IV0.\n");
    CHECK(exists(&p, "a/meta.properties") && exists(&p, "a/bootstrap.checkpoint"));
    CHECK(exists(&p, "b/meta.properties") && exists(&p, "b/bootstrap.checkpoint"));
    CHECK(!exists(&p, "a/__cluster_metadata-0"));
    CHECK_TEXT(
        run(&p, "format --cluster-id=" CLUSTER " --config DIR/s"),
        "status 1\n--\nLog directory DIR/a is already formatted. Use --ignore-formatted to ignore "
        "this directory and format the others.\n");
    CHECK_TEXT(run(&p, "format -t" CLUSTER " -cDIR/s -g"),
               "status 0\nAll of the log directories are already formatted.\n");
    CHECK_TEXT(run(&p, "format -t other -c DIR/s -g"),
               "status 1\n--\nInvalid cluster.id in: DIR/a/meta.properties. Expected other, but "
               "read " CLUSTER "\n");
    CHECK_TEXT(
        run(&p, "format -t " CLUSTER " -c DIR/s -s"),
        "status 1\n--\nYou cannot specify controller.quorum.voters and format the node with "
        "--initial-controllers or --standalone. If you want to use dynamic quorum, please remove "
        "controller.quorum.voters and specify controller.quorum.bootstrap.servers instead.\n");
    place_end(&p);
}

TEST(storage_format, a_dynamic_quorum)
{
    struct place p;

    place_begin(&p);
    write_settings(&p, "s", "broker,controller", SERVERS, "a");
    CHECK_TEXT(
        run(&p, "format -t " CLUSTER " -c DIR/s"),
        "status 1\n--\nBecause controller.quorum.voters is not set on this controller, you must "
        "specify one of the following: --standalone, --initial-controllers, or "
        "--no-initial-controllers.\n");
    CHECK(!exists(&p, "a"));
    CHECK_TEXT(
        run(&p, "format -t " CLUSTER " -c DIR/s --standalone"),
        "status 0\n" BOOTSTRAP
        "Formatting dynamic metadata voter directory DIR/a with metadata.version 4.3-IV0.\n");
    CHECK(exists(&p, "a/bootstrap.checkpoint"));
    CHECK(exists(&p, "a/__cluster_metadata-0/00000000000000000000-0000000000.checkpoint"));
    write_settings(&p, "s", "broker,controller", SERVERS, "b");
    CHECK_TEXT(run(&p, "format -t " CLUSTER " -c DIR/s -N"),
               "status 0\n" BOOTSTRAP
               "Formatting metadata directory DIR/b with metadata.version 4.3-IV0.\n");
    CHECK(!exists(&p, "b/__cluster_metadata-0"));
    write_settings(&p, "s", "broker,controller", SERVERS, "c");
    CHECK_TEXT(
        run(&p, "format -t " CLUSTER " -c DIR/s -I 0@example.com:8082:JEXY6aqzQY-32P5TStzaFg"),
        "status 0\n" BOOTSTRAP
        "Formatting dynamic metadata directory DIR/c with metadata.version 4.3-IV0.\n");
    CHECK(exists(&p, "c/__cluster_metadata-0/00000000000000000000-0000000000.checkpoint"));
    write_settings(&p, "s", "broker,controller", SERVERS, "d");
    CHECK_TEXT(
        run(&p, "format -t " CLUSTER " -c DIR/s -I "
                "1@[::1]:29093:JEXY6aqzQY-32P5TStzaFg,2@h:1:MvDxzVmcRsaTz33bUuRU6A"),
        "status 0\n" BOOTSTRAP
        "Formatting dynamic metadata voter directory DIR/d with metadata.version 4.3-IV0.\n");
    CHECK_TEXT(run(&p, "info -c DIR/s"),
               "status 0\nFound log directory:\n  DIR/d\n\nFound metadata: {cluster.id=" CLUSTER
               ", directory.id=JEXY6aqzQY-32P5TStzaFg, node.id=1, version=1}\n\n");
    place_end(&p);
}

/* From 4.4 on there is no bootstrap.checkpoint. */
TEST(storage_format, another_release)
{
    struct place p;

    place_begin(&p);
    write_settings(&p, "s", "broker,controller", VOTERS, "a,b");
    struct str said = run(&p, "format -t " CLUSTER " -c DIR/s -r 4.4");
    CHECK(str_starts(said, STR("status 0\n")));
    CHECK(memmem(said.p, (size_t)said.n, "with metadata.version 4.4-IV2.", 30) != NULL);
    CHECK(!exists(&p, "a/bootstrap.checkpoint") && !exists(&p, "b/bootstrap.checkpoint"));
    CHECK(exists(&p, "a/__cluster_metadata-0/00000000000000000000-0000000000.checkpoint"));
    CHECK(!exists(&p, "b/__cluster_metadata-0"));
    write_settings(&p, "s", "broker,controller", VOTERS, "c");
    CHECK_TEXT(run(&p, "format -t " CLUSTER " -c DIR/s --release-version 3.3"),
               "status 0\nBootstrap metadata: BootstrapMetadata(records=[ApiMessageAndVersion("
               "FeatureLevelRecord(name='metadata.version', featureLevel=7) at version 0)], "
               "metadataVersionLevel=7, source=format command)\n"
               "Formatting metadata directory DIR/c with metadata.version 3.3-IV3.\n");
    write_settings(&p, "s", "broker", SERVERS, "d");
    CHECK(str_starts(run(&p, "format -t " CLUSTER " -c DIR/s -f metadata.version=29"),
                     STR("status 0\n")));
    CHECK_TEXT(run(&p, "format -t " CLUSTER " -c DIR/s -s"),
               "status 1\n--\nYou can only use --standalone on a controller.\n");
    place_end(&p);
}

TEST(storage_format, what_it_refuses)
{
    static const struct {
        const char *words, *says;
    } cases[] = {
        {"-s -r 9.9", "Unknown metadata.version '9.9'. Supported metadata.version are: 3.3-IV3, "
                      "3.4-IV0, 3.5-IV0, 3.5-IV1, 3.5-IV2, 3.6-IV0, 3.6-IV1, 3.6-IV2, 3.7-IV0, "
                      "3.7-IV1, 3.7-IV2, 3.7-IV3, 3.7-IV4, 3.8-IV0, 3.9-IV0, 4.0-IV0, 4.0-IV1, "
                      "4.0-IV2, 4.0-IV3, 4.1-IV0, 4.1-IV1, 4.2-IV0, 4.2-IV1, 4.3-IV0, 4.4-IV0, "
                      "4.4-IV1, 4.4-IV2"},
        {"-s -r 4.5-IV0", "Unknown metadata.version '4.5-IV0'."},
        {"-s -f nope=1", "Unsupported feature: nope. Supported features are: "},
        {"-s -f group.version=7", "No feature:group.version with feature level 7"},
        {"-s -f group.version",
         "Can't parse feature=level string group.version: equals sign not found."},
        {"-s -f group.version=x",
         "Can't parse feature=level string group.version=x: unable to parse x as a short."},
        {"-s -f kraft.version=0",
         "Cannot set kraft.version to 0 if controller.quorum.voters is empty"},
        {"-s -f metadata.version=29 -r 4.3",
         "Use --release-version instead of --feature metadata.version=X to avoid ambiguity."},
        {"-s -f metadata.version=99", "No MetadataVersion with feature level 99"},
        {"-s -f eligible.leader.replicas.version=1 -r 3.9",
         "eligible.leader.replicas.version could not be set to 1 because it depends on "
         "metadata.version level 23"},
        {"-I nonsense", "No @ found in dynamic voter string."},
        {"-I 1@h:1", "No colon following port could be found."},
        {"-I 1@h:x:JEXY6aqzQY-32P5TStzaFg", "Failed to parse port in dynamic voter string."},
        {"-I x@h:1:JEXY6aqzQY-32P5TStzaFg", "Failed to parse node id in dynamic voter string."},
        {"-I 1@h:1:zz", "Failed to parse directory ID in dynamic voter string."},
        {"-I 1@h:1:JEXY6aqzQY-32P5TStzaFg,1@h:2:JEXY6aqzQY-32P5TStzaFg",
         "Node id 1 was specified more than once."},
        {"-s -S foo", "Failed to find equals sign in SCRAM argument 'foo'"},
        {"-s -S SCRAM-MD5=[name=a]", "The add-scram mechanism SCRAM-MD5 is not supported."},
        {"-s -S SCRAM-SHA-256=name=a", "Expected configuration string to start with ["},
        {"-s -S SCRAM-SHA-256=[name=a", "Expected configuration string to end with ]"},
        {"-s -S SCRAM-SHA-256=[password=a]", "You must supply 'name' to add-scram"},
        {"-s -S SCRAM-SHA-256=[name=a]",
         "You must supply one of 'password' or 'saltedpassword' to add-scram"},
        {"-s -S SCRAM-SHA-256=[name=a,saltedpassword=aaaa]",
         "You must supply 'salt' with 'saltedpassword' to add-scram"},
        {"-s -S SCRAM-SHA-256=[name=a,password=b,salt=%]", "Failed to decode given salt: %"},
        {"-s -S SCRAM-SHA-256=[name=a,password=b,x=1]", "Unknown SCRAM configurations: x"},
        {"-s -S SCRAM-SHA-256=[name=a,password=b,iterations=1]",
         "The 'iterations' value must be >= 4096 for add-scram using SCRAM_SHA_256"},
        {"-s -S SCRAM-SHA-512=[name=a,password=b,iterations=99999]",
         "The 'iterations' value must be <= 16384 for add-scram using SCRAM_SHA_512"},
        {"-s -r 3.4 -S SCRAM-SHA-256=[name=a,password=b]",
         "SCRAM is only supported in metadata.version 3.5-IV2 or later."},
    };
    struct place p;
    char line[512], expected[1024];

    place_begin(&p);
    write_settings(&p, "s", "broker,controller", SERVERS, "a");
    for (size_t i = 0; i < array_count(cases); i++) {
        snprintf(line, sizeof(line), "format -t " CLUSTER " -c DIR/s %s", cases[i].words);
        snprintf(expected, sizeof(expected), "status 1\n--\n%s", cases[i].says);
        struct str said = run(&p, line);
        if (!str_starts(said, str_of(expected)))
            check_fail(__FILE__, __LINE__, "%s: %.*s", cases[i].words, STR_ARG(said));
        CHECK(!exists(&p, "a"));
    }
    CHECK_TEXT(run(&p, "format -t " CLUSTER " -c DIR/none"),
               "status 1\n--\ncannot read DIR/none: No such file or directory\n");
    place_end(&p);
}

#define USAGE                                                                    \
    "usage: kafka-storage format [-h] --config CONFIG --cluster-id CLUSTER_ID\n" \
    "                     [--add-scram ADD_SCRAM] [--ignore-formatted]\n"        \
    "                     [--release-version RELEASE_VERSION]\n"                 \
    "                     [--feature FEATURE] [--standalone |\n"                 \
    "                     --no-initial-controllers |\n"                          \
    "                     --initial-controllers INITIAL_CONTROLLERS]\n"          \
    "kafka-storage: error: "

TEST(storage, words_that_are_wrong)
{
    struct place p;

    place_begin(&p);
    CHECK_TEXT(run(&p, "format -c x"),
               "status 1\n--\n" USAGE "argument --cluster-id/-t is required\n");
    CHECK_TEXT(run(&p, "format -c x -t"),
               "status 1\n--\n" USAGE "argument --cluster-id/-t: expected one argument\n");
    CHECK_TEXT(run(&p, "format -t -c x"),
               "status 1\n--\n" USAGE "argument --cluster-id/-t: expected one argument\n");
    CHECK_TEXT(run(&p, "format -c x -t y --bogus"),
               "status 1\n--\n" USAGE "unrecognized arguments: '--bogus'\n");
    CHECK_TEXT(run(&p, "format -c x -t y -s -N"),
               "status 1\n--\n" USAGE "argument --no-initial-controllers/-N: not allowed with "
               "argument --standalone/-s\n");
    CHECK_TEXT(
        run(&p, ""),
        "status 1\n--\nusage: kafka-storage [-h]\n"
        "                     {info,format,drain,version-mapping,feature-dependencies,random-uuid}\n"
        "                     ...\nkafka-storage: error: too few arguments\n");
    CHECK_TEXT(
        run(&p, "bogus"),
        "status 1\n--\nusage: kafka-storage [-h]\n"
        "                     {info,format,drain,version-mapping,feature-dependencies,random-uuid}\n"
        "                     ...\nkafka-storage: error: invalid choice: 'bogus' (choose from "
        "'info', 'format', 'drain', 'version-mapping', 'feature-dependencies', 'random-uuid')\n");
    static const char *const helps[] = {"-h",
                                        "--help",
                                        "format -h",
                                        "info --help",
                                        "random-uuid -h",
                                        "drain -h",
                                        "version-mapping -h",
                                        "feature-dependencies -h"};
    for (size_t i = 0; i < array_count(helps); i++)
        CHECK(str_starts(run(&p, helps[i]), STR("status 0\nusage: kafka-storage")));
    place_end(&p);
}

TEST(storage, version_mapping)
{
    struct place p;

    place_begin(&p);
    CHECK_TEXT(run(&p, "version-mapping"),
               "status 0\nmetadata.version=30 (4.3-IV0)\nkraft.version=1\ntransaction.version=2\n"
               "group.version=1\neligible.leader.replicas.version=1\nshare.version=1\n"
               "streams.version=1\n");
    CHECK_TEXT(run(&p, "version-mapping -r 4.0"),
               "status 0\nmetadata.version=25 (4.0)\nkraft.version=1\ntransaction.version=2\n"
               "group.version=1\neligible.leader.replicas.version=0\nshare.version=0\n"
               "streams.version=0\n");
    CHECK_TEXT(run(&p, "version-mapping -r 3.3-IV3"),
               "status 0\nmetadata.version=7 (3.3-IV3)\nkraft.version=0\ntransaction.version=0\n"
               "group.version=0\neligible.leader.replicas.version=0\nshare.version=0\n"
               "streams.version=0\n");
    CHECK(str_starts(run(&p, "version-mapping --release-version=9.9"),
                     STR("status 1\n--\nUnknown metadata.version '9.9'. Supported")));
    place_end(&p);
}

TEST(storage, feature_dependencies)
{
    static const struct {
        const char *words, *says;
    } cases[] = {
        {"-f transaction.version=2 -f eligible.leader.replicas.version=1",
         "status 0\ntransaction.version=2 has no dependencies.\n"
         "eligible.leader.replicas.version=1 requires:\n    metadata.version=23 (4.0-IV1)\n"},
        {"-f metadata.version=25",
         "status 0\nmetadata.version=25 (4.0-IV3) has no dependencies.\n"},
        {"-f metadata.version=99", "status 1\n--\nUnknown metadata.version 99\n"},
        {"-f transaction.version=9",
         "status 1\n--\nFeature level 9 is not supported for feature transaction.version\n"},
        {"-f group.version=-1",
         "status 1\n--\nFeature level -1 is not supported for feature group.version\n"},
        {"-f group.version=x",
         "status 1\n--\nInvalid version format: x for feature group.version\n"},
        {"-f foo=1", "status 1\n--\nUnknown feature: foo\n"},
        {"-f kraft.version",
         "status 1\n--\nInvalid feature format: kraft.version. Expected format: "
         "'feature=version' (e.g. 'group.version=1')\n"},
        {"", "status 1\n--\nusage: kafka-storage feature-dependencies [-h] --feature FEATURE\n"
             "kafka-storage: error: argument --feature/-f is required\n"},
    };
    struct place p;
    char line[256];

    place_begin(&p);
    for (size_t i = 0; i < array_count(cases); i++) {
        snprintf(line, sizeof(line), "feature-dependencies%s%s",
                 cases[i].words[0] == '\0' ? "" : " ", cases[i].words);
        CHECK_TEXT(run(&p, line), cases[i].says);
    }
    place_end(&p);
}

TEST(storage, random_uuid)
{
    struct place p;
    struct uuid first, second;

    place_begin(&p);
    struct str said = run(&p, "random-uuid");
    CHECK_EQ(said.n, 9 + 23);
    CHECK_EQ(uuid_parse((struct str){said.p + 9, 22}, &first), 0);
    said = run(&p, "random-uuid");
    CHECK_EQ(uuid_parse((struct str){said.p + 9, 22}, &second), 0);
    CHECK(!uuid_equal(first, second));
    place_end(&p);
}

TEST(storage_info, says_what_it_finds)
{
    struct place p;
    char path[128];

    place_begin(&p);
    write_settings(&p, "s", "broker,controller", VOTERS, "a,b");
    CHECK_TEXT(run(&p, "info -c DIR/s"),
               "status 1\nFound problems:\n  DIR/a does not exist\n  DIR/b does not exist\n\n");
    CHECK(str_starts(run(&p, "format -t " CLUSTER " -c DIR/s"), STR("status 0\n")));
    struct str said = run(&p, "info -c DIR/s");
    CHECK(str_starts(said, STR("status 0\nFound log directories:\n  DIR/a\n  DIR/b\n\n"
                               "Found metadata: {cluster.id=" CLUSTER ", directory.id=")));
    CHECK(str_ends(said, STR(", node.id=1, version=1}\n\n")));
    snprintf(path, sizeof(path), "%s/b/meta.properties", p.dir);
    CHECK_EQ(unlink(path), 0);
    said = run(&p, "info -c DIR/s");
    CHECK(str_starts(said, STR("status 1\n")));
    CHECK(str_ends(said, STR("Found problem:\n  DIR/b is not formatted.\n\n")));
    snprintf(path, sizeof(path), "%s/c", p.dir);
    fclose(fopen(path, "w"));
    write_settings(&p, "s", "broker,controller", VOTERS, "c");
    CHECK_TEXT(run(&p, "info -c DIR/s"),
               "status 1\nFound problem:\n  DIR/c is not a directory\n\n");
    place_end(&p);
}

/* ---- SCRAM ------------------------------------------------------------------------------- */

static void check_scram(const char *argument, const char *expected)
{
    struct place p;
    struct text framed = {0}, json = {0};
    struct fail f = {0};
    struct arena arena;
    struct user_scram_credential_record m;

    place_begin(&p);
    int error = scram_record(io_epoll_shard(p.world, 0), str_of(argument), &framed, &f);
    if (error < 0)
        check_fail(__FILE__, __LINE__, "%s", f.text);
    arena_init(&arena, 0);
    CHECK_EQ(framed.p[0], 1);
    CHECK_EQ(framed.p[1], 11);
    CHECK_EQ(framed.p[2], 0);
    struct bytes value = {(uint8_t *)framed.p + 3, (int32_t)framed.n - 3};
    CHECK_EQ(user_scram_credential_record_read(value, 0, &arena, &m), value.n);
    if (expected != NULL) {
        message_print(&user_scram_credential_record_message, 0, &m, &json);
        CHECK_TEXT(text_str(&json), expected);
    } else {
        CHECK(m.salt.n >= 16);
    }
    arena_deinit(&arena);
    text_deinit(&framed);
    text_deinit(&json);
    place_end(&p);
}

/* What Kafka computed for the same users. */
TEST(storage_scram, keys_are_those_that_kafka_computes)
{
    check_scram("SCRAM-SHA-256=[name=alice,password=alice-secret,salt=\"YWxpY2Utc2FsdA==\","
                "iterations=4096]",
                "{\"name\":\"alice\",\"mechanism\":1,\"salt\":\"YWxpY2Utc2FsdA==\",\"storedKey\":"
                "\"GrFF9Jti9e/JZamK1IZk/ro/Syxpo6sNyCIgtDplBh0=\",\"serverKey\":"
                "\"pdsQg/+SgnU5j7bR6kd01BrJQuQ+US5wmyxXRkcFl2M=\",\"iterations\":4096}");
    check_scram("SCRAM-SHA-512=[name=bob,password=bob-secret,salt=c2FsdHNhbHRzYWx0]",
                "{\"name\":\"bob\",\"mechanism\":2,\"salt\":\"c2FsdHNhbHRzYWx0\",\"storedKey\":"
                "\"FDDO/3ZaKqutznHFR9Gd8N5hu5ZSfKyJeJLo6x8WBwrHw6gU9yyxxgglzJ04cdaE6bn3epJjK/"
                "ZeYNQI4KvMsg==\",\"serverKey\":\"0HaZzpJR4+Khu/BHWW/Bb69WF/KmP6jIKyAM+"
                "MzkixESlXN3psjm03KeN7EoBTNbLwUi+cIfKoa199FBmPvThQ==\",\"iterations\":4096}");
}

TEST(storage_scram, a_salt_is_drawn_where_none_is_given)
{
    check_scram("SCRAM-SHA-256=[name=alice,password=alice-secret]", NULL);
}

/* ---- drain ----------------------------------------------------------------------------------- */

static void write_file(struct place *p, const char *name, const void *bytes, size_t n)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", p->dir, name);
    FILE *f = fopen(path, "w");
    ASSERT(f != NULL);
    fwrite(bytes, 1, n, f);
    fclose(f);
}

static void make_dir(struct place *p, const char *name)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", p->dir, name);
    ASSERT(mkdir(path, 0755) == 0);
}

/* d/t-0 has "abc"; its journal goes on with "def". */
static void make_journal(struct place *p)
{
    static uint8_t chunk[2 * JOURNAL_PAGE_BYTES];
    struct journal_line line = {.chunk_count = 1, .chunk_bytes = sizeof(chunk), .id = {{1}}};
    struct journal_entry e = {.kind = JOURNAL_APPEND, .topic_id.b[15] = 9, .position = 3, .bytes = {NULL, 3}};
    struct text meta = {0};
    static const char metadata[] = "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAACQ";

    make_dir(p, "d");
    make_dir(p, "d/t-0");
    make_dir(p, "d/millrace.journal");
    write_file(p, "d/t-0/partition.metadata", metadata, strlen(metadata));
    write_file(p, "d/t-0/00000000000000000000.log", "abc", 3);
    memcpy(journal_entry_put(chunk + JOURNAL_HEADER_BYTES, &e), "def", 3);
    journal_commit_seal(chunk, JOURNAL_HEADER_BYTES + JOURNAL_ENTRY_BYTES + 3, line.id, 1, 1, 1);
    write_file(p, "d/millrace.journal/0.00", chunk, sizeof(chunk));
    journal_meta_print(&line, 1, &meta);
    write_file(p, "d/millrace.journal/meta", meta.p, meta.n);
    text_deinit(&meta);
}

TEST(storage_drain, brings_the_journal_into_the_segments)
{
    struct place p;
    char path[256];
    struct stat status;

    place_begin(&p);
    make_journal(&p);
    CHECK_TEXT(run(&p, "drain DIR/d"),
               "status 0\nDrained the journal of DIR/d: 3 bytes written to 1 segment of 1 partition, from 1 commit. "
               "The journal is removed.\n");
    CHECK(!exists(&p, "d/millrace.journal"));
    snprintf(path, sizeof(path), "%s/d/t-0/00000000000000000000.log", p.dir);
    CHECK_EQ(stat(path, &status), 0);
    CHECK_EQ(status.st_size, 6);
    CHECK_TEXT(run(&p, "drain DIR/d"), "status 0\nDIR/d has no journal: its segments hold everything.\n");
    place_end(&p);
}

TEST(storage_drain, says_what_is_wrong)
{
    struct place p;

    place_begin(&p);
    CHECK_TEXT(run(&p, "drain"), "status 1\n--\nusage: kafka-storage drain [-h] DIR\n"
                                 "kafka-storage: error: one log directory is expected\n");
    CHECK_TEXT(run(&p, "drain DIR/none"),
               "status 1\n--\nlog directory DIR/none: cannot open .lock: No such file or directory\n");
    make_journal(&p);
    write_file(&p, "d/millrace.journal/0.00", "x", 1);
    CHECK(strstr(run(&p, "drain DIR/d").p, "millrace.journal/0.00 has not the 8192 bytes that meta says") != NULL);
    CHECK(exists(&p, "d/millrace.journal"));
    place_end(&p);
}
