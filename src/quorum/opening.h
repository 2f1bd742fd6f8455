/* quorum/opening.h - what the two files of the opening share: open.c does it, opening.c judges what is there. */
#pragma once

#include "quorum/internal.h"

struct opening {
    const struct quorum_open *o;
    struct quorum **out;
    struct quorum *q;
    struct fail *f;
    struct flow flow;
    struct op done;
    struct op *parent;
    struct io_entries entries;
    uint32_t index;
    char path[4096];
    struct text text;
    struct snapshot snapshot; /* the newest, when there is one */
    struct raft_snapshot_id newest;
    bool has_snapshot; /* and it is not that of the format tool */
    struct log_open log_open;
    int64_t scan_at;
    int64_t trouble;
};

/* The log is to begin anew behind the snapshot. */
bool opening_begins_behind_snapshot(const struct opening *s);
/* The records from offset 0 on are in the log, or below its start in a snapshot. ERR_CORRUPT. */
MUST int opening_check_positions(struct opening *s);
/* Take voters from the batches that were read, and go on behind them. */
MUST int opening_scan_batches(struct opening *s);
/* Refuse what can never work, so that it is told at once and not by silence. */
MUST int opening_check_voters(struct opening *s);
void opening_make_machine(struct opening *s);
