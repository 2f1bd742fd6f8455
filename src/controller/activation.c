/* The first records of a leader's term (KIP-868). */
#include "controller/internal.h"

#include "protocol/abort_transaction_record.h"
#include "protocol/begin_transaction_record.h"
#include "protocol/config_record.h"
#include "protocol/end_transaction_record.h"
#include "protocol/feature_level_record.h"
#include "protocol/no_op_record.h"

#define BOOTSTRAP_BYTES_MAX ((size_t)64 << 20)

void decide_no_op(struct decision *d)
{
    struct no_op_record r;

    no_op_record_init(&r);
    decision_add(d, &no_op_record_message, 0, &r);
}

static void begin_transaction(struct decision *d)
{
    struct begin_transaction_record r;

    begin_transaction_record_init(&r);
    r.name = STR("Bootstrap records");
    decision_add(d, &begin_transaction_record_message, 0, &r);
}

static void end_transaction(struct decision *d)
{
    struct end_transaction_record r;

    end_transaction_record_init(&r);
    decision_add(d, &end_transaction_record_message, 0, &r);
}

static void abort_transaction(struct decision *d)
{
    struct abort_transaction_record r;

    abort_transaction_record_init(&r);
    r.reason = STR("Controller failover");
    decision_add(d, &abort_transaction_record_message, 0, &r);
}

/* What the bootstrap records say about features. */
struct bootstrap {
    int16_t metadata_version, elr;
};

static void look_at_feature(struct decision *d, struct bytes framed, struct bootstrap *out)
{
    struct message_framed record = {0};
    const struct feature_level_record *r;

    if (message_metadata_read(framed, MESSAGE_METADATA, &d->c->scratch, &record) < 0)
        assert_failed("the bootstrap records cannot be read; format the log directory again",
                      __FILE__, __LINE__, __func__);
    if (record.message != &feature_level_record_message)
        return;
    r = record.value;
    if (feature_find(r->name) == FEATURE_METADATA_VERSION)
        out->metadata_version = r->feature_level;
    if (feature_find(r->name) == FEATURE_ELIGIBLE_LEADER_REPLICAS_VERSION)
        out->elr = r->feature_level;
}

static void add_batch(struct decision *d, const struct batch *batch, struct bootstrap *out)
{
    struct records records = {0};
    struct record record;

    if (records_begin(&records, batch, BOOTSTRAP_BYTES_MAX) < 0)
        return;
    while (records_next(&records, &record) == 1) {
        struct bytes framed = arena_bytes(&d->c->scratch, record.value);
        look_at_feature(d, framed, out);
        decision_add_framed(d, framed);
    }
    records_end(&records);
}

static void add_bootstrap(struct decision *d, struct bootstrap *out)
{
    struct bytes rest = d->c->settings.bootstrap;
    struct batch batch;

    while (batch_next(&rest, &batch) == 1) {
        if (!batch_is_control(&batch))
            add_batch(d, &batch, out);
    }
    ASSERT(rest.n <= 0); /* who read the bootstrap file has checked it */
}

void add_cluster_min_isr(struct decision *d)
{
    struct config_record r;

    config_record_init(&r);
    r.resource_type = CONFIG_RESOURCE_BROKER;
    r.resource_name = STR("");
    r.name = STR("min.insync.replicas");
    r.value = config_text(d->c->settings.broker, BROKER_MIN_INSYNC_REPLICAS);
    decision_add(d, &config_record_message, 0, &r);
}

/* Everything between begin and end of one transaction, where the version knows them. The first
 * record has to be the one that begins it, but whether it may is known only after reading. */
static void start_cluster(struct decision *d)
{
    struct bootstrap bootstrap = {0};
    struct decision read = *d;

    read.framed = NULL;
    read.count = read.capacity = 0;
    add_bootstrap(&read, &bootstrap);
    if (bootstrap.metadata_version >= METADATA_VERSION_TRANSACTIONS)
        begin_transaction(d);
    for (uint32_t i = 0; i < read.count; i++)
        decision_add_framed(d, read.framed[i]);
    if (bootstrap.elr > 0)
        add_cluster_min_isr(d);
    if (bootstrap.metadata_version >= METADATA_VERSION_TRANSACTIONS)
        end_transaction(d);
}

void decide_activation(struct decision *d)
{
    if (image_in_transaction(d->image))
        abort_transaction(d);
    if (image_metadata_version(d->image) == 0)
        start_cluster(d);
}
