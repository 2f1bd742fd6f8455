/* Settings of all resources, and records that are kept for those who will act on them: quotas,
 * ACLs, SCRAM credentials, delegation tokens. */
#include "image/internal.h"

#include <stdlib.h>

#include "protocol/access_control_entry_record.h"
#include "protocol/client_quota_record.h"
#include "protocol/config_record.h"
#include "protocol/delegation_token_record.h"
#include "protocol/remove_access_control_entry_record.h"
#include "protocol/remove_delegation_token_record.h"
#include "protocol/remove_user_scram_credential_record.h"
#include "protocol/user_scram_credential_record.h"

#define RESOURCE_TYPE_TOPIC 2

/* ---- settings ----------------------------------------------------------------------------------
 */

static void config_release(struct shared *s)
{
    free(container_of(s, struct config_item, shared));
}

int apply_config(struct image_edit *e, const void *record, struct fail *f)
{
    const struct config_record *r = record;
    struct config_key key = {r->resource_type, r->resource_name, r->name};

    if (str_is_null(r->value)) {
        sorted_remove(&e->state.configs, compare_config, &key);
    } else {
        struct config_item *item = take_memory(sizeof(*item) + str_size(r->resource_name) +
                                               str_size(r->name) + str_size(r->value));
        char *at = (char *)(item + 1);
        shared_init(&item->shared, config_release);
        item->key.type = r->resource_type;
        item->key.resource = copy_str(&at, r->resource_name);
        item->key.name = copy_str(&at, r->name);
        item->value = copy_str(&at, r->value);
        sorted_put(&e->state.configs, compare_config, &item->key, &item->shared);
    }
    if (r->resource_type == RESOURCE_TYPE_TOPIC)
        topic_config_changed(e, r->resource_name);
    return 0;
}

void config_remove_all(struct image_edit *e, int8_t type, struct str resource)
{
    struct config_key first = {type, resource, STR_NULL};
    uint32_t at = sorted_lower(&e->state.configs, compare_config, &first);

    while (at < sorted_count(&e->state.configs)) {
        struct config_item *item =
            container_of(sorted_at(&e->state.configs, at), struct config_item, shared);
        if (item->key.type != type || !str_equal(item->key.resource, resource))
            return;
        shared_ref(&item->shared);
        sorted_remove(&e->state.configs, compare_config, &item->key);
        shared_unref(&item->shared);
    }
}

/* ---- kept records ------------------------------------------------------------------------------
 */

static void kept_release(struct shared *s)
{
    free(container_of(s, struct kept_item, shared));
}

/* Keep `record` under `key`. Unknown tags must be cleared by the caller, as Kafka drops them. */
static int keep(struct sorted *set, struct bytes key, const struct message *message,
                const void *record, struct fail *f)
{
    int64_t size = message_metadata_size(message, 0, record);
    struct kept_item *item;
    uint8_t *at;

    if (size < 0)
        return fail_set(f, (int)size, "it cannot be written again");
    item = take_memory(sizeof(*item) + (size_t)key.n + (size_t)size);
    shared_init(&item->shared, kept_release);
    at = (uint8_t *)(item + 1);
    if (key.n > 0)
        memcpy(at, key.p, (size_t)key.n);
    item->key = (struct bytes){at, key.n};
    item->framed = (struct bytes){at + key.n, (int32_t)size};
    message_metadata_write(message, 0, record, at + key.n);
    sorted_put(set, compare_kept, &item->key, &item->shared);
    return 0;
}

static struct bytes key_of_id(const struct uuid *id)
{
    return (struct bytes){id->b, (int32_t)sizeof(id->b)};
}

int apply_acl(struct image_edit *e, const void *record, struct fail *f)
{
    struct access_control_entry_record r = *(const struct access_control_entry_record *)record;
    struct bytes key = key_of_id(&r.id);
    char text[UUID_TEXT_BYTES];

    if (sorted_find(&e->state.acls, compare_kept, &key) != NULL)
        return fail_set(f, ERR_CORRUPT, "there is an ACL with id %s already",
                        uuid_text(r.id, text));
    r.unknown_tags = BYTES_NULL;
    return keep(&e->state.acls, key, &access_control_entry_record_message, &r, f);
}

int apply_remove_acl(struct image_edit *e, const void *record, struct fail *f)
{
    const struct remove_access_control_entry_record *r = record;
    struct bytes key = key_of_id(&r->id);
    char text[UUID_TEXT_BYTES];

    if (!sorted_remove(&e->state.acls, compare_kept, &key))
        return fail_set(f, ERR_CORRUPT, "there is no ACL with id %s", uuid_text(r->id, text));
    return 0;
}

/* The mechanism's number, then the user's name. */
static struct bytes scram_key(struct image_edit *e, int8_t mechanism, struct str name)
{
    uint8_t *key = arena_take(&e->scratch, 1 + str_size(name));

    key[0] = (uint8_t)mechanism;
    if (name.n > 0)
        memcpy(key + 1, name.p, (size_t)name.n);
    return (struct bytes){key, 1 + name.n};
}

int apply_scram(struct image_edit *e, const void *record, struct fail *f)
{
    struct user_scram_credential_record r = *(const struct user_scram_credential_record *)record;

    if (r.mechanism != 1 && r.mechanism != 2)
        return fail_set(f, ERR_CORRUPT, "SCRAM mechanism %d is not known", r.mechanism);
    r.unknown_tags = BYTES_NULL;
    return keep(&e->state.scram, scram_key(e, r.mechanism, r.name),
                &user_scram_credential_record_message, &r, f);
}

int apply_remove_scram(struct image_edit *e, const void *record, struct fail *f)
{
    const struct remove_user_scram_credential_record *r = record;
    struct bytes key = scram_key(e, r->mechanism, r->name);

    if (!sorted_remove(&e->state.scram, compare_kept, &key))
        return fail_set(f, ERR_CORRUPT, "user %.*s has no credential of mechanism %d",
                        STR_ARG(r->name), r->mechanism);
    return 0;
}

int apply_token(struct image_edit *e, const void *record, struct fail *f)
{
    struct delegation_token_record r = *(const struct delegation_token_record *)record;

    r.unknown_tags = BYTES_NULL;
    return keep(&e->state.tokens, bytes_of_str(r.token_id), &delegation_token_record_message, &r,
                f);
}

/* An unknown token is no error: Kafka's cache takes it so. */
int apply_remove_token(struct image_edit *e, const void *record, struct fail *f)
{
    const struct remove_delegation_token_record *r = record;
    struct bytes key = bytes_of_str(r->token_id);

    sorted_remove(&e->state.tokens, compare_kept, &key);
    return 0;
}

/* ---- quotas ------------------------------------------------------------------------------------
 */

/* Parts of an entity in the order of their types: there are at most three (user, client-id, ip),
 * and a record may name them in any order. */
static void sort_entity(struct client_quota_record_entity *parts, int32_t count)
{
    for (int32_t i = 1; i < count; i++) {
        for (int32_t j = i; j > 0; j--) {
            struct client_quota_record_entity part = parts[j];
            if (str_compare(parts[j - 1].entity_type, part.entity_type) <= 0)
                break;
            parts[j] = parts[j - 1];
            parts[j - 1] = part;
        }
    }
}

static uint8_t *put_part(uint8_t *p, struct str s)
{
    put_u32(p, (uint32_t)s.n);
    if (s.n > 0)
        memcpy(p + 4, s.p, (size_t)s.n);
    return p + 4 + str_size(s);
}

/* All parts and the quota's name, each behind its length. */
static struct bytes quota_key(struct image_edit *e, const struct client_quota_record *r)
{
    size_t size = 4 + str_size(r->key);
    uint8_t *key, *at;

    for (int32_t i = 0; i < r->entity_count; i++)
        size += 8 + str_size(r->entity[i].entity_type) + str_size(r->entity[i].entity_name);
    key = arena_take(&e->scratch, size);
    at = key;
    for (int32_t i = 0; i < r->entity_count; i++) {
        at = put_part(at, r->entity[i].entity_type);
        at = put_part(at, r->entity[i].entity_name);
    }
    put_part(at, r->key);
    return (struct bytes){key, (int32_t)size};
}

#define QUOTA_ENTITY_PARTS_MAX 3

int apply_client_quota(struct image_edit *e, const void *record, struct fail *f)
{
    struct client_quota_record r = *(const struct client_quota_record *)record;
    struct bytes key;

    if (r.entity_count < 1 || r.entity_count > QUOTA_ENTITY_PARTS_MAX)
        return fail_set(f, ERR_CORRUPT, "a quota of %d entities makes no sense", r.entity_count);
    r.unknown_tags = BYTES_NULL;
    r.entity = arena_take_array(&e->scratch, (size_t)r.entity_count, sizeof(*r.entity));
    for (int32_t i = 0; i < r.entity_count; i++) {
        r.entity[i] = ((const struct client_quota_record *)record)->entity[i];
        r.entity[i].unknown_tags = BYTES_NULL;
    }
    sort_entity(r.entity, r.entity_count);
    key = quota_key(e, &r);
    if (r.remove) {
        sorted_remove(&e->state.quotas, compare_kept, &key);
        return 0;
    }
    return keep(&e->state.quotas, key, &client_quota_record_message, &r, f);
}
