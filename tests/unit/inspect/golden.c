/* The files of a directory that Kafka 4.3.1 left, and what its own tool printed of them, line by line. */
#include "rig.h"

#include "check.h"

#include <stdlib.h>
#include <unistd.h>

#define FILES_MAX 256

/* The files that "Dumping FILE" names, in their order. */
static uint32_t files_of(struct text *expected, char *files[FILES_MAX])
{
    struct str rest = text_str(expected), line;
    uint32_t count = 0;

    while (str_cut(&rest, '\n', &line)) {
        if (!str_starts(line, STR("Dumping ")))
            continue;
        ASSERT(count < FILES_MAX);
        files[count++] = str_dup((struct str){line.p + 8, line.n - 8});
    }
    return count;
}

static void compare(const char *name, struct dump_options o)
{
    struct rig r;
    char *files[FILES_MAX];
    char here[512];

    rig_begin(&r);
    ASSERT(getcwd(here, sizeof(here)) != NULL);
    rig_shell(&r, "tar --zstd -xf %s/../../interop/golden/kafka-4.3.1/data.tar.zst", TEST_DIR);
    rig_shell(&r, "tar --zstd -xf %s/golden/kafka-4.3.1.tar.zst", TEST_DIR);
    ASSERT(chdir(r.dir) == 0); /* the names are relative in the output */
    struct text expected = rig_read(&r, name);
    uint32_t count = files_of(&expected, files);
    CHECK(count > 0);
    CHECK_EQ(rig_dump_status(&r, &o, (const char *const *)files, count), 0);
    ASSERT(chdir(here) == 0);
    /* payloads that are no text have zero bytes */
    check_text(text_str(&r.out), text_str(&expected), name, __FILE__, __LINE__);
    for (uint32_t i = 0; i < count; i++)
        free(files[i]);
    text_deinit(&expected);
    rig_end(&r);
}

TEST(dump_golden, all_files_with_their_records)
{
    compare("print.txt", (struct dump_options){.deep = true, .contents = true});
}

TEST(dump_golden, committed_offsets_and_groups)
{
    compare("offsets.txt",
            (struct dump_options){.deep = true, .contents = true, .decoder = DECODE_OFFSETS});
}

TEST(dump_golden, transactions)
{
    compare("transactions.txt",
            (struct dump_options){.deep = true, .contents = true, .decoder = DECODE_TRANSACTIONS});
}

TEST(dump_golden, share_groups)
{
    compare("share.txt",
            (struct dump_options){.deep = true, .contents = true, .decoder = DECODE_SHARE});
}

TEST(dump_golden, the_metadata_log_and_its_snapshots)
{
    compare("metadata.txt",
            (struct dump_options){.deep = true, .contents = true, .decoder = DECODE_METADATA});
}

TEST(dump_golden, the_sanity_of_indexes)
{
    compare("sanity.txt", (struct dump_options){.sanity_only = true});
}
