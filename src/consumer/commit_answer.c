/* What the coordinator says to a commit. */
#include "consumer/internal.h"

#include "protocol/offset_commit.h"

static struct consumer_offset *offset_of(struct commit *m, struct str topic, int32_t partition)
{
    for (uint32_t i = 0; i < m->count; i++) {
        struct consumer_offset *o = &m->offsets[i];
        if (o->partition.partition == partition && str_equal(o->partition.topic, topic))
            return o;
    }
    return NULL;
}

static bool is_passing(int16_t code)
{
    return code == KERR_COORDINATOR_LOAD_IN_PROGRESS || code == KERR_COORDINATOR_NOT_AVAILABLE ||
           code == KERR_NOT_COORDINATOR || code == KERR_REQUEST_TIMED_OUT || code == KERR_REBALANCE_IN_PROGRESS ||
           code == KERR_UNKNOWN_TOPIC_OR_PARTITION || code == KERR_UNSTABLE_OFFSET_COMMIT;
}

static void committed(struct commit *m, const struct consumer_offset *o)
{
    struct part *p = part_find(m->consumer, o->partition);

    if (p == NULL)
        return;
    p->committed = o->offset;
    if (!m->all || o->offset == p->done) /* else there was a seek meanwhile, or more is done */
        p->put_back = false;
}

/* The worst of the partitions' codes: one that ends the membership before others. */
static int16_t take_codes(struct commit *m, const struct offset_commit_response *a)
{
    int16_t worst = KERR_NONE;

    for (int32_t t = 0; t < a->topics_count; t++) {
        for (int32_t i = 0; i < a->topics[t].partitions_count; i++) {
            const struct offset_commit_response_topics_partitions *one = &a->topics[t].partitions[i];
            struct consumer_offset *o = offset_of(m, a->topics[t].name, one->partition_index);
            if (o == NULL)
                continue;
            o->error = (struct consumer_error){0};
            if (one->error_code == KERR_NONE) {
                committed(m, o);
                continue;
            }
            error_code(&o->error, one->error_code, advice_of(one->error_code), "commit of %.*s-%d",
                       STR_ARG(o->partition.topic), o->partition.partition);
            if (worst == KERR_NONE || advice_of(one->error_code) == CONSUMER_REJOINED || is_passing(worst))
                worst = one->error_code;
        }
    }
    return worst;
}

static void take_answer(struct commit *m)
{
    int16_t code = take_codes(m, m->wire.response);

    if (code == KERR_REQUEST_TIMED_OUT)
        m->doubt = true;
    if (code == KERR_NONE) {
        commit_end(m, 0);
        return;
    }
    if (is_passing(code)) {
        commit_again(m);
        return;
    }
    if (m->generation >= 0)
        membership_commit_refused(m->consumer, m->generation, code);
    if (advice_of(code) == CONSUMER_REJOINED) {
        commit_generation_gone(m, code);
        return;
    }
    for (uint32_t i = 0; m->call != NULL && i < m->count; i++) {
        if (m->offsets[i].error.code != KERR_NONE)
            m->call->error = m->offsets[i].error;
    }
    commit_end(m, -EIO);
}

/* There will be no coordinator for it, or the one there is is too old. */
static void refused(struct commit *m, int trouble)
{
    struct consumer_error e;

    if (trouble == -EACCES)
        error_code(&e, m->wire.lookup_error, advice_of(m->wire.lookup_error), "commit for group %.*s",
                   STR_ARG(m->consumer->settings.group_id));
    else
        error_trouble(&e, trouble, CONSUMER_REPAIR, "commit for group %.*s: the coordinator is too old",
                      STR_ARG(m->consumer->settings.group_id));
    e.definite = !m->doubt;
    commit_fail(m, -EIO, &e);
}

void commit_answered(struct commit *m, int64_t result)
{
    if (result == 0) {
        take_answer(m);
    } else if (result == -EACCES || result == ERR_VERSION) {
        refused(m, (int)result);
    } else {
        m->doubt = m->doubt || m->wire.sent;
        commit_again(m);
    }
}
