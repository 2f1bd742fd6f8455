/* What must hold of a story's log: see crash_story.h. */
#include <stdlib.h>

#include "check.h"
#include "crash_story.h"
#include "log/epochs.h"

/* ---- what must hold ------------------------------------------------------------------------ */

static struct text read_all(struct story *s)
{
    struct text all = {0};
    int64_t offset = log_start(s->log);

    while (offset < log_end(s->log)) {
        struct text some = lab_read(&s->lab, s->log, offset, log_end(s->log), 700 * s->scale);
        struct batch b;
        CHECK(some.n > 0);
        for (struct bytes rest = bytes_of_str(text_str(&some)); rest.n > 0;) {
            int n = batch_read(rest, &b, NULL);
            CHECK(n > 0);
            rest.p += n;
            rest.n -= n;
        }
        offset = b.last_offset + 1;
        text_add(&all, some.p, some.n);
        text_deinit(&some);
    }
    return all;
}

/* A start that was raised is durable before what lies below it: where power took both, producers are nobody's any more. */
bool story_has_lost_all(const struct story *s)
{
    struct log_producer one;

    return s->forgets && log_start(s->log) == log_end(s->log) && log_producers(s->log, &one, 1) == 0;
}

static void check_producers(struct story *s)
{
    struct log_producer found[8];
    uint32_t count = log_producers(s->log, found, 8);
    int32_t last[3] = {-2, -2, -2};

    for (uint32_t i = 0; i < s->count && s->entries[i].base < log_end(s->log); i++) {
        if (s->entries[i].producer_id > 0 && s->entries[i].last_sequence >= 0)
            last[s->entries[i].producer_id] = s->entries[i].last_sequence;
    }
    for (uint32_t i = 0; i < count; i++) {
        CHECK_EQ(found[i].last_sequence, last[found[i].producer_id]);
        last[found[i].producer_id] = -2;
    }
    CHECK_EQ(last[1], -2);
    CHECK_EQ(last[2], -2);
}

/* The first record with a timestamp that is not below `timestamp_ms`, as the batches say; -1 none. */
static int64_t first_since(const struct story *s, int64_t timestamp_ms)
{
    for (uint32_t i = 0; i < s->count && s->entries[i].base < log_end(s->log); i++) {
        const struct entry *e = &s->entries[i];
        for (int64_t k = 0; k <= e->last - e->base; k++) {
            if (e->timestamp_ms + k >= timestamp_ms && e->base + k >= log_start(s->log))
                return e->base + k;
        }
    }
    return -1;
}

/* Time indexes lead to what the batches say. */
static void check_times(struct story *s)
{
    for (uint32_t i = 0; i < s->count && s->entries[i].base < log_end(s->log); i += 5) {
        struct log_time_found found = {.offset = -1};
        int64_t expected = first_since(s, s->entries[i].timestamp_ms);
        if (WAIT(&s->lab, log_find_time(s->log, s->entries[i].timestamp_ms, log_end(s->log), &found, op)) >= 0)
            CHECK_EQ(found.offset, expected);
        else
            CHECK(!story_is_up(s));
    }
}

/* Transaction indexes tell which transactions were aborted: "first..last" of each. */
static void check_aborted(struct story *s)
{
    struct text found = {0}, expected = {0};
    struct log_aborted *aborted;
    int64_t first = -1, from = log_start(s->log);
    int64_t n = WAIT(&s->lab, log_aborted_between(s->log, from, log_end(s->log), &s->lab.arena, &aborted, op));

    for (int64_t i = 0; i < n; i++)
        text_printf(&found, "%lld..%lld ", (long long)aborted[i].first_offset, (long long)aborted[i].last_offset);
    for (uint32_t i = 0; i < s->count && s->entries[i].base < log_end(s->log); i++) {
        const struct entry *e = &s->entries[i];
        if (e->producer_id == 2 && e->marker == 0 && first < 0)
            first = e->base;
        if (e->marker == 2 && first >= 0 && e->base >= from)
            text_printf(&expected, "%lld..%lld ", (long long)first, (long long)e->base);
        if (e->marker != 0)
            first = -1;
    }
    if (n >= 0)
        CHECK_BYTES(found.p, found.n, expected.p, expected.n);
    else
        CHECK(!story_is_up(s));
    arena_reset(&s->lab.arena);
    text_deinit(&found);
    text_deinit(&expected);
}

/* ---- what must hold on the disk, whenever the power goes ----------------------------------- */

/* The files of t-0 that end in `suffix`, ascending; their paths, one a line. */
static struct text disk_files(struct story *s, struct str suffix)
{
    struct text all = {0}, out = {0};
    struct str rest, line, path;

    sim_disk_dump(s->node, &all);
    rest = text_str(&all);
    while (str_cut(&rest, '\n', &line)) {
        if (str_cut(&line, ' ', &path) && str_starts(path, STR("/data/t-0/")) &&
            str_ends(path, suffix))
            text_printf(&out, "%.*s\n", STR_ARG(path));
    }
    text_deinit(&all);
    return out;
}

/* L4: each batch that can be read lies in the epoch that the checkpoint tells. */
void story_check_epochs(struct story *s)
{
    struct text file = {0}, paths = disk_files(s, STR(".log"));
    struct epochs epochs = {0};
    struct str rest = text_str(&paths), line;

    (void)sim_disk_get(s->node, "/data/t-0/leader-epoch-checkpoint", &file);
    CHECK_EQ(epochs_parse(&epochs, text_str(&file), NULL), 0);
    while (str_cut(&rest, '\n', &line)) {
        char *path = str_dup(line);
        struct bytes bytes;
        struct batch b;
        int64_t next = 0;
        int n;
        text_clear(&file);
        CHECK_EQ(sim_disk_get(s->node, path, &file), 0);
        free(path);
        for (bytes = bytes_of_str(text_str(&file)); (n = batch_read(bytes, &b, NULL)) > 0;
             bytes.p += n, bytes.n -= n) {
            if (!batch_crc_ok(&b) || b.base_offset < next)
                break; /* torn; the checksum does not cover the offset */
            next = b.last_offset + 1;
            if (b.base_offset >= s->started)
                CHECK_EQ(epochs_at(&epochs, b.base_offset), b.leader_epoch);
        }
    }
    epochs_deinit(&epochs);
    text_deinit(&file);
    text_deinit(&paths);
}

/* The log holds the first batches that were appended, whole, up to an end that is not below what
 * was acknowledged. */
void story_check(struct story *s)
{
    struct text found = read_all(s), expected = {0};

    CHECK(log_end(s->log) >= s->acknowledged);
    CHECK_EQ(log_stable(s->log), log_end(s->log));
    CHECK(log_start(s->log) >= s->checkpoint_start);
    CHECK(log_start(s->log) <= s->started);
    for (uint32_t i = 0; i < s->count && s->entries[i].base < log_end(s->log); i++) {
        const struct entry *e = &s->entries[i];
        if (e->last < log_start(s->log))
            continue;
        text_add(&expected, e->bytes.p, e->bytes.n);
        CHECK(e->last < log_end(s->log));
        /* a start that was raised is told to the epochs before it is durable itself */
        if (e->base >= log_start(s->log) && e->base >= s->started)
            CHECK_EQ(log_epoch_at(s->log, e->base), e->epoch);
    }
    CHECK_BYTES(found.p, found.n, expected.p, expected.n);
    if (!story_has_lost_all(s))
        check_producers(s);
    if (!s->point_is_old || !s->loses_points) { /* else nothing tells that side files may be incomplete */
        check_times(s);
        check_aborted(s);
    }
    text_deinit(&found);
    text_deinit(&expected);
}
