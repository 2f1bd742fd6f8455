/* broker/space.h - how much room the log directories have for records (internal). Home shard only. */
#pragma once

#include "broker/shard.h"

struct space_watch;

/* The directories are open. Until the first look there is room for everything. */
struct space_watch *space_watch_new(struct broker *b);
/* Look once, before clients are let in; completes with 0. */
void space_watch_look(struct space_watch *w, struct op *op);
/* From now on look every second. */
void space_watch_begin(struct space_watch *w);
/* No look any more; frees the watch. Not while space_watch_look is under way. */
void space_watch_stop(struct space_watch *w, struct op *op);
