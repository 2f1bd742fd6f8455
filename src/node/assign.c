/* In which directories replicas lie, told to the controller: what waits is sent together, one request at a time, and
 * what the controller could not take is sent again (KIP-858, AssignReplicasToDirs).
 */
#include "node/internal.h"

#include <stdlib.h>

#include "protocol/assign_replicas_to_dirs.h"

/* As many as a Kafka broker puts into one request. */
#define ASSIGNMENTS_MAX 2250
#define AGAIN_MS 500

/* There is one for each partition at most: their number is bounded by that of the broker's replicas. */
struct assignment {
    struct map_node node; /* in node->assignments */
    struct list queued;   /* in node->unassigned */
    struct uuid topic_id;
    int32_t partition;
    struct uuid directory;
    bool sent;            /* as it is now */
};

struct assign_call {
    struct own_call own;
    struct assign_replicas_to_dirs_request request;
    struct assign_replicas_to_dirs_response response;
};

struct assignment_key {
    struct uuid topic_id;
    int32_t partition;
};

static bool key_equal(const struct map_node *node, const void *key)
{
    const struct assignment *a = container_of(node, const struct assignment, node);
    const struct assignment_key *k = key;

    return a->partition == k->partition && uuid_equal(a->topic_id, k->topic_id);
}

static uint64_t key_hash(struct uuid topic_id, int32_t partition)
{
    return uuid_hash(topic_id) ^ (uint64_t)(uint32_t)partition * UINT64_C(0x9e3779b97f4a7c15);
}

static void assignment_free(struct node *n, struct assignment *a)
{
    map_remove(&n->assignments, &a->node);
    list_remove(&a->queued);
    free(a);
}

/* ---- the answer ------------------------------------------------------------------------------ */

static void again(struct io_timer *t)
{
    assign_advance(container_of(t, struct node, assign_again));
}

/* One that the controller does not know was deleted meanwhile, or is no replica of ours any more: its directory
 * matters to nobody. */
static void forget_sent(struct node *n)
{
    LIST_EACH (it, &n->unassigned) {
        struct assignment *a = container_of(it, struct assignment, queued);
        if (a->sent)
            assignment_free(n, a);
    }
}

static void send_again_later(struct node *n)
{
    LIST_EACH (it, &n->unassigned)
        container_of(it, struct assignment, queued)->sent = false;
    if (!n->failed && !n->quiet)
        io_timer_set(n->io, &n->assign_again, io_now_ns(n->io) + AGAIN_MS * INT64_C(1000000), again);
}

static void answered(struct own_call *own, enum kerr error)
{
    struct assign_call *c = container_of(own, struct assign_call, own);
    struct node *n = own->node;

    n->assigning = NULL;
    arena_deinit(&own->arena);
    free(c);
    if (error != KERR_NONE) {
        send_again_later(n);
        return;
    }
    forget_sent(n);
    assign_advance(n);
}

/* ---- the request ----------------------------------------------------------------------------- */

typedef struct assign_replicas_to_dirs_request_directories assign_directory;
typedef struct assign_replicas_to_dirs_request_directories_topics assign_topic;

static assign_directory *directory_of(struct assign_replicas_to_dirs_request *m, struct uuid id)
{
    for (int32_t i = 0; i < m->directories_count; i++) {
        if (uuid_equal(m->directories[i].id, id))
            return &m->directories[i];
    }
    return NULL;
}

static void count_one(struct assign_replicas_to_dirs_request *m, const struct assignment *a)
{
    assign_directory *d = directory_of(m, a->directory);

    if (d == NULL) {
        d = &m->directories[m->directories_count++];
        assign_replicas_to_dirs_request_directories_init(d);
        d->id = a->directory;
    }
    d->topics_count++;
}

/* A topic of its own for each partition: what a name costs is a few bytes, and replicas come in no order. */
static void add_one(struct assign_call *c, const struct assignment *a)
{
    assign_directory *d = directory_of(&c->request, a->directory);
    assign_topic *t = &d->topics[d->topics_count++];

    assign_replicas_to_dirs_request_directories_topics_init(t);
    t->topic_id = a->topic_id;
    t->partitions = arena_take(&c->own.arena, sizeof *t->partitions);
    t->partitions_count = 1;
    assign_replicas_to_dirs_request_directories_topics_partitions_init(t->partitions);
    t->partitions->partition_index = a->partition;
}

static void fill(struct assign_call *c)
{
    struct node *n = c->own.node;
    struct assign_replicas_to_dirs_request *m = &c->request;
    uint32_t count = 0;

    m->broker_id = n->options.node_id;
    m->broker_epoch = n->broker_epoch;
    /* Besides the node's own there may be the id that says "lost". */
    m->directories = arena_take_array(&c->own.arena, n->options.dir_count + 1, sizeof *m->directories);
    LIST_EACH (it, &n->unassigned) {
        struct assignment *a = container_of(it, struct assignment, queued);
        if (count++ == ASSIGNMENTS_MAX)
            break;
        a->sent = true;
        count_one(m, a);
    }
    for (int32_t i = 0; i < m->directories_count; i++) {
        assign_directory *d = &m->directories[i];
        d->topics = arena_take_array(&c->own.arena, (size_t)d->topics_count, sizeof *d->topics);
        d->topics_count = 0;
    }
    LIST_EACH (it, &n->unassigned) {
        struct assignment *a = container_of(it, struct assignment, queued);
        if (a->sent)
            add_one(c, a);
    }
}

static void send(struct node *n)
{
    struct assign_call *c = calloc(1, sizeof *c);

    ASSERT(c != NULL);
    own_call_init(&c->own, n, API_ASSIGN_REPLICAS_TO_DIRS, &c->request, &c->response, &c->response.error_code);
    c->own.done = answered;
    n->assigning = c;
    fill(c);
    own_call_send(&c->own);
}

void assign_advance(struct node *n)
{
    if (n->assigning != NULL || n->failed || n->quiet || n->broker_epoch < 0 || list_empty(&n->unassigned))
        return;
    io_timer_clear(&n->assign_again);
    send(n);
}

void node_assign(struct node *n, struct uuid topic_id, int32_t partition, struct uuid directory)
{
    struct assignment_key key = {topic_id, partition};
    uint64_t hash = key_hash(topic_id, partition);
    struct map_node *known = map_find(&n->assignments, hash, &key);
    struct assignment *a = known == NULL ? NULL : container_of(known, struct assignment, node);

    if (n->failed || n->quiet || image_metadata_version(n->loaded) < METADATA_VERSION_DIRECTORIES)
        return;
    if (a == NULL) {
        a = calloc(1, sizeof *a);
        ASSERT(a != NULL);
        a->topic_id = topic_id;
        a->partition = partition;
        map_add(&n->assignments, &a->node, hash);
        list_add_tail(&n->unassigned, &a->queued);
    }
    a->directory = directory;
    a->sent = false;
    assign_advance(n);
}

/* ---- begin and end --------------------------------------------------------------------------- */

void assign_init(struct node *n)
{
    map_init(&n->assignments, key_equal);
    list_init(&n->unassigned);
}

void assign_stop(struct node *n)
{
    io_timer_clear(&n->assign_again);
}

void assign_deinit(struct node *n)
{
    while (!list_empty(&n->unassigned))
        assignment_free(n, container_of(n->unassigned.next, struct assignment, queued));
    map_deinit(&n->assignments);
}
