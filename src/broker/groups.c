/* Questions to coordinators: which shard, which of its partitions, and the answers together. */
#include "broker/groups_host.h"

int32_t groups_partition(const struct image *image, struct str group_id)
{
    const struct image_topic *topic = image_topic_find(image, OFFSETS_TOPIC);

    return topic == NULL ? -1 : group_partition_of(group_id, topic->partition_count);
}

/* ---- questions ------------------------------------------------------------------------------- */

/* What a part still waits for, and, for groups_ask_all, the asks that it made itself. */
struct asking {
    uint32_t left;
    struct group_ask *asks;
    uint32_t count;
};

static void ask_ready(struct group_call *call)
{
    struct group_ask *ask = container_of(call, struct group_ask, call);
    struct asking *state = ask->part->state;

    ask->asked = NULL;
    if (--state->left == 0)
        scatter_part_done(ask->part);
}

static bool topic_allowed(const struct group_call *call, struct str topic)
{
    const struct group_ask *ask = container_of(call, const struct group_ask, call);
    const struct request *r = ask->part->scatter->request;

    return request_authorize(r, r->key == API_OFFSET_FETCH ? ACL_DESCRIBE : ACL_READ,
                             RESOURCE_TOPIC, topic);
}

static void ask_host(struct scatter_part *part, struct group_ask *ask, struct host *h)
{
    const struct request *r = part->scatter->request;
    struct io *io = part->shard->io;
    struct asking *state = part->state;

    ask->part = part;
    ask->call = (struct group_call){
        .api_key = r->key,
        .api_version = r->version,
        .request = ask->request,
        .response = ask->response,
        .arena = &part->arena,
        .client_id = r->client_id,
        /* as Java writes it */
        .client_host = arena_printf(&part->arena, "/%.*s", STR_ARG(request_host(r))),
        .now_ms = io_now_ms(io),
        .wall_ms = io_wall_ms(io),
        .image = part->shard->image,
        .authorized_operations = ask->authorized_operations,
        .topic_allowed = topic_allowed,
        .ready = ask_ready,
    };
    state->left++;
    ask->asked = h->partition;
    group_handle(h->partition, &ask->call);
    host_wind(h);
}

static void ask_begin(struct scatter_part *part, struct group_ask *ask)
{
    struct host *h = host_find(part->shard->groups,
                               groups_partition(part->shard->image, ask->group_id));

    if (h == NULL)
        ask->error = KERR_NOT_COORDINATOR;
    else
        ask_host(part, ask, h);
}

static void part_ask(struct scatter_part *part)
{
    struct asking *state = arena_take(&part->arena, sizeof *state);

    part->state = state;
    state->left = 1;
    for (uint32_t i = 0; i < part->count; i++)
        ask_begin(part, part->items[i]);
    if (--state->left == 0)
        scatter_part_done(part);
}

void groups_ask(struct request *r, struct group_ask *asks, uint32_t count,
                void (*joined)(struct scatter *s))
{
    struct scatter *s = scatter_new(r, part_ask, joined);
    const struct image_topic *topic = image_topic_find(r->shard->image, OFFSETS_TOPIC);

    r->state = s;
    for (uint32_t i = 0; i < count; i++) {
        if (asks[i].error != KERR_NONE)
            continue;
        if (topic == NULL) {
            asks[i].error = KERR_COORDINATOR_NOT_AVAILABLE;
            continue;
        }
        int32_t partition = group_partition_of(asks[i].group_id, topic->partition_count);
        scatter_add(s, shard_of(r->shard->broker, topic->id, partition), &asks[i]);
    }
    scatter_run(s);
}

/* ---- the connection is gone ------------------------------------------------------------------ */

static void part_forget(struct scatter_part *part)
{
    struct asking *state = part->state;

    for (uint32_t i = 0; i < part->count; i++) {
        struct group_ask *ask = part->items[i];
        if (ask->asked == NULL || !group_cancel(ask->asked, &ask->call))
            continue;
        ask->asked = NULL;
        if (--state->left == 0)
            scatter_part_done(part);
    }
}

void groups_cancel(struct request *r)
{
    if (r->state != NULL)
        scatter_interrupt(r->state, part_forget);
}

/* ---- all of them ----------------------------------------------------------------------------- */

struct ask_all {
    void (*merge)(struct request *r, const void *response);
    void (*done)(struct request *r);
};

static void part_ask_all(struct scatter_part *part)
{
    const struct request *r = part->scatter->request;
    struct asking *state = arena_take(&part->arena, sizeof *state);

    part->state = state;
    LIST_EACH(it, &part->shard->groups->hosts)
        state->count += container_of(it, struct host, node)->ending ? 0 : 1;
    state->asks = arena_take_array(&part->arena, state->count, sizeof *state->asks);
    state->left = 1;
    uint32_t i = 0;
    LIST_EACH(it, &part->shard->groups->hosts) {
        struct host *h = container_of(it, struct host, node);
        if (h->ending)
            continue;
        struct group_ask *ask = &state->asks[i++];
        ask->request = r->message;
        ask->response = arena_take(&part->arena, message_struct_bytes(r->response_message));
        message_init(r->response_message, ask->response);
        ask_host(part, ask, h);
    }
    if (--state->left == 0)
        scatter_part_done(part);
}

static void all_joined(struct scatter *s)
{
    const struct ask_all *all = s->state;

    for (uint32_t shard = 0; shard < s->home->broker->shard_count; shard++) {
        const struct asking *state = s->parts[shard].state;
        for (uint32_t i = 0; i < state->count; i++)
            all->merge(s->request, state->asks[i].response);
    }
    all->done(s->request);
}

void groups_ask_all(struct request *r, void (*merge)(struct request *r, const void *response),
                    void (*done)(struct request *r))
{
    struct scatter *s = scatter_new(r, part_ask_all, all_joined);
    struct ask_all *all = arena_take(&r->arena, sizeof *all);

    *all = (struct ask_all){merge, done};
    s->state = all;
    scatter_everywhere(s);
    scatter_run(s);
}

/* ---- one group, the whole request ------------------------------------------------------------ */

struct ask_one {
    struct group_ask ask;
    void (*failed)(struct request *r, enum kerr error);
};

static void one_joined(struct scatter *s)
{
    struct request *r = s->request;
    struct ask_one *one = container_of(r->asked, struct ask_one, ask);

    if (one->ask.error != KERR_NONE)
        one->failed(r, one->ask.error);
    request_answer(r);
}

void groups_ask_one(struct request *r, struct str group_id, enum acl_operation operation,
                    void (*failed)(struct request *r, enum kerr error))
{
    struct ask_one *one = arena_take(&r->arena, sizeof *one);

    if (!request_authorize(r, operation, RESOURCE_GROUP, group_id)) {
        failed(r, KERR_GROUP_AUTHORIZATION_FAILED);
        request_answer(r);
        return;
    }
    one->ask = (struct group_ask){
        .group_id = group_id,
        .request = r->message,
        .response = r->response,
    };
    one->failed = failed;
    r->asked = &one->ask;
    groups_ask(r, &one->ask, 1, one_joined);
}
