/* security/security.h - who is asking, and may they.
 *
 * Every request has a principal and passes authorize(). Without an authorizer configured everything
 * is allowed, as in Kafka.
 */
#pragma once

#include "base/base.h"
#include "protocol/protocol.h"

struct principal {
    struct str type; /* "User" */
    struct str name; /* "ANONYMOUS" */
    bool token_authenticated;
};
extern const struct principal principal_anonymous;

/* Numbers are the protocol's (AclOperation, ResourceType). */
enum acl_operation {
    ACL_UNKNOWN = 0,
    ACL_ANY = 1,
    ACL_ALL = 2,
    ACL_READ = 3,
    ACL_WRITE = 4,
    ACL_CREATE = 5,
    ACL_DELETE = 6,
    ACL_ALTER = 7,
    ACL_DESCRIBE = 8,
    ACL_CLUSTER_ACTION = 9,
    ACL_DESCRIBE_CONFIGS = 10,
    ACL_ALTER_CONFIGS = 11,
    ACL_IDEMPOTENT_WRITE = 12,
    ACL_CREATE_TOKENS = 13,
    ACL_DESCRIBE_TOKENS = 14,
    ACL_TWO_PHASE_COMMIT = 15,
};
enum acl_resource {
    RESOURCE_TOPIC = 2,
    RESOURCE_GROUP = 3,
    RESOURCE_CLUSTER = 4,
    RESOURCE_TRANSACTIONAL_ID = 5,
    RESOURCE_DELEGATION_TOKEN = 6,
    RESOURCE_USER = 7,
};

/* Decides; `allow` NULL = everything is allowed. */
struct authorizer {
    bool (*allow)(const struct authorizer *a, const struct principal *p, struct str host,
                  enum acl_operation operation, enum acl_resource resource, struct str name);
};
extern const struct authorizer authorizer_allow_all;

bool authorize(const struct authorizer *a, const struct principal *p, struct str host,
               enum acl_operation operation, enum acl_resource resource, struct str name);

/* Bits of the operations allowed on a resource, as Metadata and DescribeCluster answer them
 * (bit n = operation n, of those that exist for the resource). */
int32_t authorized_operations(const struct authorizer *a, const struct principal *p,
                              struct str host, enum acl_resource resource, struct str name);
