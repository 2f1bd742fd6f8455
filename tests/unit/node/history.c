/* Random histories: controllers come and go, here and elsewhere, fail and are silent, while clients ask. Every request
 * ends once and in time; what may not be done twice is not done twice; what was said to be done, was. */
#include "lab.h"

#include <stdlib.h>

#include "protocol/create_topics.h"

#define SEEDS 150
#define STEPS 80
#define QUESTIONS_MAX STEPS

struct history {
    struct lab lab;
    struct prng *prng;
    struct question questions[QUESTIONS_MAX];
    int64_t asked_ns[QUESTIONS_MAX];
    uint32_t count;
    int64_t healed_ns;
    int32_t epoch;
    uint32_t ended_well, in_doubt, here; /* of all seeds */
};

static int64_t draw(struct history *h, int64_t below)
{
    return (int64_t)prng_below(h->prng, (uint64_t)below);
}

static void ask(struct history *h)
{
    static const int16_t apis[] = {API_CREATE_TOPICS, API_CREATE_TOPICS, API_ALTER_CONFIGS};
    struct question *q = &h->questions[h->count];

    if (h->count == QUESTIONS_MAX)
        return;
    h->asked_ns[h->count++] = sim_now_ns(script_sim(h->lab.s));
    question_init(q, apis[draw(h, array_count(apis))]);
    question_forward(&h->lab, q);
}

static void change_leader(struct history *h)
{
    static const int32_t nodes[] = {1, 2, NODE_ID, -1};
    int32_t id = nodes[draw(h, array_count(nodes))];

    lab_lead(&h->lab, id, ++h->epoch);
    if (id != NODE_ID)
        return;
    h->lab.quorum->hold = draw(h, 3) == 0;
    script_pass(h->lab.s, draw(h, 50));
    lab_claim(&h->lab, h->epoch);
}

static void harm(struct history *h)
{
    static const enum script_fault faults[] = {SCRIPT_CUT, SCRIPT_CUT_AFTER, SCRIPT_SILENT, SCRIPT_DELAY,
                                             SCRIPT_CORRELATION};
    static const int16_t apis[] = {API_ENVELOPE, API_ENVELOPE, API_BROKER_HEARTBEAT, -1};
    int32_t broker = 1 + (int32_t)draw(h, 2);

    if (draw(h, 4) == 0)
        script_stop(h->lab.s, broker);
    else
        script_fault(h->lab.s, broker, apis[draw(h, array_count(apis))], faults[draw(h, array_count(faults))],
                     draw(h, 3000));
    if (draw(h, 2) == 0)
        script_start(h->lab.s, broker);
}

static void step(struct history *h)
{
    switch (draw(h, 6)) {
    case 0:
        change_leader(h);
        break;
    case 1:
        harm(h);
        break;
    default:
        ask(h);
    }
    if (draw(h, 3) > 0)
        script_pass(h->lab.s, draw(h, draw(h, 5) == 0 ? 8000 : 200));
}

static void heal(struct history *h)
{
    h->healed_ns = sim_now_ns(script_sim(h->lab.s));
    script_faults_clear(h->lab.s);
    script_start(h->lab.s, 1);
    script_start(h->lab.s, 2);
    h->lab.quorum->hold = false;
    lab_lead(&h->lab, 2, ++h->epoch); /* not on a connection that waits for what a fault holds back */
    lab_lead(&h->lab, 1, ++h->epoch);
    script_pass(h->lab.s, 31000);
}

static bool is_here(const struct history *h, const struct question *q)
{
    const struct create_topics_request *m = q->request;

    return q->call.api_key == API_CREATE_TOPICS &&
           image_topic_find(node_image(h->lab.node), m->topics[0].name) != NULL;
}

static void judge(struct history *h, struct question *q, int64_t asked_ns)
{
    uint32_t elsewhere = lab_carried_out(&h->lab, q);
    bool here = is_here(h, q);

    CHECK(q->done);
    CHECK(q->error == KERR_NONE || q->error == KERR_REQUEST_TIMED_OUT);
    if (q->call.api_key == API_CREATE_TOPICS) {
        CHECK(elsewhere + here <= 1);
        CHECK(q->error != KERR_NONE || elsewhere + here == 1);
    } else if (asked_ns + 25 * SEC > h->healed_ns) {
        CHECK_EQ(q->error, KERR_NONE); /* it may be repeated until it is done, and there was time left for that */
    }
    h->ended_well += q->error == KERR_NONE;
    h->in_doubt += q->error != KERR_NONE && elsewhere > 0;
    h->here += here;
    question_end(q);
}

TEST(history, every_request_ends_once_and_nothing_is_done_twice)
{
    struct history *h = calloc(1, sizeof *h);

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        lab_init(&h->lab, seed, "broker,controller");
        h->prng = sim_prng(script_sim(h->lab.s));
        h->count = 0;
        h->epoch = 1;
        lab_run(&h->lab);
        for (int i = 0; i < STEPS; i++)
            step(h);
        heal(h);
        CHECK_TEXT(h->lab.fatal.text, "");
        for (uint32_t i = 0; i < h->count; i++)
            judge(h, &h->questions[i], h->asked_ns[i]);
        lab_end(&h->lab);
    }
    CHECK(h->ended_well > 5000 && h->in_doubt > 20 && h->here > 200); /* it was a history */
    free(h);
}
