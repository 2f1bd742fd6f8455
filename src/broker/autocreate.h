/* broker/autocreate.h - topics that are made because somebody asked for them (internal). */
#pragma once

#include "broker/forward.h"

/* May `name` be made: internal topics always, others where auto.create.topics.enable says so. */
bool autocreate_allowed(const struct broker_shard *shard, struct str name);

/* Ask the controller to make these topics with the broker's defaults (internal ones with the settings that they
 * need); `done` when it has answered, whatever it said: the image tells. */
void autocreate(struct request *r, const struct str *names, uint32_t count,
                void (*done)(struct request *r));
