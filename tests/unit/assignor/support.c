/* support.c - groups from text, assignments to text. */
#include "support.h"

#include <stdlib.h>

void party_init(struct party *p)
{
    *p = (struct party){.last = NULL};
    arena_init(&p->arena, 0);
    p->group.topics = p->topics;
    p->group.members = p->members;
}

void party_deinit(struct party *p)
{
    arena_deinit(&p->arena);
}

static struct str keep(struct party *p, const char *text)
{
    return arena_str(&p->arena, str_of(text));
}

static int32_t number(struct str s)
{
    int64_t value = 0;

    ASSERT(str_to_i64(s, INT32_MIN, INT32_MAX, &value) == 0);
    return (int32_t)value;
}

void party_topic(struct party *p, const char *name, int32_t partition_count, const char *racks)
{
    struct assignor_topic *t = &p->topics[p->group.topic_count++];
    struct assignor_racks *all;
    struct str rest = keep(p, racks), one, rack;

    ASSERT(p->group.topic_count <= PARTY_MAX);
    *t = (struct assignor_topic){.name = keep(p, name), .partition_count = partition_count};
    if (racks == NULL)
        return;
    all = arena_take_array(&p->arena, (size_t)partition_count, sizeof(*all));
    for (int32_t i = 0; i < partition_count && str_cut(&rest, '|', &one); i++) {
        struct str *names = arena_take_array(&p->arena, PARTY_MAX, sizeof(*names));

        all[i].racks = names;
        while (str_cut(&one, ' ', &rack))
            names[all[i].count++] = rack;
    }
    t->racks = all;
}

struct assignor_member *party_member(struct party *p, const char *id, const char *topics)
{
    struct assignor_member *m = &p->members[p->group.member_count++];
    struct str rest = keep(p, topics), topic;

    ASSERT(p->group.member_count <= PARTY_MAX);
    *m = (struct assignor_member){.id = keep(p, id), .instance_id = STR_NULL};
    consumer_protocol_subscription_init(&m->subscription);
    m->subscription.topics = arena_take_array(&p->arena, PARTY_MAX, sizeof(struct str));
    while (str_cut(&rest, ' ', &topic))
        m->subscription.topics[m->subscription.topics_count++] = topic;
    return m;
}

void party_owns(struct party *p, struct assignor_member *m, const char *owned, int32_t generation)
{
    struct str rest = keep(p, owned), entry, topic, partition;
    struct consumer_protocol_subscription *s = &m->subscription;

    s->owned_partitions = arena_take_array(&p->arena, PARTY_MAX, sizeof(*s->owned_partitions));
    s->owned_partitions_count = 0;
    s->generation_id = generation;
    while (str_cut(&rest, ' ', &entry) && str_cut(&entry, '/', &topic)) {
        struct consumer_protocol_subscription_owned_partitions *o =
            &s->owned_partitions[s->owned_partitions_count++];

        *o = (struct consumer_protocol_subscription_owned_partitions){.topic = topic};
        o->partitions = arena_take_array(&p->arena, PARTY_MAX, sizeof(*o->partitions));
        while (str_cut(&entry, ',', &partition))
            o->partitions[o->partitions_count++] = number(partition);
    }
}

void party_had(struct party *p, struct assignor_member *m, const char *owned, int32_t generation)
{
    struct assignor_member copy = *m;
    struct consumer_protocol_assignment a = {.user_data = BYTES_NULL};

    party_owns(p, &copy, owned, generation);
    a.assigned_partitions_count = copy.subscription.owned_partitions_count;
    a.assigned_partitions = arena_take_array(&p->arena, PARTY_MAX, sizeof(*a.assigned_partitions));
    for (int32_t i = 0; i < a.assigned_partitions_count; i++) {
        const struct consumer_protocol_subscription_owned_partitions *o =
            &copy.subscription.owned_partitions[i];

        a.assigned_partitions[i] = (struct consumer_protocol_assignment_assigned_partitions){
            o->topic, o->partitions, o->partitions_count};
    }
    ASSERT(assignor_user_data(ASSIGNOR_STICKY, &a, generation, &p->arena,
                              &m->subscription.user_data) == 0);
}

static void print(const struct consumer_protocol_assignment *a, struct text *out)
{
    for (int32_t i = 0; i < a->assigned_partitions_count; i++) {
        const struct consumer_protocol_assignment_assigned_partitions *t =
            &a->assigned_partitions[i];

        text_printf(out, "%s%.*s/", i == 0 ? "" : " ", STR_ARG(t->topic));
        for (int32_t k = 0; k < t->partitions_count; k++)
            text_printf(out, "%s%d", k == 0 ? "" : ",", t->partitions[k]);
    }
}

char *party_assign(struct party *p, enum assignor assignor)
{
    struct text out = {0};
    struct str kept;

    ASSERT(assignor_assign(assignor, &p->group, &p->arena, &p->last) == 0);
    for (int32_t i = 0; i < p->group.member_count; i++) {
        text_printf(&out, "%.*s: ", STR_ARG(p->members[i].id));
        print(&p->last[i], &out);
        text_printf(&out, "\n");
    }
    kept = arena_printf(&p->arena, "%.*s%c", STR_ARG(text_str(&out)), '\0');
    text_deinit(&out);
    return (char *)(uintptr_t)kept.p;
}

void party_next(struct party *p, enum assignor assignor, int32_t generation)
{
    for (int32_t i = 0; i < p->group.member_count; i++) {
        struct text owned = {0};
        char *text;

        print(&p->last[i], &owned);
        text = str_dup(text_str(&owned));
        if (assignor == ASSIGNOR_STICKY)
            party_had(p, &p->members[i], text, generation);
        else
            party_owns(p, &p->members[i], text, generation);
        free(text);
        text_deinit(&owned);
    }
}
