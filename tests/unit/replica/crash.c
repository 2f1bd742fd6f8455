/* Power cuts, kills, faults and any order of metadata: nothing that was acknowledged is lost. */
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>

#define TOPICS 4
#define PARTITIONS 3
#define VALUES 400

/* What must be there: values acknowledged, in order, of each partition of each topic by id. */
struct expected {
    uint32_t acknowledged; /* the first so many records */
    uint32_t appended;
};

struct life {
    struct lab lab;
    struct prng *g;
    uint8_t ids[TOPICS];   /* 0 = the name is free */
    uint8_t next_id;
    struct expected expected[256][PARTITIONS];
    uint64_t acknowledged;
};

struct promise {
    struct replica_wait wait;
    struct expected *expected;
    uint32_t number;       /* of the record */
    bool over;
};

static void promised(struct replica_wait *w, enum kerr error)
{
    struct promise *p = container_of(w, struct promise, wait);

    p->over = true;
    if (error == KERR_NONE && p->expected->acknowledged < p->number + 1)
        p->expected->acknowledged = p->number + 1;
}

/* All partitions hold what was acknowledged, and nothing that was not appended. */
static void check_content(struct life *x)
{
    struct text text = {0};

    for (int topic = 0; topic < TOPICS; topic++) {
        for (int32_t p = 0; x->ids[topic] != 0 && p < PARTITIONS; p++) {
            struct replica *r = lab_find(&x->lab, x->ids[topic], p);
            struct expected *e = &x->expected[x->ids[topic]][p];
            if (r == NULL)
                continue;
            struct str rest = lab_read(&x->lab, r, &text), record;
            uint32_t n = 0;
            char want[40];
            if (!sim_node_is_up(x->lab.node))
                continue;
            while (str_cut(&rest, ' ', &record) && record.n > 0) {
                snprintf(want, sizeof want, "%u:%u-%d-%u", n, x->ids[topic], p, n);
                CHECK_TEXT(record, want);
                n++;
            }
            CHECK(n >= e->acknowledged);
            CHECK(n <= e->appended);
            e->appended = (uint32_t)log_end(replica_log(r));
            CHECK_EQ(e->appended, n); /* one replica: all that is recovered is committed */
            e->acknowledged = n;
        }
    }
    text_deinit(&text);
}

static void change_metadata(struct life *x)
{
    uint32_t changes = 1 + (uint32_t)prng_below(x->g, 3);

    while (changes-- > 0) {
        int topic = (int)prng_below(x->g, TOPICS);
        char name[16];
        snprintf(name, sizeof name, "topic%d", topic);
        if (x->ids[topic] != 0 && prng_below(x->g, 3) == 0) {
            meta_leader(&x->lab, x->ids[topic], (int32_t)prng_below(x->g, PARTITIONS), ME);
            continue;
        }
        if (x->ids[topic] != 0) {
            meta_remove(&x->lab, x->ids[topic]);
            x->ids[topic] = 0;
        }
        if (x->next_id < 190 && prng_below(x->g, 4) > 0) {
            x->ids[topic] = x->next_id++;
            meta_topic(&x->lab, name, x->ids[topic], PARTITIONS);
        }
    }
}

static void append_some(struct life *x, struct promise *promises, uint32_t *count)
{
    for (uint32_t n = 1 + (uint32_t)prng_below(x->g, 20); n > 0 && *count < VALUES; n--) {
        int topic = (int)prng_below(x->g, TOPICS);
        int32_t p = (int32_t)prng_below(x->g, PARTITIONS);
        struct replica *r = x->ids[topic] == 0 ? NULL : lab_find(&x->lab, x->ids[topic], p);
        struct replica_appended a;
        char value[40];
        if (r == NULL)
            continue;
        struct expected *e = &x->expected[x->ids[topic]][p];
        snprintf(value, sizeof value, "%u-%d-%u", x->ids[topic], p, e->appended);
        if (lab_append(r, value, -1, &a) != KERR_NONE)
            continue;
        CHECK_EQ(a.base_offset, e->appended);
        struct promise *promise = &promises[(*count)++];
        *promise = (struct promise){.wait.ready = promised, .expected = e, .number = e->appended};
        e->appended++;
        replica_wait_committed(r, &promise->wait, a.last_offset + 1);
    }
}

/* Until the node goes down or the time is up. False: something failed, which ends the life. */
static bool live(struct life *x, struct promise *promises)
{
    uint32_t count = 0;

    if (lab_start(&x->lab) < 0)
        return false;
    check_content(x);
    for (int i = 0; i < 12 && sim_node_is_up(x->lab.node) && lab_online(&x->lab) > 0; i++) {
        append_some(x, promises, &count);
        lab_pass(&x->lab, (int64_t)prng_below(x->g, 30 * MS));
        if (prng_below(x->g, 3) > 0)
            continue;
        change_metadata(x);
        if (lab_apply(&x->lab) < 0)
            return false;
    }
    return true;
}

static void end_of_life(struct life *x, bool good, struct promise *promises)
{
    bool up = sim_node_is_up(x->lab.node);

    if (up && good && lab_online(&x->lab) > 0 && prng_below(x->g, 3) > 0) {
        (void)lab_stop(&x->lab);
    } else if (up && prng_below(x->g, 2) == 0) {
        sim_node_power_cut(x->lab.node);
    } else if (up) {
        sim_node_kill(x->lab.node);
    }
    lab_bury(&x->lab);
    for (uint32_t i = 0; i < VALUES; i++)
        CHECK(promises[i].over || promises[i].expected == NULL); /* everyone was told */
    if (sim_node_is_up(x->lab.node))
        sim_node_kill(x->lab.node);
}

TEST(crash, nothing_acknowledged_is_lost_in_any_history)
{
    uint64_t acknowledged = 0, cuts = 0;

    for (uint64_t seed = 1; seed <= 60; seed++) {
        static struct life x;
        static struct promise promises[VALUES];
        struct sim_options options = sim_options_swarm(seed);
        memset(&x, 0, sizeof x);
        lab_init(&x.lab, seed, &options, 1 + (uint32_t)(seed % 4), 1 + (uint32_t)(seed % 3));
        x.g = sim_prng(x.lab.sim);
        x.next_id = 1;
        for (int lives = 0; lives < 6; lives++) {
            memset(promises, 0, sizeof promises);
            if (lives > 0 && prng_below(x.g, 2) == 0) {
                sim_node_start(x.lab.node, x.lab.shard_count);
                sim_crash_at_io(x.lab.node, 1 + prng_below(x.g, 300),
                                SIM_CRASH_POWER | (prng_below(x.g, 2) == 0 ? SIM_CRASH_AFTER : 0));
            }
            bool good = live(&x, promises);
            end_of_life(&x, good, promises);
            sim_crash_at_io(x.lab.node, 0, SIM_CRASH_KILL);
        }
        sim_calm(x.lab.sim);
        CHECK_EQ(lab_start(&x.lab), 0);
        check_content(&x);
        for (int topic = 0; topic < TOPICS; topic++) {
            for (int32_t p = 0; x.ids[topic] != 0 && p < PARTITIONS; p++) {
                CHECK(lab_find(&x.lab, x.ids[topic], p) != NULL);
                acknowledged += x.expected[x.ids[topic]][p].acknowledged;
            }
        }
        CHECK_EQ(lab_stop(&x.lab), 0);
        cuts += sim_node_counters(x.lab.node)->power_cuts;
        lab_deinit(&x.lab);
    }
    CHECK(acknowledged > 1000);
    CHECK(cuts > 60);
}
