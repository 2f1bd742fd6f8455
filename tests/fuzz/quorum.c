/* Foreign bytes as the small files of a metadata directory: snapshot, quorum-state,
 * meta.properties. The first byte says which. */
#include "quorum/internal.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_snapshot(const uint8_t *data, size_t size)
{
    struct snapshot s = {0};
    struct fail f = {0};
    struct text batches = {0};

    text_add(&s.content, data, size);
    if (metadata_snapshot_check(&s, &f) == 0) {
        metadata_snapshot_data_batches(&s, &batches);
        ASSERT((batches.n > 0) == s.has_records);
        ASSERT(s.voters.count <= RAFT_VOTERS_MAX);
    } else {
        ASSERT(f.error < 0 && f.text[0] != '\0');
    }
    text_deinit(&batches);
    metadata_snapshot_deinit(&s);
}

/* What is read and printed is read again as the same. */
static void read_election(struct str text)
{
    struct raft_election e, again;
    struct raft_voters voters = {.kraft_version = 1};
    struct fail f = {0};
    struct text out = {0};

    if (election_parse(text, &e, &f) < 0)
        return;
    election_print(&e, &voters, &out);
    int error = election_parse(text_str(&out), &again, &f);
    ASSERT(error == 0);
    ASSERT(e.epoch == again.epoch && e.leader_id == again.leader_id &&
           e.voted_id == again.voted_id);
    text_deinit(&out);
}

static void read_meta(struct str text)
{
    struct meta_properties m;
    struct fail f = {0};
    struct text out = {0};

    if (meta_properties_parse(text, &m, &f) < 0)
        return;
    meta_properties_print(&m, 0, &out);
    text_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 1 << 20)
        return 0;
    struct str text = {(const char *)data + 1, (int32_t)size - 1};
    switch (data[0] % 3) {
    case 0:
        read_snapshot(data + 1, size - 1);
        break;
    case 1:
        read_election(text);
        break;
    case 2:
        read_meta(text);
        break;
    }
    return 0;
}
