/* broker/settings.h - settings in force at an image (internal). */
#pragma once

#include "broker/shard.h"

/* Types of resources that have settings (numbers of the protocol). */
enum resource_type {
    RESOURCE_TYPE_TOPIC = 2,
    RESOURCE_TYPE_BROKER = 4,
    RESOURCE_TYPE_CLIENT_METRICS = 16,
    RESOURCE_TYPE_GROUP = 32,
};

/* The node's static settings with the dynamic ones of `image` over them; the caller frees it. A value that this
 * version refuses is left out, with a warning. */
struct config *settings_of_broker(const struct broker *b, const struct image *image, struct telemetry *t);

/* Settings of a group: its own over the broker's over the defaults; the caller frees it. */
struct config *settings_of_group(const struct broker_shard *shard, struct str group_id);

/* Settings of a subscription to clients' metrics; the caller frees it. */
struct config *settings_of_client_metrics(const struct broker_shard *shard, struct str name);
