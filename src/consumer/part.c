/* One assigned partition: its state, who leads it, and where it hangs to be fetched. */
#include "consumer/internal.h"

#include <stdlib.h>

/* Preferred read replicas are believed for so long, as metadata is. */
static int64_t near_ns(const struct consumer *c)
{
    return c->settings.client.metadata_max_age_ms * NS_PER_MS;
}

struct part *part_find(const struct consumer *c, struct consumer_partition id)
{
    struct map_node *n = map_find(&c->parts, tp_hash(id), &id);

    return n == NULL ? NULL : container_of(n, struct part, by_name);
}

struct part *part_of_run(const struct consumer *c, struct consumer_partition id, uint64_t run)
{
    struct part *p = part_find(c, id);

    return p != NULL && p->run == run ? p : NULL;
}

static void link_in_order(struct part *p)
{
    struct list *at = p->consumer->part_list.next;

    while (at != &p->consumer->part_list && tp_compare(container_of(at, struct part, node)->id, p->id) < 0)
        at = at->next;
    list_insert_before(at, &p->node);
}

struct part *part_new(struct consumer *c, struct consumer_partition id)
{
    struct part *p = calloc(1, sizeof *p + (size_t)id.topic.n);

    ASSERT(p != NULL);
    memcpy(p + 1, id.topic.p, (size_t)id.topic.n);
    p->id = (struct consumer_partition){{(const char *)(p + 1), id.topic.n}, id.partition};
    p->consumer = c;
    p->leader = p->leader_epoch = p->checked_epoch = p->near = -1;
    p->high_watermark = p->last_stable_offset = p->log_start = p->committed = -1;
    list_init(&p->pieces);
    list_init(&p->outstanding);
    map_add(&c->parts, &p->by_name, tp_hash(p->id));
    link_in_order(p);
    client_want(c->client, p->id.topic);
    part_begin(p, PART_COMMITTED);
    part_look(p);
    return p;
}

void part_free(struct part *p)
{
    if (p == NULL)
        return;
    pieces_drop(p);
    done_detach(p);
    if (p->fetch_node != NULL)
        list_remove(&p->by_node);
    client_unwant(p->consumer->client, p->id.topic);
    map_remove(&p->consumer->parts, &p->by_name);
    list_remove(&p->node);
    free(p);
}

/* ---- states --------------------------------------------------------------------------------- */

static void put(struct part *p, enum part_state state, int64_t position, int32_t epoch)
{
    p->state = state;
    p->run = ++p->consumer->runs;
    p->asked = false;
    p->retry_ns = 0;
    p->attempt = 0;
    p->tell_error = false;
    p->position = position;
    p->position_epoch = epoch;
    pieces_drop(p); /* and what is fetched next is the position */
    consumer_poke(p->consumer);
}

void part_begin(struct part *p, enum part_state state)
{
    put(p, state, -1, -1);
    done_begin(p, -1, -1);
}

void part_place(struct part *p, int64_t offset, int32_t epoch)
{
    put(p, epoch >= 0 ? PART_CHECK : PART_READ, offset, epoch);
    p->checked_epoch = epoch >= 0 ? -1 : p->leader_epoch;
    done_begin(p, offset, epoch);
}

void part_cut(struct part *p, int64_t offset, int32_t epoch)
{
    put(p, PART_READ, offset, epoch); /* that is what the leader said just now */
    p->checked_epoch = p->asking_epoch;
#ifdef MUTANT_CONSUMER_CUT_IS_DONE
    done_begin(p, offset, epoch);
#else
    done_cut(p, offset, epoch);
#endif
}

void part_reset(struct part *p, const char *why)
{
    struct consumer *c = p->consumer;
    struct consumer_error e;
    int64_t offset = p->position;

    say(c->telemetry, LOG_INFO, "consumer", "%.*s-%d: %s; auto.offset.reset decides", STR_ARG(p->id.topic),
        p->id.partition, why);
    if (c->settings.auto_offset_reset == CONSUMER_RESET_NONE) {
        part_stop(p, offset, error_code(&e, KERR_OFFSET_OUT_OF_RANGE, CONSUMER_SEEK,
                                        "%.*s-%d: %s, and auto.offset.reset=none: seek", STR_ARG(p->id.topic),
                                        p->id.partition, why));
        return;
    }
    part_begin(p, PART_RESET);
    switch (c->settings.auto_offset_reset) {
    case CONSUMER_RESET_EARLIEST:
        p->reset_to = CONSUMER_BEGINNING;
        break;
    case CONSUMER_RESET_BY_DURATION:
        p->reset_to = io_wall_ms(c->io) - c->settings.auto_offset_reset_ms;
        break;
    default:
        p->reset_to = CONSUMER_END;
    }
}

void part_stop(struct part *p, int64_t offset, const struct consumer_error *error)
{
    struct consumer_error e = *error;

    pieces_drop(p);
    p->state = PART_STOPPED;
    p->run = ++p->consumer->runs;
    p->asked = false;
    p->tell_error = true;
    p->error = e;
    p->error_offset = offset;
    consumer_poke(p->consumer);
}

void part_back_off(struct part *p)
{
    p->retry_ns = consumer_after(p->consumer, ++p->attempt);
    consumer_poke(p->consumer);
}

void part_refused(struct part *p, const struct consumer_error *error)
{
    bool is_told = p->error.code == error->code && p->error.trouble == error->trouble;

    part_back_off(p);
    if (is_told)
        return;
    p->error = *error;
    p->error_offset = p->position;
    p->tell_error = true;
}

/* ---- leaders -------------------------------------------------------------------------------- */

/* The name is another topic's now: what was read has nothing to do with it. */
static void made_anew(struct part *p)
{
    p->leader_epoch = p->checked_epoch = -1;
    p->committed = -1;
    switch (p->state) {
    case PART_READ:
    case PART_CHECK:
        part_reset(p, "the topic was deleted and made again");
        return;
    case PART_COMMITTED: /* an answer that is on its way is about the other one */
    case PART_RESET:
        part_begin(p, p->state);
        return;
    case PART_STOPPED:
        return;
    }
}

void part_look(struct part *p)
{
    const struct client_topic *t = client_topic(p->consumer->client, p->id.topic);
    const struct client_partition *now;
    bool is_new;

    if (t == NULL || t->error != KERR_NONE || p->id.partition >= t->partition_count) {
        p->leader = -1;
        part_hang(p);
        return;
    }
    is_new = !uuid_is_zero(p->topic_id) && !uuid_is_zero(t->id) && !uuid_equal(p->topic_id, t->id);
    if (!uuid_is_zero(t->id))
        p->topic_id = t->id;
#ifdef MUTANT_CONSUMER_SAME_NAME
    is_new = false;
#endif
    if (is_new)
        made_anew(p);
    now = &t->partitions[p->id.partition];
    if (now->leader != p->leader || now->leader_epoch > p->leader_epoch)
        p->near = -1;
    p->leader = now->leader;
    if (now->leader_epoch > p->leader_epoch)
        p->leader_epoch = now->leader_epoch;
#ifndef MUTANT_CONSUMER_NO_TRUNCATION
    /* KIP-320: another leader may have less than what we have read. */
    if (p->state == PART_READ && p->fetch_epoch >= 0 && p->leader_epoch > p->checked_epoch) {
        p->state = PART_CHECK;
        p->asked = false;
    }
#endif
    part_hang(p);
}

void part_hang(struct part *p)
{
    struct consumer *c = p->consumer;
    struct node *to;

    if (p->near >= 0 && (io_now_ns(c->io) >= p->near_until_ns || client_broker(c->client, p->near) == NULL))
        p->near = -1;
    to = p->leader < 0 ? NULL : node_get(c, p->near >= 0 ? p->near : p->leader);
    if (to == p->fetch_node)
        return;
    if (p->fetch_node != NULL)
        list_remove(&p->by_node);
    p->fetch_node = to;
    if (to != NULL)
        list_add_tail(&to->parts, &p->by_node);
    if (p->near >= 0)
        p->near_until_ns = io_now_ns(c->io) + near_ns(c);
    consumer_poke(c);
}
