/* pipes.h - standard streams of a tool under test: text that comes in pieces, and what it writes. */
#pragma once

#include "check.h"
#include "cli/cli.h"

struct pipes {
    struct cli cli; /* for the tool: cli.streams is set */
    const char *in;
    size_t in_bytes, in_at;
    uint32_t piece;   /* bytes that one read gives at most */
    bool in_stays;    /* behind `in` comes nothing, and no end */
    struct text out;  /* what was written */
    uint64_t out_max; /* then nobody reads any more: a write that goes beyond fails as a whole */
    uint32_t writes;
};

void pipes_init(struct pipes *p, struct io *io);
void pipes_deinit(struct pipes *p);
/* New text for standard input, all at once; output is forgotten. */
void pipes_feed(struct pipes *p, const char *in);
