#include "sides.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "check.h"
#include "record/record.h"

static struct text get(struct sim_node *node, struct str log_path, const char *suffix)
{
    struct text path = {0}, out = {0};

    text_printf(&path, "%.*s%s", log_path.n - 4, log_path.p, suffix);
    (void)sim_disk_get(node, path.p, &out);
    text_deinit(&path);
    return out;
}

/* The batch with this last offset; CHECKs that there is one. */
static struct batch find_batch(const struct text *log, int64_t last_offset, uint64_t *position)
{
    struct bytes rest = bytes_of_str(text_str(log));
    struct batch b = {.last_offset = -1};

    *position = 0;
    for (int n; (n = batch_read(rest, &b, NULL)) > 0 && b.last_offset < last_offset; rest.p += n, rest.n -= n)
        *position += (uint64_t)n;
    CHECK_EQ(b.last_offset, last_offset);
    return b;
}

static uint32_t check_segment(struct sim_node *node, struct str path, int64_t base)
{
    struct text log = get(node, path, ".log"), index = get(node, path, ".index"),
                times = get(node, path, ".timeindex");
    int64_t last = base - 1, last_ms = -1;
    uint64_t position;
    uint32_t count = 0;

    CHECK_EQ(index.n % 8, 0);
    CHECK_EQ(times.n % 12, 0);
    for (size_t at = 0; at < index.n; at += 8, count++) {
        int64_t offset = base + get_u32(index.p + at);
        CHECK(offset > last);
        (void)find_batch(&log, offset, &position);
        CHECK_EQ(get_u32(index.p + at + 4), position);
        last = offset;
    }
    for (size_t at = 0; at < times.n; at += 12, count++) {
        int64_t ms = get_i64(times.p + at);
        CHECK(ms > last_ms);
        CHECK_EQ(find_batch(&log, base + get_u32(times.p + at + 8), &position).max_timestamp_ms, ms);
        last_ms = ms;
    }
    text_deinit(&log);
    text_deinit(&index);
    text_deinit(&times);
    return count;
}

uint32_t check_sides(struct sim_node *node, const char *directory)
{
    struct text all = {0};
    struct str rest, line, path;
    uint32_t count = 0;

    sim_disk_dump(node, &all);
    rest = text_str(&all);
    while (str_cut(&rest, '\n', &line)) {
        if (!str_cut(&line, ' ', &path) || !str_starts(path, str_of(directory)) || !str_ends(path, STR(".log")))
            continue;
        count += check_segment(node, path, strtoll(path.p + path.n - 24, NULL, 10));
    }
    text_deinit(&all);
    return count;
}
