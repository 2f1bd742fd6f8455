/* member.h - what the files of a group's member share: member.c its life, member_share.c what it is
 * given, member_commit.c what it commits. */
#pragma once

#include "clients.h"
#include "fetch.h"

#define GROUP "sim-group"

struct member {
    struct client client;
    struct peer *coordinator, *data;
    struct flow flow;
    struct rpc rpc, join; /* `join` keeps the leader's list until it has synced */
    struct fetcher fetch; /* its partitions and how far it has read them */
    struct bytes subscription;
    char member_id[128];
    int32_t generation, rebalance_ms;
    int16_t version, join_version;
    int32_t partitions_led; /* how many it gave away */
    int mood;
    bool first_find, coordinator_known, joined, leads;
    bool stale;             /* the commit under way is of the generation before */
    bool in_doubt;          /* a commit may yet take effect */
    int64_t heartbeat_ns;
    int64_t committed[FETCH_PARTITIONS_MAX]; /* by slot: last commit; when one is asked for, the floor */
    int64_t committing[FETCH_PARTITIONS_MAX];
    int32_t generation_known; /* T9: when the commit was sent */
};

/* Partitions of the lasting topics: what the group reads. */
int32_t group_partitions(const struct member *m);

void member_subscription(struct member *m);
void member_sync_begin(struct member *m);
void member_sync_take(struct member *m); /* joined, or not */

void member_committed_begin(struct member *m);
bool member_committed_take(struct member *m);
bool member_commit_due(const struct member *m);
void member_commit_begin(struct member *m);
void member_commit_take(struct member *m);
/* What an error of the coordinator means for the membership. */
void member_error(struct member *m, const char *what, int16_t error);
