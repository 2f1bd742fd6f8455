/* What our_consumer says, as JSON. Text is UTF-8. */
#include "our_consumer.h"

#include <inttypes.h>
#include <stdio.h>

void say_bytes(struct mr_bytes b)
{
    if (b.n < 0) {
        fputs("null", stdout);
        return;
    }
    putchar('"');
    for (int32_t i = 0; i < b.n; i++) {
        unsigned char c = ((const unsigned char *)b.p)[i];
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

void say_text(const char *key, const char *text)
{
    printf(",\"%s\":", key);
    say_bytes(mr_text(text));
}

void say_partitions(const struct mr_partition *partitions, uint32_t count)
{
    putchar('[');
    for (uint32_t i = 0; i < count; i++) {
        fputs(i == 0 ? "[" : ",[", stdout);
        say_bytes(mr_text(partitions[i].topic));
        printf(",%d]", partitions[i].partition);
    }
    putchar(']');
}

void say_error(const struct mr_error *e)
{
    printf("\"code\":%d,\"advice\":%d,\"definite\":%d", e->code, e->advice, e->definite);
    if (e->code == MR_BROKER)
        say_text("kafka", mr_kafka_code_name(e->kafka_code));
    if (e->code != MR_OK)
        say_text("text", e->text);
}

void say_record(const struct mr_chunk *k, const struct mr_read *r)
{
    fputs("{\"record\":{\"topic\":", stdout);
    say_bytes(mr_text(mr_chunk_topic(k)));
    printf(",\"partition\":%d,\"offset\":%" PRId64 ",\"timestamp\":%" PRId64 ",\"key\":", mr_chunk_partition(k), r->offset,
           r->timestamp_ms);
    say_bytes(r->key);
    fputs(",\"value\":", stdout);
    say_bytes(r->value);
    fputs(",\"headers\":[", stdout);
    for (int32_t i = 0; i < r->header_count; i++) {
        struct mr_header h = mr_read_header(r, i);
        fputs(i == 0 ? "[" : ",[", stdout);
        say_bytes(h.key);
        putchar(',');
        say_bytes(h.value);
        putchar(']');
    }
    puts("]}}");
}
