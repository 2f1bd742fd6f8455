/* assignor_groups - assign groups that come as text, for a comparison with another implementation.
 *
 *   group ASSIGNOR
 *   topic NAME PARTITIONS [RACKS]     of each partition's replicas: "a,b;a,-;" (- = broker without
 * rack) member ID INSTANCE METADATA       INSTANCE - = not static; JoinGroup's metadata in
 * hexadecimal end                               -> "ID ASSIGNMENT" a member, in hexadecimal, and
 * "end"
 *
 * Metadata that subscription_write writes in another way than it was read gives "rewritten
 * METADATA".
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "assignor/assignor.h"
#include "assignor/consumer_protocol.h"

#define TOPICS_MAX 1024
#define MEMBERS_MAX 4096
#define REPLICAS_MAX 8

static struct assignor_topic topics[TOPICS_MAX];
static struct assignor_member members[MEMBERS_MAX];
static struct assignor_group group;
static enum assignor assignor;
static struct arena arena;

_Noreturn static void fail(const char *what, const char *line)
{
    printf("error: %s: %s\n", what, line);
    exit(1);
}

static struct str copy(struct str s)
{
    return arena_str(&arena, s);
}

static struct str word(struct str *rest)
{
    struct str w;

    return str_cut(rest, ' ', &w) ? w : (struct str){"", 0};
}

static struct bytes from_hex(struct str s)
{
    uint8_t *p = arena_take(&arena, (size_t)s.n / 2);

    for (int32_t i = 0; i < s.n / 2; i++) {
        unsigned value = 0;

        sscanf(s.p + 2 * (size_t)i, "%2x", &value);
        p[i] = (uint8_t)value;
    }
    return (struct bytes){p, s.n / 2};
}

static void print_hex(struct bytes b)
{
    for (int32_t i = 0; i < b.n; i++)
        printf("%02x", b.p[i]);
    printf("\n");
}

static void read_topic(struct str rest)
{
    struct assignor_topic *t = &topics[group.topic_count++];
    struct assignor_racks *racks;
    struct str name, one, all;
    int64_t count = 0;

    name = word(&rest);
    *t = (struct assignor_topic){.name = copy(name)};
    if (str_to_i64(word(&rest), 0, INT32_MAX, &count) < 0)
        fail("count", name.p);
    t->partition_count = (int32_t)count;
    if (rest.n <= 0)
        return;
    racks = arena_take_array(&arena, (size_t)count, sizeof(*racks));
    all = copy(rest);
    for (int64_t p = 0; p < count && str_cut(&all, ';', &one); p++) {
        struct str *names = arena_take_array(&arena, REPLICAS_MAX, sizeof(*names)), rack;

        racks[p].racks = names;
        while (racks[p].count < REPLICAS_MAX && str_cut(&one, ',', &rack))
            names[racks[p].count++] = str_equal(rack, STR("-")) ? STR_NULL : rack;
    }
    t->racks = racks;
}

static void read_member(struct str rest)
{
    struct assignor_member *m = &members[group.member_count++];
    struct str instance;
    struct bytes metadata, again;

    m->id = copy(word(&rest));
    instance = word(&rest);
    m->instance_id = str_equal(instance, STR("-")) ? STR_NULL : copy(instance);
    metadata = from_hex(rest);
    if (subscription_read(metadata, &arena, &m->subscription) < 0)
        fail("subscription", rest.p);
    if (subscription_write(&m->subscription, get_i16(metadata.p), &arena, &again) < 0)
        fail("writing", rest.p);
    if (!bytes_equal(metadata, again)) {
        printf("rewritten ");
        print_hex(again);
    }
}

static void assign(void)
{
    struct consumer_protocol_assignment *assignments;

    if (assignor_assign(assignor, &group, &arena, &assignments) < 0)
        fail("assign", "");
    for (int32_t i = 0; i < group.member_count; i++) {
        struct bytes out;

        if (assignment_write(&assignments[i], CONSUMER_PROTOCOL_VERSION, &arena, &out) < 0)
            fail("assignment", "");
        printf("%.*s ", STR_ARG(members[i].id));
        print_hex(out);
    }
    printf("end\n");
    arena_reset(&arena);
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t n;

    arena_init(&arena, 0);
    while ((n = getline(&line, &room, stdin)) > 0) {
        struct str rest = str_trim((struct str){line, (int32_t)n}), verb = word(&rest);

        if (str_equal(verb, STR("group"))) {
            group = (struct assignor_group){.topics = topics, .members = members};
            if (!assignor_find(rest, &assignor))
                fail("assignor", line);
        } else if (str_equal(verb, STR("topic")) && group.topic_count < TOPICS_MAX) {
            read_topic(rest);
        } else if (str_equal(verb, STR("member")) && group.member_count < MEMBERS_MAX) {
            read_member(rest);
        } else if (str_equal(verb, STR("end"))) {
            assign();
        } else {
            fail("what is", line);
        }
    }
    free(line);
    arena_deinit(&arena);
    return 0;
}
