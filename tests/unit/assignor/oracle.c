/* Small random groups, against all assignments that there are. */
#include "assignor/assignor.h"
#include "check.h"

#define TOPICS 3
#define MEMBERS 3
#define PARTITIONS 7 /* of all topics: 3^7 assignments */
#define CASES 3000

/* A group that was drawn; partitions of all topics in one row. */
struct draw {
    struct arena arena;
    struct assignor_topic topics[TOPICS];
    struct assignor_member members[MEMBERS];
    struct assignor_group group;
    int topic_of[PARTITIONS];
    int32_t number_of[PARTITIONS];
    bool wants[MEMBERS][TOPICS];
    int had[PARTITIONS]; /* who had it; -1 = nobody */
    int partition_count;
};

/* How good an assignment is: unequal sizes are bad, moved partitions are bad. */
struct worth {
    int squares; /* of the members' sizes, added up: the least is the best balance */
    int kept;    /* partitions that their last owner has again */
};

static const char *const topic_names[TOPICS] = {"t1", "t2", "t3"};
static const char *const member_names[MEMBERS] = {"a", "b", "c"};
static const char *const rack_names[] = {"r1", "r2", NULL};

static void draw_topics(struct draw *d, struct prng *prng, bool racks)
{
    int topics = 1 + (int)prng_below(prng, TOPICS);

    for (int i = 0; i < topics; i++) {
        int count = 1 + (int)prng_below(prng, 3);
        struct assignor_racks *all = arena_take_array(&d->arena, (size_t)count, sizeof(*all));

        if (d->partition_count + count > PARTITIONS)
            break;
        for (int k = 0; k < count; k++) {
            struct str *rack = arena_take(&d->arena, sizeof(*rack));

            *rack = str_of(rack_names[prng_below(prng, 3)]);
            all[k] = (struct assignor_racks){rack, 1};
            d->topic_of[d->partition_count] = i;
            d->number_of[d->partition_count++] = k;
        }
        d->topics[i] = (struct assignor_topic){str_of(topic_names[i]), count, racks ? all : NULL};
        d->group.topic_count++;
    }
}

static void draw_members(struct draw *d, struct prng *prng, bool uniform, bool racks)
{
    d->group.member_count = 1 + (int)prng_below(prng, MEMBERS);
    for (int m = 0; m < d->group.member_count; m++) {
        struct consumer_protocol_subscription *s = &d->members[m].subscription;

        d->members[m].id = str_of(member_names[m]);
        d->members[m].instance_id = STR_NULL;
        consumer_protocol_subscription_init(s);
        if (racks)
            s->rack_id = str_of(rack_names[prng_below(prng, 3)]);
        s->topics = arena_take_array(&d->arena, TOPICS, sizeof(*s->topics));
        for (int i = 0; i < d->group.topic_count; i++) {
            d->wants[m][i] = uniform || prng_below(prng, 3) > 0;
            if (d->wants[m][i])
                s->topics[s->topics_count++] = d->topics[i].name;
        }
    }
}

/* Say that each partition had the owner in `owner`, in the user data and as owned partitions. */
static void bring(struct draw *d, const int *owner, int32_t generation)
{
    for (int m = 0; m < d->group.member_count; m++) {
        struct consumer_protocol_subscription *s = &d->members[m].subscription;
        struct consumer_protocol_assignment had = {.user_data = BYTES_NULL};

        had.assigned_partitions =
            arena_take_array(&d->arena, PARTITIONS, sizeof(*had.assigned_partitions));
        s->owned_partitions = arena_take_array(&d->arena, PARTITIONS, sizeof(*s->owned_partitions));
        s->owned_partitions_count = 0;
        s->generation_id = generation;
        for (int p = 0; p < d->partition_count; p++) {
            struct str topic = d->topics[d->topic_of[p]].name;
            int32_t *number = &d->number_of[p];

            if (owner[p] != m)
                continue;
            had.assigned_partitions[had.assigned_partitions_count++] =
                (struct consumer_protocol_assignment_assigned_partitions){topic, number, 1};
            s->owned_partitions[s->owned_partitions_count++] =
                (struct consumer_protocol_subscription_owned_partitions){topic, number, 1};
        }
        CHECK_EQ(assignor_user_data(ASSIGNOR_STICKY, &had, generation, &d->arena, &s->user_data),
                 0);
    }
}

/* Each partition had one owner or none, which may not want it any longer. */
static void draw_group(struct draw *d, struct prng *prng, bool uniform, bool racks)
{
    *d = (struct draw){.partition_count = 0};
    arena_init(&d->arena, 0);
    d->group.topics = d->topics;
    d->group.members = d->members;
    draw_topics(d, prng, racks);
    draw_members(d, prng, uniform, racks);
    for (int p = 0; p < d->partition_count; p++)
        d->had[p] = (int)prng_below(prng, (uint64_t)d->group.member_count + 1) - 1;
    bring(d, d->had, 1);
}

static bool wanted(const struct draw *d, int p)
{
    for (int m = 0; m < d->group.member_count; m++) {
        if (d->wants[m][d->topic_of[p]])
            return true;
    }
    return false;
}

/* Assign; -> the owner of each partition, -1 = nobody. Checks that everybody wants what it gets,
 * and that nothing is given twice. */
static void assign(struct draw *d, enum assignor assignor, int *owner)
{
    struct consumer_protocol_assignment *out;

    CHECK_EQ(assignor_assign(assignor, &d->group, &d->arena, &out), 0);
    for (int p = 0; p < d->partition_count; p++)
        owner[p] = -1;
    for (int m = 0; m < d->group.member_count; m++) {
        for (int32_t i = 0; i < out[m].assigned_partitions_count; i++) {
            const struct consumer_protocol_assignment_assigned_partitions *a =
                &out[m].assigned_partitions[i];

            for (int32_t k = 0; k < a->partitions_count; k++) {
                int p = 0;

                while (p < d->partition_count &&
                       !(str_equal(d->topics[d->topic_of[p]].name, a->topic) &&
                         d->number_of[p] == a->partitions[k]))
                    p++;
                CHECK(p < d->partition_count && d->wants[m][d->topic_of[p]]);
                CHECK_EQ(owner[p], -1);
                owner[p] = m;
            }
        }
    }
}

static void check_all_given(const struct draw *d, const int *owner)
{
    for (int p = 0; p < d->partition_count; p++)
        CHECK_EQ(owner[p] >= 0, wanted(d, p));
}

static struct worth worth_of(const struct draw *d, const int *owner)
{
    int sizes[MEMBERS] = {0};
    struct worth w = {0};

    for (int p = 0; p < d->partition_count; p++) {
        if (owner[p] >= 0)
            sizes[owner[p]]++;
        w.kept += owner[p] >= 0 && owner[p] == d->had[p];
    }
    for (int m = 0; m < MEMBERS; m++)
        w.squares += sizes[m] * sizes[m];
    return w;
}

/* The best of all assignments of partitions from `p` on: balance first, then what is kept. */
static void search(const struct draw *d, int p, int *owner, struct worth *best)
{
    if (p == d->partition_count) {
        struct worth w = worth_of(d, owner);

        if (w.squares < best->squares || (w.squares == best->squares && w.kept > best->kept))
            *best = w;
        return;
    }
    owner[p] = -1;
    if (!wanted(d, p))
        search(d, p + 1, owner, best);
    for (int m = 0; m < d->group.member_count; m++) {
        if (!d->wants[m][d->topic_of[p]])
            continue;
        owner[p] = m;
        search(d, p + 1, owner, best);
    }
}

static struct worth best_of(const struct draw *d)
{
    struct worth best = {.squares = INT32_MAX};
    int owner[PARTITIONS];

    search(d, 0, owner, &best);
    return best;
}

/* No partition could go to a member with two less. */
static void check_no_better_move(const struct draw *d, const int *owner)
{
    int sizes[MEMBERS] = {0};

    for (int p = 0; p < d->partition_count; p++) {
        if (owner[p] >= 0)
            sizes[owner[p]]++;
    }
    for (int p = 0; p < d->partition_count; p++) {
        for (int m = 0; m < d->group.member_count; m++) {
            if (owner[p] >= 0 && d->wants[m][d->topic_of[p]])
                CHECK(sizes[owner[p]] <= sizes[m] + 1);
        }
    }
}

/* What was assigned is kept when nothing changes. */
static void check_stays(struct draw *d, enum assignor assignor, const int *owner)
{
    int again[PARTITIONS];

    bring(d, owner, 2);
    assign(d, assignor, again);
    for (int p = 0; p < d->partition_count; p++)
        CHECK_EQ(again[p], owner[p]);
}

/* Members that want the same: there is no better balance, and with this balance nobody could keep
 * more. */
TEST(oracle, sticky_is_best_when_all_want_all)
{
    struct prng prng;

    prng_init(&prng, 1);
    for (int i = 0; i < CASES; i++) {
        struct draw d;
        struct worth best, ours;
        int owner[PARTITIONS];

        draw_group(&d, &prng, true, false);
        best = best_of(&d);
        assign(&d, ASSIGNOR_STICKY, owner);
        ours = worth_of(&d, owner);
        check_all_given(&d, owner);
        CHECK_EQ(ours.squares, best.squares);
        CHECK_EQ(ours.kept, best.kept);
        check_stays(&d, ASSIGNOR_STICKY, owner);
        arena_deinit(&d.arena);
    }
}

/* Members in racks: balance is the best there is, too. What they keep depends on the racks. */
TEST(oracle, sticky_is_balanced_across_racks)
{
    struct prng prng;

    prng_init(&prng, 2);
    for (int i = 0; i < CASES; i++) {
        struct draw d;
        int owner[PARTITIONS];

        draw_group(&d, &prng, true, true);
        assign(&d, ASSIGNOR_STICKY, owner);
        check_all_given(&d, owner);
        CHECK_EQ(worth_of(&d, owner).squares, best_of(&d).squares);
        arena_deinit(&d.arena);
    }
}

/* Members that want different topics: no single move would be better, which is nearly always the
 * best balance; with the best balance, nearly always as much is kept as could be. Both as in the
 * Java client, whose assignment is the same. */
TEST(oracle, sticky_is_nearly_best_when_members_want_different_topics)
{
    int worse_balance = 0, worse_kept = 0;
    struct prng prng;

    prng_init(&prng, 3);
    for (int i = 0; i < CASES; i++) {
        struct draw d;
        struct worth best, ours;
        int owner[PARTITIONS];

        draw_group(&d, &prng, false, i % 2 == 0);
        best = best_of(&d);
        assign(&d, ASSIGNOR_STICKY, owner);
        ours = worth_of(&d, owner);
        check_all_given(&d, owner);
        check_no_better_move(&d, owner);
        worse_balance += ours.squares > best.squares;
        if (i % 2 == 1) {
            worse_kept += ours.squares == best.squares && ours.kept < best.kept;
            check_stays(&d, ASSIGNOR_STICKY, owner);
        }
        arena_deinit(&d.arena);
    }
    CHECK(worse_balance < CASES / 100);
    CHECK(worse_kept < CASES / 100);
}

/* Cooperative: the first round gives no partition to a new owner that another one had, the second
 * gives out what was withheld, and takes nothing away. */
TEST(oracle, cooperative_sticky_needs_two_rounds)
{
    int withheld = 0;
    struct prng prng;

    prng_init(&prng, 4);
    for (int i = 0; i < CASES; i++) {
        struct draw d;
        int first[PARTITIONS], second[PARTITIONS];

        draw_group(&d, &prng, i % 2 == 0, false);
        assign(&d, ASSIGNOR_COOPERATIVE_STICKY, first);
        for (int p = 0; p < d.partition_count; p++) {
            withheld += first[p] < 0 && wanted(&d, p);
            CHECK(first[p] >= 0 || !wanted(&d, p) || d.had[p] >= 0);
            CHECK(first[p] < 0 || d.had[p] < 0 || d.had[p] == first[p]);
        }
        bring(&d, first, 2);
        assign(&d, ASSIGNOR_COOPERATIVE_STICKY, second);
        check_all_given(&d, second);
        check_no_better_move(&d, second);
        for (int p = 0; p < d.partition_count; p++)
            CHECK(first[p] < 0 || second[p] == first[p]);
        arena_deinit(&d.arena);
    }
    CHECK(withheld > CASES / 10);
}
