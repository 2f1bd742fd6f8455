/* crash_case.h - which cases of a crash test are played: all, from the same seeds each time, or what the environment says.
 *
 *     CRASH_SEEDS=4000   the same cases in other histories: added to each seed
 *     CRASH_ONLY=722     begin with this case, to look at it
 *     CRASH_SAYS=1       tell each case that begins
 *     CRASH_TRACE=1      tell all that happens in the simulator
 */
#pragma once

#include <stdio.h>

#include "base/base.h"

uint64_t crash_seed(uint64_t seed);
uint32_t crash_first(uint32_t first);
void crash_says(uint32_t n);
FILE *crash_trace(void); /* NULL: not */
