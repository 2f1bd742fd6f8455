/* The work of one replica when metadata changes: open, take a role, be deleted, be closed. */
#include "replica/internal.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- open ----------------------------------------------------------------------------------- */

static void set_settings(struct replica *r, struct config *settings)
{
    config_free(r->settings);
    r->settings = settings;
    validate_rules_of(settings, &r->rules);
    replica_take_throttles(r);
    if (r->log == NULL)
        return;
    struct log_settings s = log_settings_of(settings, r->set->broker);
    log_set_settings(r->log, &s);
}

/* What the directory's checkpoints say belongs to the log that lay there: a new one may bear the
 * name of one that was deleted since. */
static int64_t remembered(const struct work *w, const struct checkpoint *c, int64_t otherwise)
{
    const struct replica *r = w->replica;

    if (w->existing == NULL)
        return otherwise;
    return checkpoint_find(c, str_of(r->topic), r->partition, otherwise);
}

static void prepare_open(struct work *w)
{
    struct replica *r = w->replica;
    struct replicas *rs = r->set;
    const struct image_topic *topic = image_topic_by_id(work_image(w), r->topic_id);

    replica_place(w, &topic->partitions[r->partition]);
    if (topic->partitions[r->partition].replica_count > REPLICAS_MAX)
        replica_refuse(r, topic->partitions[r->partition].replica_count);
    set_settings(r, settings_of(rs, topic));
    if (r->offline)
        return;
    w->open = (struct log_open){
        .io = rs->options.io,
        .telemetry = rs->options.telemetry,
        .dir = r->dir,
        .memory = rs->options.memory,
        .topic = str_of(r->topic),
        .partition = r->partition,
        .topic_id = r->topic_id,
        .settings = log_settings_of(r->settings, rs->broker),
        .recovery_point = remembered(w, &r->dir->recovery_point, 0),
        .start_offset = remembered(w, &r->dir->log_start, -1),
        .first_dirty = remembered(w, &r->dir->cleaner, 0),
        .clean = r->dir->clean,
        .stable_moved = replica_stable_moved,
        .ctx = r,
    };
}

/* The log is ready: the mark of the last run, as far as the log still holds it. */
static void opened(struct work *w)
{
    struct replica *r = w->replica;
    int64_t mark = remembered(w, &r->dir->high_watermark, 0);

    if (w->existing != NULL)
        existing_settle(r->set, w->existing);
    r->log = w->log;
    if (mark < log_start(r->log))
        mark = log_start(r->log);
    if (mark > log_stable(r->log))
        mark = log_stable(r->log);
    replication_init(&r->replication, r->set->options.node_id, mark);
    replication_set_broker_epoch(&r->replication, r->set->broker_epoch);
    replica_tell_placed(r, image_partition_find(work_image(w), r->topic_id, r->partition));
}

/* ---- take a role ---------------------------------------------------------------------------- */

void replica_tell_leading(struct replica *r, bool leads)
{
    if (!r->internal || r->set->options.leading == NULL)
        return;
    if (r->led)
        r->set->options.leading(r->set->options.ctx, r, false);
    r->led = leads;
    if (leads)
        r->set->options.leading(r->set->options.ctx, r, true);
}

static struct replication_state state_of(const struct replica *r, const struct image_partition *p)
{
    return (struct replication_state){
        .leader = p->leader,
        .leader_epoch = p->leader_epoch,
        .partition_epoch = p->partition_epoch,
        .replicas = p->replicas,
        .isr = p->isr,
        .replica_count = p->replica_count,
        .isr_count = p->isr_count,
        .min_isr = (int32_t)config_i64(r->settings, TOPIC_MIN_INSYNC_REPLICAS),
        .recovery = p->recovery_state == REPLICATION_RECOVERING ? REPLICATION_RECOVERING : REPLICATION_RECOVERED,
    };
}

void replica_take_role(struct replica *r, const struct image_topic *topic)
{
    struct replication_state s;
    struct replication_outcome out;
    struct isr_before before;

    set_settings(r, settings_of(r->set, topic));
    s = state_of(r, &topic->partitions[r->partition]);
    isr_before(r, &before);
    replication_apply(&r->replication, &s, log_end(r->log), log_stable(r->log),
                      io_now_ms(r->set->options.io), &out);
    isr_after(r, &before);
    if (out.role_changed)
        waits_refuse(r);
    if (out.became_follower)
        replica_tell_leading(r, false);
    fetcher_take_role(r);
    waits_advance(r, out.high_watermark_moved);
    if (!out.became_leader)
        return;
    log_note_epoch(r->log, r->replication.leader_epoch);
    leader_begin(r);
    replica_tell_leading(r, true);
}

/* What the image of the work says. */
static void take_role(struct work *w)
{
    struct replica *r = w->replica;
    const struct image_topic *topic = image_topic_by_id(work_image(w), r->topic_id);

    if (topic->partitions[r->partition].replica_count > REPLICAS_MAX)
        replica_refuse(r, topic->partitions[r->partition].replica_count);
    else
        replica_take_role(r, topic);
}

/* ---- go away -------------------------------------------------------------------------------- */

/* Out of the set: nobody finds it any more. */
static void forget(struct replica *r)
{
    map_remove(&r->set->by_id, &r->node);
    replica_unplace(r);
    r->set->offline_count -= r->offline ? 1 : 0;
    replica_release(r); /* the set's hold; the work has its own */
}

/* Also, who waits is answered; the log is the caller's to end. */
static struct log *withdraw(struct replica *r)
{
    struct log *log = r->log;

    replica_tell_leading(r, false);
    r->log = NULL;
    waits_end(r);
    forget(r);
    return log;
}

static char *path_of(const struct log_dir *dir, const char *name)
{
    size_t n = strlen(dir->path) + 1 + strlen(name) + 1;
    char *path = malloc(n);

    ASSERT(path != NULL);
    snprintf(path, n, "%s/%s", dir->path, name);
    return path;
}

/* TOPIC-PARTITION.<32 hex digits>-stray; the topic is cut so that a file name holds it. */
#define FILE_NAME_MAX 255

static void stray_name(const struct log_found *found, struct uuid unique,
                       char out[FILE_NAME_MAX + 1])
{
    char rest[64];
    int n = snprintf(rest, sizeof rest, "-%d.", found->partition);

    for (int i = 0; i < 16; i++)
        n += snprintf(rest + n, sizeof rest - (size_t)n, "%02x", unique.b[i]);
    n += snprintf(rest + n, sizeof rest - (size_t)n, "-stray");
    snprintf(out, FILE_NAME_MAX + 1, "%.*s%s", FILE_NAME_MAX - n, found->topic, rest);
}

static void prepare_stray(struct work *w)
{
    struct replicas *rs = work_set(w);
    const struct existing *e = w->existing;
    char name[FILE_NAME_MAX + 1];

    stray_name(e->found, uuid_random(io_prng(rs->options.io)), name);
    w->from = path_of(e->dir, e->found->name);
    w->to = path_of(e->dir, name);
    say(rs->options.telemetry, LOG_WARN, "replica",
        "%s is not a partition that the metadata gives to this node: it is set aside as %s; delete "
        "it when its records are not needed", w->from, name);
}

/* ---- the flows ------------------------------------------------------------------------------ */

/* A directory whose logs cannot be read is not trusted with any. */
static void not_opened(struct work *w)
{
    struct replica *r = w->replica;
    const struct replicas_options *o = &r->set->options;
    struct fail why = {0};

    fail_set(&why, (int)w->flow.result, "cannot open %s-%d: %s", r->topic, r->partition,
             w->fail.error < 0 ? w->fail.text : error_text((int)w->flow.result));
    log_dir_fail(r->dir, o->io, o->telemetry, &why);
    replica_go_offline(r);
}

static void go_on_moving(struct work *w)
{
    struct replica *r = w->replica;
    struct existing *e = existing_future(r->set, r->topic_id, r->partition);

    if (e == NULL || e->dir == r->dir || !log_dir_is_online(e->dir))
        return;
    existing_settle(r->set, e);
    replica_move_on(r, e);
}

static void open_run(struct flow *f)
{
    struct work *w = container_of(f, struct work, flow);
    struct replica *r = w->replica;

    FLOW_BEGIN(f);
    prepare_open(w);
    if (r->offline) {
        FLOW_WAIT(f, "turn", io_yield(r->set->options.io, &f->op));
    } else {
        FLOW_WAIT(f, "open the log", log_open(&w->open, &w->log, &w->fail, &f->op));
        if (f->result < 0) {
            not_opened(w);
        } else {
            opened(w);
            take_role(w);
            while (r->cut != NULL)
                FLOW_WAIT(f, "end its cut", cut_wait(r, &f->op));
            if (r->log != NULL)
                go_on_moving(w);
            if (!log_dir_is_online(r->dir)) /* it has failed meanwhile: those that were open know it */
                replica_go_offline(r);
        }
    }
    FLOW_END(f);
    work_finished(w, 0);
}

static void change_run(struct flow *f)
{
    struct work *w = container_of(f, struct work, flow);

    FLOW_BEGIN(f);
#ifndef MUTANT_FETCHER_ROLE_BESIDE_CUT
    while (w->replica->cut != NULL)
        FLOW_WAIT(f, "end its cut", cut_wait(w->replica, &f->op));
#endif
    if (!w->replica->offline)
        take_role(w);
    FLOW_WAIT(f, "turn", io_yield(work_set(w)->options.io, &f->op));
    FLOW_END(f);
    work_finished(w, 0);
}

/* What fails here has taken the directory offline, and is its trouble alone. */
static void delete_run(struct flow *f)
{
    struct work *w = container_of(f, struct work, flow);

    FLOW_BEGIN(f);
    fetcher_leave(w->replica);
    while (w->replica->cut != NULL)
        FLOW_WAIT(f, "end its cut", cut_wait(w->replica, &f->op));
    while (w->replica->move != NULL)
        FLOW_WAIT(f, "end its move", move_end(w->replica, false, &f->op));
    w->log = withdraw(w->replica);
    if (w->log != NULL)
        FLOW_WAIT(f, "delete the log", log_delete(w->log, &f->op));
    else
        FLOW_WAIT(f, "turn", io_yield(work_set(w)->options.io, &f->op));
    FLOW_END(f);
    work_finished(w, 0);
}

/* As with a deletion. */
static void close_run(struct flow *f)
{
    struct work *w = container_of(f, struct work, flow);

    FLOW_BEGIN(f);
    fetcher_leave(w->replica);
    while (w->replica->cut != NULL)
        FLOW_WAIT(f, "end its cut", cut_wait(w->replica, &f->op));
    while (w->replica->move != NULL)
        FLOW_WAIT(f, "end its move", move_end(w->replica, true, &f->op));
    w->log = withdraw(w->replica);
    if (w->log != NULL)
        FLOW_WAIT(f, "close the log", log_close(w->log, &f->op));
    else
        FLOW_WAIT(f, "turn", io_yield(work_set(w)->options.io, &f->op));
    FLOW_END(f);
    work_finished(w, 0);
}

static void not_set_aside(struct work *w)
{
    const struct replicas_options *o = &work_set(w)->options;
    struct fail why = {0};

    fail_set(&why, (int)w->flow.result, "cannot set %s aside: %s", w->from, error_text((int)w->flow.result));
    log_dir_fail(w->existing->dir, o->io, o->telemetry, &why);
}

static void stray_run(struct flow *f)
{
    struct work *w = container_of(f, struct work, flow);
    struct io *io = work_set(w)->options.io;

    FLOW_BEGIN(f);
    prepare_stray(w);
    FLOW_TRY(f, "rename", io_rename(io, w->from, w->to, &f->op));
    FLOW_TRY(f, "sync the directory", io_sync_dir(io, w->existing->dir->path, &f->op));
    FLOW_END(f);
    existing_settle(work_set(w), w->existing);
    work_finished(w, 0);
    return;
failed:
    not_set_aside(w);
    work_finished(w, 0);
}

void work_start(struct work *w)
{
    static void (*const runs[])(struct flow *f) = {
        [WORK_OPEN] = open_run,   [WORK_CHANGE] = change_run, [WORK_DELETE] = delete_run,
        [WORK_STRAY] = stray_run, [WORK_CLOSE] = close_run,
    };

    flow_start(&w->flow, runs[w->kind], NULL);
}
