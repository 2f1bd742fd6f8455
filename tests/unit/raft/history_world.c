/* Time, and what goes wrong in it. */
#include "history.h"

#include <stdarg.h>
#include <stdio.h>

void world_trace(struct world *w, const char *format, ...)
{
    va_list args;

    if (!w->trace)
        return;
    fprintf(stderr, "[%6d] ", (int)w->now);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

void world_init(struct world *w, uint64_t seed, uint32_t voters, uint32_t others, bool is_dynamic)
{
    bool trace = w->trace;

    memset(w, 0, sizeof(*w));
    w->trace = trace;
    w->seed = seed;
    w->bootstrap = is_dynamic ? 0 : STATIC_BIT;
    w->count = voters + others;
    prng_init(&w->g, seed);
    w->trouble_at = NEVER;
    for (int32_t id = 1; id <= (int32_t)w->count; id++) {
        struct node *n = &w->nodes[id];
        n->id = id;
        n->can_vote = id <= (int32_t)voters || id % 2 == 0;
        n->rate = 950 + (int32_t)below(w, 100);
        n->election = (struct raft_election){.leader_id = -1, .voted_id = -1};
        n->sync_at = n->fetch_at = NEVER;
        n->start_at = (int64_t)below(w, 500);
        if (id <= (int32_t)voters)
            w->bootstrap |= 1u << id;
    }
}

void world_free(struct world *w)
{
    for (uint32_t id = 1; id <= w->count; id++)
        raft_free(w->nodes[id].raft);
}

struct node *world_leader(struct world *w)
{
    struct node *best = NULL;

    for (uint32_t id = 1; id <= w->count; id++) {
        struct node *n = &w->nodes[id];
        if (!n->up || raft_role(n->raft) != RAFT_LEADER)
            continue;
        if (best == NULL || n->election.epoch > best->election.epoch)
            best = n;
    }
    return best;
}

static struct node *any_node(struct world *w)
{
    return &w->nodes[1 + below(w, w->count)];
}

static void cut_some(struct world *w, int32_t a)
{

    if (below(w, 2) == 0) {
        w->cut[a][any_node(w)->id] = true; /* one way */
        return;
    }
    for (uint32_t b = 1; b <= w->count; b++)
        w->cut[a][b] = w->cut[b][a] = b != (uint32_t)a;
    world_trace(w, "%d is cut off", a);
}

static void change_some(struct world *w, struct node *n)
{
    int32_t id = any_node(w)->id;

    if (!w->nodes[id].can_vote)
        return;
    if (raft_voters(n->raft)->kraft_version > 0) {
        (void)node_change(w, n, below(w, 2) == 0 ? RAFT_ADD_VOTER : RAFT_REMOVE_VOTER, id);
        return;
    }
    for (id = 1; id <= (int32_t)w->count && n->up; id++) /* all say what they are, perhaps */
        (void)node_change(w, n, RAFT_UPDATE_VOTER, id);
    if (n->up && below(w, 4) == 0)
        (void)node_change(w, n, RAFT_UPGRADE, n->id);
}

static void trouble(struct world *w)
{
    struct node *leader = world_leader(w);
    struct node *n = leader != NULL && below(w, 3) == 0 ? leader : any_node(w);

    w->trouble_at = w->now + 1 + (int64_t)below(w, 400);
    switch (below(w, 13)) {
    case 0:
        if (n->up)
            node_crash(w, n);
        break;
    case 1:
        if (n->up && below(w, 3) == 0)
            node_stop(w, n);
        break;
    case 2:
        cut_some(w, n->id);
        break;
    case 3:
    case 4:
        memset(w->cut, 0, sizeof(w->cut));
        break;
    case 5:
    case 6:
    case 7:
        if (n->role == RAFT_LEADER)
            change_some(w, n);
        else if (leader != NULL)
            change_some(w, leader);
        break;
    case 8:
        if (n->up && n->high_watermark > n->start)
            n->start += 1 + (int64_t)below(w, (uint64_t)(n->high_watermark - n->start));
        break;
    default:
        if (n->role == RAFT_LEADER)
            node_write(w, n);
        else if (leader != NULL)
            node_write(w, leader);
    }
}

enum due { DUE_NOTHING, DUE_MESSAGE, DUE_TICK, DUE_SYNC, DUE_FETCH, DUE_START, DUE_TROUBLE };

struct next {
    int64_t at;
    enum due what;
    uint32_t which;
};

static void sooner(struct next *next, int64_t at, enum due what, uint32_t which)
{
    if (at < next->at)
        *next = (struct next){at, what, which};
}

static struct next find_next(const struct world *w)
{
    struct next next = {NEVER, DUE_NOTHING, 0};

    for (uint32_t i = 0; i < w->letter_count; i++)
        sooner(&next, w->letters[i].at, DUE_MESSAGE, i);
    for (uint32_t id = 1; id <= w->count; id++) {
        const struct node *n = &w->nodes[id];
        if (!n->up) {
            sooner(&next, n->start_at, DUE_START, id);
            continue;
        }
        sooner(&next, node_tick_at(w, n), DUE_TICK, id);
        sooner(&next, n->sync_at, DUE_SYNC, id);
        sooner(&next, n->fetch_at, DUE_FETCH, id);
    }
    sooner(&next, w->trouble_at, DUE_TROUBLE, 0);
    return next;
}

void world_step(struct world *w)
{
    struct next next = find_next(w);
    struct node *n = &w->nodes[next.which <= NODES_MAX ? next.which : 0];
    struct raft_outcome out;

    if (next.at > w->now)
        w->now = next.at;
    switch (next.what) {
    case DUE_MESSAGE:
        net_deliver(w, next.which);
        break;
    case DUE_TICK:
        node_step(w, n, (struct raft_event){.type = RAFT_EVENT_TICK}, &out);
        CHECK(out.deadline_ms > node_now(w, n)); /* it does not turn round and round */
        break;
    case DUE_SYNC:
        node_synced(w, n);
        break;
    case DUE_FETCH:
        fetch_send(w, n);
        break;
    case DUE_START:
        node_start(w, n);
        break;
    case DUE_TROUBLE:
        trouble(w);
        break;
    case DUE_NOTHING:
        CHECK(false);
    }
}
