/* consumer/pieces.h - for chunk.c: cutting pieces. */
#pragma once

#include "consumer/internal.h"

struct aborted {
    struct map_node node;
    int64_t producer_id, first_offset;
};

/* Batches come in order, each once: control batches, and those of aborted transactions (read_committed), are hidden. */
bool piece_is_hidden(struct piece *piece, const struct batch *b);
/* It was used up. */
void piece_end(struct part *p, struct piece *piece);
