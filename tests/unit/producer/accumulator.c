/* Records become batches. */
#include "lab.h"

#include <stdio.h>

static struct producer_batch *only_batch(struct producer_partition *part)
{
    accumulator_close_open(part);
    CHECK_EQ(part->queued, 1);
    return LIST_FIRST(&part->queue, struct producer_batch, node);
}

/* Two encoders, of which the other one is held against Kafka's bytes in tests/unit/record. */
TEST(accumulator, a_batch_has_the_bytes_that_the_builder_gives_it)
{
    static const struct record_header headers[] = {
        {STR("h1"), {(const uint8_t *)"a", 1}},
        {STR("h1"), {(const uint8_t *)"b", 1}},
        {STR("nil"), {NULL, -1}},
        {STR(""), {(const uint8_t *)"empty key", 9}},
    };
    static const char long_value[] = "a value that is longer than 64 bytes: 012345678901234567890123456789";
    struct producer_settings s;
    struct batch_builder builder;
    struct text want = {0};
    struct lab l;

    lab_settings(&s);
    lab_open(&l, &s);
    struct producer_topic *topic = lab_topic(&l, "t", 1);
    batch_builder_init(&builder);
    for (int i = 0; i < 5; i++) {
        struct producer_record r = {
            .topic = topic,
            .key = i % 2 == 0 ? BYTES_NULL : bytes_of_str(STR("key")),
            .value = i == 3 ? BYTES_NULL : bytes_of_str(str_of(i == 1 ? "" : long_value)),
            .headers = headers,
            .header_count = i,
            .timestamp_ms = 1767225600000 + 250 * i - (i == 2 ? 700 : 0),
        };
        CHECK_EQ(accumulator_append(&l.a, &r, 0, 0), 0);
        batch_builder_add(&builder, r.timestamp_ms, r.key, r.value, r.headers, r.header_count);
    }
    struct producer_batch *b = only_batch(topic->parts[0]);
    b->fate.producer_id = builder.producer_id = 4711;
    b->fate.producer_epoch = builder.producer_epoch = 2;
    b->fate.base_sequence = builder.base_sequence = 90;
    struct bytes got = lab_seal(&l, b);
    CHECK_EQ(batch_builder_finish(&builder, &want), 0);
    CHECK_BYTES(got.p, (size_t)got.n, want.p, want.n);
    text_deinit(&want);
    batch_builder_deinit(&builder);
    lab_drop(&l, topic);
    lab_close(&l);
}

/* Made by org.apache.kafka.clients 4.4 (tests/unit/record/golden.c, v2-none-idempotent), as it leaves the producer. */
TEST(accumulator, an_idempotent_batch_is_that_of_java)
{
    static const char golden[] = 
        "0000000000000000000000430000000102a5e53c090000000000010000019b76daa8000000019b76daa8"
        "010000000000000fa100020000001100000002100000000261023100100002020262023200";
    struct producer_settings s;
    struct lab l;
    struct text hex = {0};

    lab_settings(&s);
    lab_open(&l, &s);
    struct producer_topic *topic = lab_topic(&l, "t", 1);
    for (int i = 0; i < 2; i++) {
        struct producer_record r = {
            .topic = topic,
            .key = bytes_of_str(str_of(i == 0 ? "a" : "b")),
            .value = bytes_of_str(str_of(i == 0 ? "1" : "2")),
            .timestamp_ms = -1,
        };
        CHECK_EQ(accumulator_append(&l.a, &r, 0, 1767225600000 + i), 0);
    }
    struct producer_batch *b = only_batch(topic->parts[0]);
    b->fate.producer_id = 4001;
    b->fate.producer_epoch = 2;
    b->fate.base_sequence = 17;
    struct bytes got = lab_seal(&l, b);
    batch_stamp(batch_bytes(b), 0, 1);
    for (int32_t i = 0; i < got.n; i++)
        text_printf(&hex, "%02x", got.p[i]);
    CHECK_TEXT(text_str(&hex), golden);
    text_deinit(&hex);
    lab_drop(&l, topic);
    lab_close(&l);
}

/* A full batch is closed; the next record opens another one. Tags come back, zeros for those without. */
TEST(accumulator, full_batches_are_closed_and_tags_come_back)
{
    struct producer_settings s;
    struct text got = {0};
    struct lab l;

    lab_settings(&s);
    s.batch_size = 200;
    lab_open(&l, &s);
    struct producer_topic *topic = lab_topic(&l, "t", 2);
    CHECK_EQ(lab_append(&l, topic, 1, "a", "0123456789012345678901234567890123456789", 0), 0);
    CHECK_EQ(lab_append(&l, topic, 1, "b", "2", 5), 0);
    CHECK_EQ(lab_append(&l, topic, 1, "c", "3", 0), 0);
    CHECK_EQ(lab_append(&l, topic, 1, "d",
                        "0123456789012345678901234567890123456789012345678901234567890123456789", 8), 0);
    CHECK_EQ(topic->parts[1]->queued, 1);
    accumulator_close_open(topic->parts[1]);
    LIST_EACH(it, &topic->parts[1]->queue) {
        struct producer_batch *b = container_of(it, struct producer_batch, node);
        lab_seal(&l, b);
        lab_dump(b, &got);
    }
    CHECK_TEXT(text_str(&got), "1: a=0123456789012345678901234567890123456789#0 b=2#5 c=3#0\n"
                               "1: d=0123456789012345678901234567890123456789012345678901234567890123456789#8\n");
    text_deinit(&got);
    lab_drop(&l, topic);
    lab_close(&l);
}

TEST(accumulator, what_is_wrong_with_a_record_is_said)
{
    static const struct record_header no_key = {STR_NULL, BYTES_NULL};
    static char large[9000];
    struct producer_settings s;
    struct lab l;

    lab_settings(&s);
    lab_open(&l, &s);
    struct producer_topic *topic = lab_topic(&l, "t", 2);
    struct producer_record r = {
        .topic = topic, .partition = 2, .key = BYTES_NULL, .value = BYTES_NULL, .timestamp_ms = -1,
    };
    CHECK_EQ(accumulator_append(&l.a, &r, 0, 0), -ERANGE);
    r.partition = 0;
    r.timestamp_ms = -2;
    CHECK_EQ(accumulator_append(&l.a, &r, 0, 0), -EINVAL);
    r.timestamp_ms = 0;
    r.headers = &no_key;
    r.header_count = 1;
    CHECK_EQ(accumulator_append(&l.a, &r, 0, 0), -EINVAL);
    r.header_count = 0;
    r.value = (struct bytes){(const uint8_t *)large, 8 << 10};
    CHECK_EQ(accumulator_append(&l.a, &r, 0, 0), ERR_LIMIT); /* max.request.size */
    r.value.n = (8 << 10) - 200;
    CHECK_EQ(accumulator_append(&l.a, &r, 0, 0), 0);         /* larger than batch.size: alone */
    CHECK_EQ(topic->parts[0]->queued + (topic->parts[0]->open != NULL), 1);
    l.a.refuses = true;
    CHECK_EQ(accumulator_append(&l.a, &r, 0, 0), ERR_CLOSED);
    lab_drop(&l, topic);
    lab_close(&l);
}

/* buffer.memory bounds what is held; room comes back with the batches. */
TEST(accumulator, it_says_that_it_is_full)
{
    struct producer_settings s;
    struct lab l;
    int appended = 0, error;

    lab_settings(&s);
    s.buffer_memory = 10000;
    lab_open(&l, &s);
    struct producer_topic *topic = lab_topic(&l, "t", 40);
    while ((error = lab_append(&l, topic, appended, NULL, "value", 0)) == 0)
        appended++;
    CHECK_EQ(error, -EAGAIN);
    CHECK(l.a.full && l.a.woken);
    CHECK(l.a.memory.held_bytes <= 10000);
    CHECK(appended > 8 && appended < 20);
    CHECK_EQ(lab_append(&l, topic, 0, NULL, "into a batch that is open", 0), 0);
    lab_drop(&l, topic);
    CHECK_EQ(lab_append(&l, topic, 30, NULL, "value", 0), 0);
    lab_drop(&l, topic);
    lab_close(&l);
}

/* What is taken of buffer.memory is little more than what goes over the wire, whatever the size of records. */
TEST(accumulator, memory_is_little_more_than_what_is_sent)
{
    static const int sizes[] = {100, 1000, 5500, 6000, 9000, 15000, 40000};
    static char value[40001];

    for (size_t i = 0; i < array_count(sizes); i++) {
        for (int tagged = 0; tagged < 2; tagged++) {
            struct producer_settings s;
            uint64_t sent = 0, tag = 0;
            struct lab l;
            producer_settings_init(&s);
            lab_open(&l, &s);
            struct producer_topic *topic = lab_topic(&l, "t", 1);
            memset(value, 'x', sizeof value);
            value[sizes[i]] = '\0';
            for (uint64_t n = 1; l.a.memory.used_bytes < 2 << 20; n++)
                CHECK_EQ(lab_append(&l, topic, 0, NULL, value, tagged == 0 ? 0 : n), 0);
            accumulator_close_open(topic->parts[0]);
            LIST_EACH(it, &topic->parts[0]->queue) {
                struct producer_batch *b = container_of(it, struct producer_batch, node);
                for (int32_t k = 0; tagged != 0 && k < b->count; k++)
                    CHECK_EQ(batch_tags_end(b)[-1 - k], ++tag);
                CHECK_EQ(lab_seal(&l, b).n, b->n);
                sent += b->n;
            }
            CHECK(l.a.memory.used_bytes * 4 <= sent * 5);
            CHECK_EQ(l.a.memory.held_bytes, l.a.memory.used_bytes);
            lab_drop(&l, topic);
            lab_close(&l);
        }
    }
}

/* A node that has as many requests as it may is no reason to look: the sender does when one of them ends. */
TEST(accumulator, nobody_is_woken_for_a_node_that_takes_no_request)
{
    static char large[600];
    struct producer_node node = {.id = 1};
    struct producer_settings s;
    struct lab l;

    lab_settings(&s);
    lab_open(&l, &s);
    struct producer_topic *topic = lab_topic(&l, "t", 1);
    topic->wanted = true;
    lab_lead(topic, &node);
    memset(large, 'x', sizeof large - 1);
    for (uint32_t calls = s.max_in_flight; calls >= s.max_in_flight - 1; calls--) {
        node.calls = calls;
        l.a.woken = false;
        CHECK_EQ(lab_append(&l, topic, 0, NULL, large, 0), 0);
        CHECK_EQ(l.a.woken, calls < s.max_in_flight);
    }
    lab_drop(&l, topic);
    lab_close(&l);
}

/* A record of another size takes the place of free blocks; nothing is held beyond the limit. */
TEST(accumulator, free_blocks_make_room_for_large_records)
{
    static char large[7000];
    struct producer_settings s;
    struct lab l;

    lab_settings(&s);
    s.buffer_memory = 10000;
    lab_open(&l, &s);
    struct producer_topic *topic = lab_topic(&l, "t", 40);
    for (int i = 0; lab_append(&l, topic, i, NULL, "value", 0) == 0;)
        i++;
    lab_drop(&l, topic);
    memset(large, 'x', sizeof large - 1);
    CHECK_EQ(lab_append(&l, topic, 0, NULL, large, 0), 0);
    CHECK(l.a.memory.held_bytes <= 10000);
    lab_drop(&l, topic);
    lab_close(&l);
}

/* Until the partitions are known records wait in order; then they go where they would have gone. */
TEST(accumulator, records_wait_for_their_partitions)
{
    struct producer_settings s;
    struct list failed;
    struct text got = {0};
    struct lab l;

    lab_settings(&s);
    lab_open(&l, &s);
    list_init(&failed);
    struct producer_topic *topic = lab_topic(&l, "t", 0);
    CHECK_EQ(lab_append(&l, topic, -1, "key", "1", 1), 0);
    CHECK_EQ(lab_append(&l, topic, 0, "any", "2", 0), 0);
    CHECK_EQ(lab_append(&l, topic, 7, "lost", "3", 9), 0);
    CHECK_EQ(lab_append(&l, topic, -1, "key", "4", 0), 0);
    CHECK_EQ(accumulator_partitions(topic, 2), 0);
    CHECK_EQ(lab_append(&l, topic, -1, "key", "5", 0), 0); /* behind those that still wait */
    accumulator_place(topic, l.now_ms, &failed);
    CHECK(list_empty(&topic->waiting));
    CHECK(!list_linked(&topic->waits));
    int32_t at = producer_partition_of_key(bytes_of_str(STR("key")), 2);
    for (int i = 0; i < 2; i++) {
        if (topic->parts[i]->open == NULL)
            continue;
        struct producer_batch *b = only_batch(topic->parts[i]);
        lab_seal(&l, b);
        lab_dump(b, &got);
    }
    CHECK_EQ(at, 1);
    CHECK_TEXT(text_str(&got), "0: any=2\n1: key=1#1 key=4#0 key=5#0\n");
    struct producer_batch *lost = LIST_FIRST(&failed, struct producer_batch, node);
    CHECK(lost->fate.done && lost->fate.definite);
    CHECK_EQ(lost->count, 1);
    CHECK_EQ(batch_tags_end(lost)[-1], 9);
    list_remove(&lost->node);
    CHECK(list_empty(&failed));
    accumulator_free(&l.a, lost);
    text_deinit(&got);
    lab_drop(&l, topic);
    lab_close(&l);
}

/* Those that wait have taken all memory: they get moving all the same, and nothing is lost or out of order. */
TEST(accumulator, a_full_buffer_of_waiting_records_gets_moving)
{
    struct producer_settings s;
    struct list failed;
    struct lab l;
    char value[16];
    int appended = 0, seen = 0, last[8];

    lab_settings(&s);
    s.buffer_memory = 6000;
    lab_open(&l, &s);
    list_init(&failed);
    struct producer_topic *topic = lab_topic(&l, "t", 0);
    memset(last, -1, sizeof last);
    do
        snprintf(value, sizeof value, "%d", appended);
    while (lab_append(&l, topic, appended % 8, NULL, value, 0) == 0 && ++appended);
    CHECK(appended > 100);
    CHECK_EQ(accumulator_partitions(topic, 8), 0);
    for (int turn = 0; seen < appended; turn++) {
        CHECK(turn < 1000);
        accumulator_place(topic, l.now_ms, &failed);
        CHECK(l.a.memory.used_bytes <= 6000 + l.a.memory.block_bytes);
        for (int i = 0; i < 8; i++) { /* as if all were sent and acknowledged */
            accumulator_close_open(topic->parts[i]);
            LIST_EACH(it, &topic->parts[i]->queue) {
                struct producer_batch *b = container_of(it, struct producer_batch, node);
                struct batch view;
                struct records records;
                struct record r;
                lab_seal(&l, b);
                CHECK(batch_read((struct bytes){batch_bytes(b), (int32_t)b->n}, &view, NULL) > 0);
                CHECK_EQ(records_begin(&records, &view, 1 << 20), 0);
                while (records_next(&records, &r) == 1) {
                    int64_t n = -1;
                    CHECK_EQ(str_to_i64(str_of_bytes(r.value), 0, 1 << 20, &n), 0);
                    CHECK_EQ(n, last[i] < 0 ? i : last[i] + 8);
                    last[i] = (int)n;
                    seen++;
                }
                records_end(&records);
                list_remove(it);
                topic->parts[i]->queued--;
                accumulator_free(&l.a, b);
            }
        }
    }
    CHECK_EQ(seen, appended);
    lab_close(&l);
}

TEST(accumulator, batches_are_compressed_where_that_makes_them_smaller)
{
    static const struct producer_compression compressions[] = {
        {STR("logs-*"), CODEC_ZSTD, 3},
        {STR("?etrics"), CODEC_GZIP, 6},
    };
    static const struct { const char *topic; enum codec codec; } cases[] = {
        {"logs-", CODEC_ZSTD}, {"logs-web", CODEC_ZSTD}, {"log", CODEC_LZ4}, {"metrics", CODEC_GZIP},
        {"xmetrics", CODEC_LZ4},
    };
    struct producer_settings s;
    struct lab l;

    lab_settings(&s);
    s.codec = CODEC_LZ4;
    s.level = codec_level_default(CODEC_LZ4);
    memcpy(s.compressions, compressions, sizeof compressions);
    s.compression_count = array_count(compressions);
    lab_open(&l, &s);
    for (size_t i = 0; i < array_count(cases); i++) {
        struct producer_topic *topic = lab_topic(&l, cases[i].topic, 1);
        struct text plain = {0};
        struct batch view;
        for (int k = 0; k < 8; k++)
            CHECK_EQ(lab_append(&l, topic, 0, "key", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0), 0);
        struct producer_batch *b = only_batch(topic->parts[0]);
        uint32_t before = b->n;
        struct bytes got = lab_seal(&l, b);
        CHECK(got.n < (int32_t)before);
        CHECK_EQ(batch_read(got, &view, NULL), got.n);
        CHECK_EQ(batch_codec(&view), cases[i].codec);
        lab_dump(b, &plain); /* reads all records */
        text_deinit(&plain);
        lab_drop(&l, topic);
        CHECK_EQ(lab_append(&l, topic, 0, NULL, "x", 0), 0);
        b = only_batch(topic->parts[0]);
        got = lab_seal(&l, b);
        CHECK_EQ(batch_read(got, &view, NULL), got.n);
        CHECK_EQ(batch_codec(&view), CODEC_NONE); /* it would have grown */
        lab_drop(&l, topic);
    }
    lab_close(&l);
}

/* MESSAGE_TOO_LARGE: both halves stand in the batch's place, under its sequences. */
TEST(accumulator, a_batch_is_split_into_halves)
{
    struct producer_settings s;
    struct text got = {0};
    struct lab l;

    lab_settings(&s);
    s.codec = CODEC_GZIP;
    s.level = codec_level_default(CODEC_GZIP);
    lab_open(&l, &s);
    struct producer_topic *topic = lab_topic(&l, "t", 1);
    struct producer_partition *part = topic->parts[0];
    for (uint64_t i = 1; i <= 5; i++)
        CHECK_EQ(lab_append(&l, topic, 0, "k", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", i), 0);
    struct producer_batch *b = only_batch(part);
    b->fate.producer_id = 7;
    b->fate.base_sequence = INT32_MAX;
    lab_seal(&l, b);
    CHECK_EQ(accumulator_split(&l.a, b), 0);
    int32_t sequences[2], n = 0;
    LIST_EACH(it, &part->queue) {
        struct producer_batch *half = container_of(it, struct producer_batch, node);
        CHECK(n < 2);
        sequences[n++] = half->fate.base_sequence;
        CHECK_EQ(half->fate.producer_id, 7);
        lab_seal(&l, half);
        lab_dump(half, &got);
    }
    CHECK_EQ(n, 2);
    CHECK_EQ(sequences[0], INT32_MAX);
    CHECK_EQ(sequences[1], 1); /* behind the largest one comes 0 */
    CHECK_TEXT(text_str(&got), "0: k=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa#1 k=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa#2\n"
                               "0: k=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa#3 k=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa#4"
                               " k=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa#5\n");
    text_deinit(&got);
    lab_drop(&l, topic);
    lab_close(&l);
}

/* A flush waits for what was there before it, not for what comes later. */
TEST(accumulator, a_flush_waits_for_what_was_there)
{
    struct producer_settings s;
    struct list done;
    struct op first = {0}, second = {0};
    struct lab l;

    lab_settings(&s);
    s.linger_ms = 1000;
    lab_open(&l, &s);
    list_init(&done);
    struct producer_topic *topic = lab_topic(&l, "t", 2);
    CHECK_EQ(lab_append(&l, topic, 0, NULL, "before", 0), 0);
    CHECK(!accumulator_is_due(&l.a, topic->parts[0]->open, l.now_ms));
    CHECK_EQ(accumulator_flush(&l.a, &first), 0);
    CHECK(accumulator_is_due(&l.a, topic->parts[0]->open, l.now_ms));
    CHECK_EQ(lab_append(&l, topic, 1, NULL, "later", 0), 0);
    CHECK(!accumulator_is_due(&l.a, topic->parts[1]->open, l.now_ms));
    CHECK_EQ(accumulator_flush(&l.a, &second), 0);
    accumulator_flushed(&l.a, &done);
    CHECK(list_empty(&done));
    struct producer_batch *later = only_batch(topic->parts[1]), *before = only_batch(topic->parts[0]);
    list_remove(&later->node);
    topic->parts[1]->queued = 0;
    accumulator_free(&l.a, later);
    accumulator_flushed(&l.a, &done); /* flushes end in their order */
    CHECK(list_empty(&done));
    list_remove(&before->node);
    topic->parts[0]->queued = 0;
    accumulator_free(&l.a, before);
    accumulator_flushed(&l.a, &done);
    CHECK(list_take_head(&done) == &first.node);
    CHECK(list_take_head(&done) == &second.node);
    lab_close(&l);
}

/* ---- random histories ------------------------------------------------------------------------------------- */

#define MODEL_RECORDS 3000

/* What was appended to a partition and was not taken out yet. */
struct model {
    uint32_t numbers[MODEL_RECORDS], first, count;
};

/* Take the partition's oldest batch: it holds the oldest records of the model, whole and in order. */
static void take_batch(struct lab *l, struct producer_partition *part, struct model *m)
{
    struct producer_batch *b;
    struct batch view;
    struct records records;
    struct record r;

    if (part->queued == 0)
        accumulator_close_open(part);
    b = LIST_FIRST(&part->queue, struct producer_batch, node);
    if (b == NULL)
        return;
    lab_seal(l, b);
    CHECK_EQ(batch_read((struct bytes){batch_bytes(b), (int32_t)b->n}, &view, NULL), b->n);
    CHECK(batch_crc_ok(&view));
    CHECK_EQ(records_begin(&records, &view, 1 << 20), 0);
    for (int32_t i = 0; records_next(&records, &r) == 1; i++) {
        uint32_t n = m->numbers[m->first++];
        CHECK(m->first <= m->count);
        CHECK_EQ(r.value.n, 4 + (int32_t)(n % 700));
        CHECK_EQ(get_u32(r.value.p), n);
        CHECK_EQ(r.timestamp_ms, 1000000 + n % 50);
        CHECK_EQ(b->has_tags ? batch_tags_end(b)[-1 - i] : 0, n % 3 == 0 ? 0 : n);
    }
    records_end(&records);
    CHECK(b->n <= 512 || b->count == 1);
    list_remove(&b->node);
    part->queued--;
    accumulator_free(&l->a, b);
}

static void play(struct lab *l, struct prng *g, struct model *models, int32_t partitions)
{
    struct producer_topic *topic = lab_topic(l, "t", 0);
    struct list failed;
    uint8_t value[800] = {0};

    list_init(&failed);
    for (uint32_t n = 0; n < MODEL_RECORDS; n++) {
        int32_t at = (int32_t)prng_below(g, (uint64_t)partitions);
        struct producer_record r = {
            .topic = topic,
            .partition = at,
            .key = prng_below(g, 2) == 0 ? BYTES_NULL : bytes_of_str(STR("k")),
            .value = {value, 4 + (int32_t)(n % 700)},
            .timestamp_ms = 1000000 + n % 50,
            .tag = n % 3 == 0 ? 0 : n,
        };
        put_u32(value, n);
        if (n == 50)
            CHECK_EQ(accumulator_partitions(topic, partitions), 0);
        if (accumulator_append(&l->a, &r, l->now_ms, 0) == 0)
            models[at].numbers[models[at].count++] = n;
        CHECK(l->a.memory.held_bytes <= l->a.memory.limit_bytes + l->a.memory.block_bytes);
        accumulator_place(topic, l->now_ms, &failed);
        while (topic->partition_count > 0 && prng_below(g, 3) == 0) {
            at = (int32_t)prng_below(g, (uint64_t)partitions);
            take_batch(l, topic->parts[at], &models[at]);
        }
    }
    for (int32_t at = 0; at < partitions; at++) {
        accumulator_place(topic, l->now_ms, &failed);
        while (topic->parts[at]->open != NULL || topic->parts[at]->queued > 0)
            take_batch(l, topic->parts[at], &models[at]);
    }
    CHECK(list_empty(&failed));
}

TEST(accumulator, random_records_come_out_whole_and_in_order)
{
    static struct model models[5];

    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct producer_settings s;
        struct prng g;
        struct lab l;
        prng_init(&g, seed);
        lab_settings(&s);
        s.buffer_memory = 4000 + prng_below(&g, 60000);
        s.codec = (enum codec)(seed % CODEC_COUNT);
        s.level = codec_level_default(s.codec);
        lab_open(&l, &s);
        memset(models, 0, sizeof models);
        play(&l, &g, models, 1 + (int32_t)prng_below(&g, 5));
        for (int i = 0; i < 5; i++)
            CHECK_EQ(models[i].first, models[i].count);
        lab_close(&l);
    }
}
