#include "security/security.h"

const struct principal principal_anonymous = {
    .type = {"User", 4},
    .name = {"ANONYMOUS", 9},
};

const struct authorizer authorizer_allow_all = {0};

#define BIT(operation) ((int32_t)1 << (operation))

/* Operations that mean something for a resource, as Kafka lists them in its answers. */
static int32_t operations_of(enum acl_resource resource)
{
    switch (resource) {
    case RESOURCE_TOPIC:
        return BIT(ACL_READ) | BIT(ACL_WRITE) | BIT(ACL_CREATE) | BIT(ACL_DELETE) | BIT(ACL_ALTER) |
               BIT(ACL_DESCRIBE) | BIT(ACL_DESCRIBE_CONFIGS) | BIT(ACL_ALTER_CONFIGS);
    case RESOURCE_GROUP:
        return BIT(ACL_READ) | BIT(ACL_DELETE) | BIT(ACL_DESCRIBE) | BIT(ACL_DESCRIBE_CONFIGS) |
               BIT(ACL_ALTER_CONFIGS);
    case RESOURCE_CLUSTER:
        return BIT(ACL_CREATE) | BIT(ACL_ALTER) | BIT(ACL_DESCRIBE) | BIT(ACL_CLUSTER_ACTION) |
               BIT(ACL_DESCRIBE_CONFIGS) | BIT(ACL_ALTER_CONFIGS) | BIT(ACL_IDEMPOTENT_WRITE);
    case RESOURCE_TRANSACTIONAL_ID:
        return BIT(ACL_WRITE) | BIT(ACL_DESCRIBE) | BIT(ACL_TWO_PHASE_COMMIT);
    case RESOURCE_DELEGATION_TOKEN:
        return BIT(ACL_DESCRIBE);
    case RESOURCE_USER:
        return BIT(ACL_CREATE_TOKENS) | BIT(ACL_DESCRIBE_TOKENS);
    }
    return 0;
}

bool authorize(const struct authorizer *a, const struct principal *p, struct str host,
               enum acl_operation operation, enum acl_resource resource, struct str name)
{
    if (a->allow == NULL)
        return true;
    return a->allow(a, p, host, operation, resource, name);
}

int32_t authorized_operations(const struct authorizer *a, const struct principal *p,
                              struct str host, enum acl_resource resource, struct str name)
{
    int32_t known = operations_of(resource), allowed = 0;

    for (int operation = ACL_READ; operation <= ACL_TWO_PHASE_COMMIT; operation++) {
        if ((known & BIT(operation)) == 0)
            continue;
        if (authorize(a, p, host, (enum acl_operation)operation, resource, name))
            allowed |= BIT(operation);
    }
    return allowed;
}
