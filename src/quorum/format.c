/* Formatting: what a log directory holds before its first start.
 *
 *   up to 4.3   DIR/bootstrap.checkpoint                       in every directory
 *               DIR/__cluster_metadata-0/0-0.checkpoint        in the metadata directory, with
 * voters from 4.4    DIR/__cluster_metadata-0/0-0.checkpoint        in the metadata directory, with
 * both
 *
 * meta.properties comes last: a directory that has it is formatted, whatever happened before.
 */
#include "quorum/internal.h"

#include "protocol/feature_level_record.h"
#include "protocol/user_scram_credential_record.h"

#include <stdio.h>
#include <stdlib.h>

#define LEVEL_4_4 31 /* metadata.version from which the layout is that of KIP-1170 */
#define META_FILE "meta.properties"
#define META_BYTES_MAX (64 << 10)

enum found {
    FOUND_EMPTY,
    FOUND_FORMATTED,
    FOUND_TROUBLE,
};

struct formatting {
    struct io *io;
    const struct format_options *o;
    struct text *out;
    struct fail *f;
    struct flow flow;
    struct op done;
    struct op *parent;

    int16_t levels[FEATURE_COUNT];
    struct bootstrap bootstrap;
    struct bytes *framed; /* bootstrap's records and the extra ones */
    uint32_t framed_count;
    struct raft_voters voters;
    enum found *found;         /* per directory */
    uint32_t formatted, empty; /* how many */

    uint32_t index; /* of the directory at work */
    const char *dir;
    struct text text; /* what is read or written */
    char path[4096];
    size_t slash; /* where the next parent ends in `path` */
    struct snapshot_put put;
};

/* ---- what is printed --------------------------------------------------------------------- */

/* A record's message behind its frame, read if it is of the type of `message`. */
static bool read_framed(struct bytes framed, const struct message *message, struct arena *arena,
                        void *out)
{
    struct rd rd = rd_of(framed.p, (size_t)framed.n);

    (void)rd_uvarint(&rd); /* the frame's own version */
    uint32_t type = rd_uvarint(&rd), version = rd_uvarint(&rd);
    if (rd.failed || type != (uint32_t)message->key)
        return false;
    struct bytes value = {rd.p, (int32_t)(rd.end - rd.p)};
    return message_read(message, value, (int16_t)version, arena, out) >= 0;
}

/* One record as Kafka's tool shows it, but for salts and keys: they do not belong in a build's log.
 */
static void print_record(struct bytes framed, struct arena *arena, struct text *out)
{
    struct feature_level_record feature;
    struct user_scram_credential_record user;

    if (read_framed(framed, &feature_level_record_message, arena, &feature))
        text_printf(
            out,
            "ApiMessageAndVersion(FeatureLevelRecord(name='%.*s', featureLevel=%d) at version "
            "0)",
            STR_ARG(feature.name), feature.feature_level);
    else if (read_framed(framed, &user_scram_credential_record_message, arena, &user))
        text_printf(out,
                    "ApiMessageAndVersion(UserScramCredentialRecord(name='%.*s', mechanism=%d, "
                    "salt=[hidden], storedKey=[hidden], serverKey=[hidden], iterations=%" PRId32
                    ") at version 0)",
                    STR_ARG(user.name), user.mechanism, user.iterations);
    else
        text_printf(out, "%" PRId32 " bytes", framed.n);
}

static void print_bootstrap(const struct formatting *s)
{
    struct arena arena;

    arena_init(&arena, 0);
    text_printf(s->out, "Bootstrap metadata: BootstrapMetadata(records=[");
    for (uint32_t i = 0; i < s->framed_count; i++) {
        if (i > 0)
            text_printf(s->out, ", ");
        print_record(s->framed[i], &arena, s->out);
    }
    text_printf(s->out, "], metadataVersionLevel=%d, source=format command)\n",
                s->o->metadata_version);
    arena_deinit(&arena);
}

/* The node's own entry among the voters; NULL when it is none. */
static struct raft_voter *own_voter(struct formatting *s)
{
    for (uint32_t i = 0; i < s->voters.count; i++) {
        if (s->voters.voters[i].id == s->o->node_id)
            return &s->voters.voters[i];
    }
    return NULL;
}

static void print_directory(struct formatting *s)
{
    const char *what = "data directory";

    if (s->index == s->o->metadata_dir) {
        what = "metadata directory";
        if (s->voters.count > 0)
            what = own_voter(s) != NULL ? "dynamic metadata voter directory"
                                        : "dynamic metadata directory";
    }
    text_printf(s->out, "Formatting %s %s with metadata.version %s.\n", what, s->dir,
                metadata_version_find(s->o->metadata_version)->name);
}

/* ---- before anything is written ---------------------------------------------------------- */

static int prepare(struct formatting *s)
{
    const struct format_options *o = s->o;

    TRY(format_features(o, s->levels, s->f));
    bootstrap_features(s->levels, &s->bootstrap);
    s->framed_count = s->bootstrap.count + o->extra_count;
    s->framed = calloc(s->framed_count, sizeof(*s->framed));
    s->found = calloc(o->dir_count, sizeof(*s->found));
    ASSERT(s->framed != NULL && s->found != NULL);
    for (uint32_t i = 0; i < s->bootstrap.count; i++)
        s->framed[i] = bytes_of_str(text_str(&s->bootstrap.framed[i]));
    for (uint32_t i = 0; i < o->extra_count; i++)
        s->framed[s->bootstrap.count + i] = o->extra_framed[i];

    s->voters = o->initial_voters;
    s->voters.kraft_version = s->levels[FEATURE_KRAFT_VERSION];
    struct raft_voter *own = own_voter(s);
    if (own != NULL && uuid_is_zero(own->directory_id))
        own->directory_id = uuid_random(io_prng(s->io));
    return 0;
}

/* A formatted directory must belong to this cluster and node, also when it is to be left alone. */
static int check_formatted(struct formatting *s)
{
    struct meta_properties m;

    if (meta_properties_parse(text_str(&s->text), &m, s->f) < 0)
        return fail_wrap(s->f, "%s", s->path);
    if (!str_equal(str_of(m.cluster_id), s->o->cluster_id))
        return fail_set(s->f, -EINVAL, "Invalid cluster.id in: %s. Expected %.*s, but read %s",
                        s->path, STR_ARG(s->o->cluster_id), m.cluster_id);
    if (m.node_id != s->o->node_id)
        return fail_set(
            s->f, -EINVAL,
            "Stored node id %" PRId32 " doesn't match previous node id %" PRId32
            " in %s. If you moved your data, make sure your configured node id matches. "
            "If you intend to create a new node, you should remove all data in your data "
            "directories.",
            m.node_id, s->o->node_id, s->path);
    return 0;
}

/* What the look at one directory's meta.properties came to. */
static int note_directory(struct formatting *s, int64_t result)
{
    if (result == -ENOENT) {
        s->found[s->index] = FOUND_EMPTY;
        s->empty++;
        return 0;
    }
    if (result < 0) {
        text_printf(s->out, "I/O error trying to read log directory %s. Ignoring...\n", s->dir);
        s->found[s->index] = FOUND_TROUBLE;
        return 0;
    }
    TRY(check_formatted(s));
    if (!s->o->ignore_formatted)
        return fail_set(
            s->f, -EEXIST,
            "Log directory %s is already formatted. Use --ignore-formatted to ignore this "
            "directory and format the others.",
            s->dir);
    s->found[s->index] = FOUND_FORMATTED;
    s->formatted++;
    return 0;
}

/* All directories were looked at: what is to be done? */
static int sum_up(struct formatting *s)
{
    if (s->empty == 0 && s->formatted == 0)
        return fail_set(s->f, -EIO, "No available log directories to format.");
    if (s->empty == 0)
        text_printf(s->out, "All of the log directories are already formatted.\n");
    else
        print_bootstrap(s);
    return 0;
}

/* ---- what is written --------------------------------------------------------------------- */

static bool is_metadata_dir(const struct formatting *s)
{
    return s->index == s->o->metadata_dir;
}

static bool has_bootstrap_file(const struct formatting *s)
{
    return s->o->metadata_version < LEVEL_4_4;
}

static bool has_checkpoint(const struct formatting *s)
{
    return is_metadata_dir(s) && (!has_bootstrap_file(s) || s->voters.count > 0);
}

static int build_bootstrap(struct formatting *s)
{
    const struct raft_voters none = {0};

    text_clear(&s->text);
    return metadata_snapshot_build((struct raft_snapshot_id){0}, &none, 0, io_wall_ms(s->io),
                                   s->framed, s->framed_count, &s->text);
}

static int build_checkpoint(struct formatting *s)
{
    uint32_t count = has_bootstrap_file(s) ? 0 : s->framed_count;

    text_clear(&s->text);
    return metadata_snapshot_build((struct raft_snapshot_id){0}, &s->voters, io_wall_ms(s->io),
                                   io_wall_ms(s->io), s->framed, count, &s->text);
}

static void build_meta(struct formatting *s)
{
    struct meta_properties m = {.node_id = s->o->node_id, .version = 1};
    const struct raft_voter *own = own_voter(s);

    snprintf(m.cluster_id, sizeof(m.cluster_id), "%.*s", STR_ARG(s->o->cluster_id));
    m.directory_id =
        is_metadata_dir(s) && own != NULL ? own->directory_id : uuid_random(io_prng(s->io));
    text_clear(&s->text);
    meta_properties_print(&m, io_wall_ms(s->io), &s->text);
}

/* The next parent of `path` to make: cut it behind the next name. False when all were made. */
static bool next_parent(struct formatting *s)
{
    size_t n = strlen(s->dir);

    if (s->slash >= n)
        return false;
    for (s->slash++; s->slash < n && s->dir[s->slash] != '/'; s->slash++)
        ;
    snprintf(s->path, sizeof(s->path), "%.*s", (int)s->slash, s->dir);
    return true;
}

/* The directory that `path` lies in. */
static void to_parent(char *path)
{
    char *slash = strrchr(path, '/');

    if (slash == NULL)
        strcpy(path, ".");
    else
        slash[slash == path ? 1 : 0] = '\0';
}

static void format_run(struct flow *f)
{
    struct formatting *s = container_of(f, struct formatting, flow);
    const struct format_options *o = s->o;
    char name[64];

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "begin", io_yield(s->io, &f->op));
    if ((f->result = prepare(s)) < 0)
        goto failed;
    for (s->index = 0; s->index < o->dir_count; s->index++) {
        s->dir = o->dirs[s->index];
        snprintf(s->path, sizeof(s->path), "%s/" META_FILE, s->dir);
        text_clear(&s->text);
        FLOW_WAIT(f, "look", file_read_all(s->io, s->path, META_BYTES_MAX, &s->text, &f->op));
        if ((f->result = note_directory(s, f->result)) < 0)
            goto failed;
    }
    if ((f->result = sum_up(s)) < 0)
        goto failed;
    for (s->index = 0; s->index < o->dir_count; s->index++) {
        s->dir = o->dirs[s->index];
        if (s->found[s->index] != FOUND_EMPTY)
            continue;
        print_directory(s);
        s->slash = 0;
        while (next_parent(s)) {
            FLOW_WAIT(f, "make the directory", io_mkdir(s->io, s->path, &f->op));
            if (f->result < 0 && f->result != -EEXIST)
                goto failed;
            /* Also when it is there already: whoever made it may have been killed before this. */
            to_parent(s->path);
            FLOW_WAIT(f, "sync the parent directory", io_sync_dir(s->io, s->path, &f->op));
            if (f->result < 0 && f->result != -EACCES && f->result != -EROFS)
                goto failed;
        }
        if (has_bootstrap_file(s)) {
            if ((f->result = build_bootstrap(s)) < 0)
                goto failed;
            FLOW_TRY(f, "write " BOOTSTRAP_FILE,
                     file_replace(s->io, s->dir, BOOTSTRAP_FILE, bytes_of_str(text_str(&s->text)),
                                  &f->op));
        }
        if (has_checkpoint(s)) {
            snprintf(s->path, sizeof(s->path), "%s/" METADATA_DIR, s->dir);
            FLOW_WAIT(f, "make " METADATA_DIR, io_mkdir(s->io, s->path, &f->op));
            if (f->result < 0 && f->result != -EEXIST)
                goto failed;
            if ((f->result = build_checkpoint(s)) < 0)
                goto failed;
            metadata_snapshot_name((struct raft_snapshot_id){0}, name);
            FLOW_TRY(f, "write the 0-0 checkpoint",
                     metadata_snapshot_put(&s->put, s->io, s->path, name,
                                           bytes_of_str(text_str(&s->text)), &f->op));
            FLOW_TRY(f, "sync the directory", io_sync_dir(s->io, s->dir, &f->op));
        }
        build_meta(s);
        FLOW_TRY(f, "write " META_FILE,
                 file_replace(s->io, s->dir, META_FILE, bytes_of_str(text_str(&s->text)), &f->op));
    }
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    if (s->f->error == 0)
        fail_set(s->f, (int)f->result, "%s: %s: %s", s->dir, f->step, error_text((int)f->result));
    flow_done(f, f->result);
}

static void format_done(struct op *op, int64_t result)
{
    struct formatting *s = container_of(op, struct formatting, done);
    struct op *parent = s->parent;

    bootstrap_deinit(&s->bootstrap);
    free(s->framed);
    free(s->found);
    text_deinit(&s->text);
    free(s);
    parent->done(parent, result);
}

void quorum_format(struct io *io, const struct format_options *o, struct text *out, struct fail *f,
                   struct op *op)
{
    struct formatting *s = calloc(1, sizeof(*s));

    ASSERT(s != NULL);
    ASSERT(o->dir_count > 0 && o->metadata_dir < o->dir_count);
    ASSERT(o->initial_voters.count <= RAFT_VOTERS_MAX);
    s->io = io;
    s->o = o;
    s->out = out;
    s->f = f;
    s->parent = op;
    s->dir = o->dirs[0];
    *f = (struct fail){0};
    op_init(&s->done, format_done);
    flow_start(&s->flow, format_run, &s->done);
}
