/* What the members have in common: the protocol that they all speak, and the topics that they read.
 */
#include "group/internal.h"
#include "protocol/consumer_protocol_subscription.h"

static bool member_speaks(const struct member *m, struct str protocol)
{
    for (int32_t i = 0; i < m->protocol_count; i++) {
        if (str_equal(m->protocols[i].name, protocol))
            return true;
    }
    return false;
}

static bool all_speak(const struct group *g, struct str protocol)
{
    LIST_EACH (it, &g->order) {
        if (!member_speaks(container_of(it, struct member, in_order), protocol))
            return false;
    }
    return true;
}

bool group_accepts_protocols(const struct group *g, struct str type,
                             const struct join_group_request_protocols *protocols, int32_t count)
{
    if (g->state == GROUP_EMPTY)
        return type.n > 0 && count > 0;
    if (!str_equal(g->protocol_type, type))
        return false;
    for (int32_t i = 0; i < count; i++) {
        if (all_speak(g, protocols[i].name))
            return true;
    }
    return false;
}

/* The vote of a member is the first of its protocols that all speak. */
static struct str member_vote(const struct group *g, const struct member *m)
{
    for (int32_t i = 0; i < m->protocol_count; i++) {
        if (all_speak(g, m->protocols[i].name))
            return m->protocols[i].name;
    }
    return STR_NULL;
}

/* Most votes; of equals the one that the oldest member prefers (Kafka leaves that to a hash table).
 * Candidates are few and are those of any one member. */
struct str group_select_protocol(const struct group *g)
{
    const struct member *oldest = LIST_FIRST(&g->order, struct member, in_order);
    struct str best = STR_NULL;
    uint32_t best_votes = 0;

    for (int32_t i = 0; oldest != NULL && i < oldest->protocol_count; i++) {
        struct str candidate = oldest->protocols[i].name;
        uint32_t votes = 0;

        if (!all_speak(g, candidate))
            continue;
        LIST_EACH (it, &g->order)
            votes += str_equal(member_vote(g, container_of(it, struct member, in_order)), candidate)
                         ? 1
                         : 0;
        if (votes > best_votes) {
            best = candidate;
            best_votes = votes;
        }
    }
    return best;
}

int32_t group_rebalance_timeout_ms(const struct group *g)
{
    int32_t longest_ms = 0;

    LIST_EACH (it, &g->order) {
        const struct member *m = container_of(it, struct member, in_order);
        if (m->rebalance_timeout_ms > longest_ms)
            longest_ms = m->rebalance_timeout_ms;
    }
    return longest_ms;
}

/* ---- what consumers read -------------------------------------------------------------------- */

/* i16 version, then the subscription; a version that is newer than ours begins as ours does. */
static int subscription_read(struct bytes in, struct arena *arena,
                             struct consumer_protocol_subscription *out)
{
    const struct message *message = &consumer_protocol_subscription_message;
    int16_t version;

    if (in.n < 2)
        return ERR_SHORT;
    version = get_i16(in.p);
    if (version < message->low)
        return ERR_VERSION;
    if (version > message->high)
        version = message->high;
    return consumer_protocol_subscription_read((struct bytes){in.p + 2, in.n - 2}, version, arena,
                                               out);
}

struct subscriptions group_subscriptions(const struct group *g, struct arena *arena)
{
    struct subscriptions s = {.known = true};
    struct consumer_protocol_subscription *all;
    uint32_t members = 0, total = 0;

    if (!str_equal(g->protocol_type, CONSUMER_PROTOCOL_TYPE))
        return (struct subscriptions){0};
    all = arena_take_array(arena, g->members.count, sizeof(*all));
    LIST_EACH (it, &g->order) {
        const struct member *m = container_of(it, struct member, in_order);

        if (subscription_read(member_metadata(m, g->protocol), arena, &all[members]) < 0)
            return (struct subscriptions){0};
        total += (uint32_t)all[members++].topics_count;
    }
    s.topics = arena_take_array(arena, total, sizeof(*s.topics));
    for (uint32_t i = 0; i < members; i++) {
        for (int32_t k = 0; k < all[i].topics_count; k++)
            s.topics[s.count++] = all[i].topics[k];
    }
    return s;
}

bool subscriptions_have(const struct group *g, const struct subscriptions *s, struct str topic)
{
    if (!s->known)
        return str_equal(g->protocol_type, CONSUMER_PROTOCOL_TYPE);
    for (uint32_t i = 0; i < s->count; i++) {
        if (str_equal(s->topics[i], topic))
            return true;
    }
    return false;
}
