/* Formats the disks of a cluster, as an operator does before the first start. */
#define _GNU_SOURCE
#include "format.h"

#include "quorum/quorum.h"

#define CLUSTER_ID "c2ltdWxhdGVkIGNsdXN0ZX"
#define CONTROLLER_PORT 9093

/* Voters of a dynamic quorum: their directories are known before they are formatted (KIP-853). */
static void draw_voters(const struct plan *p, struct prng *g, struct raft_voters *out)
{
    for (uint32_t i = 0; i < p->node_count; i++) {
        struct raft_voter *v = &out->voters[out->count];
        if (!p->nodes[i].is_controller)
            continue;
        *v = (struct raft_voter){.id = (int32_t)i + 1, .directory_id = uuid_random(g), .endpoint_count = 1,
                                 .kraft_version_max = 1};
        snprintf(v->endpoints[0].name, sizeof v->endpoints[0].name, "CONTROLLER");
        snprintf(v->endpoints[0].host, sizeof v->endpoints[0].host, "%s", p->nodes[i].name);
        v->endpoints[0].port = CONTROLLER_PORT;
        out->count++;
    }
}

struct formatting {
    struct op op;
    bool done;
    int64_t result;
};

static void formatted(struct op *op, int64_t result)
{
    struct formatting *f = container_of(op, struct formatting, op);

    f->done = true;
    f->result = result;
}

static void format_node(struct world *w, struct formatted *to, uint32_t at, const struct raft_voters *voters)
{
    struct format_options o = {
        .cluster_id = STR(CLUSTER_ID),
        .node_id = (int32_t)at + 1,
        .dirs = world_dirs,
        .dir_count = w->plan.dirs,
        .metadata_version = FORMAT_METADATA_VERSION,
        .no_initial_controllers = w->plan.dynamic_quorum && !w->plan.nodes[at].is_controller,
    };
    struct formatting f = {0};
    struct fail fail = {0};
    struct text out = {0};

    if (w->plan.nodes[at].is_controller)
        o.initial_voters = *voters;
    to->disks[at] = sim_node_new(to->sim, w->plan.nodes[at].name);
    sim_node_start(to->disks[at], 1);
    op_init(&f.op, formatted);
    quorum_format(sim_node_io(to->disks[at], 0), &o, &out, &fail, &f.op);
    while (!f.done && sim_step(to->sim))
        ;
    text_deinit(&out);
    ASSERT(f.done && f.result >= 0);
}

void format_cluster(struct world *w, struct formatted *out)
{
    struct raft_voters voters = {0};

    out->sim = sim_new(w->seed, NULL);
    if (w->plan.dynamic_quorum)
        draw_voters(&w->plan, sim_prng(out->sim), &voters);
    for (uint32_t i = 0; i < w->plan.node_count; i++)
        format_node(w, out, i, &voters);
}

/* "PATH SIZE", a directory with a slash at its end. */
static void copy_one(struct sim_node *from, struct sim_node *to, struct str line)
{
    const char *blank = memrchr(line.p, ' ', (size_t)line.n);
    struct text content = {0};
    char path[256];
    int rc;

    snprintf(path, sizeof path, "%.*s", blank == NULL ? line.n : (int)(blank - line.p), line.p);
    if (path[strlen(path) - 1] == '/') {
        path[strlen(path) - 1] = 0;
        rc = sim_disk_mkdir(to, path);
        ASSERT(rc == 0 || rc == -EEXIST);
        return;
    }
    rc = sim_disk_get(from, path, &content);
    ASSERT(rc == 0);
    rc = sim_disk_put(to, path, bytes_of_str(text_str(&content)));
    ASSERT(rc == 0);
    text_deinit(&content);
}

void format_copy(struct world *w, const struct formatted *from)
{
    for (uint32_t i = 0; i < w->plan.node_count; i++) {
        struct text names = {0};
        struct str rest, line;
        sim_disk_dump(from->disks[i], &names);
        rest = text_str(&names);
        while (str_cut(&rest, '\n', &line)) {
            if (line.n > 1)
                copy_one(from->disks[i], w->servers[i].node, line);
        }
        text_deinit(&names);
    }
}
