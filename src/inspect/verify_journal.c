/* The journals of a log directory: their commits, what is in them that segments may lack, and whether it goes with the
 * segments that are there. Nothing is written: what a start would make of it is told. */
#include "inspect/verify.h"

#include <stdio.h>
#include <stdlib.h>

#include "log/journal_parts.h"
#include "log/points.h"

void journal_deinit(struct verify *v)
{
    for (uint32_t i = 0; i < v->rest_count; i++)
        free(v->rests[i].spans);
    for (uint32_t i = 0; i < JOURNAL_CHUNKS_MAX; i++)
        text_deinit(&v->chunks[i]);
    free(v->rests);
    free(v->lines);
    io_entries_free(&v->folder);
}

static void chunk_file(struct verify *v, uint32_t shard, uint32_t chunk)
{
    char name[JOURNAL_NAME_BYTES], path[JOURNAL_NAME_BYTES + 32];

    snprintf(path, sizeof(path), JOURNAL_FOLDER_NAME "/%s", journal_chunk_name(shard, chunk, name));
    verify_file(v, path);
}

/* ---- what commits say ---------------------------------------------------------------------- */

/* Behind the last whole batch of those bytes; -1: they do not begin with one. */
static int64_t end_of_bytes(struct bytes bytes)
{
    struct batch batch;
    int64_t end = -1;
    int n;

    while (bytes.n > 0 && (n = batch_read(bytes, &batch, NULL)) > 0) {
        end = batch.last_offset + 1;
        bytes.p += n;
        bytes.n -= n;
    }
    return end;
}

static void take_part(struct verify *v, const struct journal_part *p)
{
    struct journal_rest *r;

    if (p->count == 0)
        return;
    v->rests = realloc(v->rests, (v->rest_count + 1) * sizeof(*v->rests));
    ASSERT(v->rests != NULL);
    r = &v->rests[v->rest_count++];
    *r = (struct journal_rest){.topic_id = p->topic_id, .partition = p->partition, .count = p->count};
    r->spans = calloc(p->count, sizeof(*r->spans));
    ASSERT(r->spans != NULL);
    for (uint32_t i = 0; i < p->count; i++)
        r->spans[i] = (struct journal_span){p->pieces[i].base, p->pieces[i].position, (uint64_t)p->pieces[i].bytes.n};
    r->end = end_of_bytes(p->pieces[p->count - 1].bytes);
}

static void note_content(struct verify *v, const struct journal_commits *c, uint32_t shard, uint32_t first_rest)
{
    uint64_t bytes = 0;

    for (uint32_t i = first_rest; i < v->rest_count; i++) {
        for (uint32_t k = 0; k < v->rests[i].count; k++)
            bytes += v->rests[i].spans[k].bytes;
    }
    if (c->count == 0)
        verify_note(v, "shard %u: no commit", shard);
    else
        verify_note(v, "shard %u: commits %" PRIu64 " to %" PRIu64 " hold %" PRIu64 " bytes of %u partitions that "
                    "segments may lack: the next start, or `millrace storage drain %s`, brings them there", shard,
                    c->commits[0].sequence, c->commits[c->count - 1].sequence, bytes, v->rest_count - first_rest,
                    v->o->dir);
}

/* The commit behind the newest good one may have been under way: nobody was told that it is durable. */
static void note_torn(struct verify *v, const struct journal_line *line, const struct bytes *chunks,
                      const struct journal_commits *c)
{
    uint64_t next = c->count == 0 ? 1 : c->commits[c->count - 1].sequence + 1;

    for (uint32_t i = 0; i < line->chunk_count; i++) {
        for (uint64_t at = 0; at < (uint64_t)chunks[i].n; at += JOURNAL_PAGE_BYTES) {
            if (journal_commit_begun(chunks[i], at, line->id) != next)
                continue;
            chunk_file(v, line->shard, i);
            verify_note(v, "byte %" PRIu64 ": commit %" PRIu64 " is torn: it was being written when the server ended, "
                        "and nobody was told of it", at, next);
        }
    }
}

static void check_commits(struct verify *v, const struct journal_line *line)
{
    struct bytes chunks[JOURNAL_CHUNKS_MAX];
    struct journal_commits commits = {0};
    struct journal_parts parts = {0};
    uint32_t first_rest = v->rest_count;
    struct fail why = {0};
    int rc;

    for (uint32_t i = 0; i < line->chunk_count; i++)
        chunks[i] = bytes_of_str(text_str(&v->chunks[i]));
    verify_file(v, JOURNAL_FOLDER_NAME);
    rc = journal_commits_find(chunks, line->chunk_count, line->id, line->shard, &commits, &why);
    if (rc == 0)
        rc = journal_parts_take(&parts, &commits, &why);
    if (rc < 0) {
        verify_trouble(v, "%s; a server does not start: bring the file back from a copy of the disk, or move the "
                       "folder away, which gives up the newest records", why.text);
    } else {
        MAP_EACH (node, &parts.by_id)
            take_part(v, container_of(node, struct journal_part, node));
        note_content(v, &commits, line->shard, first_rest);
        note_torn(v, line, chunks, &commits);
    }
    journal_parts_free(&parts);
    journal_commits_free(&commits);
}

/* ---- the files ----------------------------------------------------------------------------- */

static bool take_lines(struct verify *v)
{
    struct fail why = {0};

    if (journal_meta_parse(text_str(&v->small), &v->lines, &v->line_count, &why) == 0)
        return true;
    verify_trouble(v, "%s; a server does not start", why.text);
    return false;
}

/* The folder is made before what announces its journals, for scan points alone, too. */
static void check_without_meta(struct verify *v)
{
    bool has_points = false;

    for (uint32_t i = 0; i < v->folder.count; i++) {
        if (v->folder.entries[i].name[0] >= '0' && v->folder.entries[i].name[0] <= '9') {
            verify_trouble(v, "is missing, but there are chunks of journals; a server does not start");
            return;
        }
        has_points |= strcmp(v->folder.entries[i].name, POINTS_NAME) == 0;
    }
    if (!has_points)
        verify_note(v, "is missing: the folder was being made, or removed");
}

static bool is_whole(struct verify *v, int64_t result, uint32_t bytes)
{
    if (result == -ENOENT)
        verify_trouble(v, "is missing, though " JOURNAL_META_NAME " names it; a server does not start");
    else if (result < 0 && result != ERR_LIMIT)
        verify_trouble(v, "cannot be read: %s", error_text((int)result));
    else if (result != bytes)
        verify_trouble(v, "has not the %u bytes that " JOURNAL_META_NAME " says; a server does not start", bytes);
    return result == bytes;
}

void verify_journal_run(struct flow *f)
{
    struct verify *v = container_of(f, struct verify, part);

    FLOW_BEGIN(f);
    verify_file(v, JOURNAL_FOLDER_NAME);
    FLOW_TRY(f, "list", io_list(v->io, v->path, &v->folder, &f->op));
    verify_file(v, JOURNAL_FOLDER_NAME "/" JOURNAL_META_NAME);
    text_clear(&v->small);
    FLOW_WAIT(f, "read", file_read_all(v->io, v->path, INSPECT_SIDE_BYTES_MAX, &v->small, &f->op));
    if (f->result == -ENOENT)
        check_without_meta(v);
    else if (f->result < 0)
        goto failed;
    else if (!take_lines(v))
        v->line_count = 0;
    for (v->i = 0; v->i < v->line_count; v->i++) {
        v->rc = 1;
        for (v->j = 0; v->j < v->lines[v->i].chunk_count; v->j++) {
            chunk_file(v, v->lines[v->i].shard, v->j);
            text_clear(&v->chunks[v->j]);
            FLOW_WAIT(f, "read a chunk",
                      file_read_all(v->io, v->path, v->lines[v->i].chunk_bytes, &v->chunks[v->j], &f->op));
            v->rc &= is_whole(v, f->result, v->lines[v->i].chunk_bytes);
        }
        if (v->rc)
            check_commits(v, &v->lines[v->i]);
    }
    v->rc = 0;
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    verify_trouble(v, "cannot be read: %s", error_text((int)f->result));
    flow_done(f, 0);
}

/* ---- a partition --------------------------------------------------------------------------- */

void journal_find(struct verify *v)
{
    v->rest = NULL;
    for (uint32_t i = 0; i < v->rest_count; i++) {
        struct journal_rest *r = &v->rests[i];
        if (r->partition != v->log.partition || !uuid_equal(r->topic_id, v->topic_id))
            continue;
        r->seen = true;
        v->rest = r;
    }
}

/* All that is held of one segment, which ends at `end` without it. */
static void check_spans(struct verify *v, int64_t base, uint64_t end)
{
    struct journal_rest *r = v->rest;

    for (; r->at < r->count && r->spans[r->at].base == base; r->at++) {
        const struct journal_span *s = &r->spans[r->at];
        if (s->position > end)
            verify_trouble(v, "segment %" PRId64 " ends at byte %" PRIu64 ", but the journal goes on from byte %" PRIu64
                           ": what lies between is lost, and a server does not start", base, end, s->position);
        if (s->position + s->bytes > end)
            end = s->position + s->bytes;
    }
}

/* Segments that are not there: they may be made from the journal alone. */
static void check_missing(struct verify *v, int64_t below)
{
    while (v->rest->at < v->rest->count && v->rest->spans[v->rest->at].base < below)
        check_spans(v, v->rest->spans[v->rest->at].base, 0);
}

void journal_segment(struct verify *v, int64_t base, uint64_t size_bytes)
{
    if (v->rest == NULL)
        return;
    check_missing(v, base);
    check_spans(v, base, size_bytes);
}

int64_t journal_end(struct verify *v)
{
    const struct journal_rest *r = v->rest;

    if (r == NULL)
        return v->log.end;
    verify_file(v, "");
    check_missing(v, INT64_MAX);
    if (r->end <= v->log.end)
        return v->log.end;
    verify_note(v, "ends at offset %" PRId64 " in its segments, and at %" PRId64 " with what the journal holds",
                v->log.end, r->end);
    return r->end;
}

void journal_check_dropped(struct verify *v)
{
    char id[UUID_TEXT_BYTES];

    verify_file(v, JOURNAL_FOLDER_NAME);
    for (uint32_t i = 0; i < v->rest_count; i++) {
        if (!v->rests[i].seen)
            verify_note(v, "partition %d of topic id %s has no directory any more: what it holds of it is dropped",
                        v->rests[i].partition, uuid_text(v->rests[i].topic_id, id));
    }
}
