/* server.h - the nodes of the world's cluster: the real broker on a machine of its own, life after life. */
#pragma once

#include "config/config.h"
#include "plan.h"

struct world;
struct node_life;

struct server {
    struct world *world;
    int32_t id;                 /* node.id: its place in world.servers, and one more */
    struct sim_node *node;
    struct config *settings;
    struct node_life *life;     /* the newest; NULL before the first */
    uint32_t lives;             /* of this one */
    bool restart_due;
    uint64_t sync_failures_told, write_failures_told; /* before the newest life */
};

extern const char *const world_dirs[]; /* log directories of a server; plan.dirs of them are in use */

/* Its machine, which is off. */
void server_init(struct server *s, struct world *w, int32_t id);
void server_deinit(struct server *s);
void servers_free_lives(struct world *w);

void server_start(struct server *s);
/* The process ends by kill -9, or by loss of power; where a failed sync has left the page cache and the
 * disk apart, power is cut in any case: nobody could go on from there. It must be up. */
void server_kill(struct server *s, bool power);
void server_stop(struct server *s); /* cleanly */

bool server_is_up(const struct server *s);
bool server_is_ready(const struct server *s);
bool server_is_broker(const struct server *s);
bool server_met_disk_faults(const struct server *s); /* in this life, which goes on */

void server_check_failed_io(struct server *s); /* a failed write or sync must end the process */
void server_check_marker(struct server *s);    /* it marks what is clean, so not while the node runs */
void server_check_clean(struct server *s);     /* every directory is marked clean */
