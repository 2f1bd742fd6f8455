/* __consumer_offsets as Kafka nodes left it: classic, consumer and share groups, and transactions.
 */
#include "rig.h"

#include <stdio.h>

static struct str file_read(struct rig *r, const char *name)
{
    char path[300];
    char *bytes = arena_take(&r->arena, 20000);
    size_t n;
    FILE *f;

    snprintf(path, sizeof(path), "%s/golden/%s", TEST_DIR, name);
    f = fopen(path, "rb");
    if (f == NULL)
        check_fail(__FILE__, __LINE__, "cannot open %s", path);
    n = fread(bytes, 1, 20000, f);
    fclose(f);
    CHECK(n > 0 && n < 20000);
    return (struct str){bytes, (int32_t)n};
}

static void golden_load(struct rig *r, const char *version, int partition)
{
    char name[100];
    struct str bytes;
    struct batch b;

    rig_init_empty(r);
    snprintf(name, sizeof(name), "kafka-%s-%d.log", version, partition);
    bytes = file_read(r, name);
    for (struct bytes rest = bytes_of_str(bytes); batch_next(&rest, &b) > 0;)
        rig_append_raw(r, b.bytes);
    r->chunk_batches = 1;
    rig_load(r);
}

/* One line of groups.tsv, found in the rig that has its group. */
static void expect(struct rig rigs[2], struct str line)
{
    struct str column[8];
    struct rig *r;
    int64_t partition, offset;
    const struct committed *c;

    for (int i = 0; i < 8; i++) {
        if (!str_cut(&line, '\t', &column[i]))
            column[i] = STR("");
    }
    r = &rigs[group_partition_of(column[0], 2)];
    const struct group *g = group_find(r->p, column[0]);
    CHECK(g != NULL);
    CHECK(str_equal_nocase(str_of(group_kind_name(g)), column[1]));
    CHECK(str_equal(g->kind == GROUP_CLASSIC ? str_of(group_state_name(g))
                                             : str_of(raw_state_name(r->p, g)),
                    column[2]));
    if (g->kind == GROUP_SHARE)
        return; /* its offsets are in another topic */
    CHECK_EQ(str_to_i64(column[4], 0, 100, &partition), 0);
    CHECK_EQ(str_to_i64(column[5], 0, 100, &offset), 0);
    CHECK_EQ(rig_offset(r, rig_text(r, column[0]), rig_text(r, column[3]), (int32_t)partition, true,
                        NULL),
             offset);
    c = offset_find(g, column[3], (int32_t)partition);
    CHECK(str_equal(c->metadata.n > 0 ? c->metadata : STR(""), column[7]));
    CHECK_EQ(c->leader_epoch, column[6].n == 0 ? -1 : 0);
}

static void check_version(const char *version)
{
    struct rig rigs[2];
    struct str rest, line;
    char name[100];
    int lines = 0;

    golden_load(&rigs[0], version, 0);
    golden_load(&rigs[1], version, 1);
    CHECK_EQ(rigs[0].p->groups.count + rigs[1].p->groups.count, 5);
    snprintf(name, sizeof(name), "kafka-%s-groups.tsv", version);
    rest = file_read(&rigs[0], name);
    CHECK(str_cut(&rest, '\n', &line)); /* titles */
    for (; str_cut(&rest, '\n', &line); lines++)
        expect(rigs, line);
    CHECK_EQ(lines, 11);
    rig_end(&rigs[0]);
    rig_end(&rigs[1]);
}

TEST(golden, kafka_4_3)
{
    check_version("4.3.1");
}

TEST(golden, kafka_4_4)
{
    check_version("4.4.0");
}
