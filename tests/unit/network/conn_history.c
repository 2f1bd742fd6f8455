/* The server end of a connection in random histories: any session, any client, any weather. */
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>

struct pair {
    struct lab lab;
    struct host h;
    struct guest g;
};

/* What a random session does with a frame. */
static void any_frame(struct host *h, struct taken *t)
{
    struct prng *g = h->ctx;

    switch (prng_below(g, 8)) {
    case 0:
        host_answer(t, (uint32_t)prng_below(g, 200));
        return;
    case 1:
        host_answer_spans(t, (uint32_t)prng_below(g, 100000), 1 + (uint32_t)prng_below(g, 60));
        return;
    case 2:
        conn_pause(h->conn, prng_below(g, 2) == 0);
        return;
    case 3:
        host_answer(host_last(h), 3);
        return;
    case 4:
        if (prng_below(g, 40) == 0)
            conn_close(h->conn, "chance");
        return;
    default:
        return; /* later */
    }
}

static void any_act(struct pair *p, struct prng *g)
{
    struct host *h = &p->h;

    if (h->gone || h->conn == NULL)
        return;
    switch (prng_below(g, 8)) {
    case 0:
    case 1:
    case 2:
        if (h->parked_count > 0)
            host_answer(prng_below(g, 2) == 0 ? host_first(h) : host_last(h),
                        (uint32_t)prng_below(g, 3000));
        return;
    case 3:
    case 4:
        conn_pause(h->conn, false);
        return;
    case 5: {
        struct conn_limits limits = h->limits;
        limits.unsent_bytes_max = 1 + prng_below(g, 300000);
        conn_set_limits(h->conn, &limits);
        return;
    }
    case 6:
        if (p->g.socket != NULL && p->g.out.n < 100000)
            guest_frame(&p->g, h->frames * 100 + (uint32_t)prng_below(g, 100),
                        4 + (uint32_t)prng_below(g, prng_below(g, 10) == 0 ? 300000 : 50));
        return;
    default:
        if (prng_below(g, 500) == 0)
            conn_close(h->conn, "chance");
    }
}

/* The guest has the answers of a beginning of the history, in the order of the frames. */
static void check_order(const struct pair *p)
{
    struct str seen = text_str(&p->g.ids), all = text_str(&p->h.ids), id, frame;

    while (str_cut(&seen, ' ', &id) && id.n > 0) {
        do {
            CHECK(str_cut(&all, ' ', &frame));
        } while (!str_equal(frame, id)); /* frames in between had no answer */
    }
}

/* Memory is scarce: large frames wait, and another user of it comes and goes. */
static void any_memory(struct ledger *l, struct prng *g, uint64_t *other)
{
    if (l->serving_soon)
        ledger_serve(l);
    if (prng_below(g, 30) != 0)
        return;
    if (*other == 0) {
        *other = 1 + prng_below(g, 400000);
        ledger_charge(l, LEDGER_TAILS, *other);
    } else {
        ledger_return(l, LEDGER_TAILS, *other);
        *other = 0;
    }
}

static void serve_later(void *ctx)
{
    (void)ctx; /* any_memory sees `serving_soon` */
}

TEST(conn, any_history_keeps_the_order_and_ends)
{
    uint64_t answers = 0, waited = 0;

    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct pair p;
        struct sim_options options = sim_options_swarm(seed);
        struct conn_limits limits = limits_wide;
        struct ledger ledger;
        uint64_t other = 0;
        ledger_init(&ledger, 400000);
        ledger.serve_soon = serve_later;
        limits.ledger = &ledger;
        options.fail_ppm[SIM_SEND] /= 20; /* not the end at once */
        lab_sim(&p.lab, seed, &options);
        struct prng *g = sim_prng(p.lab.sim);
        limits.in_flight_max = 1 + (uint32_t)prng_below(g, 20);
        limits.idle_ms = prng_below(g, 2) == 0 ? 0 : 1000;
        lab_listen(&p.lab);
        host_accept(&p.h, &p.lab, &limits, true);
        p.h.ctx = g;
        p.h.on_frame = any_frame;
        guest_connect(&p.g, &p.lab);
        p.g.cut_ppm = 300000;
        guest_read(&p.g);
        for (int i = 0; i < 3000 && !p.h.gone && !p.g.ended; i++) {
            any_act(&p, g);
            any_memory(&ledger, g, &other);
            waited += !list_empty(&ledger.waiting);
            if (!sim_step(p.lab.sim))
                lab_pass(&p.lab, MS);
        }
        check_order(&p);
        answers += p.g.answers;
        if (p.h.conn == NULL && !p.h.closed) { /* the connection was lost before it was accepted */
            lab_unlisten(&p.lab);
            text_deinit(&p.h.ids);
        } else {
            host_end(&p.h);
        }
        guest_end(&p.g);
        lab_end(&p.lab);
        CHECK(list_empty(&ledger.waiting));
        CHECK_EQ(ledger.used_bytes, other);
    }
    CHECK(answers > 1000); /* else nothing was tested */
    CHECK(waited > 100);
}
