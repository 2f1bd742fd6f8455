/* Records of __consumer_offsets and __transaction_state as JSON, a line each, as Kafka's formatters for them. */
#include "cli/console.h"

#include "protocol/protocol.h"

#define TYPE_OFFSETS_LEGACY 0
#define TYPE_OFFSETS 1
#define TYPE_GROUP 2

static bool is_wanted(enum format_kind kind, int16_t type)
{
    switch (kind) {
    case FORMAT_OFFSETS:
        return type == TYPE_OFFSETS_LEGACY || type == TYPE_OFFSETS;
    case FORMAT_GROUPS:
        return type == TYPE_GROUP;
    default:
        return true;
    }
}

static int print(enum format_kind kind, const struct record *r, struct arena *arena, struct text *out)
{
    bool of_groups = kind != FORMAT_TRANSACTIONS;
    struct message_framed key = {0}, value = {0};
    int rc = message_key_read(r->key, of_groups ? MESSAGE_GROUP_KEY : MESSAGE_TRANSACTION_KEY, arena, &key);

    if (rc == ERR_VERSION && key.message == NULL) /* of a type that nobody knows: for newer tools */
        return 0;
    TRY(rc);
    if (!is_wanted(kind, key.message->key))
        return 0;
    if (r->value.n >= 0)
        TRY(message_value_read(r->value, of_groups ? MESSAGE_GROUP_VALUE : MESSAGE_TRANSACTION_VALUE, key.message->key,
                               arena, &value));
    text_printf(out, "{\"key\":{\"type\":%d,\"data\":", key.message->key);
    message_print(key.message, key.version, key.value, out);
    if (r->value.n < 0) {
        text_printf(out, "},\"value\":null}\n");
        return 0;
    }
    text_printf(out, "},\"value\":{\"version\":%d,\"data\":", value.version);
    message_print(value.message, value.version, value.value, out);
    text_printf(out, "}}\n");
    return 0;
}

int format_coordinator(enum format_kind kind, const struct record *r, struct text *out, struct fail *fail)
{
    struct arena arena;
    int rc;

    if (r->key.n < 0)
        return 0;
    arena_init(&arena, 0);
    rc = print(kind, r, &arena, out);
    arena_deinit(&arena);
    if (rc < 0)
        return fail_set(fail, -EINVAL, "the record is none of the topic's coordinators: %s", error_text(rc));
    return 0;
}
