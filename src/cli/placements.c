/* Partitions and their replicas: JSON, lists. */
#include "cli/placements.h"

#include <errno.h>
#include <stdlib.h>

#define VERSION 1
#define ANY_DIR "any"

/* ---- lists ------------------------------------------------------------------------------------
 */

static void *grow(struct arena *a, void *old, uint32_t count, uint32_t *capacity, size_t element_bytes)
{
    if (count < *capacity)
        return old;
    *capacity = *capacity == 0 ? 16 : 2 * *capacity;
    void *p = arena_take_array(a, *capacity, element_bytes);
    ASSERT(p != NULL);
    if (count > 0)
        memcpy(p, old, count * element_bytes);
    return p;
}

struct placement *placements_add(struct placements *p, struct str topic, int32_t partition)
{
    p->all = grow(p->arena, p->all, p->count, &p->capacity, sizeof(*p->all));
    p->all[p->count] = (struct placement){.topic = topic, .partition = partition};
    return &p->all[p->count++];
}

static int compare(const void *a, const void *b)
{
    const struct placement *x = a, *y = b;
    int order = str_compare(x->topic, y->topic);

    return order != 0 ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

void placements_sort(struct placements *p)
{
    if (p->count > 0)
        qsort(p->all, p->count, sizeof(*p->all), compare);
}

const struct placement *placements_find(const struct placements *p, struct str topic, int32_t partition)
{
    struct placement key = {.topic = topic, .partition = partition};

    return p->count == 0 ? NULL : bsearch(&key, p->all, p->count, sizeof(*p->all), compare);
}

const struct placement *placements_twice(const struct placements *p)
{
    for (uint32_t i = 1; i < p->count; i++) {
        if (compare(&p->all[i], &p->all[i - 1]) == 0)
            return &p->all[i];
    }
    return NULL;
}

void placements_take(struct placements *p, const struct metadata_response *m)
{
    for (int32_t t = 0; t < m->topics_count; t++) {
        for (int32_t i = 0; i < m->topics[t].partitions_count; i++) {
            const struct metadata_response_topics_partitions *from = &m->topics[t].partitions[i];
            struct placement *to = placements_add(p, m->topics[t].name, from->partition_index);
            to->replicas = from->replica_nodes;
            to->replica_count = (uint32_t)from->replica_nodes_count;
        }
    }
    placements_sort(p);
}

struct str placements_names(const struct placements *p, const char *separator)
{
    struct text text = {0};

    for (uint32_t i = 0; i < p->count; i++)
        text_printf(&text, "%s%.*s-%d", i == 0 ? "" : separator, STR_ARG(p->all[i].topic), p->all[i].partition);
    struct str s = arena_str(p->arena, text_str(&text));
    text_deinit(&text);
    return s;
}

struct str ids_join(struct arena *a, const int32_t *ids, uint32_t count)
{
    struct str s = STR("");

    for (uint32_t i = 0; i < count; i++)
        s = arena_printf(a, "%.*s%s%d", STR_ARG(s), i == 0 ? "" : ",", ids[i]);
    return s;
}

bool ids_contain(const int32_t *ids, uint32_t count, int32_t id)
{
    for (uint32_t i = 0; i < count; i++) {
        if (ids[i] == id)
            return true;
    }
    return false;
}

static int compare_ids(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

uint32_t ids_unique(int32_t *ids, uint32_t count)
{
    uint32_t kept = 0;

    if (count > 0)
        qsort(ids, count, sizeof(*ids), compare_ids);
    for (uint32_t i = 0; i < count; i++) {
        if (kept == 0 || ids[kept - 1] != ids[i])
            ids[kept++] = ids[i];
    }
    return kept;
}

/* ---- JSON -------------------------------------------------------------------------------------
 */

static struct str read_text(struct placements *p, struct json *j)
{
    struct str s = STR("");

    if (json_text(p->arena, json_string(j), &s) < 0)
        j->wrong = true;
    return s;
}

static const int32_t *read_ids(struct placements *p, struct json *j, uint32_t *count)
{
    int32_t *ids = NULL;
    uint32_t capacity = 0;
    bool first = true;

    *count = 0;
    if (!json_enter(j, '['))
        return NULL;
    while (json_next(j, ']', &first)) {
        int64_t id = json_number(j);
        if (id < INT32_MIN || id > INT32_MAX)
            j->wrong = true;
        ids = grow(p->arena, ids, *count, &capacity, sizeof(*ids));
        ids[(*count)++] = (int32_t)id;
    }
    return ids;
}

static const struct str *read_dirs(struct placements *p, struct json *j, uint32_t *count)
{
    struct str *dirs = NULL;
    uint32_t capacity = 0;
    bool first = true;

    *count = 0;
    if (!json_enter(j, '['))
        return NULL;
    while (json_next(j, ']', &first)) {
        struct str dir = read_text(p, j);
        dirs = grow(p->arena, dirs, *count, &capacity, sizeof(*dirs));
        dirs[(*count)++] = str_equal(dir, STR(ANY_DIR)) ? STR_NULL : dir;
    }
    return dirs;
}

static int read_one(struct placements *p, struct json *j, bool wants_replicas, struct fail *f)
{
    struct placement one = {.topic = STR_NULL};
    uint32_t dir_count = 0;
    int64_t partition = -1;
    bool first = true, has_replicas = false, has_dirs = false;

    if (!json_enter(j, '{'))
        return 0;
    while (json_next(j, '}', &first)) {
        struct str name = json_name(j);
        if (str_equal(name, STR("topic"))) {
            one.topic = read_text(p, j);
        } else if (str_equal(name, STR("partition"))) {
            partition = json_number(j);
        } else if (wants_replicas && str_equal(name, STR("replicas"))) {
            has_replicas = true;
            one.replicas = read_ids(p, j, &one.replica_count);
        } else if (wants_replicas && str_equal(name, STR("log_dirs"))) {
            has_dirs = true;
            one.dirs = read_dirs(p, j, &dir_count);
        } else {
            json_skip(j);
        }
    }
    if (str_is_null(one.topic) || partition < 0 || partition > INT32_MAX || (wants_replicas && !has_replicas))
        j->wrong = true;
    if (!j->wrong && has_dirs && dir_count != one.replica_count)
        return fail_set(f, -EINVAL,
                        "Size of replicas list is different from size of log dirs list for partition %.*s-%lld",
                        STR_ARG(one.topic), (long long)partition);
    one.partition = (int32_t)partition;
    *placements_add(p, one.topic, one.partition) = one;
    return 0;
}

int placements_read(struct placements *p, struct str text, bool replicas, struct fail *f)
{
    struct json j;
    bool first = true, first_one = true, has_partitions = false;
    int64_t version = VERSION;

    json_begin(&j, text);
    if (json_enter(&j, '{')) {
        while (json_next(&j, '}', &first)) {
            struct str name = json_name(&j);
            if (str_equal(name, STR("version"))) {
                version = json_number(&j);
            } else if (!str_equal(name, STR("partitions"))) {
                json_skip(&j);
            } else if (json_enter(&j, '[')) {
                has_partitions = true;
                while (json_next(&j, ']', &first_one))
                    TRY(read_one(p, &j, replicas, f));
            }
        }
    }
    if (!json_end(&j))
        return fail_set(f, -EINVAL,
                        "The input string is not a valid JSON of partitions: byte %d. Expected is "
                        "{\"partitions\": "
                        "[{\"topic\": \"orders\", \"partition\": 0%s}]}",
                        j.at, replicas ? ", \"replicas\": [1, 2]" : "");
    if (version != VERSION)
        return fail_set(f, -EINVAL, "Not supported version field value %lld", (long long)version);
    return replicas || has_partitions ? 0
                                      : fail_set(f, -EINVAL, "Replica election data is missing \"partitions\" field");
}

void placements_print(const struct placements *p, struct text *out)
{
    text_printf(out, "{\"version\":1,\"partitions\":[");
    for (uint32_t i = 0; i < p->count; i++) {
        const struct placement *one = &p->all[i];
        text_printf(out, "%s{\"topic\":", i == 0 ? "" : ",");
        text_add_json(out, one->topic);
        text_printf(out, ",\"partition\":%d,\"replicas\":[", one->partition);
        for (uint32_t r = 0; r < one->replica_count; r++)
            text_printf(out, "%s%d", r == 0 ? "" : ",", one->replicas[r]);
        text_printf(out, "],\"log_dirs\":[");
        for (uint32_t r = 0; r < one->replica_count; r++) {
            text_printf(out, "%s", r == 0 ? "" : ",");
            text_add_json(out, one->dirs == NULL || str_is_null(one->dirs[r]) ? STR(ANY_DIR) : one->dirs[r]);
        }
        text_printf(out, "]}");
    }
    text_printf(out, "]}");
}
