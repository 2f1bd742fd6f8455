/* Foreign bytes as a journal: two chunks of one journal, or its meta file. The first byte says which. The checksums of
 * commits are put right first, so that what lies behind them is reached. */
#include "log/journal_parts.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct uuid id = {{'i', 'd'}};

/* Where a commit seems to begin, it gets the journal's id and the right checksum. */
static void make_credible(uint8_t *p, size_t n)
{
    for (size_t at = 0; at + JOURNAL_HEADER_BYTES <= n; at += JOURNAL_PAGE_BYTES) {
        uint32_t length = get_u32(p + at + 48);
        memcpy(p + at, "MILLJRNL", 8);
        memcpy(p + at + 16, id.b, 16);
        if (length >= JOURNAL_HEADER_BYTES && length <= n - at)
            put_u32(p + at + 8, crc32c(0, p + at + 12, length - 12));
    }
}

static void read_chunks(const uint8_t *data, size_t size, bool credible)
{
    uint8_t *copy = malloc(size + 1);
    size_t half = size / 2 / JOURNAL_PAGE_BYTES * JOURNAL_PAGE_BYTES;
    struct journal_commits commits;
    struct journal_parts parts = {0};
    struct fail f = {0};

    ASSERT(copy != NULL);
    memcpy(copy, data, size);
    if (credible)
        make_credible(copy, size);
    struct bytes chunks[2] = {{copy, (int32_t)half}, {copy + half, (int32_t)(size - half)}};
    if (journal_commits_find(chunks, 2, id, 0, &commits, &f) == 0) {
        for (uint32_t i = 1; i < commits.count; i++)
            ASSERT(commits.commits[i].sequence == commits.commits[i - 1].sequence + 1);
        if (journal_parts_take(&parts, &commits, &f) < 0)
            ASSERT(f.error == ERR_CORRUPT);
        journal_parts_free(&parts);
        journal_commits_free(&commits);
    } else {
        ASSERT(f.text[0] != '\0');
    }
    free(copy);
}

/* What is read and printed is read again as the same. */
static void read_meta(struct str text)
{
    struct journal_line *lines, *again;
    uint32_t count, count_again;
    struct text out = {0};

    if (journal_meta_parse(text, &lines, &count, NULL) < 0)
        return;
    journal_meta_print(lines, count, &out);
    int rc = journal_meta_parse(text_str(&out), &again, &count_again, NULL);
    ASSERT(rc == 0 && count == count_again);
    ASSERT(memcmp(lines, again, count * sizeof(*lines)) == 0);
    free(lines);
    free(again);
    text_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 1 << 20)
        return 0;
    if (data[0] % 3 == 2)
        read_meta((struct str){(const char *)data + 1, (int32_t)size - 1});
    else
        read_chunks(data + 1, size - 1, data[0] % 3 == 1);
    return 0;
}
