/* On which brokers a new partition lies.
 *
 * Partitions go round the brokers, from a place drawn once for each request. Of each partition the
 * first replica, its preferred leader, is on an unfenced broker; the next ones are where their rack
 * has the fewest replicas of it, unfenced brokers before fenced ones. From round to round they begin
 * one further, so that who fails leaves its leaderships to many.
 */
#include "controller/internal.h"

#include "protocol/partition_record.h"

static const struct uuid directory_unassigned = {{[15] = 1}};
static const struct uuid directory_migrating = {{0}};

/* ---- choose ------------------------------------------------------------------------------------
 */

/* New replicas go to a broker that does not shut down and has a directory for them (KIP-1066). */
static bool is_usable(const struct image_broker *b)
{
    for (int32_t i = 0; i < b->directory_count; i++) {
        bool cordoned = false;
        for (int32_t n = 0; n < b->cordoned_count; n++)
            cordoned |= uuid_equal(b->directories[i], b->cordoned[n]);
        if (!cordoned)
            return !b->in_controlled_shutdown;
    }
    return !b->in_controlled_shutdown && b->directory_count == 0;
}

static bool is_chosen(const int32_t *replicas, int32_t count, int32_t id)
{
    for (int32_t i = 0; i < count; i++) {
        if (replicas[i] == id)
            return true;
    }
    return false;
}

static int32_t replicas_in_rack(const struct decision *d, const int32_t *replicas, int32_t count,
                                struct str rack)
{
    int32_t n = 0;

    for (int32_t i = 0; i < count; i++)
        n += str_equal(image_broker_find(d->image, replicas[i])->rack, rack);
    return n;
}

/* The best broker for replica number `count`, looking from `start` on. One is left: the caller has
 * counted. */
static int32_t choose(const struct decision *d, const int32_t *replicas, int32_t count,
                      uint32_t start)
{
    uint32_t brokers = image_broker_count(d->image);
    int64_t best_cost = INT64_MAX;
    int32_t best = -1;

    for (uint32_t i = 0; i < brokers; i++) {
        const struct image_broker *b = image_broker_at(d->image, (start + i) % brokers);
        int64_t cost;
        if (!is_usable(b) || is_chosen(replicas, count, b->id))
            continue;
        cost = replicas_in_rack(d, replicas, count, b->rack) * 2 + b->fenced;
        if (count == 0 && b->fenced)
            continue;
        if (cost < best_cost) {
            best_cost = cost;
            best = b->id;
        }
    }
    return best;
}

struct verdict check_replica_count(struct decision *d, int32_t count)
{
    if (count <= REPLICAS_PER_PARTITION_MAX)
        return VERDICT_OK;
    return refuse(d, KERR_INVALID_REPLICATION_FACTOR,
                  "A partition has at most %d replicas, also while it is reassigned; it would have "
                  "%d.",
                  REPLICAS_PER_PARTITION_MAX, count);
}

struct verdict check_factor(struct decision *d, int32_t factor)
{
    uint32_t brokers = image_broker_count(d->image), usable = 0, unfenced = 0;

    for (uint32_t i = 0; i < brokers; i++) {
        const struct image_broker *b = image_broker_at(d->image, i);
        usable += is_usable(b);
        unfenced += is_usable(b) && !b->fenced;
    }
    if (unfenced == 0)
        return refuse(d, KERR_INVALID_REPLICATION_FACTOR,
                      "All brokers are currently fenced, or have all their log directories "
                      "cordoned.");
    if ((uint32_t)factor > usable)
        return refuse(d, KERR_INVALID_REPLICATION_FACTOR,
                      "The target replication factor of %d cannot be reached because only %u "
                      "broker(s) are registered.",
                      factor, usable);
    return check_replica_count(d, factor);
}

void place_replicas(struct decision *d, int32_t partition, int32_t factor, int32_t *replicas)
{
    uint32_t brokers = image_broker_count(d->image);

    if (d->stripe == 0)
        d->stripe = 1 + prng_below(d->c->prng, brokers);
    for (int32_t i = 0; i < factor; i++) {
        uint64_t start = d->stripe + (uint64_t)partition;
        uint64_t round = (uint64_t)partition / brokers;
        if (i > 0)
            start += 1 + (round + (uint64_t)i - 1) % (brokers - 1);
        replicas[i] = choose(d, replicas, i, (uint32_t)(start % brokers));
        ASSERT(replicas[i] >= 0);
    }
}

/* ---- by hand -----------------------------------------------------------------------------------
 */

struct verdict check_assignment(struct decision *d, const int32_t *replicas, int32_t count,
                                int32_t factor)
{
    if (count <= 0)
        return refuse(d, KERR_INVALID_REPLICA_ASSIGNMENT,
                      "The manual partition assignment includes an empty replica list.");
    if (count > REPLICAS_PER_PARTITION_MAX)
        return check_replica_count(d, count);
    for (int32_t i = 0; i < count; i++) {
        if (image_broker_find(d->image, replicas[i]) == NULL)
            return refuse(d, KERR_INVALID_REPLICA_ASSIGNMENT,
                          "The manual partition assignment includes broker %d, but no such broker "
                          "is registered.",
                          replicas[i]);
        for (int32_t j = 0; j < i; j++) {
            if (replicas[i] == replicas[j])
                return refuse(d, KERR_INVALID_REPLICA_ASSIGNMENT,
                              "The manual partition assignment includes the broker %d more than "
                              "once.",
                              replicas[i]);
        }
    }
    if (factor != 0 && count != factor)
        return refuse(d, KERR_INVALID_REPLICA_ASSIGNMENT,
                      "The manual partition assignment includes a partition with %d replica(s), "
                      "but this is not consistent with previous partitions, which have %d "
                      "replica(s).",
                      count, factor);
    return VERDICT_OK;
}

/* ---- the record --------------------------------------------------------------------------------
 */

struct uuid default_directory(const struct decision *d, int32_t broker)
{
    const struct image_broker *b = image_broker_find(d->image, broker);

    if (b->directory_count == 1)
        return b->directories[0];
    return b->directory_count == 0 ? directory_migrating : directory_unassigned;
}

bool add_partition(struct decision *d, struct uuid topic, int32_t partition,
                   const int32_t *replicas, int32_t count)
{
    int16_t version = d->version->partition_record;
    struct partition_record r;

    partition_record_init(&r);
    r.topic_id = topic;
    r.partition_id = partition;
    r.replicas = (int32_t *)(uintptr_t)replicas;
    r.replicas_count = count;
    r.isr = arena_take_array(&d->c->scratch, (size_t)count, sizeof(*r.isr));
    for (int32_t i = 0; i < count; i++) {
        if (broker_is_active(d->image, replicas[i]))
            r.isr[r.isr_count++] = replicas[i];
    }
    if (r.isr_count == 0)
        return false;
    r.leader = r.isr[0];
    r.leader_epoch = 0;
    r.partition_epoch = 0;
    if (version >= 1) {
        r.directories = arena_take_array(&d->c->scratch, (size_t)count, sizeof(*r.directories));
        r.directories_count = count;
        for (int32_t i = 0; i < count; i++)
            r.directories[i] = default_directory(d, replicas[i]);
    }
    decision_add(d, &partition_record_message, version, &r);
    return true;
}

struct verdict refuse(struct decision *d, enum kerr error, const char *format, ...)
{
    struct text text = {0};
    struct verdict v = {.error = error};
    va_list args;

    va_start(args, format);
    text_vprintf(&text, format, args);
    va_end(args);
    v.message = arena_str(d->call->arena, text_str(&text));
    text_deinit(&text);
    return v;
}
