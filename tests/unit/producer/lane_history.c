/* Random histories of one partition: the lane against a broker that loses, repeats, forgets and refuses. */
#include "lab.h"

#include <stdio.h>

#define RECORDS_MAX 4000
#define ON_THE_WIRE_MAX 16
#define REMEMBERED 5

/* What left: the broker sees these, whatever the producer thinks of the batch by then. */
struct sent {
    struct producer_batch *batch;
    int64_t producer_id;
    int32_t first, count, sequence; /* first: number of the first record */
    int16_t epoch;
    int16_t answer;                 /* once it was handled */
    int64_t offset;
    bool handled;
};

struct remembered {
    int32_t sequence, count;
    int64_t offset;
};

struct story {
    struct lab lab;
    struct prng g;
    struct producer_topic *topic;
    struct producer_partition *part;
    struct sent wire[ON_THE_WIRE_MAX], late[ON_THE_WIRE_MAX];
    uint32_t wire_count, late_count;
    bool trouble;                   /* else all is well */
    bool forgets;                   /* restarts keep only the newest batch of a producer */

    int32_t log[RECORDS_MAX * 2];   /* numbers of records, by offset */
    int32_t log_count;
    int64_t known_id;               /* -1 = the broker knows no producer */
    int16_t known_epoch;
    struct remembered known[REMEMBERED];
    uint32_t known_count;

    int32_t appended, told;         /* numbers of records so far */
    int32_t times[RECORDS_MAX];     /* in the log */
    uint32_t acked, lost_definite, lost_indefinite;
};

static uint64_t below(struct story *s, uint64_t n)
{
    return prng_below(&s->g, n);
}

/* ---- the broker ------------------------------------------------------------------------------------- */

static void broker_append(struct story *s, struct sent *w)
{
    w->offset = s->log_count;
    for (int32_t i = 0; i < w->count; i++) {
        CHECK(s->log_count < (int32_t)array_count(s->log));
        s->log[s->log_count++] = w->first + i;
        s->times[w->first + i]++;
    }
    if (s->known_id != w->producer_id || s->known_epoch != w->epoch)
        s->known_count = 0;
    s->known_id = w->producer_id;
    s->known_epoch = w->epoch;
    if (s->known_count == REMEMBERED)
        memmove(s->known, s->known + 1, sizeof *s->known * --s->known_count);
    s->known[s->known_count++] = (struct remembered){w->sequence, w->count, w->offset};
}

/* As Kafka checks sequences. */
static int16_t broker_handle(struct story *s, struct sent *w)
{
    const struct remembered *last = &s->known[s->known_count > 0 ? s->known_count - 1 : 0];

    if (s->known_id == w->producer_id) {
        if (w->epoch < s->known_epoch)
            return KERR_INVALID_PRODUCER_EPOCH;
        if (w->epoch > s->known_epoch && w->sequence != 0)
            return KERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
        for (uint32_t i = 0; w->epoch == s->known_epoch && i < s->known_count; i++) {
            if (s->known[i].sequence != w->sequence || s->known[i].count != w->count)
                continue;
            w->offset = s->known[i].offset;
            return KERR_NONE;
        }
        if (w->epoch == s->known_epoch && w->sequence != sequence_add(last->sequence, last->count))
            return KERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    }
    broker_append(s, w);
    return KERR_NONE;
}

static void broker_restart(struct story *s)
{
    if (!s->forgets || s->known_count <= 1)
        return;
    s->known[0] = s->known[s->known_count - 1];
    s->known_count = 1;
}

static void wire_handle(struct story *s, struct sent *w)
{
    static const int16_t before[] = {KERR_NOT_ENOUGH_REPLICAS, KERR_NOT_LEADER_OR_FOLLOWER, KERR_CORRUPT_MESSAGE,
                                     KERR_UNKNOWN_TOPIC_OR_PARTITION, KERR_INVALID_RECORD};
    static const int16_t after[] = {KERR_REQUEST_TIMED_OUT, KERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
                                    KERR_NOT_LEADER_OR_FOLLOWER, KERR_UNKNOWN_SERVER_ERROR};

    w->handled = true;
    if (s->trouble && w->count > 1 && below(s, 12) == 0) {
        w->answer = KERR_MESSAGE_TOO_LARGE;
        return;
    }
    if (s->trouble && below(s, 6) == 0) {
        w->answer = before[below(s, array_count(before))];
        return;
    }
    w->answer = broker_handle(s, w);
    if (s->trouble && w->answer == KERR_NONE && below(s, 10) == 0)
        w->answer = after[below(s, array_count(after))];
}

/* ---- the producer ------------------------------------------------------------------------------------- */

static void tell_done(struct story *s)
{
    struct producer_batch *b;

    while ((b = producer_lane_take(s->part)) != NULL) {
        uint64_t first = batch_tags_end(b)[-1] - 1;
        CHECK_EQ(first, s->told); /* in order, none is left out */
        for (int32_t i = 0; i < b->count; i++, s->told++) {
            if (b->why == WHY_NONE) {
                CHECK_EQ(s->times[s->told], 1);
                CHECK(b->fate.base_offset < 0 || s->log[b->fate.base_offset + i] == s->told);
                s->acked++;
            } else if (b->fate.definite) {
                CHECK_EQ(s->times[s->told], 0);
                s->times[s->told] = -1000; /* and never */
                s->lost_definite++;
            } else {
                s->lost_indefinite++;
            }
        }
        b->fate.told = true;
        if (!b->fate.on_its_way)
            accumulator_free(&s->lab.a, b);
    }
}

static void answer(struct story *s, struct sent *w, int trouble)
{
    struct lane_answer a = {
        .trouble = trouble,
        .sent = trouble != -ECANCELED,
        .code = trouble < 0 ? 0 : w->answer,
        .base_offset = w->offset,
        .append_time_ms = -1,
        .backoff_ms = (int64_t)below(s, 20),
    };
    enum lane_verdict verdict = producer_lane_answered(s->part, w->batch, &s->lab.rules, &a, s->lab.now_ms);

    if (verdict == LANE_SPLIT)
        CHECK_EQ(accumulator_split(&s->lab.a, w->batch), 0);
    if (verdict == LANE_DONE && w->batch->fate.told)
        accumulator_free(&s->lab.a, w->batch);
}

static void take_first(struct sent *all, uint32_t *count)
{
    memmove(all, all + 1, sizeof *all * --*count);
}

static void send_one(struct story *s)
{
    struct producer_batch *b = producer_lane_next(s->part, &s->lab.who, &s->lab.rules, s->part->open != NULL,
                                                  s->lab.now_ms);

    if (b == NULL) {
        if (s->lab.who.wanted) { /* another producer id, for all epochs are used; nothing fences the old one */
            s->lab.who = (struct lane_identity){.idempotent = true, .producer_id = (int64_t)s->lab.bumps + 100};
            s->late_count = 0;
        }
        return;
    }
    CHECK(s->wire_count < LANE_UNACKED_MAX);
    producer_lane_sent(s->part, b, &s->lab.who);
    b->fate.left = true;
    lab_seal(&s->lab, b);
    struct batch view;
    CHECK(batch_read((struct bytes){batch_bytes(b), (int32_t)b->n}, &view, NULL) > 0);
    s->wire[s->wire_count++] = (struct sent){
        .batch = b,
        .producer_id = view.producer_id,
        .epoch = view.producer_epoch,
        .sequence = view.base_sequence,
        .first = (int32_t)batch_tags_end(b)[-1] - 1,
        .count = b->count,
        .offset = -1,
    };
}

/* The connection ends: of what is on its way the broker has handled some, and may handle more later. */
static void cut(struct story *s)
{
    while (s->wire_count > 0) {
        struct sent w = s->wire[0];
        take_first(s->wire, &s->wire_count);
        if (!w.handled && s->late_count < ON_THE_WIRE_MAX && below(s, 2) == 0)
            s->late[s->late_count++] = w;
        answer(s, &w, -ECONNRESET);
    }
}

static void append(struct story *s)
{
    char value[16];

    if (s->appended == RECORDS_MAX)
        return;
    snprintf(value, sizeof value, "%d", s->appended);
    if (lab_append(&s->lab, s->topic, 0, NULL, value, (uint64_t)s->appended + 1) == 0)
        s->appended++;
}

static void step(struct story *s)
{
    switch (below(s, s->trouble ? 16 : 10)) {
    case 0 ... 3:
        for (uint64_t n = below(s, 6); n > 0; n--)
            append(s);
        break;
    case 4 ... 5:
        send_one(s);
        break;
    case 6 ... 7:
        for (uint32_t i = 0; i < s->wire_count; i++) {
            if (s->wire[i].handled)
                continue;
            wire_handle(s, &s->wire[i]);
            break;
        }
        break;
    case 8:
        if (s->wire_count > 0 && s->wire[0].handled) {
            struct sent w = s->wire[0];
            take_first(s->wire, &s->wire_count);
            answer(s, &w, 0);
        }
        break;
    case 9:
        s->lab.now_ms += (int64_t)below(s, 30);
        break;
    case 10:
        cut(s);
        break;
    case 11:
        broker_restart(s);
        cut(s);
        break;
    case 12:
        if (s->late_count > 0) { /* a request of a connection that has ended is handled now */
            struct sent w = s->late[0];
            take_first(s->late, &s->late_count);
            (void)broker_handle(s, &w);
        }
        break;
    case 13:
        if (below(s, 20) == 0)
            s->lab.now_ms += 600;
        break;
    default:
        break;
    }
    producer_lane_expire(s->part, &s->lab.rules, s->lab.now_ms);
    tell_done(s);
}

static void play(uint64_t seed, struct story *s)
{
    struct producer_settings settings;

    memset(s, 0, sizeof *s);
    prng_init(&s->g, seed);
    lab_settings(&settings);
    settings.delivery_timeout_ms = 500;
    settings.batch_size = 150;
    lab_open(&s->lab, &settings);
    s->lab.who.producer_epoch = (int16_t)(below(s, 4) == 0 ? INT16_MAX - 2 : 0);
    s->known_id = -1;
    s->forgets = below(s, 2) == 0;
    s->topic = lab_topic(&s->lab, "t", 1);
    s->part = s->topic->parts[0];
    s->trouble = true;
    for (int i = 0; i < 3000; i++)
        step(s);
    s->trouble = false; /* all is well from now on: whatever is there comes to its end */
    for (int i = 0; i < 20000 && (s->told < s->appended || s->wire_count > 0); i++)
        step(s);
    for (int i = 0; i < 20000 && (s->appended < RECORDS_MAX || s->told < s->appended || s->wire_count > 0); i++)
        step(s);
    CHECK_EQ(s->told, s->appended);
    for (int32_t i = 1; i < s->log_count; i++) /* P3: in order; and so nothing is there twice */
        CHECK(s->log[i - 1] < s->log[i]);
    lab_close(&s->lab);
}

/* P1, P2, P3 of producer.h. */
TEST(lane, random_histories_lose_nothing_repeat_nothing_and_keep_the_order)
{
    static struct story s;
    uint64_t acked = 0, definite = 0, indefinite = 0, bumps = 0;

    for (uint64_t seed = 1; seed <= 400; seed++) {
        play(seed, &s);
        acked += s.acked;
        definite += s.lost_definite;
        indefinite += s.lost_indefinite;
        bumps += s.lab.bumps;
    }
    CHECK(acked > 100000); /* the histories are about something */
    CHECK(definite > 1000);
    CHECK(indefinite > 1000);
    CHECK(bumps > 1000);
}
