/* What all calls of mr_admin do with their questions and answers: memory, text, rows, errors. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "library/admin.h"

/* ---- rows ------------------------------------------------------------------------------------------- */

static const size_t row_bytes[] = {
    [ROWS_OUTCOME] = sizeof(struct mr_outcome),
    [ROWS_TOPIC] = sizeof(struct mr_topic_description),
    [ROWS_CONFIG] = sizeof(struct mr_config),
    [ROWS_CLUSTER] = sizeof(struct mr_cluster),
    [ROWS_QUORUM] = sizeof(struct mr_quorum),
    [ROWS_LOG_DIR] = sizeof(struct mr_log_dir),
    [ROWS_REASSIGNMENT] = sizeof(struct mr_reassignment),
    [ROWS_OFFSET] = sizeof(struct mr_offset),
    [ROWS_GROUP] = sizeof(struct mr_group),
    [ROWS_ACL] = sizeof(struct mr_acl),
    [ROWS_QUOTA] = sizeof(struct mr_quota),
    [ROWS_SCRAM_USER] = sizeof(struct mr_scram_user),
    [ROWS_TOKEN] = sizeof(struct mr_token),
    [ROWS_FEATURE] = sizeof(struct mr_feature),
    [ROWS_SHARE_OFFSET] = sizeof(struct mr_share_offset),
    [ROWS_STREAMS_GROUP] = sizeof(struct mr_streams_group),
    [ROWS_TRANSACTION] = sizeof(struct mr_transaction),
    [ROWS_PRODUCER_STATE] = sizeof(struct mr_producer_state),
};

void *answer_row(struct mr_answer *r)
{
    size_t bytes = row_bytes[r->verb->rows];

    if (r->count == r->capacity) {
        r->capacity = r->capacity == 0 ? 4 : 2 * r->capacity;
        r->rows = realloc(r->rows, r->capacity * bytes);
        ASSERT(r->rows != NULL);
    }
    return memset((char *)r->rows + r->count++ * bytes, 0, bytes);
}

static const void *rows_of(const struct mr_answer *r, enum answer_rows rows, uint32_t *count)
{
    bool there = r != NULL && atomic_load_explicit(&r->ended, memory_order_acquire) && r->verb->rows == rows;

    if (count != NULL)
        *count = there ? r->count : 0;
    return there ? r->rows : NULL;
}

#define ACCESSOR(type, name, rows)                                          \
    const struct type *name(const struct mr_answer *r, uint32_t *count) \
    {                                                                       \
        return rows_of(r, rows, count);                                     \
    }
ACCESSOR(mr_outcome, mr_outcomes, ROWS_OUTCOME)
ACCESSOR(mr_topic_description, mr_topics, ROWS_TOPIC)
ACCESSOR(mr_config, mr_configs, ROWS_CONFIG)
ACCESSOR(mr_cluster, mr_clusters, ROWS_CLUSTER)
ACCESSOR(mr_quorum, mr_quorums, ROWS_QUORUM)
ACCESSOR(mr_log_dir, mr_log_dirs, ROWS_LOG_DIR)
ACCESSOR(mr_reassignment, mr_reassignments, ROWS_REASSIGNMENT)
ACCESSOR(mr_offset, mr_offsets, ROWS_OFFSET)
ACCESSOR(mr_group, mr_groups, ROWS_GROUP)
ACCESSOR(mr_acl, mr_acls, ROWS_ACL)
ACCESSOR(mr_quota, mr_quotas, ROWS_QUOTA)
ACCESSOR(mr_scram_user, mr_scram_users, ROWS_SCRAM_USER)
ACCESSOR(mr_token, mr_tokens, ROWS_TOKEN)
ACCESSOR(mr_feature, mr_features, ROWS_FEATURE)
ACCESSOR(mr_share_offset, mr_share_offsets, ROWS_SHARE_OFFSET)
ACCESSOR(mr_streams_group, mr_streams_groups, ROWS_STREAMS_GROUP)
ACCESSOR(mr_transaction, mr_transactions, ROWS_TRANSACTION)
ACCESSOR(mr_producer_state, mr_producer_states, ROWS_PRODUCER_STATE)

/* ---- memory and text ---------------------------------------------------------------------------------- */

void *answer_array(struct mr_answer *r, size_t count, size_t element_bytes)
{
    void *p = arena_take_array(&r->arena, count, element_bytes);

    ASSERT(p != NULL); /* the arena has no limit: questions are the caller's, and answers are bounded by their frames */
    return p;
}

struct str answer_text_or_null(struct mr_answer *r, const char *text)
{
    return arena_str(&r->arena, str_of(text));
}

struct str answer_text(struct mr_answer *r, const char *text, const char *what)
{
    if (text == NULL)
        answer_refuse(r, "%s is NULL", what);
    return answer_text_or_null(r, text);
}

struct str *answer_texts(struct mr_answer *r, const char *const *texts, uint32_t count, const char *what)
{
    struct str *copies = answer_array(r, count, sizeof *copies);

    for (uint32_t i = 0; i < count; i++)
        copies[i] = answer_text(r, texts[i], what);
    return copies;
}

int32_t *answer_numbers(struct mr_answer *r, const int32_t *numbers, uint32_t count)
{
    int32_t *copies = answer_array(r, count, sizeof *copies);

    if (count > 0)
        memcpy(copies, numbers, count * sizeof *copies);
    return copies;
}

const char *answer_keep(struct mr_answer *r, struct str s)
{
    if (str_is_null(s))
        return NULL;
    char *copy = answer_array(r, (size_t)s.n + 1, 1);
    if (s.n > 0)
        memcpy(copy, s.p, (size_t)s.n);
    return copy;
}

const char *answer_keep_or_empty(struct mr_answer *r, struct str s)
{
    const char *kept = answer_keep(r, s);

    return kept == NULL ? "" : kept;
}

/* ---- by name -------------------------------------------------------------------------------------------- */

struct named {
    struct str name;
    uint32_t index;
};

static int compare_named(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int order = str_compare(x->name, y->name);

    return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

struct answer_named *answer_by_name(struct mr_answer *r, const struct str *names, uint32_t count, int32_t *name_count)
{
    struct named *sorted = answer_array(r, count, sizeof *sorted);
    uint32_t *indexes = answer_array(r, count, sizeof *indexes);
    struct answer_named *groups = answer_array(r, count, sizeof *groups);
    int32_t n = 0;

    for (uint32_t i = 0; i < count; i++)
        sorted[i] = (struct named){names[i], i};
    qsort(sorted, count, sizeof *sorted, compare_named);
    for (uint32_t i = 0; i < count; i++) {
        indexes[i] = sorted[i].index;
        if (i == 0 || !str_equal(sorted[i].name, sorted[i - 1].name))
            groups[n++] = (struct answer_named){sorted[i].name, &indexes[i], 0};
        groups[n - 1].count++;
    }
    *name_count = n;
    return groups;
}

struct str *answer_topics(struct mr_answer *r, const struct mr_partition *partitions, uint32_t count)
{
    struct str *names = answer_array(r, count, sizeof *names);

    for (uint32_t i = 0; i < count; i++)
        names[i] = answer_text(r, partitions[i].topic, "the topic of a partition");
    return names;
}

struct str *answer_topics_of_offsets(struct mr_answer *r, const struct mr_offset *offsets, uint32_t count)
{
    struct str *names = answer_array(r, count, sizeof *names);

    for (uint32_t i = 0; i < count; i++)
        names[i] = answer_text(r, offsets[i].topic, "the topic of an offset");
    return names;
}

/* ---- errors ---------------------------------------------------------------------------------------------- */

void answer_refuse(struct mr_answer *r, const char *format, ...)
{
    char words[200];
    va_list args;

    if (r->error.code != MR_OK)
        return;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    error_set(&r->error, MR_INVALID, MR_REPAIR, true, "%s: %s", r->verb->name, words);
}

/* What a broker has answered is what happened; only a time-out of its own leaves that open. */
static void set_kafka_error(struct mr_error *e, int16_t code, struct str message)
{
    const char *name = kerr_name(code);
    bool repeats = message.n <= 0;

    error_set(e, MR_BROKER, kerr_is_retriable(code) ? MR_RETRY : MR_REPAIR, code != KERR_REQUEST_TIMED_OUT, "%s%s%.*s",
              name, repeats ? "" : ": ", STR_ARG(message));
    e->kafka_code = code;
}

void answer_row_error(struct mr_answer *r, struct mr_error *e, int16_t code, struct str message)
{
    if (code == KERR_NONE)
        return;
    set_kafka_error(e, code, message);
    r->failed++;
}

struct mr_outcome *answer_outcome(struct mr_answer *r, struct str name, int32_t partition, int16_t code,
                                  struct str message)
{
    struct mr_outcome *o = answer_row(r);

    o->name = answer_keep(r, name);
    o->partition = partition;
    o->number = -1;
    answer_row_error(r, &o->error, code, message);
    return o;
}

bool answer_is_refused(struct mr_answer *r, int16_t code, struct str message)
{
    if (code == KERR_NONE)
        return false;
    set_kafka_error(&r->error, code, message);
    return true;
}
