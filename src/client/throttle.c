/* What a broker's quota asks for: no request on this connection for a while (KIP-219).
 *
 * Since Kafka 2.0 a broker answers at once, says how long it wants to hear nothing, and reads nothing meanwhile. Older
 * ones have waited before they answered: what they say of it is over. The version of an answer tells the two apart.
 */
#include "client/internal.h"

#include <stdio.h>

/* Kafka's default windows come to 11 s at most; who says more is obeyed for so long, and may say it again. */
#define THROTTLE_MS_MAX 30000

/* From which version on the broker has not waited; an API that is not here is younger than KIP-219. As Kafka's clients
 * have it. */
static const int8_t first_versions[API_KEY_COUNT] = {
    [API_PRODUCE] = 6,
    [API_FETCH] = 8,
    [API_LIST_OFFSETS] = 3,
    [API_METADATA] = 6,
    [API_OFFSET_COMMIT] = 4,
    [API_OFFSET_FETCH] = 4,
    [API_FIND_COORDINATOR] = 2,
    [API_JOIN_GROUP] = 3,
    [API_HEARTBEAT] = 2,
    [API_LEAVE_GROUP] = 2,
    [API_SYNC_GROUP] = 2,
    [API_DESCRIBE_GROUPS] = 2,
    [API_LIST_GROUPS] = 2,
    [API_API_VERSIONS] = 2,
    [API_CREATE_TOPICS] = 3,
    [API_DELETE_TOPICS] = 2,
    [API_DELETE_RECORDS] = 1,
    [API_INIT_PRODUCER_ID] = 1,
    [API_ADD_PARTITIONS_TO_TXN] = 1,
    [API_ADD_OFFSETS_TO_TXN] = 1,
    [API_END_TXN] = 1,
    [API_TXN_OFFSET_COMMIT] = 1,
    [API_DESCRIBE_ACLS] = 1,
    [API_CREATE_ACLS] = 1,
    [API_DELETE_ACLS] = 1,
    [API_DESCRIBE_CONFIGS] = 2,
    [API_ALTER_CONFIGS] = 1,
    [API_ALTER_REPLICA_LOG_DIRS] = 1,
    [API_DESCRIBE_LOG_DIRS] = 1,
    [API_CREATE_PARTITIONS] = 1,
    [API_CREATE_DELEGATION_TOKEN] = 1,
    [API_RENEW_DELEGATION_TOKEN] = 1,
    [API_EXPIRE_DELEGATION_TOKEN] = 1,
    [API_DESCRIBE_DELEGATION_TOKEN] = 1,
    [API_DELETE_GROUPS] = 1,
};

static void over(struct io_timer *timer)
{
    link_go_on(container_of(timer, struct client_link, throttle));
}

void link_throttle(struct client_link *l, int16_t api_key, int16_t version, const void *response)
{
    const struct client *c = l->client;
    int64_t ms = version < first_versions[api_key]
                     ? 0
                     : message_throttle_time_ms(api_find(api_key)->response, version, response);
    int64_t until_ns = after_ns(c, ms < THROTTLE_MS_MAX ? ms : THROTTLE_MS_MAX);

    if (ms <= 0 || l->closing || until_ns <= l->throttled_until_ns)
        return; /* answers to what was sent before may ask for less */
    l->throttled_until_ns = until_ns;
    io_timer_set(c->io, &l->throttle, until_ns, over);
}

void link_throttle_ends(struct client_link *l)
{
    l->throttled_until_ns = 0;
    io_timer_clear(&l->throttle);
}

bool link_is_throttled(const struct client_link *l)
{
    return l->throttled_until_ns > io_now_ns(l->client->io);
}

int64_t client_throttled_until_ns(const struct client *c, int32_t node_id)
{
    const struct client_link *l = link_find(c, LINK_DATA, node_id);

    return l == NULL ? 0 : l->throttled_until_ns;
}

/* The one that is held longest, in words; nothing where none is. */
void throttle_reason(const struct client *c, char *out, size_t out_bytes)
{
    const struct client_link *longest = NULL;

    LIST_EACH (node, &c->links) {
        const struct client_link *l = container_of(node, struct client_link, node);
        if (link_is_throttled(l) && (longest == NULL || l->throttled_until_ns > longest->throttled_until_ns))
            longest = l;
    }
    if (longest == NULL)
        return;
    snprintf(out, out_bytes, "%.180s:%u is sent nothing for %" PRId64 " ms more: a quota there is exceeded",
             longest->address.host, longest->address.port,
             (longest->throttled_until_ns - io_now_ns(c->io) + 999999) / 1000000);
}
