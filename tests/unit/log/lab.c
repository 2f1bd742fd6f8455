/* See lab.h. */
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>

#include "check.h"

static void sink_write(struct telemetry_sink *sink, enum log_level level, const char *room,
                       const char *line)
{
    struct lab *lab = container_of(sink, struct lab, sink);

    text_printf(&lab->said, "%s\n", line);
    if (getenv("LAB_SAYS") != NULL)
        fprintf(stderr, "%s\n", line);
}

void lab_init(struct lab *lab, struct io *io, bool (*turn)(void *world), void *world,
              const char *directory)
{
    *lab = (struct lab){.io = io, .turn = turn, .world = world};
    snprintf(lab->directory, sizeof(lab->directory), "%s", directory);
    lab->sink = (struct telemetry_sink){.write = sink_write, .level = LOG_WARN};
    lab->telemetry = telemetry_new(&lab->sink);
    lab->memory.limit_bytes = 64 << 20;
    lab->settings = (struct log_settings){
        .segment_bytes = 1 << 30,
        .segment_ms = INT64_C(7) * 24 * 3600 * 1000,
        .index_bytes = 10 << 20,
        .index_interval_bytes = 4096,
        .retention_ms = -1,
        .retention_bytes = -1,
        .file_delete_delay_ms = 60000,
        .producer_expiration_ms = INT64_MAX / 2,
        .durable = true,
    };
}

void lab_deinit(struct lab *lab)
{
    log_memory_deinit(&lab->memory);
    telemetry_free(lab->telemetry);
    text_deinit(&lab->said);
    arena_deinit(&lab->arena);
}

static void wait_done(struct op *op, int64_t result)
{
    struct wait *w = container_of(op, struct wait, op);

    w->done = true;
    w->result = result;
}

struct op *wait_begin(struct wait *w)
{
    *w = (struct wait){0};
    op_init(&w->op, wait_done);
    return &w->op;
}

int64_t wait_end(struct lab *lab, struct wait *w)
{
    while (!w->done) {
        if (!lab->turn(lab->world))
            check_fail(__FILE__, __LINE__, "an operation never completed");
    }
    return w->result;
}

int64_t lab_dir_open(struct lab *lab)
{
    lab->fail = (struct fail){0};
    return WAIT(lab,
                log_dir_open(lab->io, lab->telemetry, lab->directory, &lab->dir, &lab->fail, op));
}

void lab_dir_close(struct lab *lab, bool clean)
{
    struct log_dir *dir = lab->dir;

    lab->dir = NULL;
    CHECK_EQ(WAIT(lab, log_dir_close(dir, clean, 7, op)), 0);
}

static void on_stable(void *ctx)
{
    ((struct lab *)ctx)->stable_calls++;
}

struct log *lab_log_open(struct lab *lab, const char *topic, bool clean)
{
    struct uuid id = UUID_ZERO;

    id.b[15] = 9;
    for (uint32_t i = 0; i < lab->dir->found_count; i++) {
        if (strcmp(lab->dir->found[i].topic, topic) == 0 && lab->dir->found[i].partition == 0)
            id = lab->dir->found[i].topic_id;
    }
    return lab_log_open_as(lab, topic, id, clean);
}

struct log *lab_log_open_as(struct lab *lab, const char *topic, struct uuid id, bool clean)
{
    struct log_open o = {
        .io = lab->io,
        .telemetry = lab->telemetry,
        .dir = lab->dir,
        .memory = &lab->memory,
        .topic = str_of(topic),
        .topic_id = id,
        .settings = lab->settings,
        .recovery_point = checkpoint_find(&lab->dir->recovery_point, str_of(topic), 0, 0),
        .start_offset = checkpoint_find(&lab->dir->log_start, str_of(topic), 0, -1),
        .first_dirty = checkpoint_find(&lab->dir->cleaner, str_of(topic), 0, 0),
        .clean = clean,
        .stable_moved = on_stable,
        .ctx = lab,
    };
    struct log *log = NULL;

    lab->fail = (struct fail){0};
    if (WAIT(lab, log_open(&o, &log, &lab->fail, op)) < 0)
        return NULL;
    return log;
}

struct log *lab_log(struct lab *lab, const char *topic)
{
    struct log *log = lab_log_open(lab, topic, lab->dir->clean);

    if (log == NULL)
        check_fail(__FILE__, __LINE__, "%s", lab->fail.text);
    return log;
}

void lab_stop(struct lab *lab, struct log *log, const char *topic)
{
    CHECK_EQ(WAIT(lab, log_flush(log, op)), 0);
    struct checkpoint_entry point = {(char *)(uintptr_t)topic, 0, log_end(log)};
    struct checkpoint_entry start = {(char *)(uintptr_t)topic, 0, log_start(log)};
    struct checkpoint points = {&point, 1}, starts = {&start, 1};
    CHECK_EQ(WAIT(lab, log_close(log, op)), 0);
    CHECK_EQ(WAIT(lab, log_dir_checkpoint(lab->dir, &points, &starts, NULL, op)), 0);
    lab_dir_close(lab, true);
}

struct text lab_batch_bytes(const struct lab_batch *b, int64_t base_offset)
{
    struct batch_builder builder;
    struct text value = {0}, out = {0};

    batch_builder_init(&builder);
    builder.base_offset = base_offset;
    builder.producer_id = b->producer_id;
    builder.producer_epoch = b->producer_id < 0 ? -1 : b->epoch;
    builder.base_sequence = b->producer_id < 0 || b->marker != 0 ? -1 : b->sequence;
    builder.leader_epoch = b->leader_epoch;
    if (b->transactional || b->marker != 0)
        builder.attributes |= BATCH_TRANSACTIONAL;
    if (b->marker != 0) {
        uint8_t marker[6] = {0};
        put_u32(marker + 2, (uint32_t)b->coordinator_epoch);
        builder.attributes |= BATCH_CONTROL;
        batch_builder_add_control(&builder, b->marker == 1 ? CONTROL_COMMIT : CONTROL_ABORT,
                                  b->timestamp_ms, (struct bytes){marker, 6});
    }
    for (uint32_t i = 0; i < b->value_bytes; i++)
        text_add(&value, &(char){(char)('a' + (i + (uint32_t)b->timestamp_ms) % 26)}, 1);
    for (int32_t i = 0; b->marker == 0 && i < (b->count == 0 ? 1 : b->count); i++)
        batch_builder_add(&builder, b->timestamp_ms + i, BYTES_NULL, bytes_of_str(text_str(&value)),
                          NULL, 0);
    CHECK_EQ(batch_builder_finish(&builder, &out), 0);
    batch_builder_deinit(&builder);
    text_deinit(&value);
    return out;
}

enum kerr lab_append(struct lab *lab, struct log *log, const struct lab_batch *b,
                     struct log_appended *out)
{
    struct text bytes = lab_batch_bytes(b, 0);
    struct log_appended ignored;
    struct batch batch;

    CHECK(batch_read(bytes_of_str(text_str(&bytes)), &batch, NULL) > 0);
    enum kerr error =
        log_append(log, &batch, b->leader_epoch, io_wall_ms(lab->io), out == NULL ? &ignored : out);
    text_deinit(&bytes);
    return error;
}

void lab_fill(struct lab *lab, struct log *log, uint32_t n, uint32_t value_bytes)
{
    for (uint32_t i = 0; i < n; i++) {
        struct lab_batch b = {
            .producer_id = -1, .value_bytes = value_bytes, .timestamp_ms = 1000 + log_end(log)};
        CHECK_EQ(lab_append(lab, log, &b, NULL), KERR_NONE);
    }
}

struct text lab_read(struct lab *lab, struct log *log, int64_t offset, int64_t limit,
                     uint32_t max_bytes)
{
    struct log_read r = {.offset = offset,
                         .limit = limit,
                         .max_bytes = max_bytes,
                         .first_whole = true,
                         .arena = &lab->arena};
    struct text out = {0};

    int64_t n = WAIT(lab, log_read_bytes(log, &r, &out, op));
    CHECK_EQ(n, (int64_t)out.n);
    arena_reset(&lab->arena);
    return out;
}

struct text lab_batches(struct lab *lab, struct log *log, int64_t offset)
{
    struct text all = {0};

    while (offset < log_end(log)) {
        struct text some = lab_read(lab, log, offset, log_end(log), 1 << 20);
        struct bytes rest = bytes_of_str(text_str(&some));
        struct batch b;
        if (rest.n == 0)
            break;
        while (rest.n > 0) {
            int n = batch_read(rest, &b, NULL);
            CHECK(n > 0);
            CHECK(batch_crc_ok(&b));
            text_printf(&all, "%lld..%lld ", (long long)b.base_offset, (long long)b.last_offset);
            rest.p += n;
            rest.n -= n;
            CHECK(b.last_offset >= offset);
            offset = b.last_offset + 1;
        }
        text_deinit(&some);
    }
    return all;
}

struct text lab_file(struct lab *lab, const char *name)
{
    struct text out = {0};
    char path[1500];

    snprintf(path, sizeof(path), "%s/%s", lab->directory, name);
    (void)WAIT(lab, file_read_all(lab->io, path, UINT32_MAX / 4, &out, op));
    return out;
}

void lab_write(struct lab *lab, const char *name, const void *p, size_t n)
{
    struct bytes piece = {p, (int32_t)n};
    struct io_file *file;
    char path[1500];

    snprintf(path, sizeof(path), "%s/%s", lab->directory, name);
    CHECK_EQ(WAIT(lab, io_open(lab->io, path, IO_WRITE | IO_CREATE | IO_TRUNCATE, &file, op)), 0);
    if (n > 0)
        CHECK_EQ(WAIT(lab, io_write(file, 0, &piece, 1, op)), (int64_t)n);
    CHECK_EQ(WAIT(lab, io_sync(file, op)), 0);
    CHECK_EQ(WAIT(lab, io_close(file, op)), 0);
}

struct text lab_files(struct lab *lab, const char *name)
{
    struct io_entries entries = {0};
    struct text out = {0};
    char path[1500];

    snprintf(path, sizeof(path), "%s/%s", lab->directory, name);
    CHECK(WAIT(lab, io_list(lab->io, path, &entries, op)) >= 0);
    for (uint32_t i = 0; i < entries.count; i++)
        text_printf(&out, "%s %llu\n", entries.entries[i].name,
                    (unsigned long long)entries.entries[i].size_bytes);
    io_entries_free(&entries);
    return out;
}
