#define _GNU_SOURCE /* memmem */
#include "inspect/decode.h"

#include <stdio.h>

#include "protocol/consumer_protocol_assignment.h"
#include "protocol/consumer_protocol_subscription.h"
#include "protocol/group_metadata_record.h"
#include "protocol/kraft_version_record.h"
#include "protocol/leader_change_message.h"
#include "protocol/protocol.h"
#include "protocol/snapshot_footer_record.h"
#include "protocol/snapshot_header_record.h"
#include "protocol/voters_record.h"

#define ARENA_BYTES_MAX ((size_t)256 << 20)

void decoded_init(struct decoded *d)
{
    *d = (struct decoded){0};
    arena_init(&d->arena, ARENA_BYTES_MAX);
}

void decoded_deinit(struct decoded *d)
{
    text_deinit(&d->key);
    text_deinit(&d->value);
    arena_deinit(&d->arena);
}

static void decoded_reset(struct decoded *d)
{
    text_clear(&d->key);
    text_clear(&d->value);
    d->has_key = d->has_value = d->is_json[0] = d->is_json[1] = false;
    d->error = 0;
    arena_reset(&d->arena);
}

/* ---- text -------------------------------------------------------------------------------- */

static bool take_text(struct bytes b, struct text *out)
{
    if (b.n < 0)
        return false;
    text_add_str(out, str_of_bytes(b));
    return true;
}

/* ---- the metadata log --------------------------------------------------------------------- */

/* "TopicRecord" as TOPIC_RECORD. */
static void add_type_name(struct text *out, const char *name)
{
    for (const char *p = name; *p != '\0'; p++) {
        bool upper = *p >= 'A' && *p <= 'Z';
        if (upper && p != name)
            text_add(out, "_", 1);
        text_printf(out, "%c", upper ? *p : *p - 'a' + 'A');
    }
}

static void decode_metadata(struct decoded *d, const struct record *record)
{
    struct message_framed m = {0};
    int rc = record->value.n < 0
                 ? ERR_CORRUPT
                 : message_metadata_read(record->value, MESSAGE_METADATA, &d->arena, &m);

    d->has_value = true;
    if (rc < 0) {
        d->error = rc;
        text_printf(&d->value, "Error at %" PRId64 ", skipping. ", record->offset);
        if (rc == ERR_VERSION && m.message != NULL)
            text_printf(&d->value, "%s has no version %d here", m.message->name, m.version);
        else
            text_printf(&d->value, "%s", error_text(rc));
        return;
    }
    d->is_json[1] = true;
    text_printf(&d->value, "{\"type\":\"");
    add_type_name(&d->value, m.message->name);
    text_printf(&d->value, "\",\"version\":%d,\"data\":", m.version);
    message_print(m.message, m.version, m.value, &d->value);
    text_printf(&d->value, "}");
}

/* ---- coordinators' logs -------------------------------------------------------------------- */

static enum message_kind key_kind(enum inspect_decoder decoder)
{
    switch (decoder) {
    case DECODE_OFFSETS:
        return MESSAGE_GROUP_KEY;
    case DECODE_TRANSACTIONS:
        return MESSAGE_TRANSACTION_KEY;
    default:
        return MESSAGE_SHARE_KEY;
    }
}

static enum message_kind value_kind(enum inspect_decoder decoder)
{
    return (enum message_kind)(key_kind(decoder) + 1);
}

/* In JSON of ours: put what `bytes` says in place of the base64 text of the next `name`. The text between
 * quotes cannot look like that: quotes in it are escaped. */
static void replace_bytes(struct text *json, size_t *at, const char *name, struct str by)
{
    struct text before = {0};
    char pattern[40];
    size_t n = (size_t)snprintf(pattern, sizeof(pattern), "\"%s\":\"", name);
    char *found = memmem(json->p + *at, json->n - *at, pattern, n);

    if (found == NULL)
        return;
    size_t start = (size_t)(found - json->p) + n - 1;
    size_t end = start + 1;
    while (json->p[end] != '"')
        end++;
    text_add(&before, json->p, start);
    if (str_is_null(by))
        text_add(&before, json->p + start, end + 1 - start);
    else
        text_add_str(&before, by);
    *at = before.n;
    text_add(&before, json->p + end + 1, json->n - end - 1);
    text_deinit(json);
    *json = before;
}

/* What a member of a classic group says in the consumer protocol: i16 version, then the message. Null when
 * it says something else. */
static struct str consumer_protocol(struct decoded *d, const struct message *message,
                                    struct bytes in, struct text *json)
{
    void *value = arena_take(&d->arena, message_struct_bytes(message));

    text_clear(json);
    if (in.n < 2 || value == NULL)
        return STR_NULL;
    int16_t version = get_i16(in.p);
    if (version > message->high) /* newer ones begin with what older ones are */
        version = message->high;
    if (version < message->low ||
        message_read(message, (struct bytes){in.p + 2, in.n - 2}, version, &d->arena, value) < 0)
        return STR_NULL;
    message_print(message, version, value, json);
    return text_str(json);
}

static void print_group(struct decoded *d, const struct message_framed *m)
{
    const struct group_metadata_value *g = m->value;
    struct text json = {0};
    size_t at = d->value.n;

    message_print(m->message, m->version, g, &d->value);
    if (!str_equal(g->protocol_type, STR("consumer")))
        return;
    for (int32_t i = 0; i < g->members_count; i++) {
        const struct group_metadata_value_member_metadata *member = &g->members[i];
        replace_bytes(&d->value, &at, "subscription",
                      consumer_protocol(d, &consumer_protocol_subscription_message,
                                        member->subscription, &json));
        replace_bytes(&d->value, &at, "assignment",
                      consumer_protocol(d, &consumer_protocol_assignment_message,
                                        member->assignment, &json));
    }
    text_deinit(&json);
}

static void coordinator_error(struct decoded *d, const struct record *record, int rc,
                              const struct message_framed *m)
{
    d->error = rc;
    d->is_json[0] = d->is_json[1] = false;
    d->has_key = true;
    d->has_value = false;
    text_clear(&d->key);
    if (rc == ERR_VERSION && m->message == NULL && record->key.n >= 2) {
        text_printf(&d->key, "Unknown record type %d at offset %" PRId64 ", skipping.",
                    get_i16(record->key.p), record->offset);
        return;
    }
    text_printf(&d->key, "Error at offset %" PRId64 ", skipping. ", record->offset);
    if (record->key.n < 0)
        text_printf(&d->key, "The key is missing");
    else if (rc == ERR_VERSION)
        text_printf(&d->key, "%s has no version %d here", m->message->name, m->version);
    else
        text_printf(&d->key, "%s", error_text(rc));
}

static void decode_coordinator(struct decoded *d, enum inspect_decoder decoder,
                               const struct record *record)
{
    struct message_framed key = {0}, value = {0};
    int rc = record->key.n < 0
                 ? ERR_CORRUPT
                 : message_key_read(record->key, key_kind(decoder), &d->arena, &key);

    if (rc < 0) {
        coordinator_error(d, record, rc, &key);
        return;
    }
    if (record->value.n >= 0)
        rc = message_value_read(record->value, value_kind(decoder), key.message->key, &d->arena,
                                &value);
    if (rc < 0) {
        coordinator_error(d, record, rc, &value);
        return;
    }
    d->has_key = d->has_value = d->is_json[0] = d->is_json[1] = true;
    text_printf(&d->key, "{\"type\":\"%d\",\"data\":", key.message->key);
    message_print(key.message, key.version, key.value, &d->key);
    text_printf(&d->key, "}");
    if (record->value.n < 0) {
        text_printf(&d->value, "<DELETE>");
        d->is_json[1] = false;
        return;
    }
    text_printf(&d->value, "{\"version\":\"%d\",\"data\":", value.version);
    if (value.message == &group_metadata_value_message)
        print_group(d, &value);
    else
        message_print(value.message, value.version, value.value, &d->value);
    text_printf(&d->value, "}");
}

void decode_record(struct decoded *d, enum inspect_decoder decoder, const struct record *record)
{
    decoded_reset(d);
    switch (decoder) {
    case DECODE_TEXT:
        d->has_key = take_text(record->key, &d->key);
        d->has_value = take_text(record->value, &d->value);
        break;
    case DECODE_METADATA:
        decode_metadata(d, record);
        break;
    default:
        decode_coordinator(d, decoder, record);
        break;
    }
}

/* ---- control records ----------------------------------------------------------------------- */

static const struct message *control_message(int16_t type)
{
    switch (type) {
    case CONTROL_LEADER_CHANGE:
        return &leader_change_message_message;
    case CONTROL_SNAPSHOT_HEADER:
        return &snapshot_header_record_message;
    case CONTROL_SNAPSHOT_FOOTER:
        return &snapshot_footer_record_message;
    case CONTROL_KRAFT_VERSION:
        return &kraft_version_record_message;
    case CONTROL_KRAFT_VOTERS:
        return &voters_record_message;
    default:
        return NULL;
    }
}

/* i16 version, and the coordinator's epoch. */
static int decode_marker(const struct record *record, int32_t *coordinator_epoch)
{
    struct rd r;

    if (record->value.n < 0)
        return ERR_CORRUPT;
    r = rd_of(record->value.p, (size_t)record->value.n);
    (void)rd_i16(&r);
    int32_t epoch = rd_i32(&r);
    if (r.failed)
        return ERR_CORRUPT;
    *coordinator_epoch = epoch;
    return 0;
}

int decode_control(struct decoded *d, const struct record *record, int16_t *type,
                   int32_t *coordinator_epoch)
{
    decoded_reset(d);
    if (record->key.n < 0)
        return ERR_CORRUPT;
    TRY(control_type_read(record->key, type));
    if (*type == CONTROL_ABORT || *type == CONTROL_COMMIT)
        return decode_marker(record, coordinator_epoch);
    const struct message *message = control_message(*type);
    if (message == NULL)
        return 0;
    if (record->value.n < 2)
        return ERR_CORRUPT;
    int16_t version = get_i16(record->value.p); /* each of them begins with it */
    if (version > message->high)
        version = message->high;
    void *value = arena_take(&d->arena, message_struct_bytes(message));
    if (value == NULL)
        return ERR_LIMIT;
    TRY(message_read(message, record->value, version, &d->arena, value));
    message_print(message, version, value, &d->value);
    d->has_value = d->is_json[1] = true;
    return 0;
}
