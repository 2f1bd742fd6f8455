/* The bytes of a journal: what is read back, what ends it, what is refused. */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "journal_lab.h"
#include "log/journal_parts.h"

/* "3..5" = the commits that were found, or the message. */
static const char *found(const struct hand *h)
{
    static char text[600];
    struct journal_commits c = {0};
    struct fail f = {0};

    if (hand_find(h, &c, &f) < 0) {
        snprintf(text, sizeof(text), "%s", f.text);
        return text;
    }
    if (c.count == 0)
        snprintf(text, sizeof(text), "none");
    else
        snprintf(text, sizeof(text), "%u..%u", (unsigned)c.commits[0].sequence,
                 (unsigned)c.commits[c.count - 1].sequence);
    journal_commits_free(&c);
    return text;
}

static struct hand *hand_new(void)
{
    struct hand *h = malloc(sizeof(*h));

    ASSERT(h != NULL);
    hand_init(h, 1);
    return h;
}

TEST(journal_format, what_was_committed_is_read)
{
    struct hand *h = hand_new();
    struct journal_commits c;
    struct journal_entry e;

    CHECK_TEXT(found(h), "none");
    hand_add(h, JOURNAL_APPEND, 3, 1000, 77, "abc", 3);
    hand_add(h, JOURNAL_DRAINED, 4, 5, 6, NULL, 0);
    hand_add(h, JOURNAL_RESET, 5, 0, 0, NULL, 0);
    hand_commit(h);
    CHECK_EQ(hand_find(h, &c, NULL), 0);
    CHECK_EQ(c.count, 1);
    CHECK_EQ(c.commits[0].entry_count, 3);
    struct rd rd = rd_of(c.commits[0].entries.p, (size_t)c.commits[0].entries.n);
    CHECK_EQ(journal_entry_read(&rd, &e), 0);
    CHECK_EQ(e.kind, JOURNAL_APPEND);
    CHECK_EQ(e.partition, 3);
    CHECK_EQ(e.topic_id.b[15], 9);
    CHECK_EQ(e.base, 1000);
    CHECK_EQ(e.position, 77);
    CHECK_BYTES(e.bytes.p, e.bytes.n, "abc", 3);
    CHECK_EQ(journal_entry_read(&rd, &e), 0);
    CHECK_EQ(e.kind, JOURNAL_DRAINED);
    CHECK_EQ(e.base, 5);
    CHECK_EQ(e.position, 6);
    CHECK_EQ(journal_entry_read(&rd, &e), 0);
    CHECK_EQ(e.kind, JOURNAL_RESET);
    CHECK_EQ(journal_entry_read(&rd, &e), ERR_CORRUPT);
    journal_commits_free(&c);
    free(h);
}

TEST(journal_format, a_torn_commit_ends_it)
{
    struct hand *h = hand_new();

    for (int i = 0; i < 12; i++)
        hand_append(h, 0, 0, 10 * (uint64_t)i, "0123456789");
    CHECK_TEXT(found(h), "1..12");
    h->chunks[h->chunk][h->last_at + 100] ^= 1;
    CHECK_TEXT(found(h), "1..11");
    free(h);
}

TEST(journal_format, a_commit_missing_before_a_good_one_is_a_hole)
{
    struct hand *h = hand_new();

    for (int i = 0; i < 12; i++)
        hand_append(h, 0, 0, 10 * (uint64_t)i, "0123456789");
    h->chunks[0][4 * JOURNAL_PAGE_BYTES + 70] ^= 1;
    CHECK_TEXT(found(h), "commit 5, behind byte 16384 of 0.00 or in the chunk that follows, is missing or damaged, but "
                         "a later one, 12, is in 0.01 at byte 12288");
    h->chunks[0][4 * JOURNAL_PAGE_BYTES + 70] ^= 1;
    memset(h->chunks[0], 0, HAND_CHUNK_BYTES);
    CHECK_TEXT(found(h), "commit 1 is missing, but a later one, 12, is in 0.01 at byte 12288");
    free(h);
}

/* Chunks are used again: what is left of their old commits is older than what matters. */
TEST(journal_format, old_commits_of_a_recycled_chunk_do_not_matter)
{
    struct hand *h = hand_new();

    for (int i = 0; i < 24; i++)
        hand_append(h, 0, 0, 10 * (uint64_t)i, "0123456789");
    CHECK_TEXT(found(h), "1..24");
    h->oldest = 17;
    hand_append(h, 0, 0, 240, "0123456789");
    CHECK_EQ(h->chunk, 0);
    CHECK_TEXT(found(h), "17..25");
    h->oldest = 9;
    hand_append(h, 0, 0, 250, "0123456789");
    CHECK_TEXT(found(h), "9..26");
    h->oldest = 3; /* is overwritten */
    hand_append(h, 0, 0, 260, "0123456789");
    CHECK_TEXT(found(h), "commit 3 is missing, but a later one, 27, is in 0.00 at byte 8192");
    free(h);
}

TEST(journal_format, commits_of_other_journals_are_not_seen)
{
    struct hand *h = hand_new(), *other = hand_new();

    hand_init(other, 2);
    hand_append(other, 0, 0, 0, "x");
    hand_append(other, 0, 0, 1, "x");
    hand_append(h, 0, 0, 0, "y");
    memcpy(h->chunks[0] + JOURNAL_PAGE_BYTES, other->chunks[0] + JOURNAL_PAGE_BYTES, JOURNAL_PAGE_BYTES);
    CHECK_TEXT(found(h), "1..1");
    free(other);
    free(h);
}

TEST(journal_format, a_later_version_is_refused)
{
    struct hand *h = hand_new();
    uint8_t *p = h->chunks[0];

    hand_append(h, 0, 0, 0, "y");
    put_u32(p + 12, 2);
    put_u32(p + 8, crc32c(0, p + 12, get_u32(p + 48) - 12));
    CHECK_TEXT(found(h), "0.00 was written by a later version of millrace: start that one");
    free(h);
}

/* Any flipped byte ends the journal there or is a hole; a damaged chunk never gives what was not committed. */
TEST(journal_format, no_flipped_byte_is_believed)
{
    struct hand *h = hand_new();

    for (int i = 0; i < 4; i++)
        hand_append(h, 0, 0, 10 * (uint64_t)i, "0123456789");
    for (uint32_t at = 0; at < 4 * JOURNAL_PAGE_BYTES; at++) {
        uint32_t in_page = at % JOURNAL_PAGE_BYTES;
        bool last = at / JOURNAL_PAGE_BYTES == 3;
        if (in_page >= JOURNAL_HEADER_BYTES + JOURNAL_ENTRY_BYTES + 10)
            continue; /* zeros up to the page's end */
        h->chunks[0][at] ^= 0x10;
        const char *text = found(h);
        if (last)
            CHECK_TEXT(text, "1..3");
        else
            CHECK(strstr(text, "missing") != NULL);
        h->chunks[0][at] ^= 0x10;
    }
    free(h);
}

/* ---- parts --------------------------------------------------------------------------------- */

/* "partition base/position n, ..." of what is to be written. */
static const char *parts(const struct hand *h)
{
    static char text[600];
    struct journal_commits c = {0};
    struct journal_parts all = {0};
    struct fail f = {0};
    size_t n = 0;

    text[0] = '\0';
    CHECK_EQ(hand_find(h, &c, NULL), 0);
    if (journal_parts_take(&all, &c, &f) < 0)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", f.text);
    else
        MAP_EACH (node, &all.by_id) {
            const struct journal_part *p = container_of(node, struct journal_part, node);
            for (uint32_t i = 0; i < p->count; i++)
                n += (size_t)snprintf(text + n, sizeof(text) - n, "%d:%lld/%llu+%d ", p->partition,
                                      (long long)p->pieces[i].base, (unsigned long long)p->pieces[i].position,
                                      p->pieces[i].bytes.n);
        }
    journal_parts_free(&all);
    journal_commits_free(&c);
    return text;
}

TEST(journal_parts, what_is_drained_or_reset_is_not_written)
{
    struct hand *h = hand_new();

    hand_append(h, 0, 0, 0, "0123456789");
    hand_append(h, 0, 0, 10, "0123456789");
    hand_append(h, 0, 50, 0, "0123456789");
    CHECK_TEXT(parts(h), "0:0/0+10 0:0/10+10 0:50/0+10 ");
    hand_add(h, JOURNAL_DRAINED, 0, 0, 14, NULL, 0);
    hand_commit(h);
    CHECK_TEXT(parts(h), "0:0/14+6 0:50/0+10 ");
    hand_add(h, JOURNAL_DRAINED, 0, 0, 3, NULL, 0); /* marks do not go back */
    hand_commit(h);
    CHECK_TEXT(parts(h), "0:0/14+6 0:50/0+10 ");
    hand_add(h, JOURNAL_DRAINED, 0, 50, 0, NULL, 0);
    hand_commit(h);
    CHECK_TEXT(parts(h), "0:50/0+10 ");
    hand_add(h, JOURNAL_RESET, 0, 0, 0, NULL, 0);
    hand_commit(h);
    CHECK_TEXT(parts(h), "");
    hand_append(h, 0, 0, 5, "again"); /* after a truncation: lower than the old mark */
    CHECK_TEXT(parts(h), "0:0/5+5 ");
    free(h);
}

TEST(journal_parts, an_entry_that_makes_no_sense_is_refused)
{
    struct hand *h = hand_new();

    hand_append(h, 0, 0, 0, "x");
    hand_add(h, (enum journal_entry_kind)4, 0, 0, 0, NULL, 0);
    hand_commit(h);
    CHECK_TEXT(parts(h), "commit 2 has a good checksum, but its entry 0 makes no sense");
    free(h);
}

/* ---- meta ---------------------------------------------------------------------------------- */

static const char *meta_error(const char *text)
{
    static struct fail f;
    struct journal_line *lines;
    uint32_t count;

    f = (struct fail){0};
    if (journal_meta_parse(str_of(text), &lines, &count, &f) == 0)
        free(lines);
    return f.text;
}

TEST(journal_meta, is_read_as_it_was_written)
{
    struct journal_line lines[2] = {{0, 2, 8192, {{1}}}, {5, 64, 4194304, {{2}}}}, *read;
    struct text text = {0};
    uint32_t count;

    journal_meta_print(lines, 2, &text);
    CHECK_TEXT(text.p, "version: 1\njournals: 2\n0 AQAAAAAAAAAAAAAAAAAAAA 2 8192\n"
                       "5 AgAAAAAAAAAAAAAAAAAAAA 64 4194304\n");
    CHECK_EQ(journal_meta_parse(text_str(&text), &read, &count, NULL), 0);
    CHECK_EQ(count, 2);
    CHECK_BYTES(read, sizeof(lines), lines, sizeof(lines));
    free(read);
    text_deinit(&text);
}

TEST(journal_meta, damage_is_named)
{
#define EXPECTED " is not as it should be (version, journals, SHARD ID CHUNKS BYTES)"
#define ID "AQAAAAAAAAAAAAAAAAAAAA"
    CHECK_TEXT(meta_error("version: 1\njournals: 0\n"), "");
    CHECK_TEXT(meta_error(""), "line 1" EXPECTED);
    CHECK_TEXT(meta_error("version: 2\n"), "version 2 was written by a later version of millrace: start that one");
    CHECK_TEXT(meta_error("version: 1\n"), "line 2" EXPECTED);
    CHECK_TEXT(meta_error("version: 1\njournals: 4097\n"), "line 2" EXPECTED);
    CHECK_TEXT(meta_error("version: 1\njournals: 1\n"), "line 3" EXPECTED);
    CHECK_TEXT(meta_error("version: 1\njournals: 1\n0 " ID " 2\n"), "line 3" EXPECTED);
    CHECK_TEXT(meta_error("version: 1\njournals: 1\n0 " ID " 65 4096\n"), "line 3" EXPECTED);
    CHECK_TEXT(meta_error("version: 1\njournals: 1\n0 " ID " 2 99999999\n"), "line 3" EXPECTED);
    CHECK_TEXT(meta_error("version: 1\njournals: 1\n0 " ID " 2 4096\nmore\n"), "line 4" EXPECTED);
}
