/* Transaction indexes that were cut, garbled or deleted: readers of committed records are told the same as before. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "log/state.h"
#include "real.h"

#define TRANSACTIONS 12 /* of 3 offsets: data, data, marker; each second one aborts */
#define SEGMENTS 4
#define ABORTED "7:3-5 7:9-11 7:15-17 7:21-23 7:27-29 7:33-35 "

static const char *aborted(struct real *r, struct log *log)
{
    static char text[300];
    struct log_aborted *found;
    int64_t n = WAIT(&r->lab, log_aborted_between(log, 0, log_end(log), &r->lab.arena, &found, op));
    size_t at = 0;

    if (n < 0)
        snprintf(text, sizeof(text), "%s", error_text((int)n));
    for (int64_t i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%lld:%lld-%lld ", (long long)found[i].producer_id,
                               (long long)found[i].first_offset, (long long)found[i].last_offset);
    return text;
}

static void fill(struct real *r, struct log *log)
{
    for (int i = 0; i < TRANSACTIONS; i++) {
        for (int k = 0; k < 2; k++) {
            struct lab_batch b = {.producer_id = 7,
                                  .sequence = 2 * i + k,
                                  .transactional = true,
                                  .value_bytes = 60,
                                  .timestamp_ms = 1000 + i};
            CHECK_EQ(lab_append(&r->lab, log, &b, NULL), KERR_NONE);
        }
        struct lab_batch end = {.producer_id = 7, .marker = 1 + i % 2, .timestamp_ms = 1000 + i};
        CHECK_EQ(lab_append(&r->lab, log, &end, NULL), KERR_NONE);
    }
    CHECK_EQ(WAIT(&r->lab, log_flush(log, op)), 0);
}

/* Some segments, stopped cleanly. */
static struct real *begin(void)
{
    struct real *r = real_open();
    struct log *log;

    r->lab.settings.segment_bytes = 1200;
    log = real_log(r);
    fill(r, log);
    CHECK_TEXT(aborted(r, log), ABORTED);
    CHECK_EQ(log_segment_count(log), SEGMENTS);
    lab_stop(&r->lab, log, "t");
    return r;
}

static struct log *reopen(struct real *r)
{
    CHECK_EQ(lab_dir_open(&r->lab), 0);
    return real_log(r);
}

/* "t-0/NAME" of the n-th segment's index, as it was found by its base. */
static const char *index_of(const struct log *log, uint32_t n)
{
    static char name[64];

    snprintf(name, sizeof(name), "t-0/%020lld.txnindex", (long long)log->segments[n]->base);
    return name;
}

static const char *path_of(struct real *r, const char *name)
{
    static char path[1100];

    snprintf(path, sizeof(path), "%s/%s", r->lab.directory, name);
    return path;
}

enum harm { HARM_CUT, HARM_VERSION, HARM_MARKER, HARM_FIRST, HARM_NOISE, HARMS };

static void harm(struct real *r, const char *name, enum harm how)
{
    struct text content = lab_file(&r->lab, name);

    CHECK(content.n >= TXN_ENTRY_BYTES);
    switch (how) {
    case HARM_CUT:
        content.n--;
        break;
    case HARM_VERSION:
        content.p[1] = 1;
        break;
    case HARM_MARKER: /* behind the segment */
        put_u64((uint8_t *)content.p + 18, 1000);
        break;
    case HARM_FIRST: /* behind the marker */
        put_u64((uint8_t *)content.p + 10, 1000);
        break;
    default:
        memset(content.p, 'x', content.n);
    }
    lab_write(&r->lab, name, content.p, content.n);
    text_deinit(&content);
}

TEST(txn_damage, a_damaged_index_is_noticed_and_made_again)
{
    for (uint32_t segment = 0; segment < SEGMENTS; segment++) {
        for (int how = 0; how < HARMS; how++) {
            struct real *r = begin();
            struct log *log = reopen(r);
            char name[64];
            snprintf(name, sizeof(name), "%s", index_of(log, segment));
            lab_stop(&r->lab, log, "t");
            struct text before = lab_file(&r->lab, name), after;
            harm(r, name, (enum harm)how);

            text_clear(&r->lab.said);
            log = reopen(r);
            CHECK_TEXT(aborted(r, log), ABORTED);
            if (how != HARM_CUT) /* what has the wrong size is noticed at the start */
                CHECK(strstr(r->lab.said.p, "does not fit its segment: it is made again from the batches") != NULL);
            text_clear(&r->lab.said);
            CHECK_TEXT(aborted(r, log), ABORTED);
            CHECK_EQ(WAIT(&r->lab, log_flush(log, op)), 0);
            CHECK_TEXT(aborted(r, log), ABORTED);
            CHECK_EQ(r->lab.said.n, 0);
            lab_stop(&r->lab, log, "t");
            after = lab_file(&r->lab, name);
            CHECK_EQ(after.n, before.n);
            CHECK_EQ(memcmp(after.p, before.p, before.n), 0);
            text_deinit(&before);
            text_deinit(&after);
            CHECK_EQ(lab_dir_open(&r->lab), 0);
            real_close(r, NULL);
        }
    }
}

/* While the log is open: of all segments at once, with more that is appended meanwhile. */
TEST(txn_damage, an_index_that_is_deleted_is_made_again)
{
    struct real *r = begin();
    struct log *log = reopen(r);

    for (uint32_t i = 0; i < SEGMENTS; i++)
        CHECK_EQ(unlink(path_of(r, index_of(log, i))), 0);
    CHECK_TEXT(aborted(r, log), ABORTED);
    struct lab_batch b = {.producer_id = 8, .transactional = true, .value_bytes = 60};
    CHECK_EQ(lab_append(&r->lab, log, &b, NULL), KERR_NONE);
    struct lab_batch end = {.producer_id = 8, .marker = 2};
    CHECK_EQ(lab_append(&r->lab, log, &end, NULL), KERR_NONE);
    CHECK_TEXT(aborted(r, log), ABORTED "8:36-37 ");
    lab_stop(&r->lab, log, "t");
    log = reopen(r);
    CHECK_TEXT(aborted(r, log), ABORTED "8:36-37 ");
    real_close(r, log);
}

/* Without the batches nothing can be told: then the read fails, instead of showing what was aborted. */
TEST(txn_damage, what_cannot_be_made_again_is_an_error)
{
    struct real *r = begin();
    struct log *log = reopen(r);
    char name[64], segment[64];

    snprintf(name, sizeof(name), "%s", index_of(log, 1));
    snprintf(segment, sizeof(segment), "t-0/%020lld.log", (long long)log->segments[1]->base);
    lab_stop(&r->lab, log, "t");
    harm(r, name, HARM_NOISE);
    struct text content = lab_file(&r->lab, segment);
    content.p[16] = 9; /* a magic */
    lab_write(&r->lab, segment, content.p, content.n);
    text_deinit(&content);
    log = reopen(r);
    const char *told = aborted(r, log);
    CHECK(strcmp(told, error_text(ERR_CORRUPT)) == 0 || strcmp(told, error_text(ERR_VERSION)) == 0);
    CHECK(strstr(r->lab.said.p, "cannot be made again") != NULL);
    CHECK_EQ(WAIT(&r->lab, log_close(log, op)), 0);
    lab_dir_close(&r->lab, false);
    CHECK_EQ(lab_dir_open(&r->lab), 0);
    real_close(r, NULL);
}
