/* broker/retention.h - what is done to the logs from time to time (internal): old segments are removed every
 * log.retention.check.interval.ms, silent producers forgotten every producer.id.expiration.check.interval.ms. */
#pragma once

#include "broker/shard.h"

struct retention;

/* The first check of segments comes after log.initial.task.delay.ms, that of producers after its interval, as in
 * Kafka. Home shard. */
struct retention *retention_start(struct broker *b);
/* No more checks; one that is under way ends soon. Completes then; frees. */
void retention_stop(struct retention *r, struct op *op);
