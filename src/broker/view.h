/* broker/view.h - what an image looks like to a client on one listener (internal). */
#pragma once

#include "broker/request.h"

/* The broker's endpoint under the name of the listener that the request came by; NULL when it has none there. */
const struct image_endpoint *view_endpoint(const struct request *r, const struct image_broker *b);

/* Registered, not fenced, and reachable by the request's listener. */
bool view_is_alive(const struct request *r, int32_t broker_id);

/* Clients are told of it: it is alive; or nobody is, and it is this node, which after all answers. Kafka names no broker
 * then, and a client that asks within the moment between a start and the end of the fence has nobody left to ask
 * (librdkafka stays so until its metadata is refreshed, minutes later). */
bool view_is_named(const struct request *r, const struct image_broker *b);

/* Copies for an answer, from the request's arena (the image may be replaced before it is encoded). */
int32_t *view_ids(struct request *r, const int32_t *ids, int32_t count);
/* Replicas of the partition that nobody can reach: their broker is not alive, or the directory has failed. */
int32_t *view_offline(struct request *r, const struct image_partition *p, int32_t *offline_count);

/* Error of a partition as Metadata tells it: LEADER_NOT_AVAILABLE, or LISTENER_NOT_FOUND where the leader has no
 * such listener. */
enum kerr view_partition_error(const struct request *r, const struct image_partition *p);

/* Leaders that an answer names where it says that this node is not the leader (KIP-951), each once. Zeroed at first. */
struct view_leaders {
    const struct image_broker **brokers; /* of the image, until the handler returns; view_endpoint finds each */
    uint32_t count;
};
/* Who leads the partition as the image has it; left as it is where there is no such partition. */
void view_name_leader(struct request *r, struct view_leaders *named, struct uuid topic_id, int32_t partition,
                      int32_t *leader_id, int32_t *leader_epoch);

/* They as the node_endpoints of the answer to Produce or Fetch (`name`): of one shape, under types of their own. */
#define VIEW_ANSWER_ENDPOINTS(name, r, named)                                                                  \
    do {                                                                                                       \
        struct name##_response *a_ = (r)->response;                                                            \
        if ((named)->count > 0) {                                                                              \
            a_->node_endpoints_count = (int32_t)(named)->count;                                                \
            a_->node_endpoints = arena_take_array(&(r)->arena, (named)->count, sizeof *a_->node_endpoints);    \
        }                                                                                                      \
        for (uint32_t i_ = 0; i_ < (named)->count; i_++) {                                                     \
            const struct image_endpoint *at_ = view_endpoint(r, (named)->brokers[i_]);                         \
            struct name##_response_node_endpoints *out_ = &a_->node_endpoints[i_];                             \
            name##_response_node_endpoints_init(out_);                                                         \
            out_->node_id = (named)->brokers[i_]->id;                                                          \
            out_->host = arena_str(&(r)->arena, at_->host);                                                    \
            out_->port = at_->port;                                                                            \
            out_->rack = arena_str(&(r)->arena, (named)->brokers[i_]->rack);                                   \
        }                                                                                                      \
    } while (0)

/* Whom clients may take for the controller: any broker passes on what it decides, this one if they can reach it; -1 none. */
int32_t view_controller(const struct request *r);

bool view_is_internal(struct str topic);

/* Names of topics: as Kafka allows them (1 to 249 of [a-zA-Z0-9._-], not "." or ".."). */
bool view_topic_name_is_valid(struct str name);
