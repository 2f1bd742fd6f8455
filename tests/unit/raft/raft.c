/* A sole voter as tables of steps: one line per event goes in, one line per outcome comes out. */
#include "check.h"
#include "raft/raft.h"

#include <stdlib.h>

#define NODE 1

static const struct uuid directory = {{7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7}};
static const struct uuid other_directory = {{8}};

static const char *const role_names[] = {
    [RAFT_UNATTACHED] = "unattached", [RAFT_PROSPECTIVE] = "prospective",
    [RAFT_CANDIDATE] = "candidate",   [RAFT_LEADER] = "leader",
    [RAFT_FOLLOWER] = "follower",     [RAFT_RESIGNED] = "resigned",
};

/* A dynamic quorum of the given voters. */
static struct raft_voters voters_of(uint32_t count, struct uuid first_directory)
{
    struct raft_voters v = {.count = count, .kraft_version = 1};

    for (uint32_t i = 0; i < count; i++)
        v.voters[i] = (struct raft_voter){
            .id = NODE + (int32_t)i, .directory_id = first_directory, .kraft_version_max = 1};
    return v;
}

static struct raft_options options_of(struct raft_election election, int32_t log_epoch)
{
    return (struct raft_options){.node_id = NODE,
                                 .directory_id = directory,
                                 .can_vote = true,
                                 .voters = voters_of(1, directory),
                                 .election = election,
                                 .log_epoch = log_epoch,
                                 .election_timeout_ms = 1000,
                                 .fetch_timeout_ms = 2000};
}

static const struct raft_election nobody = {.epoch = 0, .leader_id = -1, .voted_id = -1};

/* Print what an outcome asks for, in the order in which it must happen. */
static void print(const struct raft_outcome *o, struct text *out)
{
    if (o->persist)
        text_printf(out, "persist epoch=%d leader=%d voted=%d; ", o->election.epoch,
                    o->election.leader_id, o->election.voted_id);
    if (o->append_leader_change)
        text_printf(out, "append LeaderChange; ");
    if (o->append_voters)
        text_printf(out, "append Voters; ");
    if (o->role_changed)
        text_printf(out, "become %s; ", role_names[o->role]);
    if (o->high_watermark_moved)
        text_printf(out, "watermark %d; ", (int)o->high_watermark);
    text_printf(out, "\n");
}

/* Step through the events and print each outcome. */
static void run(const struct raft_options *options, const struct raft_event *events, size_t count,
                struct text *out)
{
    struct raft *r = raft_new(options);

    for (size_t i = 0; i < count; i++) {
        struct raft_outcome o;
        raft_step(r, &events[i], &o);
        CHECK_EQ(o.role, raft_role(r));
        CHECK_EQ(o.send_count, 0); /* one voter waits for nobody */
        if (o.role == RAFT_LEADER)
            CHECK_EQ(o.deadline_ms, INT64_MAX);
        print(&o, out);
    }
    raft_free(r);
}

#define RUN(options, expected, ...)                           \
    do {                                                      \
        const struct raft_event events_[] = {__VA_ARGS__};    \
        const struct raft_options options_ = (options);       \
        struct text out_ = {0};                               \
        run(&options_, events_, array_count(events_), &out_); \
        CHECK_TEXT(text_str(&out_), expected);                \
        text_deinit(&out_);                                   \
    } while (0)

#define START(end, epoch)                                                                     \
    {                                                                                         \
        .type = RAFT_EVENT_START, .end_offset = (end), .stable_offset = (end), .end_epoch = (epoch) \
    }
#define APPENDED(end)                              \
    {                                              \
        .type = RAFT_EVENT_APPENDED, .end_offset = (end) \
    }
#define STABLE(offset)                                 \
    {                                                  \
        .type = RAFT_EVENT_STABLE, .stable_offset = (offset) \
    }
#define STOP              \
    {                     \
        .type = RAFT_EVENT_STOP \
    }

TEST(raft_single, a_new_directory_leads_epoch_1_at_once)
{
    RUN(options_of(nobody, 0),
        "persist epoch=1 leader=1 voted=-1; append LeaderChange; become leader; \n"
        "\n"
        "watermark 1; \n",
        START(0, 0), APPENDED(1), STABLE(1));
}

/* F5: never the same epoch again, because offsets of it may be lost with the tail. */
TEST(raft_single, a_leader_that_stopped_leads_the_next_epoch)
{
    RUN(options_of((struct raft_election){.epoch = 5, .leader_id = NODE, .voted_id = -1}, 5),
        "persist epoch=6 leader=1 voted=-1; append LeaderChange; become leader; \n", START(42, 5));
}

TEST(raft_single, a_vote_for_itself_without_an_end_is_not_repeated_in_its_epoch)
{
    RUN(options_of((struct raft_election){.epoch = 3, .leader_id = -1, .voted_id = NODE}, 2),
        "persist epoch=4 leader=1 voted=-1; append LeaderChange; become leader; \n", START(10, 2));
}

TEST(raft_single, a_log_ahead_of_the_file_gives_the_epoch)
{
    RUN(options_of((struct raft_election){.epoch = 2, .leader_id = NODE, .voted_id = -1}, 7),
        "persist epoch=8 leader=1 voted=-1; append LeaderChange; become leader; \n", START(10, 7));
}

/* F4 */
TEST(raft_single, records_of_older_epochs_commit_only_with_one_of_the_own_epoch)
{
    struct raft_options o =
        options_of((struct raft_election){.epoch = 5, .leader_id = NODE, .voted_id = -1}, 5);

    RUN(o,
        "persist epoch=6 leader=1 voted=-1; append LeaderChange; become leader; \n"
        "\n" /* 42 records of epoch 5 are durable: that alone commits nothing */
        "\n"
        "watermark 43; \n",
        {.type = RAFT_EVENT_START, .end_offset = 42, .stable_offset = 40, .end_epoch = 5}, STABLE(42),
        APPENDED(43), STABLE(43));
}

TEST(raft_single, the_watermark_follows_what_is_durable)
{
    RUN(options_of(nobody, 0),
        "persist epoch=1 leader=1 voted=-1; append LeaderChange; become leader; \n"
        "\n\n"
        "watermark 1; \n"
        "\n" /* the same again: no move */
        "watermark 4; \n",
        START(0, 0), APPENDED(1), APPENDED(4), STABLE(1), STABLE(1), STABLE(4));
}

TEST(raft_single, stopping_resigns_and_nothing_follows)
{
    RUN(options_of(nobody, 0),
        "persist epoch=1 leader=1 voted=-1; append LeaderChange; become leader; \n"
        "\n"
        "become resigned; \n"
        "\n" /* no longer leader: nothing commits */
        "\n",
        START(0, 0), APPENDED(1), STOP, STABLE(1), STOP);
}

TEST(raft_single, stopping_before_the_start_is_quiet)
{
    RUN(options_of(nobody, 0), "\n", STOP);
}

/* KIP-853: the voters of the format tool's checkpoint go into the log with the first leader. */
TEST(raft_voters, the_first_leader_of_a_dynamic_quorum_appends_them)
{
    struct raft_options o = options_of(nobody, 0);

    o.voters.from_bootstrap = true;
    RUN(o,
        "persist epoch=1 leader=1 voted=-1; append LeaderChange; append Voters; become leader; \n",
        START(0, 0));
}

TEST(raft_voters, a_static_quorum_knows_no_directories)
{
    struct raft_options o = options_of(nobody, 0);

    o.voters = voters_of(1, UUID_ZERO);
    o.voters.kraft_version = 0;
    RUN(o, "persist epoch=1 leader=1 voted=-1; append LeaderChange; become leader; \n",
        START(0, 0));
}

TEST(raft_voters, another_directory_of_the_same_node_is_no_voter)
{
    struct raft_options o = options_of(nobody, 0);

    o.voters = voters_of(1, other_directory);
    RUN(o, "become unattached; \n", START(0, 0));
}

TEST(raft_voters, without_the_controllers_role_nobody_elects_itself)
{
    struct raft_options o =
        options_of((struct raft_election){.epoch = 5, .leader_id = NODE, .voted_id = -1}, 5);

    o.can_vote = false;
    RUN(o, "become resigned; \n", START(10, 5));
}

TEST(raft_voters, the_only_one_left_leads)
{
    struct raft_options o =
        options_of((struct raft_election){.epoch = 5, .leader_id = -1, .voted_id = -1}, 5);
    const struct raft_voters alone = voters_of(1, directory);

    o.voters = voters_of(2, directory);
    RUN(o,
        "become unattached; \n"
        "persist epoch=6 leader=1 voted=-1; append LeaderChange; become leader; \n",
        START(10, 5), {.type = RAFT_EVENT_VOTERS, .voters = &alone});
}

TEST(raft_bugs, events_that_cannot_be_stop_the_process)
{
    const struct raft_options options = options_of(nobody, 0);
    struct raft *r = raft_new(&options);
    struct raft_outcome o;

    CHECK_ASSERTS(raft_step(r, &(struct raft_event)STABLE(1), &o)); /* before the start */
    raft_step(r, &(struct raft_event)START(5, 0), &o);
    CHECK_ASSERTS(raft_step(r, &(struct raft_event)START(5, 0), &o));
    CHECK_ASSERTS(raft_step(r, &(struct raft_event)STABLE(4), &o));   /* back */
    CHECK_ASSERTS(raft_step(r, &(struct raft_event)APPENDED(4), &o)); /* back */
    raft_free(r);
}

/* ---- any order of restarts, appends and syncs: F1, F2, F4 seen from outside -------------- */

struct world {
    struct prng prng;
    struct raft_election election; /* durable */
    int64_t end, stable, committed;
    int32_t log_epoch;
};

/* One life of a leader: appends and syncs as they come. */
static void lead(struct world *w, struct raft *r)
{
    struct raft_outcome o;
    const int64_t epoch_start = w->end;

    for (uint64_t i = prng_below(&w->prng, 8); i > 0; i--) {
        if (w->end == epoch_start || prng_chance(&w->prng, 500000)) {
            w->end += 1 + (int64_t)prng_below(&w->prng, 5);
            raft_step(r, &(struct raft_event)APPENDED(w->end), &o);
            CHECK(!o.high_watermark_moved);
            continue;
        }
        w->stable += (int64_t)prng_below(&w->prng, (uint64_t)(w->end - w->stable) + 1);
        raft_step(r, &(struct raft_event)STABLE(w->stable), &o);
        if (!o.high_watermark_moved)
            continue;
        CHECK(o.high_watermark > epoch_start);
        CHECK(o.high_watermark > w->committed);
        CHECK(o.high_watermark <= w->stable);
        w->committed = o.high_watermark;
    }
    if (prng_chance(&w->prng, 500000))
        w->end = w->stable; /* the tail is lost */
    w->stable = w->end;
    if (w->end > epoch_start)
        w->log_epoch = w->election.epoch;
}

TEST(raft_random, epochs_and_watermark_only_rise)
{
    struct world w = {.election = nobody, .committed = -1};

    prng_init(&w.prng, 1);
    for (int life = 0; life < 500; life++) {
        struct raft_options options = options_of(w.election, w.log_epoch);
        struct raft *r = raft_new(&options);
        struct raft_outcome o;

        raft_step(r, &(struct raft_event)START(w.end, w.log_epoch), &o);
        CHECK(o.persist && o.append_leader_change);
        CHECK(o.election.epoch > w.election.epoch && o.election.epoch > w.log_epoch);
        CHECK_EQ(o.election.leader_id, NODE);
        if (!prng_chance(&w.prng, 100000)) { /* else the process dies before it is durable */
            w.election = o.election;
            lead(&w, r);
        }
        raft_free(r);
    }
    CHECK(w.committed > 0);
}
