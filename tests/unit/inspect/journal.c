/* The journal beside a directory that Kafka left: what verify says of it, whole, torn and damaged. */
#include "rig.h"

#include "check.h"
#include "log/journal_format.h"

#include <stdio.h>

#define JOURNAL "data/" JOURNAL_FOLDER_NAME
#define LAST "orders-1/00000000000000000080"
#define LAST_BYTES 783 /* offsets 80 to 99 */
#define CHUNK_BYTES (4 * JOURNAL_PAGE_BYTES)

static const struct uuid journal_id = {{1, 2, 3}};

struct hand {
    struct rig rig;
    struct uuid topic_id;
    uint8_t chunk[CHUNK_BYTES];
};

/* In DIR/kept: a topic with two segments, stopped by a crash. */
static void begin(struct hand *h)
{
    struct text metadata;
    struct str all;

    *h = (struct hand){0};
    rig_begin(&h->rig);
    rig_shell(&h->rig, "tar --zstd -xf %s/../../interop/golden/kafka-4.3.1/data.tar.zst", TEST_DIR);
    rig_shell(&h->rig, "mkdir kept && mv data/a/orders-1 data/a/meta.properties data/a/log-start-offset-checkpoint kept");
    metadata = rig_read(&h->rig, "kept/orders-1/partition.metadata");
    all = str_trim(text_str(&metadata));
    CHECK_EQ(uuid_parse((struct str){all.p + all.n - 22, 22}, &h->topic_id), 0);
    text_deinit(&metadata);
}

/* One commit of one APPEND to the partition's last segment: `count` records from `offset` on. Returns the bytes of it. */
static uint64_t put(struct hand *h, uint64_t sequence, uint64_t oldest, int32_t partition, uint64_t position,
                    int64_t offset, int32_t count)
{
    uint8_t *at = h->chunk + (sequence - oldest) * JOURNAL_PAGE_BYTES, *p = at + JOURNAL_HEADER_BYTES;
    struct text batch = {0};
    struct journal_entry e = {.kind = JOURNAL_APPEND, .partition = partition, .topic_id = h->topic_id, .base = 80};
    uint64_t n;

    rig_batch(&batch, offset, count, 1000);
    n = batch.n;
    e.position = position;
    e.bytes = bytes_of_str(text_str(&batch));
    p = journal_entry_put(p, &e);
    memcpy(p, batch.p, n);
    CHECK_EQ(journal_commit_seal(at, (uint32_t)(p + n - at), journal_id, sequence, oldest, 1), JOURNAL_PAGE_BYTES);
    text_deinit(&batch);
    return n;
}

/* Commits 5 and 6, of 3 records each. Returns their bytes. */
static uint64_t fill(struct hand *h)
{
    uint64_t n;

    memset(h->chunk, 0, sizeof(h->chunk));
    n = put(h, 5, 5, 1, LAST_BYTES, 100, 3);
    return n + put(h, 6, 5, 1, LAST_BYTES + n, 103, 3);
}

static struct str verify(struct hand *h)
{
    struct journal_line line = {.shard = 2, .chunk_count = 1, .chunk_bytes = CHUNK_BYTES, .id = journal_id};
    struct text meta = {0};

    journal_meta_print(&line, 1, &meta);
    rig_shell(&h->rig, "rm -rf data && cp -a kept data && mkdir " JOURNAL);
    rig_write(&h->rig, JOURNAL "/meta", meta.p, meta.n);
    rig_write(&h->rig, JOURNAL "/2.00", h->chunk, sizeof(h->chunk));
    text_deinit(&meta);
    return rig_verify(&h->rig, false, NULL);
}

static void says(struct str all, const char *line, const char *status)
{
    if (strstr(all.p, line) == NULL)
        CHECK_TEXT(all, line); /* shows both */
    CHECK(str_ends(all, str_of(status)));
}

TEST(verify_journal, tells_what_it_holds_and_where_logs_end_with_it)
{
    struct hand h;
    char line[300];

    begin(&h);
    snprintf(line, sizeof(line),
             "note millrace.journal: shard 2: commits 5 to 6 hold %llu bytes of 1 partitions that segments may lack: the "
             "next start, or `millrace storage drain DIR/data`, brings them there\n",
             (unsigned long long)fill(&h));
    struct str all = verify(&h);
    says(all, line, "status 0\n");
    says(all, "note orders-1: ends at offset 100 in its segments, and at 106 with what the journal holds\n", "status 0\n");

    rig_shell(&h.rig, "printf '0\n1\norders 1 106\n' > kept/replication-offset-checkpoint");
    says(verify(&h), ": 0 troubles, ", "status 0\n");
    rig_shell(&h.rig, "printf '0\n1\norders 1 107\n' > kept/replication-offset-checkpoint");
    says(verify(&h), "trouble orders-1: the log ends at 106, but its high watermark was 107", "status 1\n");
    rig_shell(&h.rig, "rm kept/replication-offset-checkpoint");

    put(&h, 6, 5, 7, 0, 103, 3);
    says(verify(&h), "note millrace.journal: partition 7 of topic id ", "status 0\n");
    rig_end(&h.rig);
}

TEST(verify_journal, torn_end_is_fine_and_said)
{
    struct hand h;

    begin(&h);
    fill(&h);
    put(&h, 7, 5, 1, LAST_BYTES, 106, 3);
    h.chunk[2 * JOURNAL_PAGE_BYTES + 200] ^= 1;
    says(verify(&h), "note millrace.journal/2.00: byte 8192: commit 7 is torn: it was being written when the server ended, and "
         "nobody was told of it\n", "status 0\n");
    rig_end(&h.rig);
}

TEST(verify_journal, damage_is_trouble)
{
    struct hand h;

    begin(&h);
    for (uint32_t at = 0; at < JOURNAL_HEADER_BYTES + JOURNAL_ENTRY_BYTES + 20; at++) {
        fill(&h);
        h.chunk[at] ^= 0x10;
        says(verify(&h), "trouble millrace.journal: commit 5 is missing, but a later one, 6, is in 2.00 at byte 4096; a server "
             "does not start", "status 1\n");
    }
    fill(&h);
    put(&h, 5, 5, 1, LAST_BYTES + 1, 100, 3);
    says(verify(&h), "trouble " LAST ".log: segment 80 ends at byte 783, but the journal goes on from byte 784: what lies "
         "between is lost, and a server does not start", "status 1\n");
    fill(&h);
    (void)verify(&h);
    rig_shell(&h.rig, "rm " JOURNAL "/2.00");
    says(rig_verify(&h.rig, false, NULL), "trouble millrace.journal/2.00: is missing, though meta names it", "status 1\n");
    (void)verify(&h);
    rig_shell(&h.rig, "truncate -s -1 " JOURNAL "/2.00");
    says(rig_verify(&h.rig, false, NULL), "trouble millrace.journal/2.00: has not the 16384 bytes", "status 1\n");
    (void)verify(&h);
    rig_shell(&h.rig, "echo x >> " JOURNAL "/meta");
    says(rig_verify(&h.rig, false, NULL), "trouble millrace.journal/meta: line 4 is not as it should be", "status 1\n");
    (void)verify(&h);
    rig_shell(&h.rig, "rm " JOURNAL "/meta");
    says(rig_verify(&h.rig, false, NULL), "trouble millrace.journal/meta: is missing, but there are chunks", "status 1\n");
    rig_shell(&h.rig, "rm " JOURNAL "/2.00");
    says(rig_verify(&h.rig, false, NULL), "note millrace.journal/meta: is missing: the folder was being made", "status 0\n");
    rig_end(&h.rig);
}
