#include "broker/beats.h"

#include <stdlib.h>

#include "broker/session.h"
#include "protocol/broker_heartbeat.h"

struct news {
    struct io_message message;
    struct broker *broker;
    struct beats beats;
};

void beats_note(struct request *r)
{
    const struct broker_heartbeat_request *m = r->message;

    *session_beats(r->session) = (struct beats){true, m->broker_id, m->broker_epoch};
}

static void news_arrived(struct io *io, struct io_message *m)
{
    struct news *n = container_of(m, struct news, message);

    if (n->broker->node != NULL)
        node_heartbeats_ended(n->broker->node, n->beats.broker_id, n->beats.broker_epoch);
    free(n);
}

void beats_end(struct broker_shard *shard, const struct beats *beats)
{
    struct news *n;

    if (!beats->any)
        return;
    n = calloc(1, sizeof *n);
    ASSERT(n != NULL);
    *n = (struct news){.message.run = news_arrived, .broker = shard->broker, .beats = *beats};
    io_post(shard->io, 0, &n->message);
}
