/* A reader: some partitions, from the start to the end and on, now and then from the start again. In a cluster it reads
 * from one replica after another: below its high watermark each must hold what all others do. */
#include <stdlib.h>

#include "clients.h"
#include "fetch.h"

struct reader {
    struct client client;
    struct peer *peer;
    struct flow flow;
    struct fetcher fetch;
    uint32_t stride; /* takes every so-manieth partition that it hears of */
    uint32_t rounds; /* with the broker that it asks now */
};

struct client *reader_client(struct reader *r) { return &r->client; }

static void choose(struct reader *r)
{
    struct client *c = &r->client;
    struct truth *t = c->world->truth;
    struct fetcher *f = &r->fetch;

    fetch_drop_dying(f);
    for (uint32_t i = 0; i < t->topic_count; i++) {
        for (int32_t k = 0; t->topics[i]->state == TOPIC_LIVES && k < t->topics[i]->partition_count; k++) {
            bool there = (i + (uint32_t)k) % r->stride != 0;
            for (uint32_t n = 0; n < f->count; n++)
                there = there || f->slots[n].part == &t->topics[i]->parts[k];
            if (!there && f->count < FETCH_PARTITIONS_MAX)
                f->slots[f->count++] = (struct fetch_slot){.part = &t->topics[i]->parts[k], .high_watermark = -1};
        }
    }
    if (f->count > 0 && client_below(c, 30) == 0) {
        struct fetch_slot *s = &f->slots[client_below(c, f->count)];
        s->position = (int64_t)client_below(c, (uint64_t)s->position + 1);
    }
    f->max_wait_ms = (int32_t)client_below(c, 3) * 40;
    f->min_bytes = 1 + (int32_t)client_below(c, 2) * 2000;
    f->partition_bytes_max = client_below(c, 3) == 0 ? 1 + (int32_t)client_below(c, 2000) : 1 << 20;
}

/* Mostly it is to look once more at what others have just said. */
static void turn(struct reader *r)
{
    struct client *c = &r->client;

    r->rounds = (uint32_t)client_below(c, 8);
    client_turn(c, r->peer);
    for (uint32_t i = 0; i < r->fetch.count; i++) {
        struct fetch_slot *s = &r->fetch.slots[i];
        int64_t back = (int64_t)client_below(c, 60);
        s->position = s->part->floor > back && client_below(c, 8) != 0 ? s->part->floor - back : 0;
        s->high_watermark = -1;
    }
}

/* In a cluster that is at rest the verifier does it. */
static bool has_work(const struct reader *r)
{
    const struct world *w = r->client.world;

    return r->fetch.count > 0 && (!world_is_cluster(w) || w->calm_ns == 0);
}

static int64_t pause_ns(struct reader *r)
{
    return r->client.world->plan.storm ? client_ms(&r->client, 1, 20) : client_ms(&r->client, 5, 80);
}

static void reader_run(struct flow *f)
{
    struct reader *r = container_of(f, struct reader, flow);
    struct client *c = &r->client;

    FLOW_BEGIN(f);
    while (!c->stop) {
        choose(r);
        if (r->fetch.any_replica && r->rounds-- == 0)
            turn(r);
        if (has_work(r))
            FLOW_WAIT(f, "fetch", fetch_once(&r->fetch, c, r->peer, &f->op));
        FLOW_WAIT(f, "pause", client_sleep(c, pause_ns(r), &f->op));
    }
    FLOW_WAIT(f, "close", peer_close(r->peer, &f->op));
    FLOW_END(f);
    c->stopped = true;
}

struct reader *reader_new(struct world *w, uint32_t number)
{
    struct reader *r = calloc(1, sizeof *r);
    char name[16];

    ASSERT(r != NULL);
    snprintf(name, sizeof name, "reader-%u", number);
    client_init(&r->client, w, name, true);
    fetch_draw(&r->fetch, &r->client);
    r->fetch.any_replica = world_is_cluster(w);
    r->stride = 1 + (uint32_t)client_below(&r->client, 3);
    r->peer = client_connect(&r->client, (w->plan.storm ? 150 : 400) + (int64_t)client_below(&r->client, 600), 1);
    return r;
}

void reader_begin(struct reader *r)
{
    flow_start(&r->flow, reader_run, NULL);
}

void reader_free(struct reader *r)
{
    if (r == NULL)
        return;
    rpc_deinit(&r->fetch.rpc);
    client_deinit(&r->client);
    free(r);
}
