#include "second.h"

#include "protocol/broker_registration.h"

const struct describe_cluster_response *lab_describe(struct client *c, int8_t endpoint_type, bool fenced)
{
    struct describe_cluster_request m;

    describe_cluster_request_init(&m);
    m.endpoint_type = endpoint_type;
    m.include_fenced_brokers = fenced;
    return client_ask(c, API_DESCRIBE_CLUSTER, 2, &m);
}

void second_register(struct lab *lab, struct second *s)
{
    static const struct uuid incarnation = {{2, 2}}, dir = {{2, 3}};
    struct broker_registration_request m;
    struct broker_registration_request_listeners at;
    struct broker_registration_request_features has[FEATURE_COUNT];

    client_open(lab, &s->c, 9093);
    broker_registration_request_init(&m);
    broker_registration_request_listeners_init(&at);
    at.name = STR("PLAINTEXT");
    at.host = STR("second");
    at.port = 9192;
    m.broker_id = 2;
    m.cluster_id = lab_describe(&s->c, DESCRIBE_CONTROLLERS, false)->cluster_id;
    m.incarnation_id = incarnation;
    m.listeners = &at;
    m.listeners_count = 1;
    m.log_dirs = (struct uuid *)(uintptr_t)&dir;
    m.log_dirs_count = 1;
    m.features = has;
    m.features_count = FEATURE_COUNT;
    for (int f = 0; f < FEATURE_COUNT; f++) {
        broker_registration_request_features_init(&has[f]);
        has[f].name = str_of(features[f].name);
        has[f].min_supported_version = features[f].low;
        has[f].max_supported_version = features[f].latest;
    }
    const struct broker_registration_response *a = client_ask(&s->c, API_BROKER_REGISTRATION, 4, &m);
    CHECK_EQ(a->error_code, KERR_NONE);
    s->epoch = a->broker_epoch;
}

const struct broker_heartbeat_response *second_beat(struct second *s, int64_t offset)
{
    struct broker_heartbeat_request m;

    broker_heartbeat_request_init(&m);
    m.broker_id = 2;
    m.broker_epoch = s->epoch;
    m.current_metadata_offset = offset;
    return client_ask(&s->c, API_BROKER_HEARTBEAT, 1, &m);
}
