/* raft/lab.h - one machine of a quorum of three (node 1 of 1, 2, 3), and what it says to each event as text.
 *
 *     struct lab l = lab_at(RAFT_FOLLOWER);           it follows node 2 in epoch 5; its log ends at 10, in epoch 4
 *     lab_tick(&l);                                   time passes until its deadline
 *     CHECK_TEXT(lab_said(&l), "prospective; pre-vote 2, 3; \n");
 *     lab_free(&l);
 */
#pragma once

#include "check.h"
#include "raft/raft.h"

#define LAB_NODE 1
#define LAB_OTHER 2
#define LAB_EPOCH 5
#define LAB_LOG_EPOCH 4
#define LAB_END 10

struct lab {
    struct raft *raft;
    struct raft_options options;
    struct raft_outcome out;
    int64_t now, end; /* of its log */
    struct text said;
};

extern const char *const lab_roles[];

/* Settings of node 1 among 1 to `voters`, dynamic (with directories) or static. */
struct raft_options lab_options(uint32_t voters, bool is_dynamic, struct raft_election election);
struct uuid lab_directory(int32_t id);
struct raft_voter lab_voter(int32_t id);
struct raft_key lab_key(int32_t id);

/* Started, in epoch 5 with the log (10, 4) at most; its words so far are forgotten. */
struct lab lab_start(const struct raft_options *options);
/* In that role in epoch 5. FOLLOWER follows node 2 and has not fetched yet; LEADER has appended LeaderChange, stable,
 * at 11, and nobody has fetched it. */
struct lab lab_at(enum raft_role role);
void lab_free(struct lab *l);

/* Each adds a line to what was said. */
void lab_step(struct lab *l, struct raft_event event);
void lab_tick(struct lab *l); /* at the deadline */
void lab_pass(struct lab *l, int64_t ms);
struct raft_reply lab_request(struct lab *l, struct raft_request request);
struct raft_reply lab_vote(struct lab *l, bool pre_vote, int32_t from, int32_t epoch, int32_t last_epoch,
                           int64_t last_offset);
/* To what was asked in the epoch that is. */
void lab_answer(struct lab *l, enum raft_rpc rpc, int32_t from, bool granted);
void lab_answer_all(struct lab *l, struct raft_answer answer);
void lab_fetched(struct lab *l, int32_t from, int64_t offset);
/* A Fetch of ours was answered with records, or with none. */
void lab_fetch_done(struct lab *l, int64_t high_watermark);
void lab_append(struct lab *l, int64_t end); /* and it is stable */
enum kerr lab_change(struct lab *l, enum raft_change_kind kind, struct raft_voter voter);
/* The voters of the last change stand in the log, stable: their batch is [11, 12). */
void lab_append_voters(struct lab *l);

/* What was said since the last time. */
struct str lab_said(struct lab *l);
