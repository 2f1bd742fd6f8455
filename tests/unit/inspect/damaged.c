/* Files that are cut, garbled or not what their names say: said, and the rest is printed all the same. */
#include "rig.h"

#include "check.h"
#include "record/record.h"

#define LOG "00000000000000000000.log"
#define INDEX "00000000000000000000.index"
#define TIMEINDEX "00000000000000000000.timeindex"

static const struct dump_options shallow;

#define LINE(offset, position, crc, valid)                                                         \
    "baseOffset: " offset " lastOffset: " offset                                                   \
    " count: 1 baseSequence: -1 lastSequence: -1 producerId: -1 producerEpoch: -1 "                \
    "partitionLeaderEpoch: 0 isTransactional: false isControl: false deleteHorizonMs: "            \
    "OptionalLong.empty position: " position " CreateTime: 1000 size: 76 magic: 2 "                \
    "compresscodec: none crc: " crc " isvalid: " valid "\n"
#define TITLE "Dumping DIR/" LOG "\nLog starting offset: 0\n"
#define FIRST LINE("0", "0", "1154059855", "true")
#define SECOND LINE("1", "76", "1154059855", "true")

/* Two batches of one record, 76 bytes each. */
static void two_batches(struct text *out)
{
    rig_batch(out, 0, 1, 1000);
    rig_batch(out, 1, 1, 1000);
    CHECK_EQ(out->n, 152);
}

TEST(dump_damaged, a_cut_batch_is_what_is_left_at_the_end)
{
    struct rig r;
    struct text log = {0};

    rig_begin(&r);
    two_batches(&log);
    rig_write(&r, LOG, log.p, 151);
    CHECK_TEXT(rig_dump(&r, &shallow, LOG),
               TITLE FIRST "Found 75 invalid bytes at the end of " LOG "\n"
                           "--\nDIR/" LOG ": at byte 76 begins a batch that is cut off\n"
                           "status 0\n");
    text_deinit(&log);
    rig_end(&r);
}

TEST(dump_damaged, reserved_space_is_told_from_garbage)
{
    struct rig r;
    struct text log = {0};

    rig_begin(&r);
    two_batches(&log);
    for (int i = 0; i < 200000; i++)
        text_add(&log, "", 1);
    rig_write(&r, LOG, log.p, log.n);
    CHECK_TEXT(rig_dump(&r, &shallow, LOG),
               TITLE FIRST SECOND "Found 200000 invalid bytes at the end of " LOG "\n"
               "--\nDIR/" LOG ": from byte 152 on all is zero: space that was reserved\n"
               "status 0\n");
    log.p[log.n - 1] = 1;
    rig_write(&r, LOG, log.p, log.n);
    CHECK_TEXT(rig_dump(&r, &shallow, LOG),
               TITLE FIRST SECOND "Found 200000 invalid bytes at the end of " LOG "\n"
               "--\nDIR/" LOG ": at byte 152 is no batch: the bytes fail their checksum or make no "
               "sense\nstatus 1\n");
    text_deinit(&log);
    rig_end(&r);
}

TEST(dump_damaged, a_flipped_bit_in_a_record_shows_in_isvalid)
{
    struct rig r;
    struct text log = {0};

    rig_begin(&r);
    two_batches(&log);
    log.p[73] ^= 1; /* of the value */
    rig_write(&r, LOG, log.p, log.n);
    CHECK_TEXT(rig_dump(&r, &shallow, LOG),
               TITLE LINE("0", "0", "1154059855", "false") SECOND "status 0\n");
    text_deinit(&log);
    rig_end(&r);
}

TEST(dump_damaged, records_that_make_no_sense_end_their_batch_only)
{
    struct rig r;
    struct text log = {0};

    rig_begin(&r);
    two_batches(&log);
    log.p[61] = 0x7e; /* the record's length */
    rig_write(&r, LOG, log.p, log.n);
    CHECK_TEXT(rig_dump(&r, &(struct dump_options){.deep = true}, LOG),
               TITLE LINE("0", "0", "1154059855", "false") SECOND
               "| offset: 1 CreateTime: 1000 keySize: 3 valueSize: 5 sequence: -1 headerKeys: []\n"
               "--\nDIR/" LOG ": the records of the batch at byte 0, offsets 0 to 0, cannot be read: "
               "the bytes fail their checksum or make no sense\n"
               "Non-consecutive offsets in DIR/" LOG "\n  -1 is followed by 1\n"
               "status 1\n");
    text_deinit(&log);
    rig_end(&r);
}

static void index_entry(struct text *out, uint32_t offset, uint32_t position)
{
    uint8_t e[8];

    put_u32(e, offset);
    put_u32(e + 4, position);
    text_add(out, e, sizeof(e));
}

static void time_entry(struct text *out, int64_t timestamp_ms, uint32_t offset)
{
    uint8_t e[12];

    put_u64(e, (uint64_t)timestamp_ms);
    put_u32(e + 8, offset);
    text_add(out, e, sizeof(e));
}

TEST(dump_damaged, index_entries_that_do_not_fit_the_segment_are_named)
{
    struct rig r;
    struct text log = {0}, index = {0};

    rig_begin(&r);
    two_batches(&log);
    rig_write(&r, LOG, log.p, log.n);
    index_entry(&index, 1, 76);
    index_entry(&index, 2, 0);    /* another batch */
    index_entry(&index, 3, 30);   /* into one */
    index_entry(&index, 4, 5000); /* behind the end */
    index_entry(&index, 0, 0);    /* not cut */
    rig_write(&r, INDEX, index.p, index.n);
    CHECK_TEXT(rig_dump(&r, &shallow, INDEX),
               "Dumping DIR/" INDEX "\n"
               "offset: 1 position: 76\noffset: 2 position: 0\noffset: 3 position: 30\n"
               "offset: 4 position: 5000\n"
               "--\nMismatches in :DIR/" INDEX "\n"
               "  Index offset: 2, log offset: 0\n"
               "  Index offset: 3, log offset: none at byte 30\n"
               "  Index offset: 4, log offset: none at byte 5000\n"
               "status 0\n");
    rig_write(&r, INDEX, index.p, 7);
    CHECK_TEXT(rig_dump(&r, &(struct dump_options){.sanity_only = true}, INDEX),
               "Dumping DIR/" INDEX "\nDIR/" INDEX " is empty.\n"
               "--\nDIR/" INDEX ": Index file is corrupt, found 7 bytes which is neither positive nor "
               "a multiple of 8\nstatus 1\n");
    text_deinit(&index);
    text_deinit(&log);
    rig_end(&r);
}

TEST(dump_damaged, time_entries_that_do_not_fit_the_segment_are_named)
{
    struct rig r;
    struct text log = {0}, index = {0};

    rig_begin(&r);
    rig_batch(&log, 0, 2, 1000);
    rig_batch(&log, 2, 2, 2000);
    rig_write(&r, LOG, log.p, log.n);
    time_entry(&index, 1001, 1);
    time_entry(&index, 999, 3);
    time_entry(&index, 3000, 7);
    rig_write(&r, TIMEINDEX, index.p, index.n);
    CHECK_TEXT(rig_dump(&r, &(struct dump_options){.verify_only = true}, TIMEINDEX),
               "Dumping DIR/" TIMEINDEX "\n"
               "--\nFound timestamp mismatch in :DIR/" TIMEINDEX "\n"
               "  Index timestamp: 999, log timestamp: 2001\n"
               "Found out of order timestamp in :DIR/" TIMEINDEX "\n"
               "  Index timestamp: 999, Previously indexed timestamp: 1001\n"
               "The following indexed offsets are not found in the log.\n"
               "Indexed offset: 7, found log offset: -1\n"
               "status 0\n");
    text_deinit(&index);
    text_deinit(&log);
    rig_end(&r);
}

TEST(dump_damaged, small_files_say_what_is_wrong)
{
    static const struct {
        const char *name, *content, *says;
    } rows[] = {
        {"x.snapshot", "\0\1\0\0\0\0\0\0\0\0",
         "Snapshot is corrupt (CRC is no longer valid). Stored crc: 0. Computed crc: 1214729159"},
        {"x.txnindex", "\0\7" "45678901234567890123456789012345",
         "entry at byte 0 has version 7; known is 0"},
        {"leader-epoch-checkpoint", "0\n1\n5 0\n4 9\n",
         "leader-epoch-checkpoint: line 4 is not as it should be (0, the count, then EPOCH "
         "START_OFFSET, both ascending)"},
        {"recovery-point-offset-checkpoint", "0\n2\nt 0 5\n",
         "line 3 is not as it should be (version 0, the count, TOPIC PARTITION OFFSET)"},
        {"meta.properties", "version=1\nnode.id=1\n", "cluster.id is missing"},
        {"partition.metadata", "version: 0\ntopic_id: short", "no topic id of 22 letters is in it"},
        {"quorum-state", "{\"leaderId\":1", "it holds no JSON object"},
        {"name.log", "x", "its name must begin with the offset of its segment: digits, then a point"},
    };
    struct rig r;

    rig_begin(&r);
    for (size_t i = 0; i < array_count(rows); i++) {
        size_t n = rows[i].name[0] == 'x' ? (i == 0 ? 10 : 34) : strlen(rows[i].content);
        struct text want = {0};

        rig_write(&r, rows[i].name, rows[i].content, n);
        (void)rig_dump(&r, &shallow, rows[i].name);
        text_printf(&want, "%s: %s\n", rig_path(&r, rows[i].name), rows[i].says);
        CHECK_TEXT(text_str(&r.err), want.p);
        text_deinit(&want);
    }
    CHECK_TEXT(rig_dump(&r, &shallow, "missing.snapshot"),
               "Dumping DIR/missing.snapshot\n--\nDIR/missing.snapshot: cannot read it: No such file or "
               "directory\nstatus 1\n");
    rig_end(&r);
}

TEST(dump_damaged, json_stays_json)
{
    struct rig r;
    struct text log = {0};

    rig_begin(&r);
    rig_batch(&log, 0, 1, 1000);
    log.p[log.n - 2] = (char)0xff; /* in the value: no UTF-8 */
    rig_write(&r, LOG, log.p, log.n);
    CHECK_TEXT(
        rig_dump(&r, &(struct dump_options){.deep = true, .contents = true, .json = true}, LOG),
        "{\"type\":\"batch\",\"file\":\"DIR/" LOG "\",\"baseOffset\":0,\"lastOffset\":0,\"count\":1,"
        "\"baseSequence\":-1,\"lastSequence\":-1,\"producerId\":-1,\"producerEpoch\":-1,"
        "\"partitionLeaderEpoch\":0,\"isTransactional\":false,\"isControl\":false,"
        "\"deleteHorizonMs\":null,\"position\":0,\"timestampType\":\"CreateTime\","
        "\"timestamp\":1000,\"size\":76,\"magic\":2,\"compresscodec\":\"none\",\"crc\":1154059855,"
        "\"isvalid\":false}\n"
        "{\"type\":\"record\",\"file\":\"DIR/" LOG "\",\"offset\":0,\"timestampType\":\"CreateTime\","
        "\"timestamp\":1000,\"keySize\":3,\"valueSize\":5,\"sequence\":-1,\"headerKeys\":[],"
        "\"key\":\"key\",\"payload\":\"valu\xef\xbf\xbd\"}\n"
        "status 0\n");
    text_deinit(&log);
    rig_end(&r);
}
