#include "lab.h"

const char *const lab_roles[] = {
    [RAFT_UNATTACHED] = "unattached", [RAFT_PROSPECTIVE] = "prospective", [RAFT_CANDIDATE] = "candidate",
    [RAFT_LEADER] = "leader",         [RAFT_FOLLOWER] = "follower",       [RAFT_RESIGNED] = "resigned",
};

struct uuid lab_directory(int32_t id)
{
    return (struct uuid){{[0] = (uint8_t)(100 + id)}};
}

struct raft_voter lab_voter(int32_t id)
{
    return (struct raft_voter){.id = id,
                               .directory_id = lab_directory(id),
                               .endpoints = {{.name = "CONTROLLER", .host = "h", .port = (uint16_t)(9000 + id)}},
                               .endpoint_count = 1,
                               .kraft_version_max = 1};
}

struct raft_key lab_key(int32_t id)
{
    return (struct raft_key){.id = id, .directory_id = lab_directory(id)};
}

struct raft_options lab_options(uint32_t voters, bool is_dynamic, struct raft_election election)
{
    struct raft_options o = {.node_id = LAB_NODE,
                             .directory_id = lab_directory(LAB_NODE),
                             .can_vote = true,
                             .voters = {.count = voters, .kraft_version = is_dynamic},
                             .self = lab_voter(LAB_NODE),
                             .election = election,
                             .log_epoch = election.epoch < LAB_LOG_EPOCH ? election.epoch : LAB_LOG_EPOCH,
                             .election_timeout_ms = 1000,
                             .election_backoff_max_ms = 1000,
                             .fetch_timeout_ms = 2000,
                             .retry_backoff_ms = 20,
                             .seed = 1};

    for (uint32_t i = 0; i < voters; i++) {
        o.voters.voters[i] = lab_voter(1 + (int32_t)i);
        if (!is_dynamic)
            o.voters.voters[i].directory_id = UUID_ZERO;
    }
    return o;
}

struct str lab_said(struct lab *l)
{
    static char copy[4096];
    struct str s = text_str(&l->said);

    CHECK((size_t)s.n < sizeof(copy));
    if (s.n > 0)
        memcpy(copy, s.p, (size_t)s.n);
    text_clear(&l->said);
    return (struct str){copy, s.n};
}

static void print_sends(struct lab *l)
{
    static const char *const names[] = {[RAFT_VOTE] = "vote", [RAFT_BEGIN] = "begin", [RAFT_END] = "end"};
    const struct raft_outcome *o = &l->out;

    for (uint32_t i = 0; i < o->send_count; i++) {
        const struct raft_send *s = &o->sends[i];
        CHECK_EQ(s->epoch, raft_election(l->raft)->epoch);
        if (i == 0)
            text_printf(&l->said, "%s %d", s->pre_vote ? "pre-vote" : names[s->rpc], s->to.id);
        else
            text_printf(&l->said, ", %d", s->to.id);
    }
    if (o->send_count > 0)
        text_printf(&l->said, "; ");
}

void lab_step(struct lab *l, struct raft_event event)
{
    const struct raft_outcome *o = &l->out;

    event.now_ms = l->now;
    raft_step(l->raft, &event, &l->out);
    CHECK_EQ(o->role, raft_role(l->raft));
    CHECK_EQ(o->high_watermark, raft_high_watermark(l->raft));
    if (o->persist)
        text_printf(&l->said, "persist epoch=%d leader=%d voted=%d; ", o->election.epoch, o->election.leader_id,
                    o->election.voted_id);
    if (o->append_leader_change)
        text_printf(&l->said, "append LeaderChange; ");
    if (o->append_voters)
        text_printf(&l->said, "append Voters; ");
    if (o->role_changed)
        text_printf(&l->said, "%s; ", lab_roles[o->role]);
    if (o->high_watermark_moved)
        text_printf(&l->said, "watermark %d; ", (int)o->high_watermark);
    print_sends(l);
    text_printf(&l->said, "\n");
}

struct lab lab_start(const struct raft_options *options)
{
    int64_t end = options->log_epoch == 0 ? 0 : LAB_END;
    struct lab l = {.options = *options, .now = 1000, .end = end};

    l.raft = raft_new(options);
    lab_step(&l,
             (struct raft_event){
                 .type = RAFT_EVENT_START, .end_offset = end, .stable_offset = end, .end_epoch = options->log_epoch});
    return l;
}

struct lab lab_at(enum raft_role role)
{
    struct raft_election e = {.epoch = LAB_EPOCH, .leader_id = -1, .voted_id = -1};

    if (role == RAFT_FOLLOWER)
        e.leader_id = LAB_OTHER;
    if (role == RAFT_RESIGNED)
        e.leader_id = LAB_NODE;
    if (role == RAFT_CANDIDATE || role == RAFT_LEADER) {
        e.voted_id = LAB_NODE;
        e.voted_directory_id = lab_directory(LAB_NODE);
    }
    struct raft_options o = lab_options(3, true, e);
    struct lab l = lab_start(&o);
    if (role == RAFT_PROSPECTIVE)
        lab_tick(&l);
    if (role == RAFT_LEADER) {
        lab_answer(&l, RAFT_VOTE, LAB_OTHER, true);
        lab_append(&l, LAB_END + 1);
    }
    CHECK_EQ(raft_role(l.raft), role);
    CHECK_EQ(raft_election(l.raft)->epoch, LAB_EPOCH);
    text_clear(&l.said);
    return l;
}

void lab_free(struct lab *l)
{
    raft_free(l->raft);
    text_deinit(&l->said);
}

void lab_tick(struct lab *l)
{
    CHECK(l->out.deadline_ms != INT64_MAX);
    if (l->out.deadline_ms > l->now)
        l->now = l->out.deadline_ms;
    lab_step(l, (struct raft_event){.type = RAFT_EVENT_TICK});
}

void lab_pass(struct lab *l, int64_t ms)
{
    int64_t until = l->now + ms;

    for (int ticks = 0; l->out.deadline_ms <= until; ticks++) {
        CHECK(ticks < 1000); /* deadlines move */
        lab_tick(l);
    }
    l->now = until;
}

struct raft_reply lab_request(struct lab *l, struct raft_request request)
{
    lab_step(l, (struct raft_event){.type = RAFT_EVENT_REQUEST, .request = &request});
    CHECK_EQ(l->out.reply.epoch, raft_election(l->raft)->epoch);
    CHECK_EQ(l->out.reply.leader_id, raft_election(l->raft)->leader_id);
    return l->out.reply;
}

struct raft_reply lab_vote(struct lab *l, bool pre_vote, int32_t from, int32_t epoch, int32_t last_epoch,
                           int64_t last_offset)
{
    return lab_request(l, (struct raft_request){.rpc = RAFT_VOTE,
                                                .from = lab_key(from),
                                                .to = lab_key(LAB_NODE),
                                                .epoch = epoch,
                                                .pre_vote = pre_vote,
                                                .last_epoch = last_epoch,
                                                .last_offset = last_offset});
}

void lab_answer_all(struct lab *l, struct raft_answer answer)
{
    lab_step(l, (struct raft_event){.type = RAFT_EVENT_ANSWER, .answer = &answer});
}

void lab_answer(struct lab *l, enum raft_rpc rpc, int32_t from, bool granted)
{
    const struct raft_election *e = raft_election(l->raft);

    lab_answer_all(l, (struct raft_answer){.rpc = rpc,
                                           .from = from,
                                           .sent_epoch = e->epoch,
                                           .pre_vote = raft_role(l->raft) == RAFT_PROSPECTIVE,
                                           .leader_id = -1,
                                           .epoch = e->epoch,
                                           .granted = granted});
}

void lab_fetched(struct lab *l, int32_t from, int64_t offset)
{
    lab_step(l, (struct raft_event){.type = RAFT_EVENT_FETCHED, .from = lab_key(from), .fetch_offset = offset});
}

void lab_fetch_done(struct lab *l, int64_t high_watermark)
{
    const struct raft_election *e = raft_election(l->raft);

    lab_answer_all(l, (struct raft_answer){.rpc = RAFT_FETCH,
                                           .from = e->leader_id,
                                           .sent_epoch = e->epoch,
                                           .leader_id = e->leader_id,
                                           .epoch = e->epoch,
                                           .high_watermark = high_watermark});
}

void lab_append(struct lab *l, int64_t end)
{
    int32_t epoch = raft_election(l->raft)->epoch;

    lab_step(l, (struct raft_event){.type = RAFT_EVENT_APPENDED, .end_offset = end, .end_epoch = epoch});
    lab_step(l, (struct raft_event){.type = RAFT_EVENT_STABLE, .stable_offset = end});
    l->end = end;
}

enum kerr lab_change(struct lab *l, enum raft_change_kind kind, struct raft_voter voter)
{
    struct raft_change change = {.kind = kind, .voter = voter};

    lab_step(l, (struct raft_event){.type = RAFT_EVENT_CHANGE, .change = &change});
    return l->out.reply.error;
}

void lab_append_voters(struct lab *l)
{
    static struct raft_voters voters;
    int64_t end = LAB_END + 2;

    voters = *raft_voters(l->raft);
    lab_step(l, (struct raft_event){
                    .type = RAFT_EVENT_APPENDED, .end_offset = end, .end_epoch = raft_election(l->raft)->epoch});
    lab_step(l, (struct raft_event){.type = RAFT_EVENT_VOTERS, .voters = &voters, .voters_end = end});
    lab_step(l, (struct raft_event){.type = RAFT_EVENT_STABLE, .stable_offset = end});
}
