/* Which partition a record goes to. */
#include "lab.h"

/* SplitMix64, as tests/interop/java/Partitions.java has it. */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* The number is what Kafka's own producer gives; the scenario java_produce.partitions asks it. */
TEST(partitioner, random_keys_go_where_java_sends_them)
{
    uint64_t state = 1, sum = 0xcbf29ce484222325u;
    uint8_t key[64];

    for (int i = 0; i < 100000; i++) {
        int32_t n = (int32_t)(next(&state) >> 58), count;
        for (int32_t k = 0; k < n; k++)
            key[k] = (uint8_t)(next(&state) >> 56);
        count = (int32_t)(next(&state) >> 54) + 1;
        sum = (sum ^ (uint64_t)producer_partition_of_key((struct bytes){key, n}, count)) * 0x100000001b3u;
    }
    CHECK_EQ(sum, 0xfff8c5bdc56916e2u);
}

TEST(partitioner, a_key_chooses_and_the_callers_choice_goes_before_it)
{
    struct producer_settings s;
    struct lab l;
    struct bytes key = bytes_of_str(STR("key"));

    lab_settings(&s);
    lab_open(&l, &s);
    struct producer_topic *topic = lab_topic(&l, "t", 10);
    CHECK_EQ(partitioner_choose(topic, -1, key, 0)->index, producer_partition_of_key(key, 10));
    CHECK_EQ(partitioner_choose(topic, 3, key, 0)->index, 3);
    CHECK(partitioner_choose(topic, 10, key, 0) == NULL);
    l.a.settings.ignore_keys = true;
    struct producer_partition *sticky = partitioner_choose(topic, -1, BYTES_NULL, 0);
    CHECK(partitioner_choose(topic, -1, key, 0) == sticky);
    lab_close(&l);
}

/* KIP-480: the records of one batch stay together, and over time all partitions get the same. */
TEST(partitioner, records_without_a_key_stay_for_a_batch)
{
    struct producer_settings s;
    struct producer_node node = {.id = 1};
    uint32_t batches[4] = {0};
    struct lab l;

    lab_settings(&s);
    s.buffer_memory = 8 << 20;
    lab_open(&l, &s);
    struct producer_topic *topic = lab_topic(&l, "t", 4);
    lab_lead(topic, &node);
    l.a.settings.adaptive_partitioning = false;
    for (int i = 0; i < 10000; i++)
        CHECK_EQ(lab_append(&l, topic, -1, NULL, "0123456789012345678901234567890123456789", 0), 0);
    for (int i = 0; i < 4; i++) {
        batches[i] = topic->parts[i]->queued;
        LIST_EACH(it, &topic->parts[i]->queue)
            CHECK(container_of(it, struct producer_batch, node)->count >= 8); /* of 47 bytes into 512 */
        CHECK(batches[i] > 180 && batches[i] < 450); /* 312 each; fixed by the seed */
    }
    lab_drop(&l, topic);
    lab_close(&l);
}

/* KIP-794: a partition whose broker is slow gets less, one that has no leader nothing. */
TEST(partitioner, long_queues_and_partitions_without_a_leader_get_less)
{
    struct producer_settings s;
    struct producer_node node = {.id = 1};
    uint32_t got[3] = {0};
    struct lab l;

    lab_settings(&s);
    lab_open(&l, &s);
    struct producer_topic *topic = lab_topic(&l, "t", 3);
    lab_lead(topic, &node);
    topic->parts[0]->queued = 9; /* a share of 1 against 10 */
    topic->parts[2]->node = NULL;
    for (int i = 0; i < 11000; i++) {
        topic->sticky = NULL;
        got[partitioner_choose(topic, -1, BYTES_NULL, i)->index]++;
    }
    CHECK(got[0] > 800 && got[0] < 1200);
    CHECK_EQ(got[0] + got[1], 11000);
    topic->parts[0]->queued = 0;
    node.stalled = true; /* nobody is available: any will do */
    topic->sticky = NULL;
    CHECK(partitioner_choose(topic, -1, BYTES_NULL, 0) != NULL);
    lab_close(&l);
}

/* KIP-1123: leaders in the preferred rack, as long as one of them takes records; loads count among those. */
TEST(partitioner, leaders_in_the_rack_of_the_client_go_first)
{
    struct producer_settings s;
    struct producer_node here = {.id = 1, .near = true}, there = {.id = 2};
    struct lab l;

    lab_settings(&s);
    s.rack = STR("north");
    for (int adaptive = 0; adaptive < 2; adaptive++) {
        uint32_t got[4] = {0};
        s.adaptive_partitioning = adaptive == 1;
        lab_open(&l, &s);
        struct producer_topic *topic = lab_topic(&l, "t", 4);
        lab_lead(topic, &there);
        topic->parts[1]->node = topic->parts[3]->node = &here;
        topic->parts[1]->queued = 9;
        for (int i = 0; i < 1100; i++) {
            topic->sticky = NULL;
            got[partitioner_choose(topic, -1, BYTES_NULL, i)->index]++;
        }
        CHECK_EQ(got[1] + got[3], 1100);
        CHECK(adaptive == 1 ? got[1] < 200 : got[1] > 400);
        here.stalled = adaptive == 1; /* nobody near takes anything: then all others */
        topic->parts[1]->node = topic->parts[3]->node = adaptive == 1 ? &here : NULL;
        topic->parts[1]->queued = 0;
        for (int i = 0; i < 100; i++) {
            topic->sticky = NULL;
            int32_t index = partitioner_choose(topic, -1, BYTES_NULL, 2000 + i)->index;
            CHECK(index == 0 || index == 2);
        }
        here.stalled = false;
        lab_close(&l);
    }
}
