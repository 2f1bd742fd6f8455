/* Records on their way into the log. */
#include "controller/internal.h"

void decision_begin(struct decision *d, struct controller *c, const struct controller_call *call,
                    int64_t now_ms)
{
    int16_t level = image_metadata_version(c->latest);

    ASSERT(!c->deciding);
    c->deciding = true;
    arena_reset(&c->scratch);
    if (level == 0)
        level = features[FEATURE_METADATA_VERSION].low;
    *d = (struct decision){
        .c = c,
        .call = call,
        .image = c->latest,
        .version = metadata_version_find(level),
        .now_ms = now_ms,
        .wall_ms = call == NULL ? image_timestamp_ms(c->latest) : call->wall_ms,
        .why = STR_NULL,
    };
    ASSERT(d->version != NULL);
}

void decision_end(struct decision *d)
{
    config_free(d->broker);
    d->broker = NULL;
    d->c->deciding = false;
}

bool decision_may(const struct decision *d, enum acl_operation operation,
                  enum acl_resource resource, struct str name)
{
    return authorize(d->call->authorizer, d->call->principal, STR(""), operation, resource, name);
}

int64_t decision_next_offset(const struct decision *d)
{
    return d->c->end + d->count;
}

void decision_add_framed(struct decision *d, struct bytes framed)
{
    if (d->count == d->capacity) {
        uint32_t capacity = d->capacity == 0 ? 16 : d->capacity * 2;
        struct bytes *grown = arena_take_array(&d->c->scratch, capacity, sizeof(*grown));
        if (d->count > 0)
            memcpy(grown, d->framed, d->count * sizeof(*grown));
        d->framed = grown;
        d->capacity = capacity;
    }
    d->framed[d->count++] = framed;
}

void decision_add(struct decision *d, const struct message *message, int16_t version,
                  const void *record)
{
    int64_t size = message_metadata_size(message, version, record);
    uint8_t *framed;

    ASSERT(size > 0);
    framed = arena_take_raw(&d->c->scratch, (size_t)size);
    message_metadata_write(message, version, record, framed);
    decision_add_framed(d, (struct bytes){framed, (int32_t)size});
}

void decision_cut(struct decision *d, uint32_t count)
{
    ASSERT(count <= d->count);
    d->count = count;
    news_cut(d, count);
}

static struct image_edit *apply_all(const struct decision *d)
{
    struct image_edit *e = image_edit_begin(d->c->latest);
    struct fail f = {0};

    for (uint32_t i = 0; i < d->count; i++) {
        /* K2: such a record would kill every standby that replays it. */
        if (image_edit_apply(e, d->framed[i], &f) < 0)
            assert_failed(f.text, __FILE__, __LINE__, __func__);
    }
    return e;
}

enum kerr decision_commit(struct decision *d)
{
    struct controller *c = d->c;
    struct image_edit *e;
    const struct image *before = c->latest;
    int64_t last;
    int rc;

    if (d->count == 0)
        return KERR_NONE;
    e = apply_all(d);
    rc = c->log.append(c->log.log, c->epoch, d->framed, d->count, &last);
    if (rc < 0) {
        image_edit_abandon(e);
        if (rc != ERR_FENCED)
            return KERR_UNKNOWN_SERVER_ERROR;
        controller_resign(c);
        return KERR_NOT_CONTROLLER;
    }
    c->end = last + 1;
    c->appended_ms = d->now_ms;
    c->latest = image_edit_finish(e, last, c->epoch, d->wall_ms);
    d->image = c->latest;
    news_tell(d, before);
    image_unref(before);
    return KERR_NONE;
}
