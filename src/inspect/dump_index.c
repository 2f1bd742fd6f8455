/* Offset and time indexes, held against the segment beside them. */
#include "inspect/dump.h"

#include <stdio.h>

#define INDEX_ENTRY_BYTES 8
#define TIME_ENTRY_BYTES 12

/* Of a batch or an old message: up to its last offset delta, and to its largest timestamp. */
#define HEAD_BYTES 43
#define OLD_BYTES_MIN 26

/* ---- both ---------------------------------------------------------------------------------- */

static bool beside(struct dump *d, const char *suffix)
{
    const char *slash = strrchr(d->path, '/');
    int n = snprintf(d->beside, sizeof(d->beside), "%.*s%020" PRId64 "%s",
                     slash == NULL ? 0 : (int)(slash - d->path + 1), d->path, d->base, suffix);

    return n < (int)sizeof(d->beside);
}

/* A batch's ends as far as indexes are concerned. */
struct ends {
    int64_t last_offset, max_timestamp_ms;
    uint64_t next_position;
};

/* 1 there, 0 no batch begins there, STORED_FILL. */
static int ends_at(struct reader *log, uint64_t position, struct ends *out)
{
    if (position > log->size_bytes || log->size_bytes - position < OLD_BYTES_MIN)
        return 0;
    uint64_t left = log->size_bytes - position;
    uint32_t n = left < HEAD_BYTES ? (uint32_t)left : HEAD_BYTES;
    const uint8_t *p = reader_at(log, position, n);

    if (p == NULL)
        return STORED_FILL;
    int64_t total = BATCH_LENGTH_FIELD_END + (int64_t)get_i32(p + 8);
    if (total < OLD_BYTES_MIN || (uint64_t)total > left || p[16] > BATCH_MAGIC)
        return 0;
    if (p[16] == BATCH_MAGIC && n < HEAD_BYTES)
        return 0;
    *out = (struct ends){get_i64(p), p[16] == 1 ? get_i64(p + 18) : -1, position + (uint64_t)total};
    if (p[16] == BATCH_MAGIC) {
        out->last_offset = (int64_t)((uint64_t)get_i64(p) + (uint64_t)(int64_t)get_i32(p + 23));
        out->max_timestamp_ms = get_i64(p + 35);
    }
    return 1;
}

/* "is empty", and what a start of Kafka looks at: the size, and that the last entry lies behind the base. */
static bool sizes_are_wrong(struct dump *d, uint32_t entry_bytes)
{
    if (d->reader.size_bytes % entry_bytes == 0)
        return false;
    dump_trouble(d, "Index file is corrupt, found %" PRIu64 " bytes which is neither positive nor a "
                 "multiple of %u", d->reader.size_bytes, entry_bytes);
    return true;
}

static void say_sane(struct dump *d)
{
    row_line(&d->row, "sanity", "text", "%s passed sanity check.", d->path);
}

/* ---- .index -------------------------------------------------------------------------------- */

/* False behind the last one. In a file that was not cut, zeros follow (seen in Kafka: they are the base). */
static bool take_index_entry(struct dump *d, const uint8_t *p)
{
    d->entry_offset = d->base + get_i32(p);
    d->entry_position = get_u32(p + 4);
    return d->entry == 0 || d->entry_offset != d->base;
}

static void check_last_index_entry(struct dump *d, const uint8_t *p)
{
    int64_t last = d->base + get_i32(p);

    if (last < d->base)
        dump_trouble(d, "Corrupt index found, it has non-zero size but the last offset is %" PRId64
                     " which is less than the base offset %" PRId64, last, d->base);
    else
        say_sane(d);
}

static void print_index_entry(struct dump *d, int there, const struct ends *ends)
{
    if (there == 0)
        dump_note(&d->mismatches, "  Index offset: %" PRId64 ", log offset: none at byte %" PRIu64 "\n",
                  d->entry_offset, d->entry_position);
    else if (ends->last_offset != d->entry_offset)
        dump_note(&d->mismatches, "  Index offset: %" PRId64 ", log offset: %" PRId64 "\n", d->entry_offset,
                  ends->last_offset);
    if (d->o->verify_only)
        return;
    row_begin(&d->row, "index", "");
    row_number(&d->row, "offset", d->entry_offset);
    row_number(&d->row, "position", (int64_t)d->entry_position);
    row_end(&d->row);
}

void dump_index_run(struct flow *f)
{
    struct dump *d = container_of(f, struct dump, part);
    const uint8_t *p;
    struct ends ends;

    FLOW_BEGIN(f);
    FLOW_TRY(f, "open", reader_open(&d->reader, d->io, d->path, &f->op));
    if (!beside(d, ".log")) {
        f->result = -ENAMETOOLONG;
        goto failed;
    }
    FLOW_TRY(f, "open the segment beside", reader_open(&d->log, d->io, d->beside, &f->op));
    d->entries = d->reader.size_bytes / INDEX_ENTRY_BYTES;
    if (d->entries == 0)
        row_line(&d->row, "empty", "text", "%s is empty.", d->path);
    if (sizes_are_wrong(d, INDEX_ENTRY_BYTES) || d->entries == 0) {
        flow_done(f, 0);
        return;
    }
    d->entry = d->o->sanity_only ? d->entries - 1 : 0;
    for (; d->entry < d->entries && output_goes_on(d->output); d->entry++) {
        while ((p = reader_at(&d->reader, d->entry * INDEX_ENTRY_BYTES, INDEX_ENTRY_BYTES)) == NULL)
            FLOW_TRY(f, "read", reader_fill(&d->reader, &f->op));
        if (d->o->sanity_only) {
            check_last_index_entry(d, p);
            continue;
        }
        if (!take_index_entry(d, p))
            break;
        while ((d->rc = ends_at(&d->log, d->entry_position, &ends)) == STORED_FILL)
            FLOW_TRY(f, "read the segment beside", reader_fill(&d->log, &f->op));
        print_index_entry(d, d->rc, &ends);
    }
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    dump_failed(d);
}

/* ---- .timeindex ---------------------------------------------------------------------------- */

static bool take_time_entry(struct dump *d, const uint8_t *p)
{
    d->entry_timestamp_ms = get_i64(p);
    d->entry_offset = d->base + get_i32(p + 8);
    return d->entry == 0 || d->entry_offset != d->base;
}

/* The first entry's timestamp is none that the last may lie below. */
static void check_last_time_entry(struct dump *d, const uint8_t *p)
{
    int64_t last_ms = get_i64(p), last = d->base + get_i32(p + 8);

    if (last < d->base || last_ms < 0)
        dump_trouble(d, "Corrupt time index found, the last entry is timestamp %" PRId64 ", offset %" PRId64
                     " where the base offset is %" PRId64, last_ms, last, d->base);
    else
        say_sane(d);
}

static void print_time_entry(struct dump *d, int there, const struct ends *ends)
{
    if (there == 0 || ends->last_offset != d->entry_offset) {
        dump_note(&d->missing, "Indexed offset: %" PRId64 ", found log offset: %" PRId64 "\n", d->entry_offset,
                  there == 0 ? -1 : ends->last_offset);
    } else {
        if (ends->max_timestamp_ms != d->entry_timestamp_ms)
            dump_note(&d->mismatches, "  Index timestamp: %" PRId64 ", log timestamp: %" PRId64 "\n",
                      d->entry_timestamp_ms, ends->max_timestamp_ms);
        if (d->previous_timestamp_ms >= d->entry_timestamp_ms)
            dump_note(&d->disorder,
                      "  Index timestamp: %" PRId64 ", Previously indexed timestamp: %" PRId64 "\n",
                      d->entry_timestamp_ms, d->previous_timestamp_ms);
    }
    d->previous_timestamp_ms = d->entry_timestamp_ms;
    if (d->o->verify_only)
        return;
    row_begin(&d->row, "timeindex", "");
    row_number(&d->row, "timestamp", d->entry_timestamp_ms);
    row_number(&d->row, "offset", d->entry_offset);
    row_end(&d->row);
}

/* The batch that the entry speaks of; entries ascend, and so does the look into the segment. */
static bool is_before_entry(const struct dump *d, const struct ends *ends)
{
    return d->rc == 1 && ends->last_offset < d->entry_offset;
}

void dump_time_index_run(struct flow *f)
{
    struct dump *d = container_of(f, struct dump, part);
    const uint8_t *p;
    struct ends ends;

    FLOW_BEGIN(f);
    FLOW_TRY(f, "open", reader_open(&d->reader, d->io, d->path, &f->op));
    if (!beside(d, ".log")) {
        f->result = -ENAMETOOLONG;
        goto failed;
    }
    FLOW_TRY(f, "open the segment beside", reader_open(&d->log, d->io, d->beside, &f->op));
    d->entries = d->reader.size_bytes / TIME_ENTRY_BYTES;
    d->previous_timestamp_ms = -1;
    d->entry_position = 0;
    if (d->entries == 0 && d->o->sanity_only)
        say_sane(d);
    if (sizes_are_wrong(d, TIME_ENTRY_BYTES) || d->entries == 0) {
        flow_done(f, 0);
        return;
    }
    d->entry = d->o->sanity_only ? d->entries - 1 : 0;
    for (; d->entry < d->entries && output_goes_on(d->output); d->entry++) {
        while ((p = reader_at(&d->reader, d->entry * TIME_ENTRY_BYTES, TIME_ENTRY_BYTES)) == NULL)
            FLOW_TRY(f, "read", reader_fill(&d->reader, &f->op));
        if (d->o->sanity_only) {
            check_last_time_entry(d, p);
            continue;
        }
        if (!take_time_entry(d, p))
            break;
        do {
            while ((d->rc = ends_at(&d->log, d->entry_position, &ends)) == STORED_FILL)
                FLOW_TRY(f, "read the segment beside", reader_fill(&d->log, &f->op));
            if (is_before_entry(d, &ends))
                d->entry_position = ends.next_position;
        } while (is_before_entry(d, &ends));
        print_time_entry(d, d->rc, &ends);
    }
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    dump_failed(d);
}
