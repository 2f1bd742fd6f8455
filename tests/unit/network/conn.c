/* The server end of a connection. */
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>

struct pair {
    struct lab lab;
    struct host h;
    struct guest g;
};

/* A connection in a calm world; the host parks what comes. */
static void pair_open(struct pair *p, const struct conn_limits *limits)
{
    lab_sim(&p->lab, 1, NULL);
    lab_listen(&p->lab);
    host_accept(&p->h, &p->lab, limits, true);
    guest_connect(&p->g, &p->lab);
    UNTIL(&p->lab, p->h.conn != NULL);
    guest_read(&p->g);
}

static void pair_end(struct pair *p)
{
    host_end(&p->h);
    guest_end(&p->g);
    lab_end(&p->lab);
}

/* ---- frames in ------------------------------------------------------------------------------ */

TEST(conn, many_frames_of_one_receive_come_whole_and_in_order)
{
    struct pair p;

    pair_open(&p, &limits_wide);
    for (uint32_t i = 1; i <= 20; i++)
        guest_frame(&p.g, i, 4 + i % 3);
    UNTIL(&p.lab, p.h.frames == 20);
    CHECK_TEXT(text_str(&p.h.ids), "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 ");
    pair_end(&p);
}

TEST(conn, frame_comes_whole_however_its_bytes_are_cut)
{
    for (uint32_t cut = 1; cut < 40; cut++) {
        struct pair p;
        struct text bytes = {0};
        uint8_t head[8];
        pair_open(&p, &limits_wide);
        for (uint32_t id = 1; id <= 3; id++) {
            put_u32(head, 9);
            put_u32(head + 4, id);
            text_add(&bytes, head, 8);
            for (uint32_t i = 4; i < 9; i++) {
                uint8_t byte = pattern(id, i);
                text_add(&bytes, &byte, 1);
            }
        }
        guest_send(&p.g, bytes.p, cut < bytes.n ? cut : bytes.n);
        lab_pass(&p.lab, 100 * MS);
        CHECK_EQ(p.h.frames, (cut < bytes.n ? cut : bytes.n) / 13);
        if (cut < bytes.n)
            guest_send(&p.g, bytes.p + cut, bytes.n - cut);
        UNTIL(&p.lab, p.h.frames == 3);
        CHECK_TEXT(text_str(&p.h.ids), "1 2 3 ");
        text_deinit(&bytes);
        pair_end(&p);
    }
}

TEST(conn, large_frame_comes_whole)
{
    struct pair p;

    pair_open(&p, &limits_wide);
    guest_frame(&p.g, 1, 5 << 20);
    guest_frame(&p.g, 2, 4);
    guest_frame(&p.g, 3, 70000);
    UNTIL(&p.lab, p.h.frames == 3);
    CHECK_EQ(host_first(&p.h)->frame.bytes.n, 5 << 20);
    pair_end(&p);
}

static void length_is_refused(int32_t length, uint32_t allowed)
{
    struct pair p;
    struct conn_limits limits = limits_wide;
    uint8_t bytes[8] = {0};
    char expected[300];

    limits.frame_bytes_max = allowed;
    pair_open(&p, &limits);
    guest_frame(&p.g, 1, 4);
    put_u32(bytes, (uint32_t)length);
    guest_send(&p.g, bytes, sizeof bytes);
    UNTIL(&p.lab, p.h.closed);
    CHECK_EQ(p.h.frames, 1); /* what came before is still answered for */
    CHECK_TEXT(p.h.why, "its request was larger than socket.request.max.bytes, or no request");
    snprintf(expected, sizeof expected,
             "a request of %d bytes was refused: 1 to %u (socket.request.max.bytes) are allowed; "
             "the peer may not speak the Kafka protocol, or may use TLS on a plain listener\n",
             (int)length, allowed);
    CHECK_TEXT(text_str(&p.lab.said), expected);
    UNTIL(&p.lab, p.g.ended);
    pair_end(&p);
}

TEST(conn, length_that_is_not_allowed_closes)
{
    length_is_refused(0, 100);
    length_is_refused(-1, 100);
    length_is_refused(INT32_MIN, 100);
    length_is_refused(101, 100);
    length_is_refused(INT32_MAX, 100u << 20);
    length_is_refused(0x16030100, 100u << 20); /* a TLS hello */
}

TEST(conn, frame_of_exactly_the_limit_is_allowed)
{
    struct pair p;
    struct conn_limits limits = limits_wide;

    limits.frame_bytes_max = 100;
    pair_open(&p, &limits);
    guest_frame(&p.g, 1, 100);
    UNTIL(&p.lab, p.h.frames == 1);
    CHECK(conn_is_open(p.h.conn));
    pair_end(&p);
}

TEST(conn, session_without_memory_closes)
{
    struct pair p;

    pair_open(&p, &limits_wide);
    p.h.refuse_take = true;
    guest_frame(&p.g, 1, 4);
    guest_frame(&p.g, 2, 4);
    UNTIL(&p.lab, p.h.gone);
    CHECK_EQ(p.h.frames, 0);
    CHECK_TEXT(p.h.why, "there is no memory for another request");
    pair_end(&p);
}

TEST(conn, nothing_is_read_before_the_start)
{
    struct pair p;

    lab_sim(&p.lab, 1, NULL);
    lab_listen(&p.lab);
    host_accept(&p.h, &p.lab, &limits_wide, false);
    guest_connect(&p.g, &p.lab);
    guest_frame(&p.g, 1, 4);
    lab_pass(&p.lab, SEC);
    CHECK_EQ(p.h.frames, 0);
    conn_start(p.h.conn);
    UNTIL(&p.lab, p.h.frames == 1);
    pair_end(&p);
}

/* ---- limits --------------------------------------------------------------------------------- */

TEST(conn, no_more_than_in_flight_max_are_handed_out)
{
    struct pair p;
    struct conn_limits limits = limits_wide;

    limits.in_flight_max = 3;
    pair_open(&p, &limits);
    for (uint32_t i = 1; i <= 10; i++)
        guest_frame(&p.g, i, 4);
    lab_pass(&p.lab, SEC);
    CHECK_EQ(p.h.frames, 3);
    host_answer(host_last(&p.h), 1); /* answered, but it waits for the first: still in flight */
    lab_pass(&p.lab, SEC);
    CHECK_EQ(p.h.frames, 3);
    host_answer_none(host_last(&p.h));
    lab_pass(&p.lab, SEC);
    CHECK_EQ(p.h.frames, 4);
    host_answer(host_first(&p.h), 1);
    lab_pass(&p.lab, SEC);
    CHECK_EQ(p.h.frames, 6);
    CHECK_TEXT(text_str(&p.g.ids), "1 3 ");
    while (p.h.frames < 10 || p.h.parked_count > 0) {
        if (p.h.parked_count > 0)
            host_answer(host_first(&p.h), 1);
        else
            CHECK(lab_turn(&p.lab));
    }
    UNTIL(&p.lab, p.g.answers == 9);
    CHECK_TEXT(text_str(&p.h.ids), "1 2 3 4 5 6 7 8 9 10 ");
    CHECK_TEXT(text_str(&p.g.ids), "1 3 4 5 6 7 8 9 10 ");
    pair_end(&p);
}

static void answer_at_once(struct host *h, struct taken *t)
{
    host_answer(t, 5);
}

TEST(conn, answers_inside_the_frame_call_do_not_pile_up)
{
    struct pair p;
    struct conn_limits limits = limits_wide;

    limits.in_flight_max = 1;
    pair_open(&p, &limits);
    p.h.on_frame = answer_at_once;
    for (uint32_t i = 1; i <= 30; i++)
        guest_frame(&p.g, i, 4);
    UNTIL(&p.lab, p.g.answers == 30);
    CHECK_TEXT(text_str(&p.g.ids), text_str(&p.h.ids).p);
    pair_end(&p);
}

TEST(conn, burst_that_is_answered_at_once_leaves_in_one_send)
{
    struct pair p;

    pair_open(&p, &limits_wide);
    p.h.on_frame = answer_at_once;
    for (uint32_t i = 1; i <= 10; i++)
        guest_frame(&p.g, i, 4);
    UNTIL(&p.lab, p.g.answers == 10);
    /* The guest sends twice: the first frame, and what gathered behind it. */
    CHECK_EQ(sim_node_counters(p.lab.near)->done[SIM_SEND], 2);
    pair_end(&p);
}

static void answer_large(struct host *h, struct taken *t)
{
    host_answer(t, 2u << 20);
}

TEST(conn, reading_stops_while_answers_are_not_sent)
{
    struct pair p;
    struct conn_limits limits = limits_wide;

    limits.unsent_bytes_max = 3u << 20;
    lab_sim(&p.lab, 1, NULL);
    lab_listen(&p.lab);
    host_accept(&p.h, &p.lab, &limits, true);
    guest_connect(&p.g, &p.lab);
    p.h.on_frame = answer_large;
    for (uint32_t i = 1; i <= 50; i++)
        guest_frame(&p.g, i, 4);
    lab_pass(&p.lab, SEC);
    CHECK_EQ(p.h.frames, 2); /* the guest does not read, and the limit is passed once */
    guest_read(&p.g);
    UNTIL(&p.lab, p.g.answers == 50);
    host_end(&p.h);
    guest_end(&p.g);
    lab_end(&p.lab);
}

/* A large frame is not received before there is memory for it; a small one is. */
TEST(conn, large_frame_waits_for_memory)
{
    struct pair p;
    struct conn_limits limits = limits_wide;
    struct ledger ledger;

    ledger_init(&ledger, 100000);
    limits.ledger = &ledger;
    pair_open(&p, &limits);
    ledger_charge(&ledger, LEDGER_TAILS, 60000);
    guest_frame(&p.g, 1, 1000);
    guest_frame(&p.g, 2, 50000);
    guest_frame(&p.g, 3, 4);
    lab_pass(&p.lab, SEC);
    CHECK_EQ(p.h.frames, 1);
    CHECK(!list_empty(&ledger.waiting));
    CHECK_EQ(ledger.uses[LEDGER_REQUESTS], 0);
    ledger_return(&ledger, LEDGER_TAILS, 60000);
    ledger_serve(&ledger);
    UNTIL(&p.lab, p.h.frames == 3);
    CHECK_EQ(ledger.uses[LEDGER_REQUESTS], 50000);
    CHECK_EQ(ledger.uses[LEDGER_WORK], 1004); /* of the small ones */
    pair_end(&p);
    CHECK_EQ(ledger.used_bytes, 0);
}

TEST(conn, frame_that_never_fits_into_memory_closes)
{
    struct pair p;
    struct conn_limits limits = limits_wide;
    struct ledger ledger;

    ledger_init(&ledger, 100000);
    limits.ledger = &ledger;
    limits.memory_bytes_max = 100000;
    pair_open(&p, &limits);
    guest_frame(&p.g, 1, 100000);
    UNTIL(&p.lab, p.h.frames == 1);
    guest_frame(&p.g, 2, 100001);
    UNTIL(&p.lab, p.h.closed);
    CHECK(strstr(p.lab.said.p, "millrace.memory.bytes leaves 100000 bytes for one") != NULL);
    pair_end(&p);
    CHECK_EQ(ledger.used_bytes, 0);
}

static void pause_here(struct host *h, struct taken *t)
{
    conn_pause(h->conn, true);
}

TEST(conn, pause_holds_back_what_was_received)
{
    struct pair p;

    pair_open(&p, &limits_wide);
    p.h.on_frame = pause_here;
    for (uint32_t i = 1; i <= 5; i++)
        guest_frame(&p.g, i, 4);
    for (uint32_t i = 1; i <= 5; i++) {
        lab_pass(&p.lab, SEC);
        CHECK_EQ(p.h.frames, i);
        p.h.inside = true;
        conn_pause(p.h.conn, false);
        p.h.inside = false;
    }
    CHECK_TEXT(text_str(&p.h.ids), "1 2 3 4 5 ");
    pair_end(&p);
}

TEST(conn, new_limits_act_at_once)
{
    struct pair p;
    struct conn_limits limits = limits_wide;

    limits.in_flight_max = 1;
    pair_open(&p, &limits);
    for (uint32_t i = 1; i <= 4; i++)
        guest_frame(&p.g, i, 4);
    lab_pass(&p.lab, SEC);
    CHECK_EQ(p.h.frames, 1);
    limits.in_flight_max = p.h.limits.in_flight_max = 3;
    conn_set_limits(p.h.conn, &limits);
    lab_pass(&p.lab, SEC);
    CHECK_EQ(p.h.frames, 3);
    limits.idle_ms = 5000;
    conn_set_limits(p.h.conn, &limits);
    p.h.on_frame = answer_at_once; /* the fourth */
    while (p.h.parked_count > 0)
        host_answer(host_first(&p.h), 0);
    UNTIL(&p.lab, p.h.closed);
    CHECK_TEXT(p.h.why, "it was idle for connections.max.idle.ms");
    pair_end(&p);
}

/* ---- answers out ---------------------------------------------------------------------------- */

TEST(conn, answers_leave_in_the_order_of_the_frames)
{
    struct pair p;

    pair_open(&p, &limits_wide);
    for (uint32_t i = 1; i <= 9; i++)
        guest_frame(&p.g, i, 4);
    UNTIL(&p.lab, p.h.frames == 9);
    while (p.h.parked_count > 1)
        host_answer(host_last(&p.h), 100);
    lab_pass(&p.lab, SEC);
    CHECK_EQ(p.g.answers, 0);
    CHECK_EQ(p.h.gives, 0);
    host_answer(host_first(&p.h), 100);
    UNTIL(&p.lab, p.g.answers == 9);
    CHECK_TEXT(text_str(&p.g.ids), "1 2 3 4 5 6 7 8 9 ");
    CHECK_EQ(p.h.gives, 9);
    CHECK_EQ(p.h.releases, 9);
    pair_end(&p);
}

/* A client that wants no answers must not fill memory behind one that is late. */
TEST(conn, frame_without_answer_is_given_back_at_once)
{
    struct pair p;

    pair_open(&p, &limits_wide);
    for (uint32_t i = 1; i <= 4; i++)
        guest_frame(&p.g, i, 4);
    UNTIL(&p.lab, p.h.frames == 4);
    host_answer(host_last(&p.h), 1);
    host_answer_none(host_last(&p.h));
    CHECK_EQ(p.h.gives, 1);
    host_answer_none(host_last(&p.h));
    CHECK_EQ(p.h.gives, 2);
    host_answer(host_first(&p.h), 1);
    UNTIL(&p.lab, p.g.answers == 2);
    CHECK_TEXT(text_str(&p.g.ids), "1 4 ");
    pair_end(&p);
}

static void answer_first(struct host *h)
{
    if (h->parked_count > 0)
        host_answer(host_first(h), 3);
}

static void answer_none_first(struct host *h)
{
    if (h->parked_count > 0)
        host_answer_none(host_first(h));
}

TEST(conn, give_may_answer_the_next_frame)
{
    struct pair p;

    pair_open(&p, &limits_wide);
    for (uint32_t i = 1; i <= 9; i++)
        guest_frame(&p.g, i, 4);
    UNTIL(&p.lab, p.h.frames == 9);
    p.h.on_give = answer_first;
    host_answer(host_first(&p.h), 3);
    UNTIL(&p.lab, p.g.answers == 9);
    p.h.on_give = answer_none_first;
    for (uint32_t i = 10; i <= 19; i++)
        guest_frame(&p.g, i, 4);
    UNTIL(&p.lab, p.h.frames == 19);
    host_answer_none(host_last(&p.h));
    CHECK_EQ(p.h.gives, 19);
    p.h.on_give = NULL;
    pair_end(&p);
}

TEST(conn, answer_may_have_any_number_of_spans)
{
    struct pair p;
    static const uint32_t spans[] = {1, 30, 31, 32, 33, 400, 1, 1, 64};

    pair_open(&p, &limits_wide);
    for (uint32_t i = 1; i <= array_count(spans); i++)
        guest_frame(&p.g, i, 4);
    UNTIL(&p.lab, p.h.frames == array_count(spans));
    while (p.h.parked_count > 1)
        host_answer_spans(host_last(&p.h), 5000, spans[host_last(&p.h)->id - 1]);
    host_answer_spans(host_first(&p.h), 5000, spans[0]);
    UNTIL(&p.lab, p.g.answers == array_count(spans));
    CHECK_TEXT(text_str(&p.g.ids), "1 2 3 4 5 6 7 8 9 ");
    pair_end(&p);
}

static void file_spans(struct lab *lab)
{
    struct host h;
    struct guest g;
    struct wait w;
    struct io_file *file = lab_pattern_file(lab);

    host_accept(&h, lab, &limits_wide, true);
    guest_connect(&g, lab);
    guest_read(&g);
    h.file = file;
    for (uint32_t i = 0; i < 6; i++)
        guest_frame(&g, 0, 4); /* id 0: its answer comes from the file */
    UNTIL(lab, h.frames == 6);
    while (h.parked_count > 0)
        host_answer_spans(host_first(&h), PATTERN_FILE_BYTES >> h.parked_count, h.parked_count);
    UNTIL(lab, g.answers == 6);
    host_end(&h);
    io_close(file, wait_begin(&w));
    CHECK_EQ(wait_end(lab, &w), 0);
    guest_end(&g);
}

TEST(conn, spans_of_files_are_sent_from_where_they_lie)
{
    struct lab lab;

    lab_sim(&lab, 3, NULL);
    lab_listen(&lab);
    file_spans(&lab);
    lab_end(&lab);
}

/* ---- idle ----------------------------------------------------------------------------------- */

TEST(conn, idle_connection_is_closed_and_a_waiting_frame_is_no_idleness)
{
    struct pair p;
    struct conn_limits limits = limits_wide;

    limits.idle_ms = 10000;
    pair_open(&p, &limits);
    int64_t begin_ns = sim_now_ns(p.lab.sim);
    for (uint32_t i = 1; i <= 3; i++) { /* half a frame counts as well */
        lab_pass(&p.lab, 8 * SEC);
        guest_send(&p.g, "\0", 1);
    }
    guest_send(&p.g, "\x04____", 5);
    lab_pass(&p.lab, 50 * SEC);
    CHECK_EQ(p.h.frames, 1);
    CHECK(!p.h.closed);
    host_answer(host_first(&p.h), 0);
    UNTIL(&p.lab, p.h.closed);
    CHECK_TEXT(p.h.why, "it was idle for connections.max.idle.ms");
    int64_t took_ns = sim_now_ns(p.lab.sim) - begin_ns;
    CHECK(took_ns >= 84 * SEC && took_ns < 95 * SEC);
    pair_end(&p);
}

TEST(conn, guest_that_does_not_read_its_answer_is_idle)
{
    struct pair p;
    struct conn_limits limits = limits_wide;

    limits.idle_ms = 10000;
    lab_sim(&p.lab, 1, NULL);
    lab_listen(&p.lab);
    host_accept(&p.h, &p.lab, &limits, true);
    guest_connect(&p.g, &p.lab);
    guest_frame(&p.g, 1, 4);
    UNTIL(&p.lab, p.h.frames == 1);
    host_answer(host_first(&p.h), 16 << 20);
    UNTIL(&p.lab, p.h.gone);
    CHECK_TEXT(p.h.why, "it was idle for connections.max.idle.ms");
    pair_end(&p);
}

TEST(conn, never_means_never)
{
    static const int64_t never[] = {0, -1, INT64_MIN, INT64_MAX, INT64_MAX / 1000};

    for (size_t i = 0; i < array_count(never); i++) {
        struct pair p;
        struct conn_limits limits = limits_wide;
        limits.idle_ms = never[i];
        pair_open(&p, &limits);
        lab_pass(&p.lab, 3000 * SEC);
        CHECK(!p.h.closed);
        host_end(&p.h);
        guest_end(&p.g);
        lab_end(&p.lab);
    }
}

/* ---- the end -------------------------------------------------------------------------------- */

TEST(conn, guest_that_ends_closes_after_its_last_frame)
{
    struct pair p;

    pair_open(&p, &limits_wide);
    guest_frame(&p.g, 1, 4);
    guest_frame(&p.g, 2, 4);
    UNTIL(&p.lab, !p.g.sending && p.g.out.n == 0);
    guest_end(&p.g);
    UNTIL(&p.lab, p.h.closed);
    CHECK_EQ(p.h.frames, 2);
    CHECK_TEXT(p.h.why, "the peer closed it");
    CHECK(!p.h.gone); /* two frames are still out */
    host_answer(host_first(&p.h), 1);
    CHECK_EQ(p.h.gives, 1);
    CHECK(!p.h.gone);
    host_answer(host_first(&p.h), 1);
    CHECK_EQ(p.h.gives, 2);
    CHECK(!p.h.gone); /* not inside conn_answer */
    UNTIL(&p.lab, p.h.gone);
    host_end(&p.h);
    lab_end(&p.lab);
}

TEST(conn, reset_closes)
{
    struct pair p;

    pair_open(&p, &limits_wide);
    guest_frame(&p.g, 1, 4);
    UNTIL(&p.lab, p.h.frames == 1);
    sim_net_reset(p.lab.near, p.lab.far);
    UNTIL(&p.lab, p.h.closed);
    CHECK_TEXT(p.h.why, error_text(-ECONNRESET));
    pair_end(&p);
}

/* Whatever a connection is doing when it is closed: it tells once, gives everything back, is
 * gone. */
enum moment {
    NOT_STARTED, FRESH, IN_LENGTH, IN_FRAME, IN_LARGE_FRAME, PARKED, PARKED_FULL, PAUSED,
    ANSWERED_BEHIND, SENDING, SENDING_MANY, IN_FRAME_CALL, IN_GIVE_CALL, MOMENTS
};

static void close_here(struct host *h, struct taken *t)
{
    if (t->id < 3)
        return;
    h->on_frame = NULL;
    conn_close(h->conn, "here");
    conn_close(h->conn, "and again");
}

static void answer_and_close_here(struct host *h, struct taken *t)
{
    host_answer(t, 100);
    conn_close(h->conn, "here");
}

static void close_in_give(struct host *h)
{
    h->on_give = NULL;
    conn_close(h->conn, "here");
}

static void bring_to(struct pair *p, enum moment m)
{
    struct conn_limits limits = limits_wide;

    if (m == PARKED_FULL)
        limits.in_flight_max = 2;
    lab_sim(&p->lab, (uint64_t)m, NULL);
    lab_listen(&p->lab);
    host_accept(&p->h, &p->lab, &limits, m != NOT_STARTED);
    guest_connect(&p->g, &p->lab);
    UNTIL(&p->lab, p->h.conn != NULL);
    if (m == IN_FRAME_CALL)
        p->h.on_frame = close_here;
    if (m == IN_LENGTH)
        guest_send(&p->g, "\0\0", 2);
    if (m == IN_FRAME)
        guest_send(&p->g, "\0\0\1\0___", 7);
    if (m == IN_LARGE_FRAME)
        guest_send(&p->g, "\1\0\0\0___", 7);
    if (m == PAUSED)
        conn_pause(p->h.conn, true);
    for (uint32_t i = 1; m >= PARKED && i <= 6; i++)
        guest_frame(&p->g, i, 4);
    lab_pass(&p->lab, SEC);
    if (m == ANSWERED_BEHIND || m == SENDING_MANY) {
        while (p->h.parked_count > 1)
            host_answer(host_last(&p->h), 1 << 20);
    }
    if (m == SENDING || m == SENDING_MANY)
        host_answer(host_first(&p->h), 16 << 20); /* the guest does not read */
    if (m == IN_GIVE_CALL) {
        p->h.on_give = close_in_give;
        host_answer_none(host_last(&p->h));
    }
}

static void answer_all(struct host *h)
{
    while (h->parked_count > 0)
        host_answer(host_last(h), 10);
}

TEST(conn, close_at_any_moment_gives_everything_back)
{
    for (int m = 0; m < MOMENTS; m++) {
        for (int way = 0; way < 4; way++) {
            struct pair p;
            bring_to(&p, (enum moment)m);
            if (p.h.gone) { /* it was closed in that moment */
                pair_end(&p);
                continue;
            }
            if (way == 1) /* answers in the moment of the end */
                p.h.on_closed = answer_all;
            conn_close(p.h.conn, "here");
            if (way == 2) /* answers before the end */
                answer_all(&p.h);
            CHECK(!p.h.closed || m >= IN_FRAME_CALL); /* not inside conn_close */
            CHECK(!conn_is_open(p.h.conn));
            conn_set_limits(p.h.conn, &limits_wide);
            conn_start(p.h.conn);
            conn_pause(p.h.conn, true);
            conn_pause(p.h.conn, false);
            UNTIL(&p.lab, p.h.closed);
            if (way == 3 && !p.h.gone) /* much later */
                lab_pass(&p.lab, 1000 * SEC);
            CHECK_TEXT(p.h.why, "here");
            pair_end(&p);
        }
    }
}

TEST(conn, close_inside_calls_of_the_session_is_no_harm)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct pair p;
        lab_sim(&p.lab, seed, NULL);
        lab_listen(&p.lab);
        host_accept(&p.h, &p.lab, &limits_wide, true);
        guest_connect(&p.g, &p.lab);
        guest_read(&p.g);
        UNTIL(&p.lab, p.h.conn != NULL);
        for (uint32_t i = 1; i <= 6; i++)
            guest_frame(&p.g, i, 4);
        UNTIL(&p.lab, p.h.frames == 6);
        p.h.on_frame = answer_and_close_here;
        guest_frame(&p.g, 7, 4);
        guest_frame(&p.g, 8, 4);
        p.h.on_give = seed % 2 == 0 ? answer_first : close_in_give;
        if (seed % 3 == 0)
            p.h.on_closed = answer_all;
        UNTIL(&p.lab, p.h.frames == 7);
        CHECK(!conn_is_open(p.h.conn));
        pair_end(&p);
    }
}

TEST(conn, idle_timer_does_not_outlive_its_connection)
{
    struct pair p;
    struct conn_limits limits = limits_wide;

    limits.idle_ms = 1000;
    pair_open(&p, &limits);
    conn_close(p.h.conn, "here");
    conn_set_limits(p.h.conn, &limits);
    conn_start(p.h.conn);
    UNTIL(&p.lab, p.h.gone);
    lab_pass(&p.lab, 100 * SEC);
    pair_end(&p);
}

/* ---- the real world ------------------------------------------------------------------------- */

TEST(conn, frames_and_answers_pass_a_real_socket)
{
    struct lab lab;
    struct host h;
    struct guest g;
    struct conn_limits limits = limits_wide;

    lab_real(&lab);
    lab_listen(&lab);
    file_spans(&lab);
    limits.in_flight_max = 4;
    host_accept(&h, &lab, &limits, true);
    guest_connect(&g, &lab);
    guest_read(&g);
    g.cut_ppm = 500000;
    h.on_frame = answer_at_once;
    for (uint32_t i = 1; i <= 200; i++)
        guest_frame(&g, i, i % 50 == 0 ? 1 << 20 : 4 + i % 7);
    UNTIL(&lab, g.answers == 200);
    CHECK_TEXT(text_str(&g.ids), text_str(&h.ids).p);
    h.on_frame = NULL;
    guest_frame(&g, 201, 4);
    UNTIL(&lab, h.parked_count == 1);
    host_answer(host_first(&h), 48 << 20); /* closed in the middle of it */
    conn_close(h.conn, "here");
    host_end(&h);
    guest_end(&g);
    lab_end(&lab);
}
