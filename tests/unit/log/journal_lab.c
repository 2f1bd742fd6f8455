/* See journal_lab.h. */
#include "journal_lab.h"

#include "check.h"

void hand_init(struct hand *h, uint8_t id)
{
    *h = (struct hand){.oldest = 1, .length = JOURNAL_HEADER_BYTES};
    h->id.b[0] = id;
    h->id.b[15] = 77;
}

void hand_add(struct hand *h, enum journal_entry_kind kind, int32_t partition, int64_t base, uint64_t position,
              const void *bytes, size_t n)
{
    struct journal_entry e = {
        .kind = kind, .partition = partition, .base = base, .position = position, .bytes = {bytes, (int32_t)n}};
    uint8_t *p = h->commit + h->length;

    e.topic_id.b[15] = 9;
    ASSERT(h->length + JOURNAL_ENTRY_BYTES + n <= sizeof(h->commit));
    p = journal_entry_put(p, &e);
    if (n > 0)
        memcpy(p, bytes, n);
    h->length = (uint32_t)(p + n - h->commit);
    h->count++;
}

void hand_commit(struct hand *h)
{
    uint32_t n = journal_commit_seal(h->commit, h->length, h->id, ++h->sequence, h->oldest, h->count);

    if (h->at + n > HAND_CHUNK_BYTES) {
        h->chunk = (h->chunk + 1) % HAND_CHUNKS;
        h->at = 0;
    }
    memcpy(h->chunks[h->chunk] + h->at, h->commit, n);
    h->last_at = h->at;
    h->at += n;
    h->length = JOURNAL_HEADER_BYTES;
    h->count = 0;
}

void hand_append(struct hand *h, int32_t partition, int64_t base, uint64_t position, const char *text)
{
    hand_add(h, JOURNAL_APPEND, partition, base, position, text, strlen(text));
    hand_commit(h);
}

int hand_find(const struct hand *h, struct journal_commits *out, struct fail *f)
{
    struct bytes chunks[HAND_CHUNKS];

    for (int i = 0; i < HAND_CHUNKS; i++)
        chunks[i] = (struct bytes){h->chunks[i], HAND_CHUNK_BYTES};
    return journal_commits_find(chunks, HAND_CHUNKS, h->id, 0, out, f);
}
