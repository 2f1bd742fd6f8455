/* load_lab.h - tools that put load on a cluster, before a real broker in the simulator. */
#pragma once

#include "../consumer/lab.h"
#include "pipes.h"

struct load_lab {
    struct lab lab;
    struct pipes pipes;
    struct wait wait;
    int64_t status;
};

void load_lab_open(struct load_lab *l);
void load_lab_end(struct load_lab *l);
/* Start one command line, its words parted by blanks; outputs of the one before are forgotten. */
void load_lab_start(struct load_lab *l, const char *line);
void load_lab_finish(struct load_lab *l);
/* Both, and what it wrote to standard output. */
const char *load_lab_run(struct load_lab *l, const char *line);
const char *load_lab_err(struct load_lab *l);
/* How often `part` is in `text`. */
int times_in(const char *text, const char *part);
