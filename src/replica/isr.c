/* A leader's ISR, as it is watched: what it was before a step of the machine, who has come and gone since, and why. */
#include "replica/internal.h"

/* A line, and what is kept for whoever asks later. */
static void told(struct replica *r, enum log_level level, const struct text *words)
{
    const struct replicas_options *o = &r->set->options;

    say(o->telemetry, level, "replica", "%s-%d %.*s", r->topic, r->partition, STR_ARG(text_str(words)));
    telemetry_cause(o->telemetry, str_of(r->topic), r->partition, io_wall_ms(o->io), "%.*s", STR_ARG(text_str(words)));
}

static bool has(const struct isr_before *b, int32_t id)
{
    for (uint32_t i = 0; i < b->count; i++) {
        if (b->ids[i] == id)
            return true;
    }
    return false;
}

void isr_before(const struct replica *r, struct isr_before *out)
{
    const struct replication *m = &r->replication;

    out->leads = m->role == REPLICATION_LEADER;
    out->leader_epoch = m->leader_epoch;
    out->proposing = m->proposing;
    if (m->proposing)
        out->proposal = m->proposal;
    out->count = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->replicas[i].in_isr)
            out->ids[out->count++] = m->replicas[i].id;
    }
}

/* What we proposed is in force, as an answer or metadata has said: by now something else may be proposed. */
static bool is_ours(const struct replica *r, const struct isr_before *before)
{
    const struct replication_proposal *p = &before->proposal;

    if (!before->proposing || p->count != replication_isr_size(&r->replication))
        return false;
    for (uint32_t i = 0; i < p->count; i++) {
        if (!replication_in_isr(&r->replication, p->ids[i]))
            return false;
    }
    return true;
}

static void add_ids(struct text *t, const char *what, const int32_t *ids, uint32_t count)
{
    text_printf(t, "%s[", what);
    for (uint32_t i = 0; i < count; i++)
        text_printf(t, "%s%d", i == 0 ? "" : ",", ids[i]);
    text_add_str(t, STR("]"));
}

/* How far behind, and for how long. */
static void add_lag(struct text *t, const struct replica *r, const struct replication_replica *one)
{
    int64_t now_ms = io_now_ms(r->set->options.io), end = log_end(r->log);

    if (one->stable_end < 0)
        text_add_str(t, STR("it has not been heard of since this broker leads"));
    else
        text_printf(t, "it lacks %" PRId64 " records (its end is %" PRId64 ", ours %" PRId64 "), its last Fetch was %"
                    PRId64 " ms ago", end - one->stable_end, one->stable_end, end, now_ms - one->fetched_ms);
    if (one->caught_up_ms >= 0)
        text_printf(t, ", it had all %" PRId64 " ms ago", now_ms - one->caught_up_ms);
    text_printf(t, " (replica.lag.time.max.ms is %" PRId64 ")", r->replication.lag_ms);
}

/* Who goes because the controller says so: its broker has been fenced, or leaves. Only the first is bad news. */
static enum log_level add_broker(struct text *t, const struct replica *r, int32_t id)
{
    const struct image_broker *b = r->set->image == NULL ? NULL : image_broker_find(r->set->image, id);

    text_add_str(t, STR("the controller has decided so"));
    if (b == NULL)
        text_add_str(t, STR(", the broker is not registered"));
    else if (b->in_controlled_shutdown)
        text_add_str(t, STR(", the broker shuts down"));
    else if (b->fenced)
        text_add_str(t, STR(", the broker is fenced"));
    return b != NULL && b->fenced && !b->in_controlled_shutdown ? LOG_WARN : LOG_INFO;
}

static void tell_gone(struct replica *r, const struct isr_before *before, int32_t id, bool by_us, struct text *t)
{
    const struct replication *m = &r->replication;
    const struct replication_replica *one = NULL;
    enum log_level level = LOG_INFO;

    for (uint32_t i = 0; i < m->count; i++) {
        if (m->replicas[i].id == id)
            one = &m->replicas[i];
    }
    text_clear(t);
    text_printf(t, "broker %d leaves the ISR", id);
    add_ids(t, " ", before->ids, before->count);
    text_add_str(t, STR(": "));
    if (one == NULL) {
        text_add_str(t, STR("it is no replica any more"));
    } else if (by_us) {
        add_lag(t, r, one);
        level = LOG_WARN;
    } else {
        level = add_broker(t, r, id);
    }
    told(r, level, t);
}

static void tell_come(struct replica *r, const struct isr_before *before, const struct replication_replica *one,
                      bool by_us, struct text *t)
{
    text_clear(t);
    text_printf(t, "broker %d joins the ISR", one->id);
    add_ids(t, " ", before->ids, before->count);
    if (by_us)
        text_printf(t, ": it has all up to offset %" PRId64 ", our end is %" PRId64, one->stable_end, log_end(r->log));
    else
        text_add_str(t, STR(": the controller has decided so"));
    told(r, LOG_INFO, t);
}

void isr_after(struct replica *r, const struct isr_before *before)
{
    const struct replication *m = &r->replication;
    struct replicas *rs = r->set;
    bool by_us = is_ours(r, before), shrinks = false, expands = false;
    struct text t = {0};

    /* Who begins to lead knows nothing of why the ISR is as it is: the controller does. */
    if (!before->leads || m->role != REPLICATION_LEADER || m->leader_epoch != before->leader_epoch)
        return;
    for (uint32_t i = 0; i < before->count; i++) {
        if (replication_in_isr(m, before->ids[i]))
            continue;
        shrinks = true;
        tell_gone(r, before, before->ids[i], by_us, &t);
    }
    for (uint32_t i = 0; i < m->count; i++) {
        if (!m->replicas[i].in_isr || has(before, m->replicas[i].id))
            continue;
        expands = true;
        tell_come(r, before, &m->replicas[i], by_us, &t);
    }
    text_deinit(&t);
    rs->isr_counts.shrinks += shrinks && by_us;
    rs->isr_counts.expands += expands && by_us;
}
