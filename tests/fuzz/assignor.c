/* Foreign bytes as what members of a group send its leader, and as what a leader sends them. */
#include <stdint.h>

#include "assignor/assignor.h"
#include "assignor/consumer_protocol.h"

#define MEMBERS_MAX 12
#define TOPICS 4
#define ARENA_BYTES ((size_t)16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Names and numbers that the seeds use, too. */
static const struct str near_first[] = {{"a", 1}, {"b", 1}}, near_second[] = {{"b", 1}, {NULL, -1}};
static const struct assignor_racks racks[] = {{near_first, 2}, {near_second, 2}, {near_first, 1}};
static const struct assignor_topic topics[TOPICS] = {
    {{"t0", 2}, 3, racks}, {{"t1", 2}, 5, NULL}, {{"t2", 2}, 0, NULL}, {{"t3", 2}, 3, racks}};
static const char *const ids[MEMBERS_MAX] = {"a", "b", "c", "d", "e", "f",
                                             "g", "h", "i", "j", "k", "l"};

static bool wants(const struct assignor_member *member, struct str topic)
{
    for (int32_t i = 0; i < member->subscription.topics_count; i++) {
        if (str_equal(member->subscription.topics[i], topic))
            return true;
    }
    return false;
}

/* A1 and A2 of assignor.h. */
static void check(const struct assignor_group *group, enum assignor assignor,
                  const struct consumer_protocol_assignment *out)
{
    int given[TOPICS][5] = {{0}};

    for (int32_t m = 0; m < group->member_count; m++) {
        for (int32_t i = 0; i < out[m].assigned_partitions_count; i++) {
            const struct consumer_protocol_assignment_assigned_partitions *a =
                &out[m].assigned_partitions[i];
            int32_t t = 0;

            while (t < TOPICS && !str_equal(topics[t].name, a->topic))
                t++;
            ASSERT(t < TOPICS && wants(&group->members[m], a->topic));
            for (int32_t k = 0; k < a->partitions_count; k++) {
                ASSERT(a->partitions[k] >= 0 && a->partitions[k] < topics[t].partition_count);
                given[t][a->partitions[k]]++;
            }
        }
    }
    for (int32_t t = 0; t < TOPICS; t++) {
        bool wanted = false;

        for (int32_t m = 0; m < group->member_count; m++)
            wanted |= wants(&group->members[m], topics[t].name);
        for (int32_t p = 0; p < topics[t].partition_count; p++) {
            ASSERT(given[t][p] <= 1);
            ASSERT(given[t][p] == wanted ||
                   (assignor == ASSIGNOR_COOPERATIVE_STICKY && given[t][p] == 0));
        }
    }
}

/* What could be read can be written, and is the same then. */
static void write_again(const struct consumer_protocol_subscription *s, struct arena *arena)
{
    struct consumer_protocol_subscription back;
    struct bytes once, twice;

    ASSERT(subscription_write(s, CONSUMER_PROTOCOL_VERSION, arena, &once) == 0);
    ASSERT(subscription_read(once, arena, &back) == 0);
    ASSERT(subscription_write(&back, CONSUMER_PROTOCOL_VERSION, arena, &twice) == 0);
    ASSERT(bytes_equal(once, twice));
}

static void read_assignment(struct bytes in, struct arena *arena)
{
    struct consumer_protocol_assignment a, back;
    struct bytes once;

    if (assignment_read(in, arena, &a) < 0)
        return;
    ASSERT(assignment_write(&a, CONSUMER_PROTOCOL_VERSION, arena, &once) == 0);
    ASSERT(assignment_read(once, arena, &back) == 0);
    ASSERT(message_equal(&consumer_protocol_assignment_message, &a, &back));
}

/* One byte chooses the assignor; then a member each: [u16 bytes][metadata]. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct assignor_member members[MEMBERS_MAX];
    struct assignor_group group = {topics, members, TOPICS, 0};
    struct consumer_protocol_assignment *out;
    struct arena arena;
    enum assignor assignor;

    if (size < 1 || size > 1 << 16)
        return 0;
    arena_init(&arena, ARENA_BYTES);
    assignor = (enum assignor)(data[0] % ASSIGNOR_COUNT);
    read_assignment((struct bytes){data + 1, (int32_t)size - 1}, &arena);
    for (size_t at = 1; at + 2 <= size && group.member_count < MEMBERS_MAX;) {
        size_t n = get_u16(data + at), left = size - at - 2;
        struct assignor_member *m = &members[group.member_count];

        n = n < left ? n : left;
        *m = (struct assignor_member){.id = str_of(ids[group.member_count]),
                                      .instance_id = STR_NULL};
        if (subscription_read((struct bytes){data + at + 2, (int32_t)n}, &arena,
                              &m->subscription) == 0) {
            write_again(&m->subscription, &arena);
            group.member_count++;
        }
        at += 2 + n;
    }
    if (assignor_assign(assignor, &group, &arena, &out) == 0)
        check(&group, assignor, out);
    arena_deinit(&arena);
    return 0;
}
