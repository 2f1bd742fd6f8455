/* library/producer.h - what the files about mr_producer share. */
#pragma once

#include "library/internal.h"
#include "producer/producer.h"

struct mr_producer {
    struct handle handle;
    struct producer *producer;
    struct mr_producer_hooks hooks;
    struct io_message wake;
    atomic_bool waking;         /* it is on its way */
    struct clocks clocks;       /* under the lock */
};
