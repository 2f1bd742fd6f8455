/* Bootstrap records: the levels of the features that a new cluster starts with. */
#include "quorum/internal.h"

#include "protocol/feature_level_record.h"

#include <stdio.h>
#include <stdlib.h>

#define FRAME_VERSION 1

void quorum_frame(const struct message *message, int16_t version, const void *m, struct text *out)
{
    uint8_t head[32], *p = head;
    int64_t size = message_size(message, version, m);

    ASSERT(size >= 0);
    p = put_uvarint(p, FRAME_VERSION);
    p = put_uvarint(p, (uint64_t)message->key);
    p = put_uvarint(p, (uint64_t)version);
    text_add(out, head, (size_t)(p - head));
    uint8_t *value = malloc((size_t)size + 1);
    ASSERT(value != NULL);
    message_write(message, version, m, value);
    text_add(out, value, (size_t)size);
    free(value);
}

static void add_feature(struct bootstrap *b, const char *name, int16_t level)
{
    struct feature_level_record m;

    ASSERT(b->count < BOOTSTRAP_FEATURES_MAX);
    feature_level_record_init(&m);
    m.name = str_of(name);
    m.feature_level = level;
    quorum_frame(&feature_level_record_message, 0, &m, &b->framed[b->count++]);
}

static int compare_features(const void *a, const void *b)
{
    const enum feature_id *x = a, *y = b;

    return strcmp(features[*x].name, features[*y].name);
}

/* metadata.version comes first, the others by name; level 0 is what is not written, and
 * kraft.version is a control record's. */
void bootstrap_features(const int16_t levels[FEATURE_COUNT], struct bootstrap *out)
{
    enum feature_id order[FEATURE_COUNT];

    *out = (struct bootstrap){0};
    for (int i = 0; i < FEATURE_COUNT; i++)
        order[i] = (enum feature_id)i;
    qsort(order, FEATURE_COUNT, sizeof(order[0]), compare_features);
    add_feature(out, features[FEATURE_METADATA_VERSION].name, levels[FEATURE_METADATA_VERSION]);
    for (int i = 0; i < FEATURE_COUNT; i++) {
        enum feature_id id = order[i];
        if (id != FEATURE_METADATA_VERSION && id != FEATURE_KRAFT_VERSION && levels[id] > 0)
            add_feature(out, features[id].name, levels[id]);
    }
}

void bootstrap_deinit(struct bootstrap *b)
{
    for (uint32_t i = 0; i < b->count; i++)
        text_deinit(&b->framed[i]);
}

/* ---- levels ------------------------------------------------------------------------------ */

static int take_feature(const struct format_options *o, const struct image_feature_level *asked,
                        int16_t levels[FEATURE_COUNT], struct fail *f)
{
    enum feature_id id = feature_find(asked->name);

    if (id == FEATURE_COUNT || id == FEATURE_METADATA_VERSION)
        return fail_set(f, -EINVAL,
                        "Unsupported feature: %.*s. Supported features are: "
                        "eligible.leader.replicas.version, group.version, kraft.version, "
                        "share.version, streams.version, transaction.version",
                        STR_ARG(asked->name));
    if (asked->level < features[id].low || asked->level > features[id].latest)
        return fail_set(f, -EINVAL, "No feature:%s with feature level %d", features[id].name,
                        asked->level);
    levels[id] = asked->level;
    return 0;
}

/* kraft.version says whether the voters stand in the log; so it goes with the flags. */
static int check_kraft_version(int16_t level, bool dynamic, struct fail *f)
{
    if (level == 0 && dynamic)
        return fail_set(
            f, -EINVAL,
            "Cannot set kraft.version to 0 if controller.quorum.voters is empty and one "
            "of the flags --standalone, --initial-controllers, or "
            "--no-initial-controllers is used. For dynamic controllers support, try "
            "removing the --feature flag for kraft.version.");
    if (level > 0 && !dynamic)
        return fail_set(
            f, -EINVAL,
            "Cannot set kraft.version to %d unless controller.quorum.voters is empty and "
            "one of the flags --standalone, --initial-controllers, or "
            "--no-initial-controllers is used. For dynamic controllers support, try using "
            "one of --standalone, --initial-controllers, or --no-initial-controllers and "
            "removing controller.quorum.voters.",
            level);
    return 0;
}

bool format_is_dynamic(const struct format_options *o)
{
    return o->standalone || o->initial_voters.count > 0 || o->no_initial_controllers;
}

int format_features(const struct format_options *o, int16_t levels[FEATURE_COUNT], struct fail *f)
{
    const struct metadata_version *version = metadata_version_find(o->metadata_version);
    int16_t all[FEATURE_COUNT];

    if (version == NULL)
        return fail_set(f, -EINVAL, "Unknown metadata.version level %d", o->metadata_version);
    memcpy(all, version->defaults, sizeof(all));
    all[FEATURE_KRAFT_VERSION] = format_is_dynamic(o);
    for (uint32_t i = 0; i < o->feature_count; i++)
        TRY(take_feature(o, &o->features[i], all, f));
    TRY(check_kraft_version(all[FEATURE_KRAFT_VERSION], format_is_dynamic(o), f));
    for (int i = 0; i < FEATURE_COUNT; i++) {
        if (i == FEATURE_METADATA_VERSION || i == FEATURE_KRAFT_VERSION)
            continue;
        int16_t needs = features[i].levels[all[i] - features[i].low].needs_metadata_version;
        if (needs > all[FEATURE_METADATA_VERSION])
            return fail_set(
                f, -EINVAL,
                "%s could not be set to %d because it depends on metadata.version level "
                "%d",
                features[i].name, all[i], needs);
    }
    memcpy(levels, all, sizeof(all));
    return 0;
}

/* ---- reading ----------------------------------------------------------------------------- */

struct reading {
    struct io *io;
    struct text *out;
    struct fail *f;
    struct flow flow;
    struct op done;
    struct op *parent;
    struct text text;
    struct snapshot snapshot;
    char bootstrap[4096], checkpoint[4096];
};

/* The records of a file that was read; 0 also when it holds voters only. */
static int take_records(struct reading *r, const char *path)
{
    int error;

    r->snapshot.content = r->text;
    r->text = (struct text){0};
    error = metadata_snapshot_check(&r->snapshot, r->f);
    if (error == 0)
        metadata_snapshot_data_batches(&r->snapshot, r->out);
    metadata_snapshot_deinit(&r->snapshot);
    r->snapshot = (struct snapshot){0};
    return error < 0 ? fail_wrap(r->f, "%s", path) : 0;
}

static void add_default(struct text *out)
{
    struct bootstrap b = {0};

    add_feature(&b, features[FEATURE_METADATA_VERSION].name, FORMAT_METADATA_VERSION);
    struct bytes framed = bytes_of_str(text_str(&b.framed[0]));
    int error = framed_batch(&framed, 1, 0, 0, 0, out);
    ASSERT(error == 0);
    bootstrap_deinit(&b);
}

static void reading_run(struct flow *f)
{
    struct reading *r = container_of(f, struct reading, flow);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, r->bootstrap,
              file_read_all(r->io, r->bootstrap, SNAPSHOT_BYTES_MAX, &r->text, &f->op));
    if (f->result >= 0)
        f->result = take_records(r, r->bootstrap);
    else if (f->result == -ENOENT) {
        FLOW_WAIT(f, r->checkpoint,
                  file_read_all(r->io, r->checkpoint, SNAPSHOT_BYTES_MAX, &r->text, &f->op));
        if (f->result >= 0)
            f->result = take_records(r, r->checkpoint);
    }
    if (f->result < 0 && f->result != -ENOENT)
        goto failed;
    if (r->out->n == 0)
        add_default(r->out);
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    if (r->f->error == 0)
        fail_set(r->f, (int)f->result, "%s: %s", f->step, error_text((int)f->result));
    flow_done(f, f->result);
}

static void reading_done(struct op *op, int64_t result)
{
    struct reading *r = container_of(op, struct reading, done);
    struct op *parent = r->parent;

    text_deinit(&r->text);
    free(r);
    parent->done(parent, result);
}

void quorum_bootstrap(struct io *io, const char *dir, struct text *out, struct fail *f,
                      struct op *op)
{
    struct reading *r = calloc(1, sizeof(*r));
    char name[64];

    ASSERT(r != NULL);
    r->io = io;
    r->out = out;
    r->f = f;
    r->parent = op;
    *f = (struct fail){0};
    text_clear(out);
    metadata_snapshot_name((struct raft_snapshot_id){0}, name);
    snprintf(r->bootstrap, sizeof(r->bootstrap), "%s/" BOOTSTRAP_FILE, dir);
    snprintf(r->checkpoint, sizeof(r->checkpoint), "%s/" METADATA_DIR "/%s", dir, name);
    op_init(&r->done, reading_done);
    flow_start(&r->flow, reading_run, &r->done);
}
