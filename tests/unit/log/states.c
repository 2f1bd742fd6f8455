/* The states beside a log, by themselves: epochs, checkpoints, producers. */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "lab.h"
#include "log/epochs.h"
#include "log/producers.h"

/* ---- epochs -------------------------------------------------------------------------------- */

static struct epochs some_epochs(void)
{
    struct epochs e = {0};

    epochs_assign(&e, 2, 10);
    epochs_assign(&e, 5, 20);
    epochs_assign(&e, 7, 45);
    return e;
}

static const char *ends(const struct epochs *e, int32_t epoch, int64_t log_end)
{
    static char text[60];
    struct epoch_end end = epochs_end(e, epoch, log_end);

    snprintf(text, sizeof(text), "%d@%lld", end.epoch, (long long)end.end_offset);
    return text;
}

/* Each row of the table of OffsetsForLeaderEpoch. */
TEST(epochs, end_of_an_epoch)
{
    struct epochs e = some_epochs();

    CHECK_TEXT(ends(&e, -1, 60), "-1@-1");
    CHECK_TEXT(ends(&e, 7, 60), "7@60");
    CHECK_TEXT(ends(&e, 8, 60), "-1@-1");
    CHECK_TEXT(ends(&e, 1, 60), "1@10");
    CHECK_TEXT(ends(&e, 2, 60), "2@20");
    CHECK_TEXT(ends(&e, 4, 60), "2@20");
    CHECK_TEXT(ends(&e, 6, 60), "5@45");
    CHECK_EQ(epochs_at(&e, 9), -1);
    CHECK_EQ(epochs_at(&e, 10), 2);
    CHECK_EQ(epochs_at(&e, 44), 5);
    CHECK_EQ(epochs_at(&e, 1000), 7);
    CHECK_EQ(epochs_start(&e, 5), 20);
    CHECK_EQ(epochs_start(&e, 6), -1);
    epochs_deinit(&e);
    CHECK_TEXT(ends(&e, 0, 60), "-1@-1");
}

static struct text printed(const struct epochs *e)
{
    struct text t = {0};

    epochs_print(e, &t);
    return t;
}

#define CHECK_EPOCHS(e, expected)                  \
    do {                                           \
        struct text printed_ = printed(e);         \
        CHECK_TEXT(text_str(&printed_), expected); \
        text_deinit(&printed_);                    \
    } while (0)

TEST(epochs, are_cut_at_both_ends)
{
    struct epochs e = some_epochs();

    epochs_truncate(&e, 45);
    CHECK_EPOCHS(&e, "0\n2\n2 10\n5 20\n");
    epochs_assign(&e, 9, 50);
    epochs_raise_start(&e, 30);
    CHECK_EPOCHS(&e, "0\n2\n5 30\n9 50\n");
    epochs_raise_start(&e, 50);
    CHECK_EPOCHS(&e, "0\n1\n9 50\n");
    epochs_raise_start(&e, 40); /* nothing lies below */
    CHECK_EPOCHS(&e, "0\n1\n9 50\n");
    epochs_truncate(&e, 0);
    CHECK_EPOCHS(&e, "0\n0\n");
    epochs_deinit(&e);
}

/* What contradicts a new entry goes; a repeated one changes nothing. */
TEST(epochs, stay_monotonic)
{
    struct epochs e = some_epochs();

    epochs_assign(&e, 7, 50);
    CHECK_EPOCHS(&e, "0\n3\n2 10\n5 20\n7 45\n");
    epochs_assign(&e, 6, 48);
    CHECK_EPOCHS(&e, "0\n3\n2 10\n5 20\n6 48\n");
    epochs_assign(&e, 9, 20);
    CHECK_EPOCHS(&e, "0\n2\n2 10\n9 20\n");
    epochs_deinit(&e);
}

TEST(epochs, a_bad_file_changes_nothing)
{
    static const char *const bad[] = {"1\n0\n",           "0\n2\n1 5\n", "0\n1\n1 5\n2 6\n",
                                      "0\n1\n-1 5\n",     "0\n1\n1\n",   "0\n2\n1 5\n1 6\n",
                                      "0\n2\n2 5\n3 5\n", "0\n",         "x",
                                      "0\n1\n1 5 6\n"};
    struct epochs e = some_epochs();
    struct fail f = {0};

    for (size_t i = 0; i < array_count(bad); i++)
        CHECK_EQ(epochs_parse(&e, str_of(bad[i]), &f), ERR_CORRUPT);
    CHECK_EPOCHS(&e, "0\n3\n2 10\n5 20\n7 45\n");
    CHECK_EQ(epochs_parse(&e, str_of("0\n2\n3 0\n4 77\n"), &f), 0);
    CHECK_EPOCHS(&e, "0\n2\n3 0\n4 77\n");
    CHECK(!epochs_are_dirty(&e));
    CHECK_EQ(epochs_parse(&e, str_of(""), &f), 0);
    CHECK_EPOCHS(&e, "0\n0\n");
    epochs_deinit(&e);
}

/* ---- checkpoints --------------------------------------------------------------------------- */

TEST(checkpoint, is_read_and_sorted)
{
    struct str text =
        STR("0\n3\norders 1 10\n__consumer_offsets 49 9223372036854775807\na.b-c 0 0\n");
    struct str sorted =
        STR("0\n3\n__consumer_offsets 49 9223372036854775807\na.b-c 0 0\norders 1 10\n");
    struct checkpoint c;
    struct text out = {0};
    struct fail f = {0};

    CHECK_EQ(checkpoint_parse(text, &c, &f), 0);
    CHECK_EQ(checkpoint_find(&c, STR("orders"), 1, -1), 10);
    CHECK_EQ(checkpoint_find(&c, STR("orders"), 2, -1), -1);
    CHECK_EQ(checkpoint_find(&c, STR("order"), 1, -1), -1);
    CHECK_EQ(checkpoint_find(&c, STR("__consumer_offsets"), 49, -1), INT64_MAX);
    checkpoint_print(&c, &out);
    CHECK(str_equal(text_str(&out), sorted));
    text_deinit(&out);
    checkpoint_free(&c);
    CHECK_EQ(checkpoint_parse(STR("0\r\n1\r\nt  3\t9\r\n"), &c, &f), ERR_CORRUPT);
    CHECK_EQ(checkpoint_parse(STR("0\r\n1\r\nt  3  9\r\n"), &c, &f), 0);
    CHECK_EQ(checkpoint_find(&c, STR("t"), 3, -1), 9);
    checkpoint_free(&c);
}

TEST(checkpoint, an_empty_file_has_no_entries)
{
    struct checkpoint c;

    CHECK_EQ(checkpoint_parse(STR(""), &c, NULL), 0);
    CHECK_EQ(c.count, 0);
    CHECK_EQ(checkpoint_parse(STR("0\n0\n"), &c, NULL), 0);
    CHECK_EQ(c.count, 0);
}

TEST(checkpoint, a_bad_file_is_refused_with_its_line)
{
    static const struct {
        const char *text;
        const char *line;
    } bad[] = {{"1\n0\n", "line 1"},
               {"0\n2\na 0 1\n", "line 3"},
               {"0\n1\na 0 1\nb 0 1\n", "line 4"},
               {"0\n1\na 0\n", "line 3"},
               {"0\n1\na x 1\n", "line 3"},
               {"0\n1\na 0 1 2\n", "line 3"},
               {"0\nx\n", "line 2"},
               {"0\n1\na 0 1,000\n", "line 3"},
               {"0\n1\na 0 -5\n", "line 3"},
               {"0\n", "line 1"}};

    for (size_t i = 0; i < array_count(bad); i++) {
        struct checkpoint c;
        struct fail f = {0};
        CHECK_EQ(checkpoint_parse(str_of(bad[i].text), &c, &f), ERR_CORRUPT);
        if (strstr(f.text, bad[i].line) == NULL)
            check_fail(__FILE__, __LINE__, "\"%s\" does not name %s", f.text, bad[i].line);
    }
}

/* ---- producers ----------------------------------------------------------------------------- */

struct bench {
    struct producers p;
    int64_t end;
    bool ended; /* the last batch ended a transaction */
    struct txn_completed done;
    bool duplicate;
    int64_t duplicate_offset;
};

static struct batch batch_of(struct text *bytes, const struct lab_batch *b, int64_t offset)
{
    struct batch batch;

    *bytes = lab_batch_bytes(b, offset);
    CHECK(batch_read(bytes_of_str(text_str(bytes)), &batch, NULL) > 0);
    return batch;
}

/* As a leader: checked, and learnt when it is good and new. */
static enum kerr offer(struct bench *x, struct lab_batch b)
{
    const struct producer_batch *duplicate;
    struct text bytes;
    struct batch batch = batch_of(&bytes, &b, x->end);
    enum kerr error = producers_check(&x->p, &batch, &duplicate);

    x->duplicate = duplicate != NULL;
    x->ended = false;
    if (x->duplicate)
        x->duplicate_offset = duplicate->last_offset;
    if (error == KERR_NONE && !x->duplicate) {
        x->ended = producers_apply(&x->p, &batch, &x->done);
        x->end = batch.last_offset + 1;
    }
    text_deinit(&bytes);
    return error;
}

#define DATA(sequence_, count_) \
    ((struct lab_batch){.producer_id = 4, .sequence = (sequence_), .count = (count_)})

TEST(producers, the_last_five_batches_are_known_as_duplicates)
{
    struct bench x = {.end = 100};

    producers_init(&x.p, INT64_MAX);
    for (int i = 0; i < 7; i++)
        CHECK_EQ(offer(&x, DATA(i * 10, 10)), KERR_NONE);
    for (int i = 2; i < 7; i++) {
        CHECK_EQ(offer(&x, DATA(i * 10, 10)), KERR_NONE);
        CHECK(x.duplicate);
        CHECK_EQ(x.duplicate_offset, 100 + i * 10 + 9);
    }
    CHECK_EQ(offer(&x, DATA(10, 10)), KERR_OUT_OF_ORDER_SEQUENCE_NUMBER); /* older than five */
    CHECK_EQ(offer(&x, DATA(20, 9)), KERR_OUT_OF_ORDER_SEQUENCE_NUMBER);  /* not exactly one */
    CHECK_EQ(offer(&x, DATA(71, 1)), KERR_OUT_OF_ORDER_SEQUENCE_NUMBER);  /* a gap */
    CHECK_EQ(offer(&x, DATA(70, 1)), KERR_NONE);
    CHECK(!x.duplicate);
    producers_deinit(&x.p);
}

TEST(producers, sequences_wrap)
{
    struct bench x = {0};

    producers_init(&x.p, INT64_MAX);
    CHECK_EQ(offer(&x, DATA(INT32_MAX - 4, 3)), KERR_NONE); /* unknown producer: any sequence */
    CHECK_EQ(offer(&x, DATA(INT32_MAX - 1, 4)), KERR_NONE); /* ..., MAX, 0, 1 */
    CHECK_EQ(offer(&x, DATA(INT32_MAX - 1, 4)), KERR_NONE);
    CHECK(x.duplicate);
    CHECK_EQ(offer(&x, DATA(2, 1)), KERR_NONE);
    CHECK(!x.duplicate);
    CHECK_EQ(offer(&x, DATA(2, 1)), KERR_NONE);
    CHECK(x.duplicate);
    producers_deinit(&x.p);
}

TEST(producers, a_new_epoch_starts_at_sequence_zero)
{
    struct bench x = {0};
    struct lab_batch b = DATA(0, 1);

    producers_init(&x.p, INT64_MAX);
    b.epoch = 3;
    CHECK_EQ(offer(&x, b), KERR_NONE);
    b.epoch = 2;
    b.sequence = 1;
    CHECK_EQ(offer(&x, b), KERR_INVALID_PRODUCER_EPOCH);
    b.epoch = 4;
    CHECK_EQ(offer(&x, b), KERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    b.sequence = 0;
    CHECK_EQ(offer(&x, b), KERR_NONE);
    CHECK(!x.duplicate); /* the same sequences, but of another epoch */
    producers_deinit(&x.p);
}

TEST(producers, transactions_hold_back_the_stable_offset)
{
    struct bench x = {.end = 10};
    struct lab_batch data = {.producer_id = 1, .transactional = true};
    struct lab_batch other = {.producer_id = 2, .transactional = true};
    struct lab_batch end = {.producer_id = 1, .marker = 2, .coordinator_epoch = 5};

    producers_init(&x.p, INT64_MAX);
    CHECK_EQ(producers_first_unstable(&x.p, 10), -1);
    CHECK_EQ(offer(&x, data), KERR_NONE);  /* 10 */
    CHECK_EQ(offer(&x, other), KERR_NONE); /* 11 */
    CHECK_EQ(producers_first_unstable(&x.p, 12), 10);
    data.sequence = 1;
    data.transactional = false;
    CHECK_EQ(offer(&x, data), KERR_INVALID_TXN_STATE);
    CHECK_EQ(offer(&x, end), KERR_NONE); /* 12: abort of 10 */
    CHECK(x.ended);
    CHECK(x.done.aborted);
    CHECK_EQ(x.done.first_offset, 10);
    CHECK_EQ(x.done.last_offset, 12);
    CHECK_EQ(x.done.last_stable_offset, 11);
    CHECK_EQ(producers_first_unstable(&x.p, 12), 10); /* its marker is not replicated */
    CHECK_EQ(producers_first_unstable(&x.p, 13), 11);
    end = (struct lab_batch){.producer_id = 2, .marker = 1, .coordinator_epoch = 5};
    CHECK_EQ(offer(&x, end), KERR_NONE); /* 13: commit of 11 */
    CHECK(!x.done.aborted);
    CHECK_EQ(x.done.last_stable_offset, 14);
    CHECK_EQ(producers_first_unstable(&x.p, 14), -1);
    end.coordinator_epoch = 4;
    CHECK_EQ(offer(&x, end), KERR_TRANSACTION_COORDINATOR_FENCED);
    end.coordinator_epoch = 6;
    CHECK_EQ(offer(&x, end), KERR_NONE); /* nothing was open */
    CHECK(!x.ended);
    producers_deinit(&x.p);
}

TEST(producers, those_that_are_silent_are_forgotten_unless_in_a_transaction)
{
    struct bench x = {0};
    struct lab_batch b = {.producer_id = 1, .timestamp_ms = 1000};
    struct lab_batch open = {.producer_id = 2, .timestamp_ms = 1000, .transactional = true};

    producers_init(&x.p, 5000);
    CHECK_EQ(offer(&x, b), KERR_NONE);
    CHECK_EQ(offer(&x, open), KERR_NONE);
    producers_expire(&x.p, 1000 + 4999);
    CHECK_EQ(x.p.by_id.count, 2);
    producers_expire(&x.p, 1000 + 5000);
    CHECK_EQ(x.p.by_id.count, 1);
    b.sequence = 77;
    CHECK_EQ(offer(&x, b), KERR_NONE); /* known no more */
    producers_deinit(&x.p);
}

/* What `from` is after a stop and a start. */
static void read_again(struct bench *from, struct producers *to)
{
    struct text file = {0};

    producers_print(&from->p, &file);
    producers_init(to, from->p.expiration_ms);
    CHECK_EQ(producers_parse(to, bytes_of_str(text_str(&file)), 0), 0);
    text_deinit(&file);
}

/* All that may be in doubt at the client, not the newest alone; and the reader that keeps a producer's last entry, as
 * Kafka's does, has the newest, and the open transaction. */
TEST(producers, snapshots_know_the_last_five_batches)
{
    struct bench x = {0}, y = {0};
    struct lab_batch b = {.producer_id = 5, .count = 3}, open = {.producer_id = 6, .count = 2, .transactional = true};
    struct text file = {0};

    producers_init(&x.p, INT64_MAX / 2);
    for (int i = 0; i < 7; i++) {
        CHECK_EQ(offer(&x, b), KERR_NONE);
        b.sequence += 3;
    }
    CHECK_EQ(offer(&x, open), KERR_NONE);
    open.sequence += 2;
    CHECK_EQ(offer(&x, open), KERR_NONE);

    producers_print(&x.p, &file);
    CHECK_EQ(file.n, 10 + 7 * 46);
    const uint8_t *last_of_5 = (const uint8_t *)file.p + 10 + 4 * 46, *last_of_6 = last_of_5 + 2 * 46;
    CHECK_EQ(get_i64(last_of_5), 5);
    CHECK_EQ(get_i32(last_of_5 + 10), 20);
    CHECK_EQ(get_i64(last_of_5 + 14), 20);
    CHECK_EQ(get_i64(last_of_6), 6);
    CHECK_EQ(get_i32(last_of_6 + 10), 3);
    CHECK_EQ(get_i64(last_of_6 + 38), 21);
    CHECK_EQ(get_i64(last_of_6 - 46 + 38), -1);
    text_deinit(&file);

    read_again(&x, &y.p);
    y.end = x.end;
    CHECK_EQ(producers_first_unstable(&y.p, 0), 21);
    for (int i = 2; i < 7; i++) {
        b.sequence = 3 * i;
        CHECK_EQ(offer(&y, b), KERR_NONE);
        CHECK(y.duplicate);
        CHECK_EQ(y.duplicate_offset, 3 * i + 2);
    }
    b.sequence = 3;
    CHECK_EQ(offer(&y, b), KERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    b.sequence = 21;
    CHECK_EQ(offer(&y, b), KERR_NONE);
    CHECK(!y.duplicate);
    producers_deinit(&x.p);
    producers_deinit(&y.p);
}

/* The golden bytes of an empty snapshot and of one entry. */
TEST(producers, snapshots_are_kafkas)
{
    static const uint8_t empty[] = {0, 1, 0x48, 0x67, 0x4b, 0xc7, 0, 0, 0, 0};
    static const uint8_t entry[] = {0,    0,    0,    0,    0,    0,    0,    5,    0,    0,
                                    0,    0,    0x02, 0x57, 0,    0,    0,    0,    0,    0,
                                    0x02, 0x57, 0,    0,    0,    9,    0,    0,    0x01, 0x8b,
                                    0xcf, 0xe6, 0x4e, 0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                    0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct bench x = {0};
    struct text out = {0};
    struct lab_batch b = {
        .producer_id = 5, .sequence = 590, .count = 10, .timestamp_ms = 0x18bcfe64e81 - 9};

    producers_init(&x.p, INT64_MAX / 2);
    producers_print(&x.p, &out);
    CHECK_BYTES(out.p, out.n, empty, sizeof(empty));
    x.end = 590;
    CHECK_EQ(offer(&x, b), KERR_NONE);
    text_clear(&out);
    producers_print(&x.p, &out);
    CHECK_EQ(out.n, 56);
    CHECK_BYTES(out.p + 10, 46, entry, 46);

    struct producers copy;
    producers_init(&copy, INT64_MAX / 2);
    CHECK_EQ(producers_parse(&copy, bytes_of_str(text_str(&out)), 0), 0);
    struct text again = {0};
    producers_print(&copy, &again);
    CHECK_BYTES(again.p, again.n, out.p, out.n);
    for (size_t i = 0; i < out.n; i++) { /* no damage goes unnoticed */
        out.p[i] ^= 1;
        CHECK_EQ(producers_parse(&copy, bytes_of_str(text_str(&out)), 0), ERR_CORRUPT);
        out.p[i] ^= 1;
    }
    for (size_t n = 0; n < out.n; n++)
        CHECK_EQ(producers_parse(&copy, (struct bytes){(uint8_t *)out.p, (int32_t)n}, 0),
                 ERR_CORRUPT);
    CHECK_EQ(copy.by_id.count, 1);
    text_deinit(&out);
    text_deinit(&again);
    producers_deinit(&copy);
    producers_deinit(&x.p);
}
