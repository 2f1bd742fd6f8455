/* What is set right from time to time: preferred leaders lead again, and where a topic allows it a partition without
 * a leader gets one that may lack records. */
#include "controller/internal.h"

/* Kafka's bound on the elections of one round: brokers have to follow. */
#define ELECTIONS_MAX 1000

static bool is_unbalanced(struct decision *d, const struct image_topic *topic,
                          const struct image_partition *p)
{
    return p->leader != p->replicas[0];
}

static bool may_be_led_unclean(struct decision *d, const struct image_topic *topic,
                               const struct image_partition *p)
{
    return p->leader == NO_LEADER && effective_unclean(effective_broker(d), topic);
}

/* False when there are more than one round takes. */
static bool elect_those(struct decision *d, enum election election,
                        bool (*concerns)(struct decision *d, const struct image_topic *topic,
                                         const struct image_partition *p))
{
    for (uint32_t t = 0; t < image_topic_count(d->image); t++) {
        const struct image_topic *topic = image_topic_at(d->image, t);
        for (int32_t i = 0; i < topic->partition_count; i++) {
            const struct image_partition *p = &topic->partitions[i];
            if (p->replica_count == 0 || !concerns(d, topic, p))
                continue;
            if (d->count == ELECTIONS_MAX)
                return false;
            (void)elect_again(d, topic, p, election);
        }
    }
    return true;
}

/* Returns when the next round is due. */
static int64_t round_ends(struct decision *d, bool all, int64_t interval_ms)
{
    enum kerr error = decision_commit(d);
    int64_t now_ms = d->now_ms;

    decision_end(d);
    return all || error != KERR_NONE ? now_ms + interval_ms : now_ms;
}

static void balance(struct controller *c, int64_t now_ms)
{
    struct decision d;
    bool all;

    decision_begin(&d, c, NULL, now_ms);
    decide_because(&d, false, "the first replica leads where it can (auto.leader.rebalance.enable)");
    all = elect_those(&d, ELECTION_PREFERRED, is_unbalanced);
    c->balance_due_ms = round_ends(&d, all, c->balance_interval_ms);
}

static void elect_unclean(struct controller *c, int64_t now_ms)
{
    struct decision d;
    bool all;

    decision_begin(&d, c, NULL, now_ms);
    decide_because(&d, false, "nobody who has all records lives (unclean.leader.election.enable)");
    all = elect_those(&d, ELECTION_UNCLEAN, may_be_led_unclean);
    c->unclean_due_ms = round_ends(&d, all, c->unclean_interval_ms);
}

static int64_t interval_ms(const struct controller *c, uint32_t setting, int64_t unit_ms)
{
    int64_t value = config_i64(c->settings.broker, setting);
    int64_t most = INT64_MAX / 4; /* so that it can be added to any time */

    return value > most / unit_ms ? most : value * unit_ms;
}

void balance_begin(struct controller *c, int64_t now_ms)
{
    c->balance_interval_ms =
        interval_ms(c, BROKER_LEADER_IMBALANCE_CHECK_INTERVAL_SECONDS, 1000);
    c->unclean_interval_ms = interval_ms(c, BROKER_UNCLEAN_LEADER_ELECTION_INTERVAL_MS, 1);
    c->balance_due_ms = config_bool(c->settings.broker, BROKER_AUTO_LEADER_REBALANCE_ENABLE)
                            ? now_ms + c->balance_interval_ms
                            : INT64_MAX;
    c->unclean_due_ms = now_ms + c->unclean_interval_ms;
}

int64_t balance_due_ms(const struct controller *c)
{
    return c->balance_due_ms < c->unclean_due_ms ? c->balance_due_ms : c->unclean_due_ms;
}

void balance_tick(struct controller *c, int64_t now_ms)
{
    if (c->active && now_ms >= c->balance_due_ms)
        balance(c, now_ms);
    if (c->active && now_ms >= c->unclean_due_ms)
        elect_unclean(c, now_ms);
}
