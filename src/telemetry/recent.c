/* The last minute of what happens: two samples, of which the older one goes when a third begins. */
#include "telemetry/telemetry.h"

static int64_t sample_at(int64_t now_ms)
{
    return now_ms / RECENT_SAMPLE_MS;
}

/* `r` as it is at `now_ms`. */
static struct recent at(const struct recent *r, int64_t now_ms)
{
    int64_t sample = sample_at(now_ms);

    if (sample == r->sample)
        return *r;
    struct recent moved = {.sample = sample};
    if (sample == r->sample + 1)
        moved.last = r->now;
    return moved;
}

void recent_add(struct recent *r, int64_t now_ms, uint64_t value)
{
    *r = at(r, now_ms);
    r->now.count++;
    r->now.sum += value;
    if (value > r->now.max)
        r->now.max = value;
}

struct recent_sum recent_sum(const struct recent *r, int64_t now_ms)
{
    struct recent moved = at(r, now_ms);

    return (struct recent_sum){
        .count = moved.last.count + moved.now.count,
        .sum = moved.last.sum + moved.now.sum,
        .max = moved.last.max > moved.now.max ? moved.last.max : moved.now.max,
        .ms = RECENT_SAMPLE_MS + now_ms % RECENT_SAMPLE_MS,
    };
}
