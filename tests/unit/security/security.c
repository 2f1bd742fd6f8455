#include "check.h"
#include "security/security.h"

TEST(security, without_an_authorizer_everything_is_allowed)
{
    CHECK(authorize(&authorizer_allow_all, &principal_anonymous, STR("127.0.0.1"), ACL_DELETE,
                    RESOURCE_TOPIC, STR("orders")));
}

/* The numbers that Kafka's clients get from a broker without an authorizer. */
TEST(security, operations_of_a_resource_are_kafkas)
{
    static const struct {
        enum acl_resource resource;
        int32_t bits;
    } cases[] = {
        {RESOURCE_TOPIC, 3576},           {RESOURCE_GROUP, 3400},
        {RESOURCE_CLUSTER, 8096},         {RESOURCE_TRANSACTIONAL_ID, 33040},
        {RESOURCE_DELEGATION_TOKEN, 256}, {RESOURCE_USER, 24576},
    };

    for (size_t i = 0; i < array_count(cases); i++)
        CHECK_EQ(authorized_operations(&authorizer_allow_all, &principal_anonymous, STR("h"),
                                       cases[i].resource, STR("x")),
                 cases[i].bits);
}

static bool allow_reading(const struct authorizer *a, const struct principal *p, struct str host,
                          enum acl_operation operation, enum acl_resource resource, struct str name)
{
    return operation == ACL_READ && str_equal(name, STR("mine")) &&
           str_equal(p->name, STR("ANONYMOUS")) && str_equal(host, STR("h")) &&
           resource == RESOURCE_TOPIC;
}

TEST(security, authorizer_is_asked_for_each_operation)
{
    struct authorizer a = {.allow = allow_reading};

    CHECK_EQ(authorized_operations(&a, &principal_anonymous, STR("h"), RESOURCE_TOPIC, STR("mine")),
             1 << ACL_READ);
    CHECK_EQ(
        authorized_operations(&a, &principal_anonymous, STR("h"), RESOURCE_TOPIC, STR("yours")), 0);
    CHECK(!authorize(&a, &principal_anonymous, STR("h"), ACL_WRITE, RESOURCE_TOPIC, STR("mine")));
}
