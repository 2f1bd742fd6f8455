/* DescribeTopicPartitions (key 75): topics page by page, with eligible leader replicas (KIP-966).
 *
 * Topics come in the order of their names; the cursor says where the next page begins.
 */
#include "broker/api/api.h"

#include <stdlib.h>

#include "broker/view.h"
#include "protocol/describe_topic_partitions.h"

struct paging {
    struct request *request;
    struct describe_topic_partitions_response *answer;
    int32_t left; /* partitions that still fit */
};

static void answer_partition(struct request *r, const struct image_partition *p,
                             struct describe_topic_partitions_response_topics_partitions *out)
{
    describe_topic_partitions_response_topics_partitions_init(out);
    out->error_code = (int16_t)view_partition_error(r, p);
    out->partition_index = p->partition;
    out->leader_id = out->error_code == KERR_NONE ? p->leader : -1;
    out->leader_epoch = p->leader_epoch;
    out->replica_nodes = view_ids(r, p->replicas, p->replica_count);
    out->replica_nodes_count = p->replica_count;
    out->isr_nodes = view_ids(r, p->isr, p->isr_count);
    out->isr_nodes_count = p->isr_count;
    out->eligible_leader_replicas = view_ids(r, p->elr, p->elr_count);
    out->eligible_leader_replicas_count = p->elr_count;
    out->last_known_elr = view_ids(r, p->last_elr, p->last_elr_count);
    out->last_known_elr_count = p->last_elr_count;
    out->offline_replicas = view_offline(r, p, &out->offline_replicas_count);
}

static void set_cursor(struct paging *page, struct str topic, int32_t partition)
{
    struct describe_topic_partitions_response_next_cursor *c =
        arena_take(&page->request->arena, sizeof *c);

    describe_topic_partitions_response_next_cursor_init(c);
    c->topic_name = arena_str(&page->request->arena, topic);
    c->partition_index = partition;
    page->answer->next_cursor = c;
}

/* Partitions of a topic from `first` on, as many as fit. False: the page is full. */
static bool answer_topic(struct paging *page, const struct image_topic *topic, int32_t first)
{
    struct request *r = page->request;
    int32_t n = topic->partition_count - first;
    bool whole = n <= page->left;

    if (page->left == 0) {
        set_cursor(page, topic->name, first);
        return false;
    }
    if (!whole)
        n = page->left;
    struct describe_topic_partitions_response_topics *out =
        &page->answer->topics[page->answer->topics_count++];
    describe_topic_partitions_response_topics_init(out);
    out->name = arena_str(&r->arena, topic->name);
    out->topic_id = topic->id;
    out->is_internal = view_is_internal(topic->name);
    out->topic_authorized_operations =
        request_authorized_operations(r, RESOURCE_TOPIC, topic->name);
    out->partitions_count = n;
    out->partitions = arena_take_array(&r->arena, (size_t)n, sizeof *out->partitions);
    for (int32_t i = 0; i < n; i++)
        answer_partition(r, &topic->partitions[first + i], &out->partitions[i]);
    page->left -= n;
    if (!whole)
        set_cursor(page, topic->name, first + n);
    return whole;
}

static void answer_missing(struct paging *page, struct str name)
{
    struct describe_topic_partitions_response_topics *out =
        &page->answer->topics[page->answer->topics_count++];

    describe_topic_partitions_response_topics_init(out);
    out->name = name;
    out->error_code = (int16_t)(view_topic_name_is_valid(name) ? KERR_UNKNOWN_TOPIC_OR_PARTITION
                                                                : KERR_INVALID_TOPIC_EXCEPTION);
}

static void answer_refused(struct paging *page, struct str name)
{
    struct describe_topic_partitions_response_topics *out =
        &page->answer->topics[page->answer->topics_count++];

    describe_topic_partitions_response_topics_init(out);
    out->name = name;
    out->error_code = KERR_TOPIC_AUTHORIZATION_FAILED;
}

/* Where the page begins within this topic, or -1 when the topic was on an earlier page. */
static int32_t first_of(const struct describe_topic_partitions_request_cursor *cursor,
                        struct str topic)
{
    int order = cursor == NULL ? 1 : str_compare(topic, cursor->topic_name);

    if (order < 0)
        return -1;
    return order == 0 && cursor != NULL && cursor->partition_index > 0 ? cursor->partition_index : 0;
}

static int compare_names(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

static void answer_asked(struct paging *page)
{
    struct request *r = page->request;
    const struct describe_topic_partitions_request *m = r->message;
    uint32_t n = (uint32_t)m->topics_count;
    struct str *names = arena_take_array(&r->arena, n, sizeof *names);

    for (uint32_t i = 0; i < n; i++)
        names[i] = m->topics[i].name;
    qsort(names, n, sizeof *names, compare_names);
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0 && str_equal(names[i], names[i - 1]))
            continue;
        int32_t first = first_of(m->cursor, names[i]);
        const struct image_topic *topic = image_topic_find(r->shard->image, names[i]);
        if (first < 0)
            continue;
        if (!request_authorize(r, ACL_DESCRIBE, RESOURCE_TOPIC, names[i]))
            answer_refused(page, names[i]);
        else if (topic == NULL)
            answer_missing(page, names[i]);
        else if (first < topic->partition_count && !answer_topic(page, topic, first))
            return;
    }
}

static void answer_all(struct paging *page)
{
    struct request *r = page->request;
    const struct describe_topic_partitions_request *m = r->message;

    for (uint32_t i = 0; i < image_topic_count(r->shard->image); i++) {
        const struct image_topic *topic = image_topic_at(r->shard->image, i);
        int32_t first = first_of(m->cursor, topic->name);
        if (first < 0 || first >= topic->partition_count)
            continue;
        if (!request_authorize(r, ACL_DESCRIBE, RESOURCE_TOPIC, topic->name))
            continue;
        if (!answer_topic(page, topic, first))
            return;
    }
}

void describe_topic_partitions_handle(struct request *r)
{
    const struct describe_topic_partitions_request *m = r->message;
    int32_t most = (int32_t)config_i64(r->shard->settings, BROKER_MAX_REQUEST_PARTITION_SIZE_LIMIT);
    struct paging page = {
        .request = r,
        .answer = r->response,
        .left = m->response_partition_limit < most ? m->response_partition_limit : most,
    };
    uint32_t n = m->topics_count == 0 ? image_topic_count(r->shard->image) : (uint32_t)m->topics_count;

    if (page.left < 1)
        page.left = 1;
    page.answer->topics = arena_take_array(&r->arena, n, sizeof *page.answer->topics);
    if (m->topics_count == 0)
        answer_all(&page);
    else
        answer_asked(&page);
    request_answer(r);
}
