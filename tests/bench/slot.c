#include "producer.h"

#include <stdlib.h>

#include "protocol/produce.h"

#define CORRELATION_AT 8 /* of a request: length i32, key i16, version i16, then this */

void slot_init(struct slot *s, const struct load *load, int partition)
{
    struct produce_request_topic_data_partition_data data;
    struct produce_request_topic_data topic;
    struct produce_request request;
    struct request_header header;
    struct message_extent extent;
    struct message_cut cut;

    produce_request_topic_data_partition_data_init(&data);
    data.index = partition;
    data.records = (struct bytes){NULL, load->pattern.bytes};
    produce_request_topic_data_init(&topic);
    topic.name = str_of(load->plan.topic);
    topic.topic_id = load->topic_id;
    topic.partition_data = &data;
    topic.partition_data_count = 1;
    produce_request_init(&request);
    request.acks = (int16_t)load->plan.acks;
    request.timeout_ms = 30000;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    request_header_init(&header);
    header.request_api_key = API_PRODUCE;
    header.request_api_version = load->versions.produce;
    header.client_id = STR("bench_load");

    int64_t header_bytes = request_header_size(&header);
    int rc = produce_request_measure(&request, load->versions.produce, &extent);
    if (rc < 0)
        die("a Produce request cannot be encoded: %s", error_text(rc));
    ASSERT(extent.cuts == 1);
    uint8_t *body = malloc((size_t)extent.head_bytes);
    if (body == NULL)
        die("out of memory");
    produce_request_write_pieces(&request, load->versions.produce, body, &cut);

    s->partition = partition;
    s->offset_last = -1;
    s->head_bytes = 4 + (uint32_t)header_bytes + cut.at + load->pattern.prefix_bytes;
    s->tail_bytes = (uint32_t)extent.head_bytes - cut.at;
    s->head = malloc(s->head_bytes);
    s->tail = body;
    if (s->head == NULL)
        die("out of memory");
    put_u32(s->head, (uint32_t)(header_bytes + extent.total_bytes));
    request_header_write(&header, s->head + 4);
    memcpy(s->head + 4 + header_bytes, body, cut.at);
    memmove(s->tail, body + cut.at, s->tail_bytes);
}

void slot_deinit(struct slot *s)
{
    free(s->head);
    free(s->tail);
}

void slot_stamp(struct slot *s, const struct pattern *pattern, uint32_t correlation_id,
                const struct due *due)
{
    put_u32(s->head + CORRELATION_AT, correlation_id);
    pattern_stamp(pattern, clock_wall_ms(), due->intended_ns, due->key,
                  s->head + s->head_bytes - pattern->prefix_bytes);
}
