#include "broker/cleaning.h"

#include <stdlib.h>

#include "broker/checkpoint.h"
#include "broker/everywhere.h"

/* A shard tells home that a log was compacted. */
struct news {
    struct io_message message;
    struct broker *broker;
};

static void news_arrived(struct io *io, struct io_message *m)
{
    struct news *n = container_of(m, struct news, message);

    checkpoints_save_cleaned(n->broker->checkpoints);
    free(n);
}

static void cleaned(void *ctx, struct log_dir *dir)
{
    struct broker_shard *shard = ctx;
    struct news *n = calloc(1, sizeof *n);

    ASSERT(n != NULL);
    n->broker = shard->broker;
    n->message.run = news_arrived;
    io_post(shard->io, 0, &n->message);
}

static void start_shard(struct broker_shard *shard, void *ctx, struct op *op)
{
    if (config_bool(shard->settings, BROKER_LOG_CLEANER_ENABLE))
        shard->cleaner = cleaner_start(shard->replicas, cleaned, shard);
    io_complete(shard->io, op, 0);
}

static void stop_shard(struct broker_shard *shard, void *ctx, struct op *op)
{
    struct cleaner *c = shard->cleaner;

    shard->cleaner = NULL;
    if (c != NULL)
        cleaner_stop(c, op);
    else
        io_complete(shard->io, op, 0);
}

void cleaning_start(struct broker *b, struct op *op)
{
    everywhere(b, start_shard, NULL, op);
}

void cleaning_stop(struct broker *b, struct op *op)
{
    everywhere(b, stop_shard, NULL, op);
}
