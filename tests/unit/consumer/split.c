/* A batch that has more records than max.poll.records, in several chunks. */
#include "cluster.h"

#include <stdio.h>

static const struct consumer_partition t_0 = {{"t", 1}, 0};

static void open_with(struct cluster *c, int32_t max)
{
    cluster_open(c, 1);
    c->settings.max_poll_records = max;
}

static struct consumer_chunk *take(struct cluster *c)
{
    struct consumer_chunk *k = NULL;

    SCRIPT_UNTIL(c->script, (k = consumer_take(c->consumer)) != NULL);
    return k;
}

/* Its values, joined by blanks; then how it ended, unless well. */
static const char *given(struct consumer_chunk *k)
{
    static char out[400];
    struct record record;
    size_t n = 0;
    int rc;

    out[0] = '\0';
    while ((rc = consumer_chunk_next(k, &record)) > 0)
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%.*s", n == 0 ? "" : " ", record.value.n,
                              (const char *)record.value.p);
    if (rc < 0)
        snprintf(out + n, sizeof out - n, "damaged at %d", (int)record.offset);
    return out;
}

static void comes_in_parts(enum codec codec)
{
    struct consumer_chunk *k[4];
    struct cluster c;

    open_with(&c, 4);
    cluster_append(&c, 3, codec);
    cluster_append(&c, 10, codec);
    cluster_begin(&c);
    for (size_t i = 0; i < array_count(k); i++)
        k[i] = take(&c);
    CHECK_EQ(k[1]->first, 3);
    CHECK_EQ(k[1]->next, 7);
    CHECK_EQ(k[3]->next, 13);
    CHECK_TEXT(given(k[3]), "11 12"); /* in any order */
    CHECK_TEXT(given(k[0]), "0 1 2");
    CHECK_TEXT(given(k[1]), "3 4 5 6");
    CHECK_TEXT(given(k[2]), "7 8 9 10");
    consumer_chunk_rewind(k[2]);
    CHECK_TEXT(given(k[2]), "7 8 9 10");
    consumer_chunk_rewind(k[3]);
    CHECK_TEXT(given(k[3]), "11 12");
    consumer_chunk_release(k[1], 5);
    consumer_chunk_release(k[0], k[0]->next);
    CHECK_EQ(cluster_place(&c).done, 5);
    CHECK_EQ(cluster_place(&c).position, 13);
    CHECK_TEXT(given(k[3]), "");
    consumer_chunk_release(k[3], k[3]->next);
    consumer_chunk_release(k[2], k[2]->next);
    cluster_end(&c);
}

TEST(consumer_split, a_plain_batch_comes_in_parts_that_are_read_in_any_order)
{
    comes_in_parts(CODEC_NONE);
}

TEST(consumer_split, a_compressed_batch_comes_in_parts_that_are_read_in_any_order)
{
    comes_in_parts(CODEC_LZ4);
}

TEST(consumer_split, a_part_holds_what_it_needs_when_the_others_and_the_consumer_are_gone)
{
    struct consumer_chunk *k;
    struct cluster c;

    open_with(&c, 4);
    cluster_append(&c, 9, CODEC_ZSTD);
    cluster_begin(&c);
    consumer_chunk_release(take(&c), 4);
    k = take(&c);
    consumer_chunk_release(take(&c), 9);
    cluster_end(&c);
    CHECK_TEXT(given(k), "4 5 6 7");
    consumer_chunk_release(k, k->next);
}

TEST(consumer_split, a_position_inside_of_the_batch_begins_there)
{
    struct consumer_chunk *k;
    struct cluster c;

    open_with(&c, 4);
    cluster_append(&c, 12, CODEC_GZIP);
    cluster_begin(&c);
    k = take(&c);
    CHECK_TEXT(given(k), "0 1 2 3");
    consumer_chunk_release(k, k->next);
    CHECK_EQ(consumer_seek(c.consumer, t_0, 6, -1), 0); /* the rest of the batch is not given any more */
    k = take(&c);
    CHECK_TEXT(given(k), "6 7 8 9");
    consumer_chunk_release(k, k->next);
    k = take(&c);
    CHECK_TEXT(given(k), "10 11");
    consumer_chunk_release(k, k->next);
    CHECK_EQ(consumer_seek(c.consumer, t_0, 9, -1), 0); /* there are few enough from here on */
    k = take(&c);
    CHECK_TEXT(given(k), "9 10 11");
    consumer_chunk_release(k, k->next);
    CHECK_EQ(cluster_place(&c).done, 12);
    cluster_end(&c);
}

/* Of 20 offsets every second one is left, of 1000 three. */
TEST(consumer_split, a_compacted_batch_is_counted_by_its_records)
{
    static const int64_t ends[] = {8, 16, 20, 1020};
    static const char *const values[] = {"0 2 4 6", "8 10 12 14", "16 18", "20 420 820"};
    struct consumer_chunk *k;
    struct cluster c;

    open_with(&c, 4);
    cluster_append_sparse(&c, 20, 2, CODEC_SNAPPY);
    cluster_append_sparse(&c, 1000, 400, CODEC_NONE);
    cluster_begin(&c);
    for (size_t i = 0; i < array_count(ends); i++) {
        k = take(&c);
        CHECK_EQ(k->next, ends[i]);
        CHECK_TEXT(given(k), values[i]);
        consumer_chunk_release(k, k->next);
    }
    CHECK_EQ(consumer_seek(c.consumer, t_0, 3, -1), 0);
    k = take(&c);
    CHECK_TEXT(given(k), "4 6 8 10");
    consumer_chunk_release(k, k->next);
    cluster_end(&c);
}

TEST(consumer_split, damage_is_told_once_more_and_not_for_each_part)
{
    struct consumer_chunk *k;
    struct cluster c;
    size_t at;

    open_with(&c, 4);
    c.settings.check_crcs = false;
    at = cluster_append(&c, 100, CODEC_LZ4);
    c.log.p[at + 70] ^= 0x55;
    cluster_append(&c, 2, CODEC_NONE);
    cluster_begin(&c);
    k = take(&c);
    CHECK_EQ(k->next, 4);
    CHECK_TEXT(given(k), "damaged at 0");
    CHECK_TEXT(given(k), "damaged at 0");
    consumer_chunk_release(k, k->first);
    k = take(&c);
    CHECK_EQ(k->next, 100);
    CHECK_TEXT(given(k), "damaged at 0");
    consumer_chunk_release(k, k->first);
    k = take(&c);
    CHECK_TEXT(given(k), "100 101");
    consumer_chunk_release(k, k->first);
    cluster_end(&c);
}

/* Deltas that the header does not promise: no part gives a record of another one. */
TEST(consumer_split, records_that_are_not_where_the_batch_says_are_damage)
{
    struct consumer_chunk *k;
    struct cluster c;
    size_t at;

    open_with(&c, 4);
    c.settings.check_crcs = false;
    at = cluster_append(&c, 10, CODEC_NONE);
    c.log.p[at + 61 + 3] = 2 * 5; /* the first record's delta: 5 */
    cluster_begin(&c);
    k = take(&c);
    CHECK_TEXT(given(k), "damaged at 0");
    consumer_chunk_release(k, k->first);
    k = take(&c);
    CHECK_TEXT(given(k), "4 5 6 7");
    consumer_chunk_release(k, k->first);
    cluster_end(&c);
}
