/* Fetch sessions (KIP-227): what a client tells once, and what it is told only when it changes. */
#include "lab.h"

#include "protocol/create_topics.h"
#include "protocol/fetch.h"

#define PARTITIONS 6

static struct lab lab;
static struct client reader, writer;
static struct uuid topic;

static void begin_with(uint32_t shards, const char *slots)
{
    lab_init(&lab, shards, NULL, shards);
    lab_set(&lab, "max.incremental.fetch.session.cache.slots", slots);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &reader, 9092);
    client_open(&lab, &writer, 9092);
    topic = lab_topic(&lab, &writer, "t", PARTITIONS);
}

static void begin(uint32_t shards)
{
    begin_with(shards, "1000");
}

static void end(void)
{
    CHECK_EQ(lab_stop(&lab), 0);
    client_end(&reader);
    client_end(&writer);
    lab_deinit(&lab);
}

/* What a client knows of its session. */
struct follower {
    int16_t version;
    int32_t session_id, epoch, max_wait_ms, min_bytes;
    int8_t isolation;
    int64_t positions[PARTITIONS], high_watermarks[PARTITIONS];
};

static struct follower follower_new(void)
{
    return (struct follower){.version = 13, .max_wait_ms = 300, .min_bytes = 1};
}

/* Bits of `ask`: partitions that the request names; of `forget`: those that it no longer follows. */
static const struct fetch_request *request_of(const struct follower *f, uint32_t ask, uint32_t forget)
{
    struct arena *arena = &reader.arena;
    struct fetch_request *m = arena_take(arena, sizeof *m);
    struct fetch_request_topics *t = arena_take(arena, sizeof *t);
    struct fetch_request_topics_partitions *p = arena_take_array(arena, PARTITIONS, sizeof *p);
    struct fetch_request_forgotten_topics_data *gone = arena_take(arena, sizeof *gone);
    int32_t *numbers = arena_take_array(arena, PARTITIONS, sizeof *numbers);

    fetch_request_init(m);
    m->max_wait_ms = f->max_wait_ms;
    m->min_bytes = f->min_bytes;
    m->session_id = f->session_id;
    m->session_epoch = f->epoch;
    m->isolation_level = f->isolation;
    fetch_request_topics_init(t);
    t->topic = STR("t");
    t->topic_id = topic;
    t->partitions = p;
    fetch_request_forgotten_topics_data_init(gone);
    gone->topic = STR("t");
    gone->topic_id = topic;
    gone->partitions = numbers;
    for (int32_t i = 0; i < PARTITIONS; i++) {
        if (ask & 1u << i) {
            struct fetch_request_topics_partitions *one = &p[t->partitions_count++];
            fetch_request_topics_partitions_init(one);
            one->partition = i;
            one->fetch_offset = f->positions[i];
            one->partition_max_bytes = 1 << 20;
        }
        if (forget & 1u << i)
            numbers[gone->partitions_count++] = i;
    }
    m->topics = t;
    m->topics_count = t->partitions_count > 0;
    m->forgotten_topics_data = gone;
    m->forgotten_topics_data_count = gone->partitions_count > 0;
    return m;
}

/* Take an answer: bits of the partitions that it tells of. */
static uint32_t take(struct follower *f, const struct fetch_response *a, uint32_t *with_records)
{
    uint32_t told = 0;

    *with_records = 0;
    CHECK_EQ(a->error_code, KERR_NONE);
    f->session_id = a->session_id;
    f->epoch = a->session_id == 0 ? 0 : f->epoch + 1;
    for (int32_t t = 0; t < a->responses_count; t++) {
        for (int32_t i = 0; i < a->responses[t].partitions_count; i++) {
            const struct fetch_response_responses_partitions *p = &a->responses[t].partitions[i];
            CHECK_EQ(p->error_code, KERR_NONE);
            CHECK_EQ(told & 1u << p->partition_index, 0);
            told |= 1u << p->partition_index;
            f->high_watermarks[p->partition_index] = p->high_watermark;
            int32_t n = records_in(p->records);
            f->positions[p->partition_index] += n;
            if (n > 0)
                *with_records |= 1u << p->partition_index;
        }
    }
    return told;
}

static uint32_t ask(struct follower *f, uint32_t what, uint32_t forget, uint32_t *with_records)
{
    return take(f, client_ask(&reader, API_FETCH, f->version, request_of(f, what, forget)), with_records);
}

static int16_t ask_error(const struct follower *f, uint32_t what)
{
    const struct fetch_response *a = client_ask(&reader, API_FETCH, f->version, request_of(f, what, 0));

    CHECK_EQ(a->responses_count, 0);
    return a->error_code;
}

#define ALL ((1u << PARTITIONS) - 1)

TEST(broker_fetch_sessions, only_what_changes_is_asked_and_told)
{
    for (uint32_t shards = 1; shards <= 4; shards++) {
        struct follower f = follower_new();
        uint32_t records;
        begin(shards);
        lab_produce(&writer, topic, 2, 5);
        CHECK_EQ(ask(&f, ALL, 0, &records), ALL); /* the first answer is whole */
        CHECK_EQ(records, 1u << 2);
        CHECK(f.session_id != 0);
        CHECK_EQ(ask(&f, 1u << 2, 0, &records), 0); /* time is up, and there is nothing to say */
        for (int32_t p = 0; p < PARTITIONS; p++) {
            client_post(&reader, API_FETCH, f.version, request_of(&f, p > 0 ? 1u << (p - 1) : 0, 0));
            lab_pass(&lab, 100 * MS);
            CHECK(!client_has_answer(&reader));
            lab_produce(&writer, topic, p, 3);
            CHECK_EQ(take(&f, client_answer(&reader, API_FETCH, f.version, reader.correlation), &records), 1u << p);
            CHECK_EQ(records, 1u << p);
        }
        CHECK_EQ(f.positions[2], 8);
        end();
    }
}

TEST(broker_fetch_sessions, records_come_again_until_the_client_moves_on)
{
    struct follower f = follower_new();
    uint32_t records;

    begin(2);
    CHECK_EQ(ask(&f, ALL, 0, &records), ALL);
    lab_produce(&writer, topic, 1, 4);
    lab_produce(&writer, topic, 4, 4);
    CHECK_EQ(ask(&f, 0, 0, &records), 1u << 1 | 1u << 4);
    CHECK_EQ(ask(&f, 1u << 4, 0, &records), 1u << 1); /* it still stands at 0 there, as it was told */
    CHECK_EQ(f.positions[1], 8);
    f.positions[1] = 4;
    CHECK_EQ(ask(&f, 1u << 1, 0, &records), 0);
    end();
}

TEST(broker_fetch_sessions, forgotten_partitions_are_not_told_of_and_may_come_back)
{
    for (uint32_t shards = 1; shards <= 3; shards++) {
        struct follower f = follower_new();
        uint32_t records;
        begin(shards);
        CHECK_EQ(ask(&f, ALL & ~1u, 0, &records), ALL & ~1u);
        CHECK_EQ(ask(&f, 1, 1u << 3 | 1u << 5, &records), 1); /* new: told at once that there is nothing, in its time */
        for (int32_t p = 0; p < PARTITIONS; p++)
            lab_produce(&writer, topic, p, 1);
        CHECK_EQ(ask(&f, 0, 0, &records), ALL & ~(1u << 3 | 1u << 5));
        CHECK_EQ(ask(&f, ALL, 0, &records), 1u << 3 | 1u << 5);
        CHECK_EQ(records, 1u << 3 | 1u << 5);
        end();
    }
}

TEST(broker_fetch_sessions, wrong_ids_and_epochs_are_refused)
{
    struct follower f = follower_new();
    uint32_t records;

    begin(2);
    f.epoch = 1;
    CHECK_EQ(ask_error(&f, ALL), KERR_FETCH_SESSION_ID_NOT_FOUND);
    f.epoch = 0;
    ask(&f, ALL, 0, &records);
    struct follower wrong = f;
    wrong.session_id++;
    CHECK_EQ(ask_error(&wrong, 0), KERR_FETCH_SESSION_ID_NOT_FOUND);
    wrong = f;
    wrong.epoch = 7;
    CHECK_EQ(ask_error(&wrong, 0), KERR_INVALID_FETCH_SESSION_EPOCH);
    wrong = f;
    wrong.version = 12;
    CHECK_EQ(ask_error(&wrong, 0), KERR_FETCH_SESSION_TOPIC_ID_ERROR);
    ask(&f, 0, 0, &records); /* the session has not suffered */
    wrong = f;
    wrong.epoch = -1;
    CHECK_EQ(ask(&wrong, ALL, 0, &records), ALL); /* the last one: whole, and no session any more */
    CHECK_EQ(wrong.session_id, 0);
    CHECK_EQ(ask_error(&f, 0), KERR_FETCH_SESSION_ID_NOT_FOUND);
    end();
}

TEST(broker_fetch_sessions, without_a_slot_there_is_none)
{
    struct follower f = follower_new();
    uint32_t records;

    begin_with(1, "0");
    CHECK_EQ(ask(&f, ALL, 0, &records), ALL);
    CHECK_EQ(f.session_id, 0);
    end();
    begin_with(1, "1");
    CHECK_EQ(ask(&f, ALL, 0, &records), ALL);
    CHECK(f.session_id != 0);
    struct client first = reader;
    client_open(&lab, &reader, 9092);
    struct follower other = follower_new();
    CHECK_EQ(ask(&other, ALL, 0, &records), ALL);
    CHECK_EQ(other.session_id, 0);
    lab_pass(&lab, 130 * SEC); /* the first one has not been used for two minutes: it makes room */
    CHECK_EQ(ask(&other, ALL, 0, &records), ALL);
    CHECK(other.session_id != 0);
    client_end(&reader);
    reader = first;
    CHECK_EQ(ask_error(&f, 0), KERR_FETCH_SESSION_ID_NOT_FOUND);
    end();
}

/* By name (up to version 12) a session lives on over a topic's end and its return. */
TEST(broker_fetch_sessions, a_topic_that_is_made_anew_is_found_by_its_name)
{
    for (uint32_t shards = 1; shards <= 4; shards++) {
        struct follower f = follower_new();
        uint32_t records, tries = 0;
        begin(shards);
        f.version = 12;
        lab_produce(&writer, topic, 0, 2);
        CHECK_EQ(ask(&f, ALL, 0, &records), ALL);
        CHECK_EQ(ask(&f, 1, 0, &records), 0);
        lab_delete_topic(&lab, &writer, "t");
        const struct fetch_response *a = client_ask(&reader, API_FETCH, 12, request_of(&f, 0, 0));
        CHECK_EQ(a->error_code, KERR_NONE);
        CHECK(a->responses_count > 0 && a->responses[0].partitions[0].error_code != KERR_NONE);
        f.epoch++;
        topic = lab_topic(&lab, &writer, "t", PARTITIONS);
        for (int32_t p = 0; p < PARTITIONS; p++) {
            lab_produce(&writer, topic, p, 1);
            f.positions[p] = 0;
        }
        bool failed;
        do { /* an error is told once more where it was already known */
            a = client_ask(&reader, API_FETCH, 12, request_of(&f, ALL, 0));
            CHECK_EQ(a->error_code, KERR_NONE);
            f.epoch++;
            failed = a->responses[0].partitions[0].error_code != KERR_NONE;
        } while (failed && ++tries < 3);
        f.epoch--;
        take(&f, a, &records);
        CHECK_EQ(records, ALL);
        end();
    }
}

TEST(broker_fetch_sessions, a_session_ends_with_its_connection)
{
    for (uint32_t shards = 1; shards <= 4; shards++) {
        for (int64_t after_us = 0; after_us < 2000; after_us += 200) {
            struct follower f = follower_new();
            uint32_t records;
            begin(shards);
            ask(&f, ALL, 0, &records);
            f.max_wait_ms = 600000;
            client_post(&reader, API_FETCH, 13, request_of(&f, 0, 0));
            lab_pass(&lab, after_us * 1000);
            if (after_us % 400 == 0)
                lab_produce(&writer, topic, 3, 1);
            client_end(&reader);
            lab_until_connections(&lab, 1);
            client_open(&lab, &reader, 9092);
            CHECK_EQ(ask_error(&f, 0), KERR_FETCH_SESSION_ID_NOT_FOUND);
            end();
        }
    }
}

/* A random life: whatever is produced, in whatever order it is asked for, each record comes once and every
 * high watermark is told in the end. */
static void live(uint64_t seed, uint32_t shards)
{
    struct sim_options weather = {.outlier_ppm = 50000};
    struct follower f = follower_new();
    int64_t ends[PARTITIONS] = {0};
    uint32_t followed = 0, moved = 0, records;

    lab_init(&lab, seed, &weather, shards);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &reader, 9092);
    client_open(&lab, &writer, 9092);
    topic = lab_topic(&lab, &writer, "t", PARTITIONS);
    struct prng *prng = sim_prng(lab.sim);
    f.version = prng_below(prng, 2) == 0 ? 12 : 13;
    for (uint32_t turn = 0; turn < 40; turn++) {
        for (uint32_t n = (uint32_t)prng_below(prng, 4); n > 0; n--) {
            int32_t p = (int32_t)prng_below(prng, PARTITIONS);
            CHECK_EQ(lab_produce(&writer, topic, p, 1 + n % 3), ends[p]);
            ends[p] += 1 + n % 3;
        }
        uint32_t wanted = turn >= 36 ? ALL : prng_below(prng, 3) == 0 ? (uint32_t)prng_below(prng, ALL + 1) : followed;
        if (f.session_id == 0)
            followed = 0;
        f.max_wait_ms = (int32_t)prng_below(prng, 30);
        f.min_bytes = (int32_t)prng_below(prng, 500);
        f.isolation = prng_below(prng, 5) == 0;
        client_post(&reader, API_FETCH, f.version, request_of(&f, (wanted & ~followed) | (moved & wanted), followed & ~wanted));
        if (prng_below(prng, 2) == 0) {
            int32_t p = (int32_t)prng_below(prng, PARTITIONS);
            CHECK_EQ(lab_produce(&writer, topic, p, 2), ends[p]);
            ends[p] += 2;
        }
        uint32_t told = take(&f, client_answer(&reader, API_FETCH, f.version, reader.correlation), &moved);
        CHECK_EQ(told & ~wanted, 0);
        followed = wanted;
        if (prng_below(prng, 15) == 0) { /* begin anew */
            client_end(&reader);
            client_open(&lab, &reader, 9092);
            f.session_id = f.epoch = 0;
        }
    }
    f.min_bytes = 1;
    f.max_wait_ms = 50;
    for (int i = 0; i < 3; i++) {
        ask(&f, (f.session_id == 0 ? ALL : ALL & ~followed) | moved, 0, &records);
        followed = ALL;
        moved = records;
    }
    for (int32_t p = 0; p < PARTITIONS; p++) {
        CHECK_EQ(f.positions[p], ends[p]);
        CHECK_EQ(f.high_watermarks[p], ends[p]);
    }
    end();
}

TEST(broker_fetch_sessions, a_random_life_loses_nothing_and_repeats_nothing)
{
    for (uint64_t seed = 1; seed <= 150; seed++)
        live(seed, 1 + seed % 4);
}
