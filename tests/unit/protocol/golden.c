/* golden.c - every message in every version, as Kafka 4.4 writes it (vectors/, see vectors.h). */

#include <stdlib.h>
#include <zstd.h>

#include "check.h"
#include "vectors.h"

#define TABLE_BYTES_MAX (16u << 20)

static struct str read_table(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct text packed = {0};
    char part[65536];
    size_t n;

    if (file == NULL)
        return STR_NULL;
    while ((n = fread(part, 1, sizeof(part), file)) > 0)
        text_add(&packed, part, n);
    fclose(file);

    char *plain = malloc(TABLE_BYTES_MAX);
    size_t size = ZSTD_decompress(plain, TABLE_BYTES_MAX, packed.p, packed.n);
    text_deinit(&packed);
    if (!ZSTD_isError(size))
        return (struct str){plain, (int32_t)size};
    free(plain);
    return STR_NULL;
}

static void check_table(const char *path, unsigned rows)
{
    struct vector_totals totals = {0};
    struct str table = read_table(path);

    CHECK(!str_is_null(table));
    int error = vectors_check(table, path, false, &totals);
    free((void *)(uintptr_t)table.p);
    CHECK_EQ(error, 0);
    CHECK_EQ(totals.failed, 0);
    CHECK_EQ(totals.passed, rows);
}

TEST(golden, messages_are_as_kafka_writes_them)
{
    check_table(TEST_DIR "/vectors/messages.tsv.zst", 5283);
}

TEST(golden, records_of_internal_logs_are_as_kafka_writes_them)
{
    check_table(TEST_DIR "/vectors/log-records.tsv.zst", 101);
}

TEST(golden, frames_are_as_kafka_writes_them)
{
    check_table(TEST_DIR "/vectors/frames.tsv.zst", 19);
}

/* The check itself must see a difference: else the three above prove nothing. */
TEST(golden, a_wrong_row_is_found)
{
    static const char head[] = "kind\tname\tversion\tsample\thex\tjson\n";
    static const char *const wrong[] = {
        "request\tHeartbeatRequest\t0\tfull\t00016700000001000168\t"
        "{\"groupId\":\"g\",\"generationId\":2,\"memberId\":\"h\"}\n", /* other content */
        "request\tHeartbeatRequest\t0\tfull\t0001670000000100016800\t"
        "{\"groupId\":\"g\",\"generationId\":1,\"memberId\":\"h\"}\n", /* a byte too many */
        "request\tHeartbeatRequest\t0\tfull\t0001670000000100\t"
        "{\"groupId\":\"g\",\"generationId\":1,\"memberId\":\"\"}\n",     /* cut */
        "request\tHeartbeatRequest\t9\tfull\t00016700000001000168\t{}\n", /* no such version */
        "request\tNoSuchRequest\t0\tfull\t00\t{}\n",
    };

    for (size_t i = 0; i < array_count(wrong); i++) {
        struct text table = {0};
        struct vector_totals totals = {0};

        text_printf(&table, "%s%s", head, wrong[i]);
        CHECK_EQ(vectors_check(text_str(&table), "(expected to be wrong)", false, &totals), 0);
        text_deinit(&table);
        CHECK_EQ(totals.failed, 1);
    }
}
