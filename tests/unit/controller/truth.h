/* What must hold of the metadata whatever has been decided. */
#pragma once

#include "image/image.h"

/* Each partition as it is. The cluster has ELR on. */
void truth_check(const struct image *i);
/* What happened between two images, in one step. */
struct truth_step {
    bool reassigned; /* somebody asked for other replicas */
    bool proposed;   /* a leader has told who is in sync */
    bool died;       /* a broker may have lost what it had */
};
void truth_check_step(const struct image *before, const struct image *after,
                      const struct truth_step *step);
/* A snapshot of the image makes the same image. */
void truth_check_snapshot(const struct image *i);

bool truth_have(const int32_t *list, int32_t count, int32_t id);
