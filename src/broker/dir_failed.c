/* A log directory fails while the broker runs.
 *
 *   log_dir_fail, on any shard ─► home: does it hold the metadata log? ─ yes ─► the broker cannot go on
 *                                   └─ no ─► every shard: its replicas go offline
 *                                       └──► node: the controller is told, by a heartbeat
 *
 * From the moment of the failure on no log in it takes anything: they all look at log_dir_is_online.
 */
#include <stdlib.h>

#include "broker/start.h"

struct dir_failure {
    struct io_message message;
    struct broker *broker;
    struct log_dir *dir;
    struct fail why;
};

/* To one shard. */
struct dir_news {
    struct io_message message;
    struct broker_shard *shard;
    const struct log_dir *dir;
};

static void news_arrived(struct io *io, struct io_message *m)
{
    struct dir_news *news = container_of(m, struct dir_news, message);

    if (news->shard->replicas != NULL)
        replicas_dir_failed(news->shard->replicas, news->dir);
    free(news);
}

static void tell_shards(struct broker *b, const struct log_dir *dir)
{
    for (uint32_t i = 0; i < b->shard_count; i++) {
        struct dir_news *news = calloc(1, sizeof *news);
        ASSERT(news != NULL);
        *news = (struct dir_news){.message.run = news_arrived, .shard = &b->shards[i], .dir = dir};
        io_post(b->shards[0].io, i, &news->message);
    }
}

static void give_up(struct broker *b, const struct fail *why)
{
    struct fail f = {0};

    fail_set(&f, why->error, "%s; it holds the metadata log, without which this node can do nothing", why->text);
    if (b->node != NULL)
        node_give_up(b->node, &f);
    else
        broker_fail(b, &f);
}

static void failed_home(struct io *io, struct io_message *m)
{
    struct dir_failure *d = container_of(m, struct dir_failure, message);
    struct broker *b = d->broker;

    if (b->life->stopping) {
        free(d);
        return;
    }
    if (d->dir == b->dirs[b->metadata_dir]) {
        give_up(b, &d->why);
        free(d);
        return;
    }
#ifdef MUTANT_BROKER_FAILED_DIR_GOES_ON
    if (b != NULL) {
        free(d);
        return;
    }
#endif
    tell_shards(b, d->dir);
    if (b->node != NULL)
        node_dir_failed(b->node);
    free(d);
}

void dir_failed(struct log_dir *dir, struct io *io, const struct fail *why, void *ctx)
{
    struct dir_failure *d = calloc(1, sizeof *d);

    ASSERT(d != NULL);
    *d = (struct dir_failure){.message.run = failed_home, .broker = ctx, .dir = dir, .why = *why};
    io_post(io, 0, &d->message);
}
