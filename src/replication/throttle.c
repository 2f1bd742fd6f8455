/* How fast replicas are copied, over a window that moves; and whom that concerns. */
#include "replication/replication.h"

struct window {
    int64_t span_ms, sample_ms, step_ms;
};

/* Settings go up to 2^31 samples of 2^31 seconds. */
static struct window window_of(const struct throttle_rule *rule)
{
    struct window w = {.sample_ms = rule->sample_seconds * 1000};

    w.span_ms = rule->samples > INT64_MAX / 2 / w.sample_ms ? INT64_MAX / 2 : rule->samples * w.sample_ms;
    w.step_ms = w.span_ms / THROTTLE_SAMPLES_MAX + 1;
    if (w.step_ms < w.sample_ms)
        w.step_ms = w.sample_ms;
    return w;
}

/* Old samples go, and with them the bytes up to the next one. */
static void forget_old(struct throttle *t, const struct window *w, int64_t now_ms)
{
    while (t->count > 0 && now_ms - t->samples[t->first].at_ms >= w->span_ms) {
        t->first = (t->first + 1) % THROTTLE_SAMPLES_MAX;
        t->count--;
    }
}

static void take_sample(struct throttle *t, const struct window *w, uint64_t total, int64_t now_ms)
{
    uint32_t next = (t->first + t->count) % THROTTLE_SAMPLES_MAX;
    uint32_t newest = (next + THROTTLE_SAMPLES_MAX - 1) % THROTTLE_SAMPLES_MAX;

    if (t->count > 0 && now_ms - t->samples[newest].at_ms < w->step_ms)
        return;
    ASSERT(t->count < THROTTLE_SAMPLES_MAX);
    t->samples[next].at_ms = now_ms;
    t->samples[next].total = total;
    t->count++;
}

/* The bytes since the oldest sample; how long ago that is. */
static uint64_t measure(struct throttle *t, const struct window *w, uint64_t total, int64_t now_ms, int64_t *elapsed_ms)
{
    forget_old(t, w, now_ms);
    take_sample(t, w, total, now_ms);
    *elapsed_ms = now_ms - t->samples[t->first].at_ms;
    return total - t->samples[t->first].total;
}

/* A second that has just begun does not make the rate higher than it is. */
static int64_t divisor_ms(const struct window *w, int64_t elapsed_ms)
{
    return elapsed_ms < w->sample_ms ? w->sample_ms : elapsed_ms;
}

/* How long the bytes would have taken at the rate. */
static int64_t due_ms(uint64_t bytes, int64_t rate)
{
    if (bytes == 0)
        return 0;
    if (rate == 0 || bytes > INT64_MAX / 2000)
        return INT64_MAX / 2;
    return (int64_t)((bytes * 1000 - 1) / (uint64_t)rate) + 1;
}

int64_t throttle_wait_ms(struct throttle *t, const struct throttle_rule *rule, uint64_t total, int64_t now_ms)
{
    struct window w = window_of(rule);
    int64_t elapsed_ms, wait_ms;
    uint64_t bytes = measure(t, &w, total, now_ms, &elapsed_ms);
    int64_t due = due_ms(bytes, rule->rate);

    if (rule->rate == INT64_MAX || due <= divisor_ms(&w, elapsed_ms))
        return 0;
    wait_ms = (due < w.span_ms ? due : w.span_ms) - elapsed_ms;
    return wait_ms < THROTTLE_WAIT_MAX_MS ? wait_ms : THROTTLE_WAIT_MAX_MS;
}

int64_t throttle_rate(struct throttle *t, const struct throttle_rule *rule, uint64_t total, int64_t now_ms)
{
    struct window w = window_of(rule);
    int64_t elapsed_ms;
    uint64_t bytes = measure(t, &w, total, now_ms, &elapsed_ms);

    return (int64_t)((double)bytes * 1000 / (double)divisor_ms(&w, elapsed_ms));
}

bool throttle_lists(struct str list, int32_t partition, int32_t id)
{
    struct str rest = str_trim(list), broker, of;
    int64_t number;

    if (str_equal(rest, STR("*")))
        return true;
    while (str_cut(&rest, ',', &broker)) {
        if (!str_cut(&broker, ':', &of) || str_to_i64(str_trim(of), 0, INT32_MAX, &number) < 0 || number != partition)
            continue;
        if (str_to_i64(str_trim(broker), 0, INT32_MAX, &number) == 0 && number == id)
            return true;
    }
    return false;
}
