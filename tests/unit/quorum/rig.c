#define _GNU_SOURCE
#include "rig.h"
#include "io_epoll/io_epoll.h"
#include "record/record.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- places ------------------------------------------------------------------------------ */

void place_real(struct place *p)
{
    *p = (struct place){0};
    ASSERT(io_epoll_new(1, NULL, &p->epoll) == 0);
    ASSERT(io_epoll_start(p->epoll, NULL, NULL) == 0);
    p->io = io_epoll_shard(p->epoll, 0);
    strcpy(p->dir, "/tmp/millrace-quorum-XXXXXX");
    ASSERT(mkdtemp(p->dir) != NULL);
}

void place_sim(struct place *p, uint64_t seed, const struct sim_options *options)
{
    *p = (struct place){0};
    p->sim = sim_new(seed, options);
    p->node = sim_node_new(p->sim, "one");
    sim_node_start(p->node, 1);
    p->io = sim_node_io(p->node, 0);
    strcpy(p->dir, "/data");
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    return remove(path);
}

void place_end(struct place *p)
{
    if (p->sim != NULL) {
        sim_free(p->sim);
        return;
    }
    io_epoll_free(p->epoll);
    nftw(p->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

bool place_run(struct place *p, const bool *flag)
{
    if (p->sim != NULL) {
        for (uint64_t end = sim_events(p->sim) + 2000000; !*flag && sim_events(p->sim) < end;) {
            if (!sim_step(p->sim))
                return false;
        }
        return *flag;
    }
    for (int i = 0; i < 60000 && !*flag; i++) /* two minutes */
        io_epoll_turn(p->epoll, 2000000);
    return *flag;
}

static void wait_done(struct op *op, int64_t result)
{
    struct wait *w = container_of(op, struct wait, op);

    ASSERT(!w->done);
    w->done = true;
    w->result = result;
}

struct op *wait_begin(struct wait *w)
{
    *w = (struct wait){0};
    op_init(&w->op, wait_done);
    return &w->op;
}

int64_t wait_end(struct place *p, struct wait *w)
{
    if (!place_run(p, &w->done))
        check_fail(__FILE__, __LINE__, "an operation does not complete");
    return w->result;
}

/* ---- files ------------------------------------------------------------------------------- */

static void path_of(struct place *p, const char *name, char out[1024])
{
    int n = snprintf(out, 1024, "%s/%s", p->dir, name);

    if (n < 0 || n >= 1024)
        check_fail(__FILE__, __LINE__, "a path is too long");
}

void place_read(struct place *p, const char *name, struct text *out)
{
    struct wait w;
    char path[1024];

    path_of(p, name, path);
    text_clear(out);
    file_read_all(p->io, path, 1 << 30, out, wait_begin(&w));
    if (wait_end(p, &w) < 0)
        check_fail(__FILE__, __LINE__, "%s: %s", path, error_text((int)w.result));
}

void place_write(struct place *p, const char *name, struct bytes content)
{
    char path[1024];

    path_of(p, name, path);
    if (p->sim != NULL) {
        ASSERT(sim_disk_put(p->node, path, content) == 0);
        return;
    }
    (void)unlink(path);
    FILE *f = fopen(path, "wb");
    ASSERT(f != NULL);
    ASSERT(fwrite(content.p, 1, (size_t)content.n, f) == (size_t)content.n);
    fclose(f);
}

void place_list(struct place *p, const char *name, struct text *out)
{
    struct io_entries entries = {0};
    struct wait w;
    char path[1024];

    path_of(p, name, path);
    io_list(p->io, path, &entries, wait_begin(&w));
    ASSERT(wait_end(p, &w) >= 0);
    for (uint32_t i = 0; i < entries.count; i++)
        text_printf(out, "%s\n", entries.entries[i].name);
    io_entries_free(&entries);
}

static void copy_file(struct place *p, const char *from, const char *name)
{
    struct text content = {0};
    char buffer[4096];
    size_t n;
    FILE *f = fopen(from, "rb");

    ASSERT(f != NULL);
    while ((n = fread(buffer, 1, sizeof(buffer), f)) > 0)
        text_add(&content, buffer, n);
    fclose(f);
    place_write(p, name, bytes_of_str(text_str(&content)));
    text_deinit(&content);
}

static void copy_folder(struct place *p, const char *from, const char *name)
{
    DIR *d = opendir(from);
    struct dirent *e;
    char path[1024], inner[1024];

    ASSERT(d != NULL);
    while ((e = readdir(d)) != NULL) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", from, e->d_name);
        snprintf(inner, sizeof(inner), "%s%s%s", name, name[0] == '\0' ? "" : "/", e->d_name);
        if (e->d_type != DT_DIR) {
            copy_file(p, path, inner);
            continue;
        }
        char made[1024];
        path_of(p, inner, made);
        if (p->sim == NULL)
            ASSERT(mkdir(made, 0755) == 0);
        copy_folder(p, path, inner);
    }
    closedir(d);
}

void place_copy(struct place *p, const char *from)
{
    char path[1024];

    snprintf(path, sizeof(path), TEST_DIR "/golden/%s", from);
    copy_folder(p, path, "");
}

/* ---- listener ---------------------------------------------------------------------------- */

static void on_committed(void *ctx, struct bytes batches)
{
    struct rig *r = ctx;
    struct bytes rest = batches;
    struct batch b;
    int more;

    while ((more = batch_next(&rest, &b)) == 1) {
        ASSERT(batch_crc_ok(&b));
        if (!r->from_snapshot) {
            ASSERT(r->next == -1 || b.base_offset == r->next);
            r->next = b.last_offset + 1;
        }
        text_printf(&r->trace, "%s%d..%d epoch %d%s\n", r->from_snapshot ? "  " : "",
                    (int)b.base_offset, (int)b.last_offset, b.leader_epoch,
                    batch_is_control(&b) ? " control" : "");
    }
    ASSERT(more == 0);
    r->from_snapshot = false;
    text_add(&r->delivered, batches.p, (size_t)batches.n);
}

static void on_snapshot(void *ctx, struct raft_snapshot_id id)
{
    struct rig *r = ctx;

    text_printf(&r->trace, "snapshot %d-%d\n", (int)id.end_offset, id.epoch);
    text_clear(&r->delivered);
    r->from_snapshot = true;
    r->next = id.end_offset;
}

static void on_leader(void *ctx, int32_t leader_id, int32_t epoch)
{
    struct rig *r = ctx;

    text_printf(&r->trace, "leader %d epoch %d\n", leader_id, epoch);
}

static void on_claim(void *ctx, int32_t epoch)
{
    struct rig *r = ctx;

    text_printf(&r->trace, "claim %d\n", epoch);
    r->claimed = epoch;
}

static void on_caught_up(void *ctx, int64_t high_watermark)
{
    struct rig *r = ctx;

    ASSERT(r->next == high_watermark);
    ASSERT(high_watermark > r->high_watermark);
    r->caught_up = true;
    r->high_watermark = high_watermark;
}

static void on_failed(struct log_dir *dir, struct io *io, const struct fail *why, void *ctx)
{
    struct rig *r = ctx;

    ASSERT(!r->failed);
    r->failed = true;
    text_printf(&r->trace, "failed\n");
}

static void write_line(struct telemetry_sink *sink, enum log_level level, const char *room,
                       const char *line)
{
    if (getenv("RIG_VERBOSE") != NULL)
        fprintf(stderr, "%s: %s\n", room, line);
}

/* ---- rig --------------------------------------------------------------------------------- */

void rig_init(struct rig *r, struct place *p)
{
    struct wait w;

    *r = (struct rig){.place = p, .next = -1, .high_watermark = -1, .claimed = -1};
    r->sink = (struct telemetry_sink){.write = write_line, .level = LOG_DEBUG};
    r->telemetry = telemetry_new(&r->sink);
    r->memory = (struct log_memory){.limit_bytes = 64 << 20};
    r->options = (struct quorum_open){
        .io = p->io,
        .telemetry = r->telemetry,
        .memory = &r->memory,
        .cluster_id = STR(CLUSTER),
        .node_id = NODE,
        .directory_id = {{1}},
        .can_vote = true,
        .static_voters = {.count = 1, .voters = {{.id = NODE}}},
        .election_timeout_ms = 1000,
        .fetch_timeout_ms = 2000,
        .snapshot_bytes = 20 << 20,
        .snapshot_interval_ms = 3600000,
        .retention_bytes = 100 << 20,
        .retention_ms = 604800000,
        .segment_bytes = 1 << 20,
        .listener = {.committed = on_committed,
                     .snapshot = on_snapshot,
                     .leader = on_leader,
                     .claim = on_claim,
                     .caught_up = on_caught_up,
                     .ctx = r},
    };
    log_dir_open(p->io, r->telemetry, p->dir, &r->dir, &r->fail, wait_begin(&w));
    if (wait_end(p, &w) < 0) {
        r->dir = NULL;
        return;
    }
    r->dir->failed = on_failed;
    r->dir->failed_ctx = r;
    r->options.dir = r->dir;
}

int64_t rig_open(struct rig *r)
{
    struct wait w;

    quorum_open(&r->options, &r->q, &r->fail, wait_begin(&w));
    int64_t result = wait_end(r->place, &w);
    if (result < 0)
        r->q = NULL;
    return result;
}

void rig_ready(struct rig *r)
{
    if (!place_run(r->place, &r->caught_up))
        check_fail(__FILE__, __LINE__, "the quorum does not get ready");
    CHECK(r->claimed >= 0);
}

void rig_until(struct rig *r, int64_t high_watermark)
{
    while (r->high_watermark < high_watermark) {
        r->caught_up = false;
        if (!place_run(r->place, &r->caught_up))
            check_fail(__FILE__, __LINE__, "the high watermark stays at %d",
                       (int)r->high_watermark);
    }
}

void frame_text(const char *text, struct text *out)
{
    static const uint8_t head[] = {1, 20, 0};

    text_add(out, head, sizeof(head));
    text_add_str(out, str_of(text));
}

int64_t rig_append(struct rig *r, const char *const *values, uint32_t count)
{
    struct text framed[16] = {{0}};
    struct bytes bytes[16];
    int64_t last = -1;
    int32_t leader, epoch;

    ASSERT(count <= 16);
    for (uint32_t i = 0; i < count; i++) {
        frame_text(values[i], &framed[i]);
        bytes[i] = bytes_of_str(text_str(&framed[i]));
    }
    quorum_leader(r->q, &leader, &epoch);
    int error = quorum_append(r->q, epoch, bytes, count, &last);
    for (uint32_t i = 0; i < count; i++)
        text_deinit(&framed[i]);
    return error < 0 ? error : last;
}

int64_t rig_close(struct rig *r)
{
    struct wait w;

    if (r->q == NULL)
        return 0;
    quorum_close(r->q, wait_begin(&w));
    r->q = NULL;
    return wait_end(r->place, &w);
}

int64_t rig_deinit(struct rig *r, bool clean)
{
    struct wait w;
    int64_t result = rig_close(r);

    log_memory_deinit(&r->memory);
    if (r->dir != NULL) {
        log_dir_close(r->dir, clean && result >= 0, -1, wait_begin(&w));
        (void)wait_end(r->place, &w);
    }
    telemetry_free(r->telemetry);
    text_deinit(&r->trace);
    text_deinit(&r->delivered);
    return result;
}

void print_records(struct bytes batches, struct text *out)
{
    struct batch b;

    while (batch_next(&batches, &b) == 1) {
        struct records records = {0};
        struct record record;

        if (batch_is_control(&b))
            continue;
        CHECK_EQ(records_begin(&records, &b, 1 << 20), 0);
        while (records_next(&records, &record) == 1) {
            CHECK_EQ(record.key.n, -1);
            CHECK_EQ(record.timestamp_ms, b.base_timestamp_ms);
            CHECK_EQ(record.header_count, 0);
            text_printf(out, "%d %.*s\n", (int)record.offset, record.value.n - 3,
                        (const char *)record.value.p + 3);
        }
        records_end(&records);
    }
}
