/* An image as JSON: one member a line, in the order of the snapshot. */
#include "image/internal.h"

static void print_uuids(struct text *out, const struct uuid *ids, int32_t count)
{
    char text[UUID_TEXT_BYTES];

    if (count < 0) {
        text_printf(out, "null");
        return;
    }
    text_printf(out, "[");
    for (int32_t i = 0; i < count; i++)
        text_printf(out, "%s\"%s\"", i == 0 ? "" : ",", uuid_text(ids[i], text));
    text_printf(out, "]");
}

static void print_numbers(struct text *out, const char *name, const int32_t *numbers, int32_t count)
{
    text_printf(out, ",\"%s\":[", name);
    for (int32_t i = 0; i < count; i++)
        text_printf(out, "%s%d", i == 0 ? "" : ",", numbers[i]);
    text_printf(out, "]");
}

static void print_bool(struct text *out, const char *name, bool value)
{
    text_printf(out, ",\"%s\":%s", name, value ? "true" : "false");
}

static void print_endpoints(struct text *out, const struct image_endpoint *list, int32_t count)
{
    text_printf(out, ",\"endPoints\":[");
    for (int32_t i = 0; i < count; i++) {
        text_printf(out, "%s{\"name\":", i == 0 ? "" : ",");
        text_add_json(out, list[i].name);
        text_printf(out, ",\"host\":");
        text_add_json(out, list[i].host);
        text_printf(out, ",\"port\":%u,\"securityProtocol\":%d}", list[i].port,
                    list[i].security_protocol);
    }
    text_printf(out, "]");
}

static void print_ranges(struct text *out, const struct image_feature *list, int32_t count)
{
    text_printf(out, ",\"features\":{");
    for (int32_t i = 0; i < count; i++) {
        text_printf(out, "%s", i == 0 ? "" : ",");
        text_add_json(out, list[i].name);
        text_printf(out, ":[%d,%d]", list[i].min, list[i].max);
    }
    text_printf(out, "}");
}

static void print_broker(struct text *out, const struct image_broker *b)
{
    char text[UUID_TEXT_BYTES];

    text_printf(out, "{\"id\":%d,\"epoch\":%" PRId64 ",\"incarnation\":\"%s\",\"rack\":", b->id,
                b->epoch, uuid_text(b->incarnation, text));
    text_add_json(out, b->rack);
    print_bool(out, "fenced", b->fenced);
    print_bool(out, "inControlledShutdown", b->in_controlled_shutdown);
    print_bool(out, "isMigratingZkBroker", b->migrating_zk);
    print_endpoints(out, b->endpoints, b->endpoint_count);
    print_ranges(out, b->features, b->feature_count);
    text_printf(out, ",\"logDirs\":");
    print_uuids(out, b->directories, b->directory_count);
    text_printf(out, ",\"cordonedLogDirs\":");
    print_uuids(out, b->cordoned, b->cordoned_count);
    text_printf(out, "}");
}

static void print_controller(struct text *out, const struct image_controller *c)
{
    char text[UUID_TEXT_BYTES];

    text_printf(out, "{\"id\":%d,\"incarnation\":\"%s\"", c->id, uuid_text(c->incarnation, text));
    print_bool(out, "zkMigrationReady", c->zk_migration_ready);
    print_endpoints(out, c->endpoints, c->endpoint_count);
    print_ranges(out, c->features, c->feature_count);
    text_printf(out, "}");
}

static void print_partition(struct text *out, const struct image_partition *p)
{
    text_printf(out,
                "{\"partition\":%d,\"leader\":%d,\"leaderEpoch\":%d,\"partitionEpoch\":%d,"
                "\"leaderRecoveryState\":%d",
                p->partition, p->leader, p->leader_epoch, p->partition_epoch, p->recovery_state);
    print_numbers(out, "replicas", p->replicas, p->replica_count);
    print_numbers(out, "isr", p->isr, p->isr_count);
    print_numbers(out, "addingReplicas", p->adding, p->adding_count);
    print_numbers(out, "removingReplicas", p->removing, p->removing_count);
    print_numbers(out, "eligibleLeaderReplicas", p->elr, p->elr_count);
    print_numbers(out, "lastKnownElr", p->last_elr, p->last_elr_count);
    text_printf(out, ",\"directories\":");
    print_uuids(out, p->directories, p->replica_count);
    text_printf(out, "}");
}

static void print_topic(struct text *out, const struct image_topic *t)
{
    char text[UUID_TEXT_BYTES];

    text_printf(out, "{\"name\":");
    text_add_json(out, t->name);
    text_printf(out, ",\"id\":\"%s\",\"partitions\":[", uuid_text(t->id, text));
    for (int32_t i = 0; i < t->partition_count; i++) {
        text_printf(out, "%s\n      ", i == 0 ? "" : ",");
        print_partition(out, &t->partitions[i]);
    }
    text_printf(out, "]}");
}

/* One line in a list of lines. */
static void begin_line(struct text *out, uint32_t index)
{
    text_printf(out, "%s\n    ", index == 0 ? "" : ",");
}

static void print_settings(struct text *out, const struct state *s)
{
    text_printf(out, "],\n  \"settings\":[");
    for (uint32_t i = 0; i < sorted_count(&s->configs); i++) {
        const struct config_item *item =
            container_of(sorted_at(&s->configs, i), struct config_item, shared);
        begin_line(out, i);
        text_printf(out, "{\"type\":%d,\"resource\":", item->key.type);
        text_add_json(out, item->key.resource);
        text_printf(out, ",\"name\":");
        text_add_json(out, item->key.name);
        text_printf(out, ",\"value\":");
        text_add_json(out, item->value);
        text_printf(out, "}");
    }
}

static void print_kept(struct text *out, const char *name, const struct sorted *set)
{
    struct arena arena;

    arena_init(&arena, 0);
    text_printf(out, "],\n  \"%s\":[", name);
    for (uint32_t i = 0; i < sorted_count(set); i++) {
        const struct kept_item *item = container_of(sorted_at(set, i), struct kept_item, shared);
        struct message_framed record = {0};
        int rc = message_metadata_read(item->framed, MESSAGE_METADATA, &arena, &record);

        ASSERT(rc >= 0); /* we wrote it */
        begin_line(out, i);
        message_print(record.message, record.version, record.value, out);
        arena_reset(&arena);
    }
    arena_deinit(&arena);
}

void image_print(const struct image *i, struct text *out)
{
    const struct state *s = &i->visible;

    text_printf(out, "{\"offset\":%" PRId64 ",\"epoch\":%d,\"timestamp\":%" PRId64, i->offset,
                i->epoch, i->timestamp_ms);
    print_bool(out, "inTransaction", i->in_transaction);
    text_printf(out, ",\n  \"nextProducerId\":%" PRId64 ",\n  \"features\":{", s->next_producer_id);
    for (uint32_t n = 0; n < image_feature_count(i); n++) {
        text_printf(out, "%s", n == 0 ? "" : ",");
        text_add_json(out, image_feature_at(i, n)->name);
        text_printf(out, ":%d", image_feature_at(i, n)->max);
    }
    text_printf(out, "},\n  \"brokers\":[");
    for (uint32_t n = 0; n < image_broker_count(i); n++) {
        begin_line(out, n);
        print_broker(out, image_broker_at(i, n));
    }
    text_printf(out, "],\n  \"controllers\":[");
    for (uint32_t n = 0; n < image_controller_count(i); n++) {
        begin_line(out, n);
        print_controller(out, image_controller_at(i, n));
    }
    text_printf(out, "],\n  \"topics\":[");
    for (uint32_t n = 0; n < image_topic_count(i); n++) {
        begin_line(out, n);
        print_topic(out, image_topic_at(i, n));
    }
    print_settings(out, s);
    print_kept(out, "clientQuotas", &s->quotas);
    print_kept(out, "acls", &s->acls);
    print_kept(out, "scram", &s->scram);
    print_kept(out, "delegationTokens", &s->tokens);
    text_printf(out, "]}\n");
}
