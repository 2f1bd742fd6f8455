/* KRaft's control batches: what begins an epoch, and what stands around a snapshot. */
#include "quorum/internal.h"

#include <stdlib.h>

#include "protocol/kraft_version_record.h"
#include "protocol/leader_change_message.h"
#include "protocol/snapshot_footer_record.h"
#include "protocol/snapshot_header_record.h"
#include "protocol/voters_record.h"

#define RECORD_BYTES_MAX (1 << 20) /* of a control batch: 16 voters need 40 KiB at most */

/* ---- building ---------------------------------------------------------------------------- */

static void builder_begin(struct batch_builder *b, int64_t base_offset, int32_t epoch)
{
    batch_builder_init(b);
    b->attributes = BATCH_CONTROL;
    b->base_offset = base_offset;
    b->leader_epoch = epoch;
}

static int builder_end(struct batch_builder *b, struct text *out)
{
    int error = batch_builder_finish(b, out);

    batch_builder_deinit(b);
    return error;
}

/* All control records are of version 0: what 4.3 writes. */
static void add(struct batch_builder *b, enum control_type type, int64_t wall_ms,
                const struct message *message, const void *m)
{
    uint8_t value[4096], *large = NULL;
    int64_t size = message_size(message, 0, m);

    ASSERT(size >= 0 && size <= RECORD_BYTES_MAX);
    uint8_t *p = value;
    if ((size_t)size > sizeof(value)) {
        large = malloc((size_t)size);
        ASSERT(large != NULL);
        p = large;
    }
    message_write(message, 0, m, p);
    batch_builder_add_control(b, type, wall_ms, (struct bytes){p, (int32_t)size});
    free(large);
}

static void add_kraft_version(struct batch_builder *b, int16_t version, int64_t wall_ms)
{
    struct kraft_version_record m;

    kraft_version_record_init(&m);
    m.k_raft_version = version;
    add(b, CONTROL_KRAFT_VERSION, wall_ms, &kraft_version_record_message, &m);
}

static void add_voters(struct batch_builder *b, const struct raft_voters *voters, int64_t wall_ms)
{
    struct voters_record m;
    struct voters_record_voters rows[RAFT_VOTERS_MAX];
    struct voters_record_voters_endpoints endpoints[RAFT_VOTERS_MAX][RAFT_ENDPOINTS_MAX];

    voters_record_init(&m);
    m.voters = rows;
    m.voters_count = (int32_t)voters->count;
    for (uint32_t i = 0; i < voters->count; i++) {
        const struct raft_voter *v = &voters->voters[i];
        voters_record_voters_init(&rows[i]);
        rows[i].voter_id = v->id;
        rows[i].voter_directory_id = v->directory_id;
        rows[i].k_raft_version_feature.min_supported_version = v->kraft_version_min;
        rows[i].k_raft_version_feature.max_supported_version = v->kraft_version_max;
        rows[i].endpoints = endpoints[i];
        rows[i].endpoints_count = (int32_t)v->endpoint_count;
        for (uint32_t j = 0; j < v->endpoint_count; j++) {
            voters_record_voters_endpoints_init(&endpoints[i][j]);
            endpoints[i][j].name = str_of(v->endpoints[j].name);
            endpoints[i][j].host = str_of(v->endpoints[j].host);
            endpoints[i][j].port = v->endpoints[j].port;
        }
    }
    add(b, CONTROL_KRAFT_VOTERS, wall_ms, &voters_record_message, &m);
}

int control_leader_change(const struct raft_voters *voters, int32_t leader_id, bool append_voters,
                          int64_t base_offset, int32_t epoch, int64_t wall_ms, struct text *out)
{
    struct leader_change_message m;
    struct leader_change_message_voter rows[RAFT_VOTERS_MAX], granting;
    struct batch_builder b;

    leader_change_message_init(&m);
    m.leader_id = leader_id;
    m.voters = rows;
    m.voters_count = (int32_t)voters->count;
    for (uint32_t i = 0; i < voters->count; i++) {
        leader_change_message_voter_init(&rows[i]);
        rows[i].voter_id = voters->voters[i].id;
    }
    leader_change_message_voter_init(&granting);
    granting.voter_id = leader_id;
    m.granting_voters = &granting;
    m.granting_voters_count = 1;

    builder_begin(&b, base_offset, epoch);
    add(&b, CONTROL_LEADER_CHANGE, wall_ms, &leader_change_message_message, &m);
    if (append_voters) {
        add_kraft_version(&b, voters->kraft_version, wall_ms);
        add_voters(&b, voters, wall_ms);
    }
    return builder_end(&b, out);
}

int control_voters(const struct raft_voters *voters, int64_t base_offset, int32_t epoch, int64_t wall_ms,
                   struct text *out)
{
    struct batch_builder b;

    builder_begin(&b, base_offset, epoch);
    add_kraft_version(&b, voters->kraft_version, wall_ms);
    add_voters(&b, voters, wall_ms);
    return builder_end(&b, out);
}

int control_snapshot_header(const struct raft_voters *voters, int64_t last_timestamp_ms,
                            int64_t base_offset, int32_t epoch, int64_t wall_ms, struct text *out)
{
    struct snapshot_header_record m;
    struct batch_builder b;

    snapshot_header_record_init(&m);
    m.last_contained_log_timestamp = last_timestamp_ms;
    builder_begin(&b, base_offset, epoch);
    add(&b, CONTROL_SNAPSHOT_HEADER, wall_ms, &snapshot_header_record_message, &m);
    if (voters->kraft_version > 0) {
        add_kraft_version(&b, voters->kraft_version, wall_ms);
        if (voters->count > 0) /* a directory that is to join a quorum does not know them yet */
            add_voters(&b, voters, wall_ms);
    }
    return builder_end(&b, out);
}

int control_snapshot_footer(int64_t base_offset, int32_t epoch, int64_t wall_ms, struct text *out)
{
    struct snapshot_footer_record m;
    struct batch_builder b;

    snapshot_footer_record_init(&m);
    builder_begin(&b, base_offset, epoch);
    add(&b, CONTROL_SNAPSHOT_FOOTER, wall_ms, &snapshot_footer_record_message, &m);
    return builder_end(&b, out);
}

/* ---- reading ----------------------------------------------------------------------------- */

static int copy_text(struct str from, char *to, size_t room)
{
    if (from.n < 0 || (size_t)from.n >= room)
        return ERR_LIMIT;
    if (from.n > 0)
        memcpy(to, from.p, (size_t)from.n);
    to[from.n] = '\0';
    return 0;
}

static int read_endpoints(const struct voters_record_voters *row, struct raft_voter *v)
{
    if (row->endpoints_count > RAFT_ENDPOINTS_MAX)
        return ERR_LIMIT;
    for (int32_t i = 0; i < row->endpoints_count; i++) {
        TRY(copy_text(row->endpoints[i].name, v->endpoints[i].name, sizeof(v->endpoints[i].name)));
        TRY(copy_text(row->endpoints[i].host, v->endpoints[i].host, sizeof(v->endpoints[i].host)));
        v->endpoints[i].port = row->endpoints[i].port;
    }
    v->endpoint_count = (uint32_t)row->endpoints_count;
    return 0;
}

static int read_voters(const struct voters_record *m, struct raft_voters *out)
{
    struct raft_voters voters = {.kraft_version = out->kraft_version};

    if (m->voters_count > RAFT_VOTERS_MAX)
        return ERR_LIMIT;
    for (int32_t i = 0; i < m->voters_count; i++) {
        struct raft_voter *v = &voters.voters[i];
        v->id = m->voters[i].voter_id;
        v->directory_id = m->voters[i].voter_directory_id;
        v->kraft_version_min = m->voters[i].k_raft_version_feature.min_supported_version;
        v->kraft_version_max = m->voters[i].k_raft_version_feature.max_supported_version;
        TRY(read_endpoints(&m->voters[i], v));
    }
    voters.count = (uint32_t)m->voters_count;
    *out = voters;
    return 0;
}

/* One control record's value, of version 0 whole: nothing may be left behind it. */
static int read_value(const struct message *message, struct bytes value, struct arena *arena,
                      void *m)
{
    if (value.n < 2)
        return ERR_CORRUPT;
    int used = message_read(message, value, 0, arena, m);
    TRY(used);
    return used == value.n ? 0 : ERR_CORRUPT;
}

static int read_record(const struct record *record, struct arena *arena, struct raft_voters *voters,
                       struct control_seen *seen)
{
    union {
        struct snapshot_header_record header;
        struct snapshot_footer_record footer;
        struct kraft_version_record version;
        struct voters_record voters;
    } m;
    int16_t type;

    TRY(control_type_read(record->key, &type));
    switch (type) {
    case CONTROL_SNAPSHOT_HEADER:
        TRY(read_value(&snapshot_header_record_message, record->value, arena, &m.header));
        seen->header = true;
        seen->last_timestamp_ms = m.header.last_contained_log_timestamp;
        return 0;
    case CONTROL_SNAPSHOT_FOOTER:
        TRY(read_value(&snapshot_footer_record_message, record->value, arena, &m.footer));
        seen->footer = true;
        return 0;
    case CONTROL_KRAFT_VERSION:
        TRY(read_value(&kraft_version_record_message, record->value, arena, &m.version));
        if (m.version.k_raft_version < 0 || m.version.k_raft_version > 1)
            return ERR_VERSION;
        voters->kraft_version = m.version.k_raft_version;
        seen->kraft_version = true;
        return 0;
    case CONTROL_KRAFT_VOTERS:
        TRY(read_value(&voters_record_message, record->value, arena, &m.voters));
        TRY(read_voters(&m.voters, voters));
        seen->voters = true;
        return 0;
    default:
        return 0; /* LeaderChange tells nothing that the batch's epoch does not; others are not
                     known */
    }
}

int control_read(const struct batch *batch, struct raft_voters *voters, struct control_seen *seen,
                 struct fail *f)
{
    struct records records = {0};
    struct record record;
    struct arena arena;
    int more = records_begin(&records, batch, RECORD_BYTES_MAX);

    ASSERT(batch_is_control(batch));
    arena_init(&arena, 0);
    if (more == 0) {
        while ((more = records_next(&records, &record)) == 1) {
            int error = read_record(&record, &arena, voters, seen);
            if (error < 0) {
                more = error;
                break;
            }
        }
    }
    records_end(&records);
    arena_deinit(&arena);
    if (more < 0)
        return fail_set(f, more, "the control batch at offset %" PRId64 ": %s", batch->base_offset,
                        error_text(more));
    return 0;
}
