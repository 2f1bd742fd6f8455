/* replica/move.h - a replica on its way into another log directory (internal to move.c and copy.c). */
#pragma once

#include "replica/internal.h"

#define MOVE_TURN_MS 100

struct move {
    struct flow flow, copy;
    struct replica *replica; /* held */
    struct log_dir *to;
    char *name;              /* of the future directory */
    struct log_open open;
    struct fail fail;
    struct log *log;         /* the future one; NULL before and after */
    struct log_read read;
    struct arena arena;
    struct text bytes;
    uint64_t unflushed_bytes;
    struct io_timer timer;
    struct op *paused;       /* until the timer fires */
    bool begun;              /* the future log is at the source's start */
    bool runs;               /* one of MOVES_MAX */
    bool told;               /* the controller hears of the new directory */
    bool ends;               /* nothing is appended any more, and checkpoints tell of it */
    bool named;              /* it has the partition's name */
    int64_t saved_start;     /* of the future log, in its directory's checkpoint; -1 none */
    int64_t saving_start;
    bool cancelled, keeps;   /* it ends; the future directory stays for the next start */
    bool exchanged;          /* `log` is the old one */
    struct op *ended;
};

/* Nothing has ended it. Looked at after every wait: the replica may have lost its log meanwhile. */
bool move_goes_on(const struct move *m);
struct io *move_io(const struct move *m);
/* Completes after `ms`, or at once when the move is called off. One at a time. */
void move_pause(struct move *m, int64_t ms, struct op *op);
/* The controller is told where the replica lies, or is to lie. */
void move_tell(struct move *m, struct uuid directory);

/* Copy until the future log holds all that the replica's does, the controller has named the directory, and nothing is
 * appended any more. 0, -ECANCELED, or trouble of the disk. */
void move_copy(struct move *m, struct op *op);
