#include "broker/request.h"

#include <stdlib.h>

#include "broker/memory.h"
#include "broker/metrics.h"
#include "broker/scatter.h"
#include "broker/session.h"

void request_prepare(struct request *r)
{
    const struct api *api = api_find(r->key);

    r->request_message = api->request;
    r->response_message = api->response;
    r->response = arena_take(&r->arena, message_struct_bytes(api->response));
    message_init(api->response, r->response);
}

bool request_decode(struct request *r)
{
    int used;

    r->arena.limit_bytes = memory_decode_max(r->shard, (uint64_t)r->body.n);
    r->message = arena_take(&r->arena, message_struct_bytes(r->request_message));
    used = message_read(r->request_message, r->body, r->version, &r->arena, r->message);
    r->arena.limit_bytes = 0;
    return used >= 0;
}

/* ---- the answer -------------------------------------------------------------------------------- */

/* An encoded answer: one piece of memory holds the spans and the head. */
struct encoded {
    struct answer answer;
    struct request *request;
    size_t size_bytes; /* of it all */
    /* struct io_span spans[]; then the head */
};

static void encoded_release(struct answer *a)
{
    struct encoded *e = container_of(a, struct encoded, answer);
    struct request *r = e->request;
    struct ledger *ledger = &r->shard->ledger;
    size_t size_bytes = e->size_bytes;

    if (r->sent != NULL)
        r->sent(r);
    free(e);
    ledger_return(ledger, LEDGER_ANSWERS, size_bytes);
}

/* Spans that stand for the records of field `index` (by reference), or the one of its memory. */
static uint32_t records_spans(const struct request *r, const struct message_cut *cut,
                              uint32_t *reference, struct io_span *out)
{
    if (cut->records.p != NULL) {
        *out = (struct io_span){.p = cut->records.p, .n = (uint32_t)cut->records.n};
        return 1;
    }
    ASSERT(*reference < r->records_count);
    const struct log_spans *spans = r->records[(*reference)++];
    ASSERT(spans->total_bytes == (uint32_t)cut->records.n);
    memcpy(out, spans->spans, spans->count * sizeof *out);
    return spans->count;
}

/* Spans of the whole answer: pieces of the head, and between them the records. */
static uint32_t weave(const struct request *r, const uint8_t *frame, uint32_t head_start,
                      uint32_t head_bytes, const struct message_cut *cuts, uint32_t cut_count,
                      struct io_span *spans)
{
    uint32_t n = 0, at = 0, reference = 0;

    for (uint32_t i = 0; i < cut_count; i++) {
        uint32_t upto = head_start + cuts[i].at;
        if (upto > at)
            spans[n++] = (struct io_span){.p = frame + at, .n = upto - at};
        at = upto;
        n += records_spans(r, &cuts[i], &reference, &spans[n]);
    }
    if (head_start + head_bytes > at)
        spans[n++] = (struct io_span){.p = frame + at, .n = head_start + head_bytes - at};
    return n;
}

static uint32_t spans_most(const struct request *r, uint32_t cuts)
{
    uint32_t most = 1 + 2 * cuts; /* head pieces, and one span for a field in memory */

    for (uint32_t i = 0; i < r->records_count; i++)
        most += r->records[i]->count;
    return most;
}

static struct answer *encode(struct request *r)
{
    struct message_extent extent;
    int rc = message_measure(r->response_message, r->version, r->response, &extent);

    if (rc < 0) {
        say(r->shard->telemetry, LOG_ERROR, "broker",
            "cannot encode the answer to %s version %d: %s (field %s)", api_name(r->key),
            r->version, error_text(rc),
            message_obstacle(r->response_message, r->version, r->response));
        return NULL;
    }
    uint32_t header = 4 + response_header_size(r->key, r->version);
    uint32_t most = spans_most(r, extent.cuts);
    size_t size_bytes =
        sizeof(struct encoded) + most * sizeof(struct io_span) + header + (size_t)extent.head_bytes;
    struct encoded *e = malloc(size_bytes);
    struct message_cut *cuts = arena_take_array(&r->arena, extent.cuts, sizeof *cuts);

    if (e == NULL || cuts == NULL) {
        free(e);
        return NULL;
    }
    struct io_span *spans = (struct io_span *)(void *)(e + 1);
    uint8_t *frame = (uint8_t *)(void *)(spans + most);
    int64_t total = header + extent.total_bytes;

    put_u32(frame, (uint32_t)(total - 4));
    response_header_write(r->key, r->version, r->correlation_id, frame + 4);
    message_write_pieces(r->response_message, r->version, r->response, frame + header, cuts);
    *e = (struct encoded){
        .answer = {
            .spans = spans,
            .span_count = weave(r, frame, header, (uint32_t)extent.head_bytes, cuts, extent.cuts,
                                spans),
            .total_bytes = (uint64_t)total,
            .release = encoded_release,
        },
        .request = r,
        .size_bytes = size_bytes,
    };
    ledger_charge(&r->shard->ledger, LEDGER_ANSWERS, size_bytes);
    return &e->answer;
}

void request_answer(struct request *r)
{
    struct answer *a;

    if (r->answered != NULL) {
        r->answered(r);
        return;
    }
    a = r->cancelled ? NULL : encode(r);
    if (a == NULL) {
        if (!r->cancelled)
            session_close(r->session, "its answer could not be made");
        request_answer_none(r);
        return;
    }
    metrics_answered(r, a->total_bytes);
    session_answered(r, a);
}

void request_answer_none(struct request *r)
{
    if (r->sent != NULL)
        r->sent(r);
    session_answered(r, NULL);
}

void request_drop(struct request *r, const char *why)
{
    session_close(r->session, why);
    r->cancelled = true;
    if (r->answered != NULL)
        r->answered(r);
    else
        request_answer_none(r);
}

/* ---- who asks ---------------------------------------------------------------------------------- */

const struct principal *request_principal(const struct request *r)
{
    return r->principal != NULL ? r->principal : session_principal(r->session);
}

struct str request_host(const struct request *r)
{
    return r->principal != NULL ? r->host : session_host(r->session);
}

const struct broker_listener *request_listener(const struct request *r)
{
    return session_listener(r->session);
}

void request_deinit(struct request *r)
{
    LIST_EACH(it, &r->scatters)
        scatter_deinit(container_of(it, struct scatter, node));
    if (r->inner != NULL) /* its memory is of this arena */
        request_deinit(r->inner);
    arena_deinit(&r->arena);
}
