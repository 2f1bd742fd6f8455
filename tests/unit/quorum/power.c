/* Lives of a quorum under kills, power cuts and failing disks, in the simulator.
 *
 * Records are numbered 0, 1, 2, ... After each restart what is delivered, snapshot and log
 * together, must be 0 .. k-1 without a gap, with k at least what was committed and at most what was
 * appended.
 */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>

struct story {
    struct place p;
    struct rig r;
    int64_t appended;   /* numbers given out */
    int64_t committed;  /* of them, known to be committed */
    int32_t epoch;      /* last claimed */
    uint32_t completed; /* lives that got as far as claiming */
};

/* Until `*flag`; false when the node went down or the directory failed before. */
static bool until(struct story *s, const bool *flag)
{
    while (!*flag) {
        if (!sim_node_is_up(s->p.node) || s->r.failed || !sim_step(s->p.sim))
            return false;
    }
    return true;
}

/* The numbers in what was delivered: how many. */
static int64_t count_delivered(struct story *s)
{
    struct text text = {0};
    struct str rest, line;
    int64_t next = 0;

    print_records(bytes_of_str(text_str(&s->r.delivered)), &text);
    rest = text_str(&text);
    while (str_cut(&rest, '\n', &line)) {
        struct str number = line, offset;
        int64_t value;
        if (line.n == 0)
            continue;
        CHECK(str_cut(&number, ' ', &offset));
        CHECK_EQ(str_to_i64(number, 0, INT64_MAX, &value), 0);
        CHECK_EQ(value, next);
        next++;
    }
    text_deinit(&text);
    return next;
}

static bool append_some(struct story *s)
{
    char numbers[16][24];
    const char *values[16];
    uint32_t count = 1 + (uint32_t)prng_below(sim_prng(s->p.sim), 16);

    for (uint32_t i = 0; i < count; i++) {
        snprintf(numbers[i], sizeof(numbers[i]), "%lld", (long long)(s->appended + i));
        values[i] = numbers[i];
    }
    if (rig_append(&s->r, values, count) < 0)
        return false;
    s->appended += count;
    return true;
}

static bool wait_for_commit(struct story *s)
{
    while (s->r.high_watermark < quorum_end(s->r.q)) {
        s->r.caught_up = false;
        if (!until(s, &s->r.caught_up))
            return false;
    }
    s->committed = s->appended;
    CHECK_EQ(count_delivered(s), s->committed);
    return true;
}

static bool write_snapshot(struct story *s)
{
    int64_t count = count_delivered(s);
    struct text *framed = calloc((size_t)count + 1, sizeof(*framed));
    struct bytes *bytes = calloc((size_t)count + 1, sizeof(*bytes));
    struct wait w;
    char number[24];

    for (int64_t i = 0; i < count; i++) {
        snprintf(number, sizeof(number), "%lld", (long long)i);
        frame_text(number, &framed[i]);
        bytes[i] = bytes_of_str(text_str(&framed[i]));
    }
    quorum_snapshot(s->r.q, (struct raft_snapshot_id){s->r.high_watermark, s->r.claimed}, 0, bytes,
                    (uint32_t)count, wait_begin(&w));
    for (int64_t i = 0; i < count; i++)
        text_deinit(&framed[i]);
    free(framed);
    free(bytes);
    int64_t result = wait_end(&s->p, &w);
    CHECK(result == 0 || result == -EEXIST || !sim_node_is_up(s->p.node) || s->r.failed);
    return result >= 0 || result == -EEXIST;
}

/* One life, as far as it goes. */
static void live(struct story *s)
{
    struct prng *g = sim_prng(s->p.sim);

    rig_init(&s->r, &s->p);
    s->r.options.retention_bytes = (int64_t)prng_below(g, 2000);
    s->r.options.segment_bytes = 400 + (uint32_t)prng_below(g, 4000);
    if (s->r.dir == NULL || rig_open(&s->r) < 0 || !until(s, &s->r.caught_up))
        return;
    CHECK(s->r.claimed > s->epoch); /* F1, F2: an epoch is led once */
    s->epoch = s->r.claimed;
    s->completed++;
    int64_t found = count_delivered(s);
    CHECK(found >= s->committed);
    CHECK(found <= s->appended);
    s->appended = s->committed = found;
    for (uint64_t i = prng_below(g, 12); i > 0; i--) {
        bool good = true;
        if (!sim_node_is_up(s->p.node))
            return;
        if (prng_chance(g, 700000))
            good = append_some(s);
        else if (wait_for_commit(s))
            good = prng_chance(g, 500000) || write_snapshot(s);
        if (!good)
            return;
    }
}

/* Let the dead process's last operations end: files that are being closed. */
static void settle(struct story *s)
{
    while (sim_node_in_flight(s->p.node) > 0 && sim_step(s->p.sim))
        ;
    sim_node_forget(s->p.node);
}

static void tell(const char *what, uint64_t seed, const struct story *s)
{
    if (getenv("RIG_VERBOSE") != NULL)
        fprintf(stderr, "seed %llu: %s, epoch %d, %d committed\n", (unsigned long long)seed, what,
                s->epoch, (int)s->committed);
}

static void story(uint64_t seed, uint32_t lives, bool faults, uint64_t *hash)
{
    struct sim_options options = faults ? sim_options_swarm(seed) : (struct sim_options){0};
    struct story *s = calloc(1, sizeof(*s));

    ASSERT(s != NULL);
    place_sim(&s->p, seed, &options);
    CHECK_EQ(sim_disk_mkdir(s->p.node, "/data"), 0);
    for (uint32_t life = 0; life < lives; life++) {
        struct prng *g = sim_prng(s->p.sim);
        uint64_t how = prng_below(g, 4);
        if (life + 1 == lives)
            sim_calm(s->p.sim);
        else if (how < 3)
            sim_crash_at_io(s->p.node, 1 + prng_below(g, 120),
                            (how == 0 ? SIM_CRASH_KILL : SIM_CRASH_POWER) |
                                (prng_chance(g, 500000) ? SIM_CRASH_AFTER : 0));
        live(s);
        tell(sim_node_is_up(s->p.node) ? "up" : "down", seed, s);
        if (life + 1 == lives) { /* nothing may stand in the way any more */
            CHECK(s->r.caught_up);
            CHECK(!s->r.failed);
        }
        (void)rig_deinit(&s->r, prng_chance(g, 500000));
        if (sim_node_is_up(s->p.node)) {
            sim_crash_at_io(s->p.node, 0, SIM_CRASH_KILL);
            sim_node_kill(s->p.node);
        }
        settle(s);
        sim_node_start(s->p.node, 1);
        s->p.io = sim_node_io(s->p.node, 0);
    }
    CHECK(s->completed > 0);
    *hash = sim_hash(s->p.sim);
    place_end(&s->p);
    free(s);
}

TEST(quorum_power, nothing_committed_is_lost_by_kills_and_power_cuts)
{
    uint64_t hash;

    for (uint64_t seed = 1; seed <= 40; seed++)
        story(seed, 8, false, &hash);
}

TEST(quorum_power, nor_when_disks_fail)
{
    uint64_t hash;

    for (uint64_t seed = 100; seed <= 130; seed++)
        story(seed, 8, true, &hash);
}

TEST(quorum_power, one_seed_is_one_history)
{
    uint64_t first, second;

    story(7, 6, true, &first);
    story(7, 6, true, &second);
    CHECK(first == second);
}

/* ---- every single point ------------------------------------------------------------------ */

/* The same short life each time: records, a snapshot with retention, records, a clean end. */
static void short_life(struct story *s)
{
    rig_init(&s->r, &s->p);
    s->r.options.retention_bytes = 1;
    s->r.options.segment_bytes = 600;
    if (s->r.dir == NULL || rig_open(&s->r) < 0 || !until(s, &s->r.caught_up))
        return;
    CHECK(s->r.claimed > s->epoch);
    s->epoch = s->r.claimed;
    int64_t found = count_delivered(s);
    CHECK(found >= s->committed);
    CHECK(found <= s->appended);
    s->appended = s->committed = found;
    for (int i = 0; i < 3; i++) {
        if (!append_some(s) || !wait_for_commit(s) || !write_snapshot(s))
            return;
    }
    (void)append_some(s);
}

static void end_life(struct story *s)
{
    (void)rig_deinit(&s->r, true);
    if (sim_node_is_up(s->p.node))
        sim_node_kill(s->p.node);
    settle(s);
    sim_node_start(s->p.node, 1);
    s->p.io = sim_node_io(s->p.node, 0);
}

/* A life with trouble at the n-th operation, then two without; false when there was no n-th one. */
static bool point(uint64_t n, uint32_t crash)
{
    struct story s = {0};

    place_sim(&s.p, n, NULL);
    CHECK_EQ(sim_disk_mkdir(s.p.node, "/data"), 0);
    short_life(&s); /* an old one, so that there is something to lose */
    end_life(&s);
    if (crash != 0)
        sim_crash_at_io(s.p.node, n, crash);
    else
        sim_fail_at(s.p.node, n, -EIO);
    short_life(&s);
    (void)rig_close(&s.r);
    bool reached = crash != 0 ? !sim_node_is_up(s.p.node)
                              : s.r.dir == NULL || s.r.failed || s.r.fail.error != 0;
    if (crash == 0)
        sim_fail_at(s.p.node, 0, 0);
    else
        sim_crash_at_io(s.p.node, 0, crash);
    end_life(&s);
    for (int i = 0; i < 2; i++) {
        short_life(&s);
        CHECK(s.r.caught_up && !s.r.failed);
        end_life(&s);
    }
    place_end(&s.p);
    return reached;
}

static void sweep(uint32_t crash)
{
    uint64_t reached = 0;

    for (uint64_t n = 1; n <= 400; n++)
        reached += point(n, crash);
    CHECK(reached > 100);
    CHECK(reached < 400); /* the last ones lie behind the end: nothing was left out */
}

TEST(quorum_points, kill_before_and_after_each_change)
{
    sweep(SIM_CRASH_KILL);
    sweep(SIM_CRASH_KILL | SIM_CRASH_AFTER);
}

TEST(quorum_points, power_cut_before_and_after_each_change)
{
    sweep(SIM_CRASH_POWER);
    sweep(SIM_CRASH_POWER | SIM_CRASH_AFTER);
}

TEST(quorum_points, each_operation_fails_once)
{
    sweep(0);
}
