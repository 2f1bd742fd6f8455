/* A scrape: one sum goes from shard to shard, so that each reads its own numbers. */
#include <stdlib.h>

#include "broker/everywhere.h"
#include "broker/metrics.h"

struct scrape {
    struct io_message message;
    struct broker *broker;
    struct telemetry *sum;
    struct text *out;
    uint32_t shard;
    struct op *op;
};

static void arrived(struct io *io, struct io_message *m)
{
    struct scrape *s = container_of(m, struct scrape, message);
    struct broker *b = s->broker;
    struct op *op = s->op;

    if (s->shard < b->shard_count) {
        struct broker_shard *shard = &b->shards[s->shard];
        metrics_gather(shard);
        telemetry_merge(s->sum, shard->telemetry);
        s->shard++;
        io_post(io, s->shard < b->shard_count ? s->shard : 0, &s->message);
        return;
    }
    telemetry_print(&s->sum, 1, s->out);
    telemetry_free(s->sum);
    free(s);
    op->done(op, 0);
}

void broker_metrics(struct broker *b, struct text *out, struct op *op)
{
    struct scrape *s = calloc(1, sizeof *s);

    ASSERT(s != NULL);
    s->broker = b;
    s->sum = telemetry_new(b->options.sink);
    s->out = out;
    s->op = op;
    s->message.run = arrived;
    io_post(b->shards[0].io, 0, &s->message);
}
