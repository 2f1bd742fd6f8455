/* Random histories of a member before brokers and a coordinator that fail, refuse, move, truncate the log, move its
 * start, make the topic anew, and give the partition to another member now and then.
 *
 *   U2, U4  records come while the partition is ours, one after the other; a position moves elsewhere only for a reason
 *   U3      what is committed was done, in the generation that there is, and commits never go back
 *   U6      every call ends by its limit
 *   and when all is well again, the rest is read and committed
 */
#include "history.h"

#include <stdlib.h>

#define SEEDS 400
#define STEPS 250
#define LIMIT_MS 3000
#define LATE_MS 3100 /* in a world that delays what it does */
#define HEAL_MS 60000

static const struct consumer_partition t_0 = {{"t", 1}, 0};

static int64_t now_ms(struct history *h)
{
    return io_now_ms(script_io(h->c.script));
}

/* ---- the consumer -------------------------------------------------------------------------------------------- */

/* The oldest record that is held back, or the next one. */
static int64_t done_now(const struct history *h)
{
    return h->held_count > 0 ? h->held[0]->first : h->next;
}

static void release(struct history *h)
{
    struct consumer_chunk *k = h->held[0];

    memmove(h->held, h->held + 1, sizeof *h->held * --h->held_count);
    consumer_chunk_release(k, k->next);
}

static void on_event(void *ctx, const struct consumer_event *e)
{
    struct history *h = ctx;

    if (h->lies)
        return;
    switch (e->kind) {
    case CONSUMER_ASSIGNED:
        if (e->count == 0)
            return;
        CHECK(!h->owned);
        h->owned = h->fresh = true;
        return;
    case CONSUMER_REVOKED:
    case CONSUMER_LOST:
        CHECK(h->owned);
        h->owned = false;
        return;
    case CONSUMER_PARTITION_ERROR:
    case CONSUMER_GROUP_ERROR:
        check_fail(__FILE__, __LINE__, "%s", e->error.text);
    }
}

static void on_ready(void *ctx) {}

/* Whether reading may go on at `first`, which is not where it stopped. */
static bool may_jump(struct history *h, int64_t first)
{
    bool began_there = first >= h->start_before && first <= h->start_most;

    if (h->fresh && (first == h->c.committed || first == h->committed_before || began_there))
        return true;
    if (first < h->next)
        return ++h->jumps_back <= h->losses;
    return began_there;
}

static void take_one(struct history *h, struct consumer_chunk *k)
{
    struct record record;

    if (h->lies) {
        while (consumer_chunk_next(k, &record) > 0)
            h->read++;
        consumer_chunk_release(k, k->next);
        return;
    }
    CHECK(h->owned);
    if (k->first != h->next || h->fresh) {
        if (k->first != h->next && !may_jump(h, k->first))
            check_fail(__FILE__, __LINE__, "from %" PRId64 " to %" PRId64 ", committed %" PRId64 ", the log begins at %"
                       PRId64, h->next, k->first, h->c.committed, h->c.start);
        h->jumps++;
        while (h->held_count > 0)
            release(h);
        history_may_commit(h, k->first);
    }
    h->next = k->first;
    while (consumer_chunk_next(k, &record) > 0) {
        CHECK_EQ(record.offset, h->next);
        h->next++;
        h->read++;
    }
    CHECK_EQ(h->next, k->next);
    h->fresh = false;
    h->start_before = h->start_most = h->c.start;
    h->held[h->held_count++] = k;
    if (h->held_count == HELD_MAX || below(h, 2) == 0)
        release(h);
    history_may_commit(h, done_now(h));
}

static void take(struct history *h)
{
    struct consumer_chunk *k;

    consumer_polled(h->c.consumer);
    while ((k = consumer_take(h->c.consumer)) != NULL)
        take_one(h, k);
    while (h->held_count > 0 && (h->calm || below(h, 3) == 0)) {
        release(h);
        history_may_commit(h, done_now(h));
    }
}

static void question_ended(struct op *op, int64_t result)
{
    struct question *q = container_of(op, struct question, call.op);

    CHECK(q->open);
    q->open = false;
    CHECK(now_ms(q->history) - q->began_ms <= LIMIT_MS + LATE_MS);
}

static void ask(struct history *h)
{
    struct question *q = &h->questions[below(h, CALLS)];

    if (q->open)
        return;
    *q = (struct question){.history = h, .open = true, .began_ms = now_ms(h)};
    q->call.timeout_ms = LIMIT_MS;
    op_init(&q->call.op, question_ended);
    if (below(h, 2) == 0) {
        consumer_commit(h->c.consumer, &q->call);
        return;
    }
    q->offset = (struct consumer_offset){.partition = t_0, .timestamp_ms = CONSUMER_BEGINNING};
    q->call.offsets = &q->offset;
    q->call.count = 1;
    if (below(h, 2) == 0)
        consumer_committed(h->c.consumer, &q->call);
    else
        consumer_offsets_for(h->c.consumer, &q->call);
}

/* ---- what happens ----------------------------------------------------------------------------------------------- */

static void change_network(struct history *h)
{
    struct script *s = h->c.script;
    int32_t broker = 1 + (int32_t)below(h, BROKERS);

    switch (below(h, 5)) {
    case 0:
        script_stop(s, broker);
        return;
    case 1:
        sim_net_cut(script_machine(s), script_node(s, broker));
        return;
    case 2:
        sim_net_reset(script_machine(s), script_node(s, broker));
        return;
    case 3:
        h->coordinator = broker;
        script_coordinator(s, broker, below(h, 3) == 0 ? KERR_COORDINATOR_NOT_AVAILABLE : KERR_NONE);
        return;
    default:
        sim_net_heal_all(script_sim(s));
        for (int32_t id = 1; id <= BROKERS; id++)
            script_start(s, id);
    }
}

/* Of all but ApiVersions: brokers are not asked for what they have not got. */
static void lie(struct history *h)
{
    static const int16_t keys[] = {API_FETCH, API_OFFSET_COMMIT, API_JOIN_GROUP, API_SYNC_GROUP, API_HEARTBEAT,
                                   API_OFFSET_FETCH, API_LIST_OFFSETS, API_OFFSET_FOR_LEADER_EPOCH, API_METADATA,
                                   API_FIND_COORDINATOR};

    for (int i = 0; i < 8; i++)
        script_fault(h->c.script, 0, keys[below(h, array_count(keys))], SCRIPT_FLIP, 1 + (int64_t)below(h, 4));
}

static void answer_badly(struct history *h)
{
    static const int64_t arguments[] = {-1, 0, 3, 50, 800};
    static const int16_t keys[] = {API_FETCH, API_OFFSET_COMMIT, API_JOIN_GROUP, API_SYNC_GROUP, API_HEARTBEAT,
                                   API_OFFSET_FETCH, API_LIST_OFFSETS, API_OFFSET_FOR_LEADER_EPOCH, -1};

    script_fault(h->c.script, 0, keys[below(h, array_count(keys))], 1 + (enum script_fault)below(h, SCRIPT_GARBAGE),
                 arguments[below(h, array_count(arguments))]);
}

static void change_log(struct history *h)
{
    switch (below(h, 6)) {
    case 0:
    case 1:
        history_move_leader(h);
        break;
    case 2:
        if (below(h, 8) == 0)
            history_make_anew(h);
        break;
    case 3:
        history_raise_start(h);
        break;
    default:
        break;
    }
    if (h->c.log.n < 64 << 10)
        cluster_append(&h->c, 1 + (int32_t)below(h, 5), CODEC_NONE);
}

static void step(struct history *h)
{
    switch (below(h, 12)) {
    case 0 ... 2:
        change_log(h);
        break;
    case 3:
        change_network(h);
        break;
    case 4:
        if (h->lies)
            lie(h);
        else
            answer_badly(h);
        break;
    case 5:
        ask(h);
        break;
    case 6:
        if (below(h, 6) == 0)
            h->member_id[0] = 0; /* its session is over */
        else if (below(h, 3) == 0)
            consumer_rejoin(h->c.consumer, STR("test"));
        break;
    case 7:
        if (below(h, 10) == 0)
            script_pass(h->c.script, (int64_t)below(h, 6000));
        break;
    default:
        take(h);
    }
    script_pass(h->c.script, (int64_t)below(h, 80));
}

static bool has_all(struct history *h)
{
    take(h);
    return h->owned && cluster_place(&h->c).position == h->c.end && h->c.committed == h->c.end;
}

/* All is well from now on: then nothing is stuck. */
static void must_be_well(struct history *h)
{
    struct script *s = h->c.script;
    int64_t until_ms;

    h->calm = true;
    sim_calm(script_sim(s));
    sim_net_heal_all(script_sim(s));
    script_faults_clear(s);
    for (int32_t id = 1; id <= BROKERS; id++)
        script_start(s, id);
    script_coordinator(s, h->coordinator, KERR_NONE);
    cluster_append(&h->c, 3, CODEC_NONE);
    for (until_ms = now_ms(h) + HEAL_MS; !has_all(h);) {
        if (now_ms(h) > until_ms)
            check_fail(__FILE__, __LINE__, "owned %d, at %" PRId64 " of %" PRId64 ", committed %" PRId64, h->owned,
                       h->next, h->c.end, h->c.committed);
        script_pass(s, 50);
    }
}

static void open_consumer(struct history *h)
{
    struct consumer_hooks hooks = {.event = on_event, .ready = on_ready, .ctx = h};
    struct consumer_settings *s = &h->c.settings;
    struct str topic = STR("t");

    s->assignors[0] = STR("range");
    s->assignor_count = 1;
    s->session_timeout_ms = 1500;
    s->heartbeat_interval_ms = 200;
    s->max_poll_interval_ms = 4000;
    s->enable_auto_commit = below(h, 4) > 0;
    s->auto_commit_interval_ms = 300;
    s->default_api_timeout_ms = LIMIT_MS;
    s->client.metadata_max_age_ms = 200 + (int64_t)below(h, 2000);
    h->c.consumer = consumer_new(script_io(h->c.script), script_telemetry(h->c.script), s, &hooks, NULL);
    CHECK(h->c.consumer != NULL);
    CHECK_EQ(consumer_subscribe(h->c.consumer, &topic, 1, NULL), 0);
}

static void play(struct history *h, uint64_t seed, bool lies)
{
    struct sim_options wild = sim_options_swarm(seed);

    memset(h, 0, sizeof *h);
    prng_init(&h->g, seed);
    h->lies = lies;
    cluster_open_in(&h->c, script_new_with(seed, BROKERS, seed % 2 == 0 ? NULL : &wild));
    history_serve(h);
    h->c.settings.max_poll_records = 1 + (int32_t)(seed % 5); /* batches have 1 to 5: some come in parts */
    open_consumer(h);
    for (int i = 0; i < STEPS; i++)
        step(h);
    if (h->c.settings.enable_auto_commit && !lies)
        must_be_well(h);
    cluster_end(&h->c);
    while (h->held_count > 0)
        release(h);
    for (int i = 0; i < CALLS; i++)
        CHECK(!h->questions[i].open);
}

TEST(consumer_history, whatever_happens_positions_skip_nothing_and_commits_do_not_go_back)
{
    struct history *h = malloc(sizeof *h);
    uint64_t read = 0, jumps = 0, commits = 0, refusals = 0, back = 0;

    CHECK(h != NULL);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        play(h, seed, false);
        read += h->read;
        jumps += h->jumps;
        commits += h->commits;
        refusals += h->refusals;
        back += h->jumps_back;
    }
    free(h);
    CHECK(read > 1000); /* the histories are about something */
    CHECK(jumps > 200);
    CHECK(commits > 200);
    CHECK(refusals > 50);
    CHECK(back > 20);
}

/* U6, and nothing is lost, or met that should not be there. */
TEST(consumer_history, whatever_brokers_say_every_call_ends_by_its_limit)
{
    struct history *h = malloc(sizeof *h);
    uint64_t read = 0;

    CHECK(h != NULL);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        play(h, seed, true);
        read += h->read;
    }
    free(h);
    CHECK(read > 100);
}
