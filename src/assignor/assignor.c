/* assignor.c - the assignors by name, and the way from a group to its assignments. */
#include "assignor/assignor.h"

static const struct {
    struct str name;
    enum rebalance_protocol strongest;
} assignors[ASSIGNOR_COUNT] = {
    [ASSIGNOR_RANGE] = {STR("range"), REBALANCE_EAGER},
    [ASSIGNOR_ROUNDROBIN] = {STR("roundrobin"), REBALANCE_EAGER},
    [ASSIGNOR_STICKY] = {STR("sticky"), REBALANCE_EAGER},
    [ASSIGNOR_COOPERATIVE_STICKY] = {STR("cooperative-sticky"), REBALANCE_COOPERATIVE},
};

struct str assignor_name(enum assignor assignor)
{
    return assignors[assignor].name;
}

bool assignor_find(struct str name, enum assignor *out)
{
    for (int i = 0; i < ASSIGNOR_COUNT; i++) {
        if (str_equal(name, assignors[i].name)) {
            *out = (enum assignor)i;
            return true;
        }
    }
    return false;
}

bool assignor_supports(enum assignor assignor, enum rebalance_protocol protocol)
{
    return protocol <= assignors[assignor].strongest;
}

enum rebalance_protocol rebalance_protocol_of(const enum assignor *list, int32_t count)
{
    ASSERT(count > 0);
    for (int32_t i = 0; i < count; i++) {
        if (!assignor_supports(list[i], REBALANCE_COOPERATIVE))
            return REBALANCE_EAGER;
    }
    return REBALANCE_COOPERATIVE;
}
