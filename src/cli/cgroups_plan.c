/* Which partitions of a group are meant: --topic, --from-file. */
#include "cli/cgroups.h"

#include <errno.h>

/* ---- topics ------------------------------------------------------------------------------------ */

static void plan_add(struct cgroups *x, struct str topic, int32_t partition, int64_t target)
{
    spot_add(&x->tool.arena, &x->plan,
             (struct spot){.topic = topic,
                           .partition = partition,
                           .committed = -1,
                           .epoch = -1,
                           .start = -1,
                           .end = -1,
                           .target = target});
}

static const struct metadata_response_topics *topic_of(struct cgroups *x, struct str name)
{
    const struct metadata_response *m = admin_metadata_answer(&x->topics, 0);

    for (int32_t i = 0; i < m->topics_count; i++) {
        if (str_equal(m->topics[i].name, name))
            return m->topics[i].error_code == KERR_NONE ? &m->topics[i] : NULL;
    }
    return NULL;
}

/* "T:0,2": the partitions that are named. */
static int scope_partitions(struct cgroups *x, const struct metadata_response_topics *topic, struct str list)
{
    struct str part;
    int64_t n;

    while (str_cut(&list, ',', &part)) {
        if (str_to_i64(str_trim(part), 0, INT32_MAX, &n) < 0)
            return fail_set(&x->tool.fail, -EINVAL, "\"%.*s\" is not a partition of topic %.*s", STR_ARG(part),
                            STR_ARG(topic->name));
        if (n >= topic->partitions_count)
            return fail_set(&x->tool.fail, -EINVAL, "The partitions \"%.*s-%lld\" do not exist", STR_ARG(topic->name),
                            (long long)n);
        plan_add(x, topic->name, (int32_t)n, -1);
    }
    return 0;
}

void cgroups_ask_topics(struct cgroups *x)
{
    metadata_request_init(&x->ask_topics);
    x->ask_topics.topics_count = -1;
    x->ask_topics.allow_auto_topic_creation = false;
}

int cgroups_scope(struct cgroups *x)
{
    const struct arg_found *found = &x->tool.found[CG_TOPIC];

    for (uint32_t i = 0; i < found->count; i++) {
        struct str rest = found->values[i], name;
        if (!str_cut(&rest, ':', &name))
            continue;
        const struct metadata_response_topics *topic = topic_of(x, name);
        if (topic == NULL)
            return answer_fails(&x->tool, KERR_UNKNOWN_TOPIC_OR_PARTITION,
                                arena_printf(&x->tool.arena, "there is no topic %.*s", STR_ARG(name)));
        if (rest.n > 0)
            TRY(scope_partitions(x, topic, rest));
        for (int32_t p = 0; rest.n == 0 && p < topic->partitions_count; p++)
            plan_add(x, topic->name, p, -1);
    }
    spots_sort(&x->plan);
    return 0;
}

/* ---- the file of --from-file ---------------------------------------------------------------------- */

static int wrong_line(struct cgroups *x, uint32_t line)
{
    return fail_set(&x->tool.fail, -EINVAL, "%s:%u: topic,partition,offset or group,topic,partition,offset is expected",
                    x->file_path, line);
}

static struct str unquoted(struct str s)
{
    s = str_trim(s);
    return s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"' ? (struct str){s.p + 1, s.n - 2} : s;
}

static int file_line(struct cgroups *x, struct str line, uint32_t number)
{
    struct str cells[4];
    uint32_t count = 0;
    int64_t partition, offset;

    while (count < array_count(cells) && str_cut(&line, ',', &cells[count])) {
        cells[count] = unquoted(cells[count]);
        count++;
    }
    if (count < 3 || line.n > 0)
        return wrong_line(x, number);
    if (str_to_i64(cells[count - 2], 0, INT32_MAX, &partition) < 0 ||
        str_to_i64(cells[count - 1], 0, INT64_MAX, &offset) < 0)
        return wrong_line(x, number);
    x->plan_groups[x->plan.count] = count == 4 ? cells[0] : STR_NULL;
    plan_add(x, cells[count - 3], (int32_t)partition, offset);
    return 0;
}

int cgroups_take_file(struct cgroups *x)
{
    struct str rest = text_str(&x->file), line;
    uint32_t lines = 1, number = 0;

    for (size_t i = 0; i < x->file.n; i++)
        lines += x->file.p[i] == '\n';
    x->plan_groups = arena_take_array(&x->tool.arena, lines, sizeof(*x->plan_groups));
    ASSERT(x->plan_groups != NULL);
    while (str_cut(&rest, '\n', &line)) {
        number++;
        if (str_trim(line).n > 0)
            TRY(file_line(x, line, number));
    }
    return 0;
}
