/* A subscriber: a member of the group by our own consumer (room consumer), held to what that promises.
 *
 *   every record once and in order from where the group had come to, nothing left out; what is done is committed and
 *   never more; what is revoked is not handed out any more; one owner per generation; commits that never go back.
 */
#include <stdlib.h>

#include "clients.h"
#include "member.h" /* GROUP */
#include "our_consumer.h"

#define PARTS_MAX 24
#define HELD_MAX 6

struct taking {
    struct part *part;
    int64_t next;        /* offset of the next record; -1 = it is not known where it begins */
    int64_t floor;       /* T8: acknowledged when it was assigned */
    bool paused;
    bool revoked;        /* it goes with the consent */
};

struct holding {
    struct our_chunk *chunk;
    struct part *part;
    int64_t first, next;
};

struct subscriber {
    struct client client;
    struct our_consumer *ours;
    struct flow flow;
    struct op commit;
    struct taking takings[PARTS_MAX];
    uint32_t count;
    struct holding held[HELD_MAX];
    uint32_t held_count;
    uint32_t number;
    bool committing, away;
    uint64_t asked;      /* what to consent to; 0 nothing */
    int64_t consent_ns, sleep_ns;
};

struct client *subscriber_client(struct subscriber *s) { return &s->client; }

static struct taking *taking_of(struct subscriber *s, const struct part *part)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->takings[i].part == part)
            return &s->takings[i];
    }
    return NULL;
}

static struct part *part_of(struct subscriber *s, struct str name, int32_t partition)
{
    struct world *w = s->client.world;
    struct topic *topic = truth_topic_find(w->truth, name);

    if (topic == NULL || partition < 0 || partition >= PARTITIONS_MAX)
        broken(w, "%s has to do with %.*s-%d, which is none", s->client.name, STR_ARG(name), partition);
    return &topic->parts[partition];
}

/* ---- what it is told ------------------------------------------------------------------------------- */

/* T7: of all that it has in this generation. */
static void owns(struct subscriber *s)
{
    struct truth *t = s->client.world->truth;
    char member[64];
    int32_t generation = our_consumer_generation(s->ours, member, sizeof member);

    for (uint32_t i = 0; generation >= 0 && i < s->count; i++) {
        if (!s->takings[i].revoked)
            truth_owns(t, generation, s->takings[i].part, str_of(member));
    }
    if (generation > t->generation)
        t->generation = generation;
}

static void on_event(void *ctx, enum our_event event, struct str topic, int32_t partition, uint64_t consent,
                     const char *why)
{
    struct subscriber *s = ctx;
    struct taking *has;
    struct part *part;

    note(s->client.world, "%s: event %d %.*s-%d %s", s->client.name, event, STR_ARG(topic), partition, why);
    if (event == OUR_FAILED)
        broken(s->client.world, "%s: %.*s-%d: %s", s->client.name, STR_ARG(topic), partition, why);
    if (topic.n == 0) {
        s->asked = consent;
        s->consent_ns = world_now_ns(s->client.world) + client_ms(&s->client, 0, 100);
        if (event == OUR_ASSIGNED)
            owns(s);
        return;
    }
    part = part_of(s, topic, partition);
    has = taking_of(s, part);
    if (has != NULL && has->revoked && event == OUR_ASSIGNED) { /* the consent took too long */
        *has = s->takings[--s->count];
        has = NULL;
    }
    if ((has == NULL) != (event == OUR_ASSIGNED))
        broken(s->client.world, "%s is told %d of %.*s-%d, which it %s", s->client.name, event, STR_ARG(topic),
               partition, has == NULL ? "has not got" : "has already");
    if (event == OUR_ASSIGNED) {
        ASSERT(s->count < PARTS_MAX);
        s->takings[s->count++] = (struct taking){part, -1, part->committed, false, false};
    } else if (event == OUR_REVOKED) {
        has->revoked = true;
    } else {
        *has = s->takings[--s->count];
    }
}

/* ---- records --------------------------------------------------------------------------------------- */

/* Where it begins: at the group's commit (T8), or at the start. */
static void begins(struct subscriber *s, struct taking *has)
{
    struct str name = str_of(has->part->topic->name);
    int64_t position, done, committed;

    if (has->next >= 0 || !our_consumer_place(s->ours, name, has->part->partition, &position, &done, &committed) ||
        position < 0)
        return;
    has->next = position;
    if (committed >= 0)
        truth_committed(s->client.world->truth, has->part, committed, has->floor);
}

/* Records may be missing only where they were deleted, or compacted away. */
static void expect_no_gap(struct subscriber *s, const struct taking *has, int64_t offset)
{
    if (s->client.world->plan.lossy)
        return;
    if (offset < has->next)
        broken(s->client.world, "%s: %s-%d: the record at %" PRId64 " comes again, or late: %" PRId64 " was next",
               s->client.name, has->part->topic->name, has->part->partition, offset, has->next);
    if (offset > has->next && !has->part->topic->compacted && has->part->start_high < offset)
        broken(s->client.world, "%s: %s-%d: the record at %" PRId64 " was left out", s->client.name,
               has->part->topic->name, has->part->partition, has->next);
}

static void read_chunk(struct subscriber *s, struct holding *h)
{
    struct taking *has = taking_of(s, h->part);
    struct record record;
    int rc;

    if (has == NULL || has->revoked || has->next < 0)
        broken(s->client.world, "%s: %s-%d is handed out, which it has not got, or gives up", s->client.name,
               h->part->topic->name, h->part->partition);
    while ((rc = our_chunk_next(h->chunk, &record)) > 0) {
        expect_no_gap(s, has, record.offset);
        truth_record(s->client.world->truth, h->part, &record);
        has->next = record.offset + 1;
    }
    if (rc < 0)
        broken(s->client.world, "%s: %s-%d: a chunk cannot be read: %s", s->client.name, h->part->topic->name,
               h->part->partition, error_text(rc));
    if (has->next > h->next)
        broken(s->client.world, "%s: %s-%d: a chunk has more than it says", s->client.name, h->part->topic->name,
               h->part->partition);
    has->next = h->next;
}

static bool take(struct subscriber *s)
{
    struct holding *h = &s->held[s->held_count];
    struct str topic;
    int32_t partition;

    if (s->held_count == HELD_MAX)
        return false;
    for (uint32_t i = 0; i < s->count; i++)
        begins(s, &s->takings[i]);
    h->chunk = our_chunk_take(s->ours, &topic, &partition, &h->first, &h->next);
    if (h->chunk == NULL)
        return false;
    h->part = part_of(s, topic, partition);
    s->held_count++;
    read_chunk(s, h);
    return true;
}

/* Let go of one, in any order. Now and then half done: then it is read again from there; in the end the group is to
 * come through. */
static void release(struct subscriber *s)
{
    uint32_t i = (uint32_t)client_below(&s->client, s->held_count);
    struct holding h = s->held[i];
    struct taking *has = taking_of(s, h.part);
    struct str name = str_of(h.part->topic->name);
    int64_t position, done, committed, to = h.next;

    s->held[i] = s->held[--s->held_count];
    if (has != NULL && s->client.world->calm_ns == 0 && client_below(&s->client, 15) == 0)
        to = h.first + (int64_t)client_below(&s->client, (uint64_t)(h.next - h.first));
    our_chunk_release(h.chunk, to);
    if (s->ours == NULL || !our_consumer_place(s->ours, name, h.part->partition, &position, &done, &committed))
        return;
    truth_commit_tried(s->client.world->truth, h.part, done); /* also one that is given up, with the last commit */
    if (has == NULL || to == h.next || done < 0)
        return;
    if (done > to && done > h.next)
        return; /* of an older run: it does not count */
    if (our_consumer_seek(s->ours, name, h.part->partition, done) == 0)
        has->next = done;
}

static void commit_done(struct op *op, int64_t result)
{
    struct subscriber *s = container_of(op, struct subscriber, commit);
    int64_t position, done, committed;

    s->committing = false;
    note(s->client.world, "%s: commit -> %d", s->client.name, (int)result);
    for (uint32_t i = 0; result == 0 && i < s->count; i++) {
        struct taking *has = &s->takings[i];
        if (has->next >= 0 && our_consumer_place(s->ours, str_of(has->part->topic->name), has->part->partition,
                                                 &position, &done, &committed) && committed >= 0)
            truth_commit_acked(s->client.world->truth, has->part, committed, INT32_MAX, 0);
    }
}

static void commit(struct subscriber *s)
{
    if (s->committing || client_below(&s->client, 4) != 0)
        return;
    s->committing = true;
    op_init(&s->commit, commit_done);
    our_consumer_commit(s->ours, 300 + (int64_t)client_below(&s->client, 2000), &s->commit);
}

/* ---- its life --------------------------------------------------------------------------------------- */

/* Whatever is done now may be committed from now on. */
static void tell_done(struct subscriber *s)
{
    int64_t position, done, committed;

    for (uint32_t i = 0; i < s->count; i++) {
        const struct part *part = s->takings[i].part;
        if (our_consumer_place(s->ours, str_of(part->topic->name), part->partition, &position, &done, &committed))
            truth_commit_tried(s->client.world->truth, s->takings[i].part, done);
    }
}

static void pause_some(struct subscriber *s)
{
    struct taking *has;

    if (s->count == 0 || client_below(&s->client, 6) != 0)
        return;
    has = &s->takings[client_below(&s->client, s->count)];
    has->paused = s->client.world->calm_ns == 0 && !has->paused;
    (void)our_consumer_pause(s->ours, str_of(has->part->topic->name), has->part->partition, has->paused);
}

static void resume_all(struct subscriber *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        struct taking *has = &s->takings[i];
        if (has->paused)
            (void)our_consumer_pause(s->ours, str_of(has->part->topic->name), has->part->partition, false);
        has->paused = false;
    }
}

/* From here on another may own what was revoked; also when the consent comes too late to count. */
static void consent(struct subscriber *s)
{
    for (uint32_t i = s->count; i-- > 0;) {
        if (s->takings[i].revoked)
            s->takings[i] = s->takings[--s->count];
    }
    our_consumer_consent(s->ours, s->asked);
    s->asked = 0;
}

static void work(struct subscriber *s)
{
    struct client *c = &s->client;
    uint64_t takes = client_below(c, 4) + (c->world->calm_ns != 0 ? 20 : 0);

    our_consumer_polled(s->ours);
    if (s->asked != 0 && world_now_ns(c->world) >= s->consent_ns)
        consent(s);
    while (takes-- > 0) {
        if (!take(s) && s->held_count == HELD_MAX)
            release(s);
    }
    while (s->held_count > 0 && (client_below(c, 3) != 0 || c->world->calm_ns != 0))
        release(s);
    tell_done(s);
    commit(s);
    pause_some(s);
    if (c->world->calm_ns != 0)
        resume_all(s);
}

static struct our_consumer *open_consumer(struct subscriber *s)
{
    static const struct str topics[] = {STR("lasting-0"), STR("lasting-1"), STR("lasting-2")};
    struct our_hooks_of_consumer hooks = {.event = on_event, .ctx = s};
    const struct plan *plan = &s->client.world->plan;
    struct our_consumer_plan own = {
        .session_ms = plan->session_ms,
        .alone = plan->members == 0,
        .topics = topics,
        .topic_count = plan->topics,
        .group = GROUP,
        .group_draw = s->client.world->seed / 2,
    };

    return our_consumer_new(s->client.io, s->client.telemetry, s->client.world->bootstrap, &s->client.prng,
                            &own, &hooks);
}

static void close_consumer(struct subscriber *s, struct op *op)
{
    s->count = 0;
    s->asked = 0;
    our_consumer_close(s->ours, (int64_t)client_below(&s->client, 2500), op);
    s->ours = NULL;
}

static bool is_moody(struct subscriber *s, uint64_t one_in)
{
    return s->client.world->calm_ns == 0 && client_below(&s->client, one_in) == 0;
}

static void subscriber_run(struct flow *f)
{
    struct subscriber *s = container_of(f, struct subscriber, flow);
    struct client *c = &s->client;

    FLOW_BEGIN(f);
    while (!c->stop) {
        s->ours = open_consumer(s);
        while (!c->stop && !is_moody(s, 150)) {
            work(s);
            if (is_moody(s, 80))
                our_consumer_unsubscribe(s->ours), s->away = true;
            else if (s->away && (c->world->calm_ns != 0 || client_below(c, 5) == 0))
                our_consumer_subscribe(s->ours), s->away = false;
            s->sleep_ns = is_moody(s, 100) ? client_ms(c, 300, 3000) : client_ms(c, 1, 30);
            FLOW_WAIT(f, "pause", client_sleep(c, s->sleep_ns, &f->op));
        }
        s->away = false;
        while (s->committing)
            FLOW_WAIT(f, "commit", client_sleep(c, client_ms(c, 1, 20), &f->op));
        FLOW_WAIT(f, "close", close_consumer(s, &f->op));
        while (s->held_count > 0)
            release(s);
    }
    FLOW_END(f);
    c->stopped = true;
}

struct subscriber *subscriber_new(struct world *w, uint32_t number)
{
    struct subscriber *s = calloc(1, sizeof *s);
    char name[16];

    ASSERT(s != NULL);
    s->number = number;
    snprintf(name, sizeof name, "subscriber-%u", number);
    client_init(&s->client, w, name, true);
    return s;
}

void subscriber_begin(struct subscriber *s)
{
    flow_start(&s->flow, subscriber_run, NULL);
}

void subscriber_free(struct subscriber *s)
{
    if (s == NULL)
        return;
    client_deinit(&s->client);
    free(s);
}
