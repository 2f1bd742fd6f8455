/* Answers of foreign bytes (support/foreign.h) to a client: ApiVersions, Metadata, FindCoordinator and what it is asked
 * to send. Nothing crashes, and every call ends by its limit. */
#include "client/client.h"
#include "foreign.h"

#include "protocol/describe_cluster.h"
#include "protocol/heartbeat.h"

#define LIMIT_MS 1000
#define LATE_MS 1500 /* to end a connection, and what was sent on it */
#define CALLS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct ask {
    struct client_call call;
    bool done;
};

static void ask_done(struct op *op, int64_t result)
{
    struct ask *a = container_of(op, struct ask, call.op);

    ASSERT(!a->done);
    ASSERT((result == 0) == (a->call.response != NULL));
    a->done = true;
}

static struct client *client_open(struct foreign *w, uint8_t choice)
{
    struct client_settings s = {
        .bootstrap_servers = STR("near:9092"),
        .bootstrap_controllers = choice % 8 == 7,
        .client_id = STR("fuzz"),
        .check_cluster = true,
        .request_timeout_ms = LIMIT_MS,
        .reconnect_backoff_ms = 10,
        .reconnect_backoff_max_ms = 100,
        .retry_backoff_ms = 10,
        .retry_backoff_max_ms = 100,
        .connection_setup_timeout_ms = LIMIT_MS,
        .connection_setup_timeout_max_ms = LIMIT_MS,
        .connections_max_idle_ms = 500,
        .metadata_max_age_ms = 200,
        .rebootstrap = true,
        .rebootstrap_trigger_ms = 300,
        .frame_bytes_max = 1 << 20,
        .in_flight_max = 5,
    };

    return client_new(w->far_io, w->telemetry, &s, NULL);
}

static void use(struct foreign *w, uint8_t choice)
{
    struct client *c = client_open(w, choice);
    struct describe_cluster_request describe;
    struct heartbeat_request beat;
    struct ask asks[CALLS] = {{{{0}}}};
    struct foreign_wait update, close;
    static const struct client_target targets[CALLS] = {
        {CLIENT_ANY}, {CLIENT_NODE, .node_id = 1}, {CLIENT_CONTROLLER}, {CLIENT_GROUP, .key = {"g", 1}}};

    ASSERT(c != NULL);
    describe_cluster_request_init(&describe);
    heartbeat_request_init(&beat);
    if (choice % 2 == 1)
        client_want_all(c);
    client_want(c, STR("t"));
    client_update(c, LIMIT_MS, foreign_wait_begin(&update));
    for (int i = 0; i < CALLS; i++) {
        bool group = targets[i].kind == CLIENT_GROUP;
        asks[i].call = (struct client_call){
            .api_key = group ? API_HEARTBEAT : API_DESCRIBE_CLUSTER,
            .request = group ? (void *)&beat : (void *)&describe,
            .target = targets[i],
            .timeout_ms = LIMIT_MS,
        };
        op_init(&asks[i].call.op, ask_done);
        client_send(c, &asks[i].call);
    }
    foreign_pass(w, LIMIT_MS + LATE_MS);
    ASSERT(update.done);
    for (int i = 0; i < CALLS; i++) {
        ASSERT(asks[i].done);
        client_call_release(&asks[i].call);
    }
    for (const struct client_topic *t = NULL; (t = client_topic_next(c, t)) != NULL;)
        ASSERT(t->error != 0 ? t->partition_count == 0 : client_topic(c, t->name) == t);
    client_close(c, foreign_wait_begin(&close));
    foreign_wait_end(w, &close);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct foreign w;

    if (!foreign_open(&w, data, size))
        return 0;
    use(&w, data[0]);
    foreign_close(&w);
    return 0;
}
