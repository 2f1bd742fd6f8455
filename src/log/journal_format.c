#include "log/journal_format.h"

#include <stdio.h>
#include <stdlib.h>

/* "MILLJRNL" */
#define MAGIC UINT64_C(0x4d494c4c4a524e4c)

/* Where the fields of a header are; the checksum covers everything behind itself up to `length`. */
enum {
    AT_MAGIC = 0,     /* u64 */
    AT_CRC = 8,       /* u32 */
    AT_VERSION = 12,  /* u32 */
    AT_ID = 16,       /* 16 bytes */
    AT_SEQUENCE = 32, /* u64 */
    AT_OLDEST = 40,   /* u64 */
    AT_LENGTH = 48,   /* u32, with the header, without the zeros behind */
    AT_COUNT = 52,    /* u32 entries; 8 bytes of zeros follow */
};

/* ---- write --------------------------------------------------------------------------------- */

/* u8 kind, 3 zeros, i32 partition, topic id, i64 base, u64 position, u32 bytes. */
uint8_t *journal_entry_put(uint8_t *p, const struct journal_entry *e)
{
    put_u32(p, (uint32_t)e->kind << 24);
    put_u32(p + 4, (uint32_t)e->partition);
    memcpy(p + 8, e->topic_id.b, 16);
    put_u64(p + 24, (uint64_t)e->base);
    put_u64(p + 32, e->position);
    put_u32(p + 40, (uint32_t)e->bytes.n);
    return p + JOURNAL_ENTRY_BYTES;
}

static uint32_t whole_pages(uint32_t n)
{
    return (n + JOURNAL_PAGE_BYTES - 1) / JOURNAL_PAGE_BYTES * JOURNAL_PAGE_BYTES;
}

uint32_t journal_commit_seal(uint8_t *p, uint32_t length, struct uuid id, uint64_t sequence, uint64_t oldest,
                             uint32_t entry_count)
{
    uint32_t n = whole_pages(length);

    ASSERT(length >= JOURNAL_HEADER_BYTES);
    memset(p, 0, JOURNAL_HEADER_BYTES);
    memset(p + length, 0, n - length);
    put_u64(p + AT_MAGIC, MAGIC);
    put_u32(p + AT_VERSION, JOURNAL_VERSION);
    memcpy(p + AT_ID, id.b, 16);
    put_u64(p + AT_SEQUENCE, sequence);
    put_u64(p + AT_OLDEST, oldest);
    put_u32(p + AT_LENGTH, length);
    put_u32(p + AT_COUNT, entry_count);
    put_u32(p + AT_CRC, crc32c(0, p + AT_VERSION, length - AT_VERSION));
    return n;
}

/* ---- read ---------------------------------------------------------------------------------- */

int journal_commit_read(struct bytes chunk, uint64_t position, struct uuid id, struct journal_commit *out)
{
    const uint8_t *p = chunk.p + position;
    uint64_t left = (uint64_t)chunk.n - position;
    uint32_t length;

    if (left < JOURNAL_HEADER_BYTES || get_u64(p + AT_MAGIC) != MAGIC || memcmp(p + AT_ID, id.b, 16) != 0)
        return 0;
    length = get_u32(p + AT_LENGTH);
    if (length < JOURNAL_HEADER_BYTES || length > left)
        return 0;
    if (get_u32(p + AT_CRC) != crc32c(0, p + AT_VERSION, length - AT_VERSION))
        return 0;
    if (get_u32(p + AT_VERSION) != JOURNAL_VERSION)
        return ERR_VERSION;
    *out = (struct journal_commit){
        .sequence = get_u64(p + AT_SEQUENCE),
        .oldest = get_u64(p + AT_OLDEST),
        .entries = {p + JOURNAL_HEADER_BYTES, (int32_t)(length - JOURNAL_HEADER_BYTES)},
        .entry_count = get_u32(p + AT_COUNT),
        .position = position,
        .end = position + whole_pages(length),
    };
    return 1;
}

uint64_t journal_commit_begun(struct bytes chunk, uint64_t position, struct uuid id)
{
    const uint8_t *p = chunk.p + position;

    if ((uint64_t)chunk.n - position < JOURNAL_HEADER_BYTES || get_u64(p + AT_MAGIC) != MAGIC ||
        memcmp(p + AT_ID, id.b, 16) != 0)
        return 0;
    return get_u64(p + AT_SEQUENCE);
}

int journal_entry_read(struct rd *r, struct journal_entry *out)
{
    struct journal_entry e = {0};
    uint32_t kind = (uint32_t)rd_i32(r);
    const uint8_t *p;

    e.partition = rd_i32(r);
    p = rd_take(r, 16);
    if (p != NULL)
        memcpy(e.topic_id.b, p, 16);
    e.base = rd_i64(r);
    e.position = (uint64_t)rd_i64(r);
    e.bytes.n = rd_i32(r);
    if (r->failed || e.bytes.n < 0)
        return ERR_CORRUPT;
    e.bytes.p = rd_take(r, (size_t)e.bytes.n);
    if (r->failed || (kind & 0xffffff) != 0 || kind >> 24 < JOURNAL_APPEND || kind >> 24 > JOURNAL_RESET)
        return ERR_CORRUPT;
    e.kind = (enum journal_entry_kind)(kind >> 24);
    if (e.partition < 0 || e.base < 0 || e.position > INT32_MAX || (e.kind == JOURNAL_APPEND) != (e.bytes.n > 0))
        return ERR_CORRUPT;
    *out = e;
    return 0;
}

/* ---- a whole journal ----------------------------------------------------------------------- */

static void commit_add(struct journal_commits *c, const struct journal_commit *commit)
{
    if ((c->count & (c->count - 1)) == 0) { /* at each power of two */
        size_t capacity = c->count == 0 ? 1 : (size_t)c->count * 2;
        c->commits = realloc(c->commits, capacity * sizeof(*c->commits));
        ASSERT(c->commits != NULL);
    }
    c->commits[c->count++] = *commit;
}

void journal_commits_free(struct journal_commits *c)
{
    free(c->commits);
    *c = (struct journal_commits){0};
}

/* Every good commit of a chunk, also the old ones behind those that were written over it. */
static int take_chunk(struct bytes chunk, uint32_t number, struct uuid id, struct journal_commits *found)
{
    struct journal_commit commit;
    uint64_t position = 0;
    int rc;

    while (position < (uint64_t)chunk.n) {
        TRY(rc = journal_commit_read(chunk, position, id, &commit));
        if (rc == 0) {
            position += JOURNAL_PAGE_BYTES;
            continue;
        }
        commit.chunk = number;
        commit_add(found, &commit);
        position = commit.end;
    }
    return 0;
}

static int by_sequence(const void *a, const void *b)
{
    const struct journal_commit *x = a, *y = b;

    return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

static int report_hole(const struct journal_commits *found, uint32_t at, uint64_t missing, uint32_t shard,
                       struct fail *f)
{
    const struct journal_commit *last = &found->commits[found->count - 1];
    char name[JOURNAL_NAME_BYTES], last_name[JOURNAL_NAME_BYTES];

    journal_chunk_name(shard, last->chunk, last_name);
    if (at == 0 || found->commits[at - 1].sequence + 1 != missing)
        return fail_set(f, ERR_CORRUPT, "commit %llu is missing, but a later one, %llu, is in %s at byte %llu",
                        (unsigned long long)missing, (unsigned long long)last->sequence, last_name,
                        (unsigned long long)last->position);
    const struct journal_commit *before = &found->commits[at - 1];
    return fail_set(f, ERR_CORRUPT,
                    "commit %llu, behind byte %llu of %s or in the chunk that follows, is missing or damaged, but a "
                    "later one, %llu, is in %s at byte %llu",
                    (unsigned long long)missing, (unsigned long long)before->end,
                    journal_chunk_name(shard, before->chunk, name), (unsigned long long)last->sequence, last_name,
                    (unsigned long long)last->position);
}

/* Of ascending commits only those that matter are left: all of them must be there. */
static int keep_what_matters(struct journal_commits *found, uint32_t shard, struct fail *f)
{
    uint64_t expected = found->commits[found->count - 1].oldest;
    uint32_t first = 0;

    while (found->commits[first].sequence < expected && first + 1 < found->count)
        first++;
    for (uint32_t i = first; i < found->count; i++, expected++) {
#ifdef MUTANT_JOURNAL_HOLE_UNNOTICED
        continue;
#endif
        if (found->commits[i].sequence != expected)
            return report_hole(found, i, expected, shard, f);
    }
    memmove(found->commits, found->commits + first, (found->count - first) * sizeof(*found->commits));
    found->count -= first;
    return 0;
}

int journal_commits_find(const struct bytes *chunks, uint32_t chunk_count, struct uuid id, uint32_t shard,
                         struct journal_commits *out, struct fail *f)
{
    struct journal_commits found = {0};
    char name[JOURNAL_NAME_BYTES];
    int rc = 0;

    for (uint32_t i = 0; i < chunk_count && rc == 0; i++) {
        rc = take_chunk(chunks[i], i, id, &found);
        if (rc < 0)
            fail_set(f, rc, "%s was written by a later version of millrace: start that one",
                     journal_chunk_name(shard, i, name));
    }
    if (rc == 0 && found.count > 0) {
        qsort(found.commits, found.count, sizeof(*found.commits), by_sequence);
        rc = keep_what_matters(&found, shard, f);
    }
    if (rc < 0) {
        journal_commits_free(&found);
        return rc;
    }
    *out = found;
    return 0;
}

/* ---- meta ---------------------------------------------------------------------------------- */

void journal_meta_print(const struct journal_line *lines, uint32_t count, struct text *out)
{
    char id[UUID_TEXT_BYTES];

    text_printf(out, "version: %d\njournals: %u\n", JOURNAL_VERSION, count);
    for (uint32_t i = 0; i < count; i++)
        text_printf(out, "%u %s %u %u\n", lines[i].shard, uuid_text(lines[i].id, id), lines[i].chunk_count,
                    lines[i].chunk_bytes);
}

/* "KEY: NUMBER" */
static int take_number(struct str *rest, struct str key, int64_t high, int64_t *out)
{
    struct str line, word;

    if (!str_cut(rest, '\n', &line) || !str_cut(&line, ':', &word) || !str_equal(word, key))
        return ERR_CORRUPT;
    return str_to_i64(str_trim(line), 0, high, out) < 0 ? ERR_CORRUPT : 0;
}

static int take_line(struct str line, struct journal_line *out)
{
    struct str shard_text, id_text, count_text;
    int64_t shard, count, bytes;
    struct uuid id;

    if (!str_cut(&line, ' ', &shard_text) || !str_cut(&line, ' ', &id_text) || !str_cut(&line, ' ', &count_text))
        return ERR_CORRUPT;
    if (str_to_i64(shard_text, 0, JOURNAL_SHARDS_MAX - 1, &shard) < 0 || uuid_parse(id_text, &id) < 0)
        return ERR_CORRUPT;
    if (str_to_i64(count_text, 0, JOURNAL_CHUNKS_MAX, &count) < 0 ||
        str_to_i64(line, JOURNAL_PAGE_BYTES, JOURNAL_CHUNK_BYTES_MAX, &bytes) < 0)
        return ERR_CORRUPT;
    *out = (struct journal_line){(uint32_t)shard, (uint32_t)count, (uint32_t)bytes, id};
    return 0;
}

int journal_meta_parse(struct str text, struct journal_line **out, uint32_t *count, struct fail *f)
{
    struct journal_line *lines = NULL;
    int64_t version, n, taken = 0;
    struct str line;
    int number = 1;

    if (take_number(&text, STR("version"), INT64_MAX, &version) < 0)
        goto bad;
    if (version != JOURNAL_VERSION)
        return fail_set(f, ERR_VERSION, "version %lld was written by a later version of millrace: start that one",
                        (long long)version);
    number++;
    if (take_number(&text, STR("journals"), JOURNAL_SHARDS_MAX, &n) < 0)
        goto bad;
    lines = calloc((size_t)n + 1, sizeof(*lines));
    ASSERT(lines != NULL);
    for (; taken < n; taken++) {
        number++;
        if (!str_cut(&text, '\n', &line) || take_line(line, &lines[taken]) < 0)
            goto bad;
    }
    number++;
    if (text.n > 0)
        goto bad;
    *out = lines;
    *count = (uint32_t)n;
    return 0;
bad:
    free(lines);
    return fail_set(f, ERR_CORRUPT, "line %d is not as it should be (version, journals, SHARD ID CHUNKS BYTES)",
                    number);
}

const char *journal_chunk_name(uint32_t shard, uint32_t chunk, char out[JOURNAL_NAME_BYTES])
{
    snprintf(out, JOURNAL_NAME_BYTES, "%u.%02u", shard, chunk);
    return out;
}
