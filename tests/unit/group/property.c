/* Random members, an unsteady log, moves of the coordinator; and what must hold whatever happens.
 */
#include "rig.h"

#include <stdlib.h>

#define GROUPS 3
#define CLIENTS 6
#define STEPS 600
#define SEEDS 40

/* A consumer as the coordinator sees it. */
struct client {
    const char *group;
    const char *id;     /* "" none */
    int32_t generation; /* of the last join */
    bool leads, assigned;
    bool told; /* that it is to join again */
    struct call *join, *sync;
};

struct story {
    struct rig r;
    struct prng dice;
    struct client clients[CLIENTS];
    int32_t generation_seen[GROUPS];
    int64_t offset_acked[GROUPS];  /* the last commit that was answered */
    int64_t commits, assignments;  /* that the story is about something */
    int32_t owners[GROUPS][10000]; /* by generation: client + 1 that was assigned "all" */
};

static int group_index(const struct client *c)
{
    return c->group[0] - 'a';
}

/* ---- what clients do with answers ----------------------------------------------------------- */

static void joined(struct story *s, struct client *c)
{
    const struct join_group_response *a = join_of(c->join);
    int32_t *seen = &s->generation_seen[group_index(c)];

    c->join = NULL;
    c->assigned = false;
    if (a->error_code == KERR_MEMBER_ID_REQUIRED) {
        c->id = rig_text(&s->r, a->member_id);
        return;
    }
    if (a->error_code != KERR_NONE) {
        if (a->error_code == KERR_UNKNOWN_MEMBER_ID)
            c->id = "";
        return;
    }
    CHECK(a->generation_id >= *seen); /* G2 */
    *seen = a->generation_id;
    c->id = rig_text(&s->r, a->member_id);
    c->generation = a->generation_id;
    c->leads = str_equal(a->leader, a->member_id);
    CHECK_EQ(a->members_count > 0, c->leads);
}

static void synced(struct story *s, struct client *c, int who)
{
    const struct sync_group_response *a = sync_of(c->sync);
    int32_t *owner;

    c->sync = NULL;
    if (a->error_code == KERR_UNKNOWN_MEMBER_ID)
        c->id = "";
    c->told = a->error_code != KERR_NONE;
    if (c->told)
        return;
    c->assigned = true;
    owner = &s->owners[group_index(c)][c->generation];
    if (!str_equal(str_of_bytes(a->assignment), STR("all")))
        return;
    CHECK(*owner == 0 || *owner == who + 1); /* one owner per generation */
    s->assignments += *owner == 0 ? 1 : 0;
    *owner = who + 1;
}

static void clients_look(struct story *s)
{
    for (int i = 0; i < CLIENTS; i++) {
        struct client *c = &s->clients[i];
        if (c->join != NULL && c->join->done)
            joined(s, c);
        if (c->sync != NULL && c->sync->done)
            synced(s, c, i);
    }
}

/* ---- what clients do ------------------------------------------------------------------------ */

/* Now and then one that has slept through a generation. */
static void client_commit(struct story *s, struct client *c)
{
    int32_t seen = s->generation_seen[group_index(c)];
    int32_t generation = c->generation - (prng_below(&s->dice, 4) == 0 ? 1 : 0);
    int64_t *acked = &s->offset_acked[group_index(c)];
    enum kerr error =
        rig_commit_offset(&s->r, c->group, str_of(c->id), generation, "orders", 0, *acked + 1);

    if (error != KERR_NONE)
        return;
    CHECK_EQ(generation, seen); /* G3 */
    ++*acked;
    s->commits++;
}

static void client_beat(struct story *s, struct client *c)
{
    enum kerr error = rig_heartbeat(&s->r, c->group, str_of(c->id), c->generation);

    CHECK(error == KERR_NONE || error == KERR_REBALANCE_IN_PROGRESS ||
          error == KERR_ILLEGAL_GENERATION || error == KERR_UNKNOWN_MEMBER_ID);
    c->told = error != KERR_NONE;
    if (error == KERR_UNKNOWN_MEMBER_ID)
        c->id = "";
}

static void client_step(struct story *s, struct client *c)
{
    struct rig *r = &s->r;

    if (c->join != NULL || c->sync != NULL) {
        struct call **waits = c->join != NULL ? &c->join : &c->sync;
        if (prng_below(&s->dice, 20) == 0) { /* the connection breaks */
            CHECK(group_cancel(r->p, &(*waits)->call) || (*waits)->done);
            *waits = NULL;
        }
        return;
    }
    uint64_t die = prng_below(&s->dice, 100);
    if (die < 3) {
        rig_leave(r, c->group, str_of(c->id));
        c->id = "";
    } else if (die < 6 || c->id[0] == '\0' || c->generation < 0 || c->told) {
        c->told = false;
        c->join = rig_join(r, c->group, c->id, prng_below(&s->dice, 2) == 0 ? 3 : 5);
    } else if (die < 10 || !c->assigned) {
        c->sync = rig_sync(r, c->group, str_of(c->id), c->generation,
                           c->leads ? rig_assign(r, str_of(c->id), "all", STR_NULL, NULL) : NULL);
    } else if (die < 60) {
        client_commit(s, c);
    } else {
        client_beat(s, c);
    }
}

/* ---- state, as text ------------------------------------------------------------------------- */

static void print_offsets(const struct group *g, struct text *out)
{
    MAP_EACH (topic, &g->topics) {
        const struct offset_topic *t = container_of(topic, struct offset_topic, node);
        MAP_EACH (node, &t->partitions) {
            const struct committed *c = container_of(node, struct committed, node);
            if (c->present)
                text_printf(out, " %.*s-%d:%d@%d", STR_ARG(t->name), c->partition, (int)c->offset,
                            (int)c->written_at);
        }
    }
}

/* Everything that the log must be able to bring back. Between generations memory is ahead of the
 * log. */
static const char *print_state(struct rig *r, const bool settled[GROUPS])
{
    struct text out = {0};

    for (int i = 0; i < GROUPS; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        const struct group *g = group_find(r->p, str_of(name));

        text_printf(&out, "%s:", name);
        if (g != NULL && settled[i]) {
            text_printf(&out, " %s %d %.*s %.*s %.*s", group_state_name(g), g->generation,
                        STR_ARG(g->protocol_type), STR_ARG(g->protocol),
                        STR_ARG(g->leader == NULL ? STR_NULL : g->leader->id));
            LIST_EACH (it, &g->order) {
                const struct member *m = container_of(it, struct member, in_order);
                text_printf(&out, " [%.*s %.*s %.*s %d]", STR_ARG(m->id),
                            STR_ARG(str_of_bytes(member_metadata(m, g->protocol))),
                            STR_ARG(str_of_bytes(m->assignment)), m->session_timeout_ms);
            }
        }
        if (g != NULL)
            print_offsets(g, &out);
        text_printf(&out, "\n");
    }
    const char *kept = arena_printf(&r->arena, "%.*s", STR_ARG(text_str(&out))).p;
    text_deinit(&out);
    return kept;
}

static void check_invariants(struct story *s)
{
    for (int i = 0; i < GROUPS; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        const struct group *g = group_find(s->r.p, str_of(name));
        uint32_t joined_count = 0, owing = 0, members = 0;

        if (g == NULL)
            continue;
        LIST_EACH (it, &g->order) {
            const struct member *m = container_of(it, struct member, in_order);
            members++;
            joined_count += m->joined ? 1 : 0;
            owing += m->owes_sync ? 1 : 0;
            CHECK(m->join == NULL || g->state == GROUP_PREPARING);
            CHECK(m->sync == NULL || g->state == GROUP_COMPLETING);
        }
        CHECK_EQ(members, g->members.count);
        CHECK_EQ(joined_count, g->joined);
        CHECK_EQ(owing, g->owing);
        CHECK((g->state == GROUP_EMPTY) == (members == 0) || g->state == GROUP_PREPARING);
        CHECK(members == 0 || g->leader != NULL);
        CHECK(g->state != GROUP_PREPARING || g->rebalance.node.position != 0); /* it will end */
        CHECK(g->state != GROUP_COMPLETING || g->sync.node.position != 0);
    }
}

static void reload(struct story *s)
{
    bool settled[GROUPS];

    for (int i = 0; i < GROUPS; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        const struct group *g = group_find(s->r.p, str_of(name));
        settled[i] = g != NULL && (g->state == GROUP_STABLE || g->state == GROUP_EMPTY);
    }
    const char *before = print_state(&s->r, settled);
    rig_reload(&s->r);
    clients_look(s);
    CHECK_TEXT(print_state(&s->r, settled), before);
    /* A generation that had not been assigned yet is given anew, to members that do not know of it.
     */
    for (int i = 0; i < GROUPS; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        const struct group *g = group_find(s->r.p, str_of(name));
        s->generation_seen[i] = g == NULL ? 0 : g->generation;
    }
    for (int i = 0; i < CLIENTS; i++) {
        struct client *c = &s->clients[i];
        if (c->generation > s->generation_seen[group_index(c)]) {
            c->generation = -1;
            c->assigned = false;
            c->id = "";
        }
    }
}

static void story(uint64_t seed, int64_t *commits, int64_t *assignments)
{
    struct story *s = calloc(1, sizeof(*s));

    rig_init(&s->r);
    prng_init(&s->dice, seed);
    for (int i = 0; i < CLIENTS; i++)
        s->clients[i] = (struct client){.group = i < 4    ? "a"
                                                 : i == 4 ? "b"
                                                          : "c",
                                        .id = "",
                                        .generation = -1};
    for (int step = 0; step < STEPS; step++) {
        client_step(s, &s->clients[prng_below(&s->dice, CLIENTS)]);
        clients_look(s);
        rig_pass(&s->r, (int64_t)prng_below(&s->dice, prng_below(&s->dice, 30) == 0 ? 20000 : 900));
        clients_look(s);
        check_invariants(s);
        if (prng_below(&s->dice, 60) == 0)
            reload(s);
        for (int i = 0; i < GROUPS; i++) {
            char name[2] = {(char)('a' + i), '\0'};
            int64_t offset = rig_offset(&s->r, name, "orders", 0, false, NULL);
            CHECK_EQ(offset < 0 ? 0 : offset,
                     s->offset_acked[i]); /* nothing acknowledged is lost */
        }
    }
    *commits += s->commits;
    *assignments += s->assignments;
    rig_end(&s->r);
    free(s);
}

TEST(property, whatever_members_do)
{
    int64_t commits = 0, assignments = 0;

    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        story(seed, &commits, &assignments);
    CHECK(commits > 20 * SEEDS);
    CHECK(assignments > 10 * SEEDS);
}
