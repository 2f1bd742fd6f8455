/* Log directories that have failed: the controller is told at once, and has to hear of it in time (KIP-858). */
#include "node/internal.h"

uint32_t offline_count(const struct node *n)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < n->options.dir_count; i++)
        count += log_dir_is_online(n->options.dirs[i]) ? 0 : 1;
    return count;
}

void offline_told(struct node *n, uint32_t count)
{
    n->offline_told = count;
    if (count >= offline_count(n))
        io_timer_clear(&n->offline_limit);
}

static void offline_limit_fired(struct io_timer *t)
{
    struct node *n = container_of(t, struct node, offline_limit);
    struct fail why = {0};

    fail_set(&why, -ETIMEDOUT,
             "no controller could be told for %" PRId64 " ms (log.dir.failure.timeout.ms) that a log directory has "
             "failed: other brokers and clients still expect its partitions here",
             config_i64(n->options.settings, BROKER_LOG_DIR_FAILURE_TIMEOUT_MS));
    node_fail(n, &why);
}

void node_dir_failed(struct node *n)
{
    struct fail why = {0};

    if (n->failed || n->quiet || n->state == BROKER_SHUTTING_DOWN ||
        n->broker_epoch < 0) /* it registers without that directory */
        return;
    if (image_metadata_version(n->loaded) < METADATA_VERSION_DIRECTORIES) {
        fail_set(&why, -ENOTSUP,
                 "a log directory has failed, and metadata.version is too old to take its partitions alone away from "
                 "this broker: upgrade it to 3.7-IV2 or later (kafka-features.sh)");
        node_fail(n, &why);
        return;
    }
    if (!io_timer_is_set(&n->offline_limit))
        io_timer_set(n->io, &n->offline_limit,
                     io_now_ns(n->io) +
                         config_i64(n->options.settings, BROKER_LOG_DIR_FAILURE_TIMEOUT_MS) * 1000000,
                     offline_limit_fired);
    io_timer_clear(&n->pulse);
    membership_advance(n);
}
