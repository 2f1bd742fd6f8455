/* The truth about what lies on the disks of a cluster: T12 of the quorum, T13. */
#define _GNU_SOURCE
#include <stdlib.h>

#include "truth.h"

#define METADATA_DIR "/data/a/__cluster_metadata-0/"
#define RECORDS_PLAIN_MAX (16u << 20)

/* ---- who led the quorum ------------------------------------------------------------------------ */

static bool number_behind(const char *json, const char *name, int32_t *out)
{
    const char *at = strstr(json, name);

    if (at == NULL)
        return false;
    *out = (int32_t)strtol(at + strlen(name), NULL, 10);
    return true;
}

struct quorum_state {
    int32_t epoch, leader, voted; /* -1 = nobody */
};

static bool read_state(const struct server *s, struct quorum_state *out)
{
    struct text content = {0};
    bool ok = sim_disk_get(s->node, METADATA_DIR "quorum-state", &content) == 0;

    text_add(&content, "", 1);
    ok = ok && number_behind(content.p, "\"leaderId\":", &out->leader) &&
         number_behind(content.p, "\"leaderEpoch\":", &out->epoch) &&
         number_behind(content.p, "\"votedId\":", &out->voted);
    text_deinit(&content);
    return ok;
}

/* Who led the one before begins it where it resigns; else somebody stands for it, and has voted for himself before
 * others hear of it. So the newest epoch that there is has a vote, or a leader. */
static void check_newest(struct truth *t, const struct quorum_state states[NODES_MAX], uint32_t count)
{
    const struct epoch_leaders *e = &t->quorum;
    int32_t newest = -1, node = 0;
    bool has_begun = false;

    for (uint32_t i = 0; i < count; i++) {
        if (states[i].epoch > newest) {
            newest = states[i].epoch;
            node = (int32_t)i + 1;
            has_begun = false;
        }
        if (states[i].epoch == newest)
            has_begun = has_begun || states[i].leader > 0 || states[i].voted > 0 ||
                        (newest > 0 && newest <= e->count && e->leaders[newest - 1] == (int32_t)i + 1);
    }
    if (newest > 0 && !has_begun && (newest >= e->count || e->leaders[newest] == 0))
        broken(t->world, "node %d is in epoch %d of the quorum, for which nobody has stood", node, newest);
}

static uint32_t voters(const struct world *w)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < w->plan.node_count; i++)
        n += w->plan.nodes[i].is_controller;
    return n;
}

/* Who leads has been told the votes of a majority, which were on disk before. */
static void check_votes(struct truth *t, const struct quorum_state states[NODES_MAX], uint32_t of)
{
    const struct world *w = t->world;
    int32_t epoch = states[of].epoch, leader = (int32_t)of + 1;
    uint32_t votes = 0;

    if (states[of].leader != leader)
        return;
    for (uint32_t i = 0; i < w->plan.node_count; i++) {
        const struct quorum_state *s = &states[i];
        votes += w->plan.nodes[i].is_controller &&
                 (s->epoch > epoch || (s->epoch == epoch && (s->voted == leader || s->leader == leader)));
    }
    if (votes <= voters(w) / 2)
        broken(t->world, "node %d leads epoch %d of the quorum, but only %u of %u voters have its vote, or a later epoch, "
               "on disk", leader, epoch, votes, voters(w));
}

void truth_quorum(struct truth *t)
{
    struct quorum_state states[NODES_MAX];
    struct world *w = t->world;

    for (uint32_t i = 0; i < w->plan.node_count; i++) {
        struct quorum_state *s = &states[i];
        if (!read_state(&w->servers[i], s))
            *s = (struct quorum_state){-1, -1, -1};
        else if (s->leader > 0 && s->epoch >= 0)
            truth_epoch_leader(t, &t->quorum, s->epoch, s->leader, "the quorum");
    }
    check_newest(t, states, w->plan.node_count);
    for (uint32_t i = 0; i < w->plan.node_count; i++)
        check_votes(t, states, i);
}

/* ---- logs -------------------------------------------------------------------------------------- */

/* The content of all files in `dir` whose names end so, in their order, and the offset that names the last one. False
 * where there is no such file. */
static bool read_files(struct sim_node *node, const char *dir, const char *end, struct text *out, int64_t *last_base)
{
    struct text names = {0};
    struct str rest, line;
    bool any = false;

    sim_disk_dump(node, &names);
    rest = text_str(&names);
    while (str_cut(&rest, '\n', &line)) {
        const char *blank = memrchr(line.p, ' ', (size_t)line.n);
        struct str path = {line.p, blank == NULL ? line.n : (int32_t)(blank - line.p)};
        char name[256];
        if (!str_starts(path, str_of(dir)) || !str_ends(path, str_of(end)))
            continue;
        snprintf(name, sizeof name, "%.*s", STR_ARG(path));
        any = sim_disk_get(node, name, out) == 0 || any;
        *last_base = strtoll(name + strlen(dir), NULL, 10);
    }
    text_deinit(&names);
    return any;
}

struct disk_log {
    const struct server *server;
    struct text content;
    int64_t last_base;  /* of its last segment: where an empty log ends */
    struct bytes rest;
    struct batch batch; /* the next one */
    bool more;
};

static void step(struct truth *t, struct disk_log *r, const char *name)
{
    int rc = batch_next(&r->rest, &r->batch);

    if (rc < 0)
        broken(t->world, "%s on %s: %d bytes before its end is no batch: %s", name, sim_node_name(r->server->node),
               r->rest.n, error_text(rc));
    r->more = rc == 1;
}

static void begin(struct truth *t, struct disk_log *r, const char *name)
{
    r->rest = bytes_of_str(text_str(&r->content));
    step(t, r, name);
}

static void skip_to(struct truth *t, struct disk_log *r, int64_t offset, const char *name)
{
    while (r->more && r->batch.base_offset < offset)
        step(t, r, name);
}

static bool same_bytes(const struct batch *a, const struct batch *b)
{
    return a->bytes.n == b->bytes.n && memcmp(a->bytes.p, b->bytes.p, (size_t)a->bytes.n) == 0;
}

/* Logs may begin at different offsets. `whole`: they must be the same to the end; else only where epochs are the same,
 * as the end of a metadata log is of its node alone until it is committed. */
static void compare(struct truth *t, struct disk_log *a, struct disk_log *b, bool whole, const char *name)
{
    begin(t, a, name);
    begin(t, b, name);
    if (a->more && b->more) {
        int64_t from = a->batch.base_offset > b->batch.base_offset ? a->batch.base_offset : b->batch.base_offset;
        skip_to(t, a, from, name);
        skip_to(t, b, from, name);
    } else {
        skip_to(t, a, b->last_base, name);
        skip_to(t, b, a->last_base, name);
    }
    while (a->more && b->more) {
        bool same = same_bytes(&a->batch, &b->batch);
        bool same_place = a->batch.base_offset == b->batch.base_offset &&
                          a->batch.leader_epoch == b->batch.leader_epoch;
        if (!same && (whole || same_place))
            broken(t->world, "%s: at %" PRId64 " of epoch %d %s has another batch than %s at %" PRId64 " of epoch %d",
                   name, a->batch.base_offset, a->batch.leader_epoch, sim_node_name(a->server->node),
                   sim_node_name(b->server->node), b->batch.base_offset, b->batch.leader_epoch);
        if (!same)
            return;
        step(t, a, name);
        step(t, b, name);
    }
    if (whole && (a->more || b->more))
        broken(t->world, "%s: %s has batches behind the end of %s", name,
               sim_node_name((a->more ? a : b)->server->node), sim_node_name((a->more ? b : a)->server->node));
}

static void compare_all(struct truth *t, const char *const *dirs, uint32_t dir_count, const char *end, bool whole,
                        uint32_t expected)
{
    struct world *w = t->world;
    struct disk_log replicas[NODES_MAX] = {0};
    uint32_t n = 0;

    for (uint32_t i = 0; i < w->plan.node_count; i++) {
        for (uint32_t d = 0; d < dir_count; d++) {
            replicas[n].server = &w->servers[i];
            if (read_files(w->servers[i].node, dirs[d], end, &replicas[n].content, &replicas[n].last_base)) {
                n++;
                break;
            }
        }
    }
    if (expected != 0 && n != expected)
        broken(w, "%s is on %u nodes, and should be on %u", dirs[0], n, expected);
    for (uint32_t i = 1; i < n; i++)
        compare(t, &replicas[0], &replicas[i], whole, dirs[0]);
    for (uint32_t i = 0; i < n; i++)
        text_deinit(&replicas[i].content);
}

/* Each replica is compacted, and its records are deleted, on its own. */
static void compare_partition(struct truth *t, const struct part *part)
{
    char paths[3][64];
    const char *dirs[3];

    for (uint32_t i = 0; i < t->world->plan.dirs; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%s-%d/", world_dirs[i], part->topic->name, part->partition);
        dirs[i] = paths[i];
    }
    compare_all(t, dirs, t->world->plan.dirs, ".log", true, (uint32_t)t->world->plan.replicas);
}

/* A node is in an epoch before it has batches of it. */
void truth_restart(struct truth *t, const struct server *s)
{
    struct disk_log log = {.server = s};
    struct quorum_state state = {.epoch = 0};
    int32_t newest = 0;

    read_state(s, &state);
    read_files(s->node, METADATA_DIR, ".log", &log.content, &log.last_base);
    log.rest = bytes_of_str(text_str(&log.content));
    while (batch_next(&log.rest, &log.batch) == 1 && batch_crc_ok(&log.batch)) /* to where it is torn */
        newest = log.batch.leader_epoch;
    text_deinit(&log.content);
    if (newest > state.epoch)
        broken(t->world, "%s has batches of epoch %d of the quorum, but has only heard of epoch %d",
               sim_node_name(s->node), newest, state.epoch);
}

/* ---- snapshots of the metadata ----------------------------------------------------------------- */

/* The records of an image, one behind another. */
static void snapshot_records(struct truth *t, struct bytes content, const char *name, struct text *out)
{
    struct batch batch;
    int rc;

    while ((rc = batch_next(&content, &batch)) == 1) {
        struct records records = {0};
        struct record record;
        if (batch_is_control(&batch))
            continue;
        rc = records_begin(&records, &batch, RECORDS_PLAIN_MAX);
        while (rc == 0 && (rc = records_next(&records, &record)) == 1) {
            text_add(out, record.value.p, (size_t)record.value.n);
            rc = 0;
        }
        records_end(&records);
    }
    if (rc < 0)
        broken(t->world, "%s cannot be read: %s", name, error_text(rc));
}

static void compare_snapshot(struct truth *t, const char *path, const struct server *a, const struct server *b)
{
    struct text contents[2] = {0}, records[2] = {0};

    if (sim_disk_get(a->node, path, &contents[0]) == 0 && sim_disk_get(b->node, path, &contents[1]) == 0) {
        for (int i = 0; i < 2; i++)
            snapshot_records(t, bytes_of_str(text_str(&contents[i])), path, &records[i]);
        if (!str_equal(text_str(&records[0]), text_str(&records[1])))
            broken(t->world, "%s says something else on %s than on %s", path, sim_node_name(a->node),
                   sim_node_name(b->node));
    }
    for (int i = 0; i < 2; i++) {
        text_deinit(&contents[i]);
        text_deinit(&records[i]);
    }
}

static void compare_snapshots(struct truth *t, const struct server *a)
{
    struct world *w = t->world;
    struct text names = {0};
    struct str rest, line;

    sim_disk_dump(a->node, &names);
    rest = text_str(&names);
    while (str_cut(&rest, '\n', &line)) {
        const char *blank = memrchr(line.p, ' ', (size_t)line.n);
        char path[256];
        if (blank == NULL)
            continue;
        snprintf(path, sizeof path, "%.*s", (int)(blank - line.p), line.p);
        if (!str_starts(str_of(path), STR(METADATA_DIR)) || !str_ends(str_of(path), STR(".checkpoint")))
            continue;
        for (uint32_t i = (uint32_t)a->id; i < w->plan.node_count; i++)
            compare_snapshot(t, path, a, &w->servers[i]);
    }
    text_deinit(&names);
}

/* ---- all of it --------------------------------------------------------------------------------- */

void truth_disks(struct truth *t)
{
    static const char *const metadata[] = {METADATA_DIR};

    for (uint32_t i = 0; i < t->topic_count; i++) {
        const struct topic *topic = t->topics[i];
        for (int32_t p = 0; topic->state == TOPIC_LIVES && !topic->compacted && p < topic->partition_count; p++)
            compare_partition(t, &topic->parts[p]);
    }
    compare_all(t, metadata, 1, ".log", false, 0);
    for (uint32_t i = 0; i < t->world->plan.node_count; i++)
        compare_snapshots(t, &t->world->servers[i]);
}
