/* client_gaps.h - the work `gaps` of client_work.c, for failover.py. */
#pragma once

#include "client_work.h"

/* `rate` records a second to each partition; for each line of the input a line of JSON: what was acknowledged since the
 * last one, and the longest time in which nothing was, of each partition and of all. Until the input ends. */
void gaps(const struct work *w);
