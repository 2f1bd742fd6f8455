/* The machine: what an event does to the role, the epoch and the high watermark. */
#include "raft/raft.h"

#include <stdlib.h>

struct raft {
    int32_t node_id;
    struct uuid directory_id;
    bool can_vote;
    bool started, stopped;
    struct raft_voters voters; /* in force */
    struct raft_election election;
    enum raft_role role;
    int32_t log_epoch;      /* of the last batch of the own log */
    int64_t end_offset;     /* of the own log */
    int64_t stable_offset;  /* of the own log: what this node's own vote for an offset is */
    int64_t epoch_start;    /* leader only: where the epoch's first batch lies; else -1 */
    int64_t high_watermark; /* -1 unknown */
};

struct raft *raft_new(const struct raft_options *options)
{
    ASSERT(options->voters.count <= RAFT_VOTERS_MAX);
    ASSERT(options->election.epoch >= 0);
    ASSERT(options->log_epoch >= 0);

    struct raft *r = calloc(1, sizeof(*r));
    ASSERT(r != NULL);
    r->node_id = options->node_id;
    r->directory_id = options->directory_id;
    r->can_vote = options->can_vote;
    r->voters = options->voters;
    r->election = options->election;
    r->role = RAFT_UNATTACHED;
    r->log_epoch = options->log_epoch;
    r->epoch_start = -1;
    r->high_watermark = -1;
    return r;
}

void raft_free(struct raft *r)
{
    free(r);
}

enum raft_role raft_role(const struct raft *r)
{
    return r->role;
}

bool raft_is_voter(const struct raft_voters *voters, int32_t node_id, struct uuid directory_id)
{
    for (uint32_t i = 0; i < voters->count; i++) {
        const struct raft_voter *v = &voters->voters[i];
        if (v->id != node_id)
            continue;
        /* A static quorum knows no directories: the id alone says who it is. */
        return uuid_is_zero(v->directory_id) || uuid_equal(v->directory_id, directory_id);
    }
    return false;
}

static bool is_sole_voter(const struct raft *r)
{
    return r->can_vote && r->voters.count == 1 &&
           raft_is_voter(&r->voters, r->node_id, r->directory_id);
}

/* What must hold after each step. */
static void check(const struct raft *r)
{
    ASSERT(r->stable_offset <= r->end_offset);
    ASSERT(r->high_watermark <= r->stable_offset); /* the own log is part of every majority here */
    ASSERT(r->election.epoch >= r->log_epoch);
    if (r->role != RAFT_LEADER) {
        ASSERT(r->epoch_start == -1);
        return;
    }
    ASSERT(r->election.leader_id == r->node_id);
    ASSERT(r->epoch_start >= 0);
    ASSERT(r->epoch_start <= r->end_offset);
}

/* All moves that change the election go through here: F2, F3. */
static void elect(struct raft *r, const struct raft_election *next, struct raft_outcome *out)
{
    ASSERT(next->epoch >= r->election.epoch); /* F2 */
    if (next->epoch == r->election.epoch) {
        bool revote = r->election.voted_id != -1 && next->voted_id != -1 &&
                      next->voted_id != r->election.voted_id;
        ASSERT(!revote);                                                                 /* F3 */
        ASSERT(r->election.leader_id == -1 || next->leader_id == r->election.leader_id); /* F1 */
    }
    r->election = *next;
    out->persist = true;
    out->election = *next;
}

static void become(struct raft *r, enum raft_role role, struct raft_outcome *out)
{
    r->role = role;
    out->role_changed = true;
    out->role = role;
    if (role != RAFT_LEADER)
        r->epoch_start = -1;
}

/* Whether this leader is the first to write the voters of a dynamic quorum into the log: until now
 * only the checkpoint that the format tool made holds them. Rule: KIP-853, observed in 4.3. */
static bool must_append_voters(const struct raft *r)
{
    return r->voters.kraft_version > 0 && r->voters.from_bootstrap;
}

/* Lead a new epoch. The only voter needs nobody's vote but its own, which its record of leading the
 * epoch contains; so candidate and leader are one step, and one write. */
static void lead(struct raft *r, struct raft_outcome *out)
{
    ASSERT(is_sole_voter(r));
    ASSERT(!r->stopped);
    elect(r,
          &(struct raft_election){
              .epoch = r->election.epoch + 1, .leader_id = r->node_id, .voted_id = -1},
          out);
    become(r, RAFT_LEADER, out);
    r->epoch_start = r->end_offset;
    out->append_leader_change = true;
    out->append_voters = must_append_voters(r);
    r->voters.from_bootstrap = false;
}

/* The role that the election file gives, before anything is heard from others. */
static void on_start(struct raft *r, const struct raft_event *event, struct raft_outcome *out)
{
    ASSERT(!r->started);
    ASSERT(event->end_epoch == r->log_epoch);
    r->started = true;
    r->end_offset = event->end_offset;
    r->stable_offset = event->stable_offset;

    if (r->election.epoch < r->log_epoch) {
        /* The log knows a newer epoch than the file: nothing is known about its leader. */
        elect(r, &(struct raft_election){.epoch = r->log_epoch, .leader_id = -1, .voted_id = -1},
              out);
        become(r, RAFT_UNATTACHED, out);
    } else if (r->election.leader_id == r->node_id) {
        /* F5: offsets of that epoch that were lost with the tail must not be given out again. */
        become(r, RAFT_RESIGNED, out);
    } else if (r->election.voted_id == r->node_id) {
        become(r, RAFT_CANDIDATE, out);
    } else {
        become(r, RAFT_UNATTACHED, out);
    }

    /* A timeout is how long to wait for others; the only voter has nobody to wait for. */
    if (is_sole_voter(r))
        lead(r, out);
}

/* Raise the high watermark to what a majority holds: with one voter, to what the own disk holds.
 * F4: an offset of an older epoch is committed only together with one of the own epoch. */
static void advance_high_watermark(struct raft *r, struct raft_outcome *out)
{
    if (r->role != RAFT_LEADER)
        return;
    if (r->stable_offset <= r->epoch_start)
        return;
    if (r->stable_offset <= r->high_watermark)
        return;
    r->high_watermark = r->stable_offset;
    out->high_watermark_moved = true;
}

static void on_stable(struct raft *r, const struct raft_event *event, struct raft_outcome *out)
{
    ASSERT(event->stable_offset >= r->stable_offset);
    r->stable_offset = event->stable_offset;
    advance_high_watermark(r, out);
}

static void on_appended(struct raft *r, const struct raft_event *event)
{
    ASSERT(r->role == RAFT_LEADER);
    ASSERT(event->end_offset >= r->end_offset);
    r->end_offset = event->end_offset;
    r->log_epoch = r->election.epoch;
}

static void on_voters_read(struct raft *r, const struct raft_event *event, struct raft_outcome *out)
{
    ASSERT(event->voters->count <= RAFT_VOTERS_MAX);
    r->voters = *event->voters;
    if (r->role != RAFT_LEADER && !r->stopped && is_sole_voter(r))
        lead(r, out);
}

static void on_stop(struct raft *r, struct raft_outcome *out)
{
    r->stopped = true;
    if (r->role == RAFT_LEADER)
        become(r, RAFT_RESIGNED, out);
}

void raft_step(struct raft *r, const struct raft_event *event, struct raft_outcome *out)
{
    ASSERT(r->started || event->type == RAFT_EVENT_START || event->type == RAFT_EVENT_STOP);
    *out = (struct raft_outcome){.deadline_ms = INT64_MAX};
    switch (event->type) {
    case RAFT_EVENT_START:
        on_start(r, event, out);
        break;
    case RAFT_EVENT_TICK:
        break; /* one voter waits for nobody: no deadline is ever set */
    case RAFT_EVENT_STABLE:
        on_stable(r, event, out);
        break;
    case RAFT_EVENT_APPENDED:
        on_appended(r, event);
        break;
    case RAFT_EVENT_VOTERS:
        on_voters_read(r, event, out);
        break;
    case RAFT_EVENT_STOP:
        on_stop(r, out);
        break;
    case RAFT_EVENT_TRUNCATED:
    case RAFT_EVENT_REQUEST:
    case RAFT_EVENT_FETCHED:
    case RAFT_EVENT_ANSWER:
    case RAFT_EVENT_CHANGE:
        UNREACHABLE("a sole voter hears of nobody");
    }
    out->role = r->role;
    out->high_watermark = r->high_watermark;
    check(r);
}
