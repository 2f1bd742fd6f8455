#define _GNU_SOURCE
#include "rig.h"

#include "check.h"
#include "record/record.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void rig_begin(struct rig *r)
{
    *r = (struct rig){0};
    ASSERT(io_epoll_new(1, NULL, &r->world) == 0);
    ASSERT(io_epoll_start(r->world, NULL, NULL) == 0);
    strcpy(r->dir, "/tmp/millrace-inspect-XXXXXX");
    ASSERT(mkdtemp(r->dir) != NULL);
    r->output = (struct inspect_output){.out = &r->out, .err = &r->err};
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    return remove(path);
}

void rig_end(struct rig *r)
{
    io_epoll_free(r->world);
    nftw(r->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    text_deinit(&r->out);
    text_deinit(&r->err);
}

const char *rig_path(struct rig *r, const char *name)
{
    static char paths[4][512];
    static unsigned turn;
    char *path = paths[turn++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", r->dir, name);
    return path;
}

void rig_write(struct rig *r, const char *name, const void *p, size_t n)
{
    FILE *f = fopen(rig_path(r, name), "w");

    ASSERT(f != NULL);
    ASSERT(fwrite(p, 1, n, f) == n);
    ASSERT(fclose(f) == 0);
}

struct text rig_read(struct rig *r, const char *name)
{
    FILE *f = fopen(rig_path(r, name), "r");
    struct text out = {0};
    char piece[4096];
    size_t n;

    ASSERT(f != NULL);
    while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
        text_add(&out, piece, n);
    fclose(f);
    return out;
}

void rig_shell(struct rig *r, const char *format, ...)
{
    struct text command = {0};
    va_list args;

    text_printf(&command, "cd %s && ", r->dir);
    va_start(args, format);
    text_vprintf(&command, format, args);
    va_end(args);
    ASSERT(system(command.p) == 0);
    text_deinit(&command);
}

static void wait_done(struct op *op, int64_t result)
{
    struct wait *w = container_of(op, struct wait, op);

    w->done = true;
    w->status = result;
}

struct op *wait_begin(struct wait *w)
{
    *w = (struct wait){0};
    op_init(&w->op, wait_done);
    return &w->op;
}

int64_t wait_end(struct rig *r, struct wait *w)
{
    CHECK(!w->done);
    for (int i = 0; i < 100000 && !w->done; i++)
        io_epoll_turn(r->world, 2000000);
    CHECK(w->done);
    return w->status;
}

int64_t rig_dump_status(struct rig *r, const struct dump_options *o, const char *const *files,
                        uint32_t count)
{
    struct dump_options options = *o;
    struct wait w;

    options.files = files;
    options.file_count = count;
    if (options.max_bytes == 0)
        options.max_bytes = UINT64_MAX;
    text_clear(&r->out);
    text_clear(&r->err);
    inspect_dump(io_epoll_shard(r->world, 0), &options, &r->output, wait_begin(&w));
    return wait_end(r, &w);
}

/* The directory's name as DIR. */
static void mask(struct rig *r, struct text *t)
{
    struct text masked = {0};
    struct str rest = text_str(t);
    size_t n = strlen(r->dir);

    while (rest.n > 0) {
        const char *found = memmem(rest.p, (size_t)rest.n, r->dir, n);
        size_t before = found == NULL ? (size_t)rest.n : (size_t)(found - rest.p);
        text_add(&masked, rest.p, before);
        if (found == NULL)
            break;
        text_printf(&masked, "DIR");
        rest = (struct str){found + n, rest.n - (int32_t)(before + n)};
    }
    text_deinit(t);
    *t = masked;
}

struct str rig_dump(struct rig *r, const struct dump_options *o, const char *files)
{
    const char *paths[16];
    struct text names[16] = {{0}};
    struct str rest = str_of(files), name;
    uint32_t count = 0;

    while (str_cut(&rest, ' ', &name)) {
        text_printf(&names[count], "%s/%.*s", r->dir, STR_ARG(name));
        paths[count] = names[count].p;
        count++;
    }
    int64_t status = rig_dump_status(r, o, paths, count);
    if (r->err.n > 0)
        text_printf(&r->out, "--\n%s", r->err.p);
    text_printf(&r->out, "status %d\n", (int)status);
    mask(r, &r->out);
    for (uint32_t i = 0; i < count; i++)
        text_deinit(&names[i]);
    return text_str(&r->out);
}

struct str rig_verify(struct rig *r, bool deep, const char *topic)
{
    struct text dir = {0};
    struct wait w;

    text_printf(&dir, "%s/data", r->dir);
    struct verify_options o = {.dir = dir.p, .topic = str_of(topic), .deep = deep};
    text_clear(&r->out);
    text_clear(&r->err);
    inspect_verify(io_epoll_shard(r->world, 0), &o, &r->output, wait_begin(&w));
    int64_t status = wait_end(r, &w);
    text_deinit(&dir);
    if (r->err.n > 0)
        text_printf(&r->out, "--\n%s", r->err.p);
    text_printf(&r->out, "status %d\n", (int)status);
    mask(r, &r->out);
    return text_str(&r->out);
}

void rig_batch(struct text *out, int64_t base, int32_t count, int64_t timestamp_ms)
{
    struct batch_builder b;

    batch_builder_init(&b);
    b.base_offset = base;
    b.leader_epoch = 0;
    for (int32_t i = 0; i < count; i++)
        batch_builder_add(&b, timestamp_ms + i, bytes_of_str(STR("key")),
                          bytes_of_str(STR("value")), NULL, 0);
    ASSERT(batch_builder_finish(&b, out) == 0);
    batch_builder_deinit(&b);
}
