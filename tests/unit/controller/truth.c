#include "truth.h"

#include "check.h"

bool truth_have(const int32_t *list, int32_t count, int32_t id)
{
    for (int32_t i = 0; i < count; i++) {
        if (list[i] == id)
            return true;
    }
    return false;
}

#define HAVE(p, list, id) truth_have((p)->list, (p)->list##_count, (id))

/* Each once, and a replica. */
static void check_list(const struct image_partition *p, const int32_t *list, int32_t count)
{
    for (int32_t n = 0; n < count; n++) {
        CHECK(truth_have(p->replicas, p->replica_count, list[n]));
        CHECK(!truth_have(list, n, list[n]));
    }
}

static bool is_active(const struct image *i, int32_t id)
{
    const struct image_broker *b = image_broker_find(i, id);

    return b != NULL && !b->fenced && !b->in_controlled_shutdown;
}

/* ---- one partition -----------------------------------------------------------------------------
 */

/* min.insync.replicas of a topic: its own, else the cluster's. */
static int32_t min_isr(const struct image *i, const struct image_topic *topic)
{
    struct str value = STR("1");
    int64_t n = 1;

    (void)image_config(i, 4, STR(""), STR("min.insync.replicas"), &value);
    (void)image_config(i, 2, topic->name, STR("min.insync.replicas"), &value);
    CHECK_EQ(str_to_i64(value, 1, 2, &n), 0);
    return (int32_t)n;
}

static void check_elr(const struct image *i, const struct image_topic *topic,
                      const struct image_partition *p)
{
    check_list(p, p->elr, p->elr_count);
    for (int32_t n = 0; n < p->elr_count; n++)
        CHECK(!HAVE(p, isr, p->elr[n]));
    CHECK(p->elr_count == 0 || p->isr_count < min_isr(i, topic));
}

/* Who leads is in sync, and lives; whoever could lead does. */
static void check_leader(const struct image *i, const struct image_partition *p)
{
    check_list(p, p->isr, p->isr_count);
    for (int32_t n = 0; n < p->isr_count; n++)
        CHECK(is_active(i, p->isr[n]));
    CHECK(p->recovery_state == 0 || p->isr_count <= 1);
    if (p->leader >= 0) {
        CHECK(HAVE(p, isr, p->leader));
        return;
    }
    CHECK_EQ(p->isr_count, 0);
    for (int32_t n = 0; n < p->elr_count; n++)
        CHECK(!is_active(i, p->elr[n]));
    CHECK(p->elr_count > 0 || p->last_elr_count != 1 || !is_active(i, p->last_elr[0]) ||
          !truth_have(p->replicas, p->replica_count, p->last_elr[0]));
}

/* One that could end has ended: all that are added are in sync, and where there will be fewer, all that stay. */
static void check_reassignment(const struct image_partition *p)
{
    bool added = true, all = true, any = false;

    check_list(p, p->adding, p->adding_count);
    check_list(p, p->removing, p->removing_count);
    for (int32_t n = 0; n < p->replica_count; n++) {
        bool in_sync = HAVE(p, isr, p->replicas[n]);
        CHECK(!HAVE(p, adding, p->replicas[n]) || !HAVE(p, removing, p->replicas[n]));
        if (HAVE(p, removing, p->replicas[n]))
            continue;
        any |= in_sync;
        all &= in_sync;
        added &= in_sync || !HAVE(p, adding, p->replicas[n]);
    }
    if (p->adding_count + p->removing_count > 0)
        CHECK(!any || !added || (p->adding_count < p->removing_count && !all));
}

void truth_check(const struct image *i)
{
    for (uint32_t t = 0; t < image_topic_count(i); t++) {
        const struct image_topic *topic = image_topic_at(i, t);
        for (int32_t n = 0; n < topic->partition_count; n++) {
            const struct image_partition *p = &topic->partitions[n];
            CHECK(p->replica_count > 0);
            check_list(p, p->replicas, p->replica_count);
            check_leader(i, p);
            check_elr(i, topic, p);
            check_reassignment(p);
        }
    }
}

/* ---- from one to the next ----------------------------------------------------------------------
 */

static bool same_list(const int32_t *a, int32_t a_count, const int32_t *b, int32_t b_count)
{
    return a_count == b_count &&
           (a_count == 0 || memcmp(a, b, (size_t)a_count * sizeof(*a)) == 0);
}

static bool same_partition(const struct image_partition *a, const struct image_partition *b)
{
    return a->leader == b->leader && a->leader_epoch == b->leader_epoch &&
           a->recovery_state == b->recovery_state &&
           same_list(a->replicas, a->replica_count, b->replicas, b->replica_count) &&
           same_list(a->isr, a->isr_count, b->isr, b->isr_count) &&
           same_list(a->elr, a->elr_count, b->elr, b->elr_count) &&
           same_list(a->last_elr, a->last_elr_count, b->last_elr, b->last_elr_count) &&
           same_list(a->adding, a->adding_count, b->adding, b->adding_count) &&
           same_list(a->removing, a->removing_count, b->removing, b->removing_count);
}

/* Replicas change by the end of a reassignment alone: then those that were added are in sync. */
static void check_replicas(const struct image_partition *a, const struct image_partition *b)
{
    int32_t stay = 0;

    if (same_list(a->replicas, a->replica_count, b->replicas, b->replica_count))
        return;
    CHECK(a->adding_count + a->removing_count > 0);
    CHECK_EQ(b->adding_count + b->removing_count, 0);
    for (int32_t n = 0; n < a->replica_count; n++) {
        bool goes = HAVE(a, removing, a->replicas[n]);
        CHECK_EQ(truth_have(b->replicas, b->replica_count, a->replicas[n]), !goes);
        stay += !goes;
    }
    CHECK_EQ(b->replica_count, stay);
    for (int32_t n = 0; n < a->adding_count; n++)
        CHECK(HAVE(b, isr, a->adding[n]));
}

static bool lost_a_replica(const struct image_partition *a, const struct image_partition *b)
{
    for (int32_t n = 0; n < a->replica_count; n++) {
        if (!truth_have(b->replicas, b->replica_count, a->replicas[n]))
            return true;
    }
    return false;
}

static void check_partition_step(const struct image_partition *a, const struct image_partition *b,
                                 const struct truth_step *step)
{
    CHECK(b->partition_epoch >= a->partition_epoch);
    CHECK(b->leader_epoch >= a->leader_epoch);
    CHECK(b->leader_epoch - a->leader_epoch <= b->partition_epoch - a->partition_epoch);
    if (b->partition_epoch == a->partition_epoch)
        CHECK(same_partition(a, b));
    if (b->leader_epoch == a->leader_epoch) {
        CHECK_EQ(b->leader, a->leader); /* one leader in an epoch */
        CHECK(!lost_a_replica(a, b));
    }
    /* Who leads had all that was committed, or it says that it may not have. */
    if (!step->proposed && b->leader >= 0 && b->leader != a->leader && b->recovery_state == 0)
        CHECK(HAVE(a, isr, b->leader) || HAVE(a, elr, b->leader));
    if (!step->reassigned)
        check_replicas(a, b);
    if (!step->reassigned && !step->died && a->leader < 0 && a->elr_count > 0)
        CHECK(b->leader >= 0 || b->elr_count > 0); /* who has all is not forgotten */
}

void truth_check_step(const struct image *before, const struct image *after,
                      const struct truth_step *step)
{
    for (uint32_t t = 0; t < image_topic_count(before); t++) {
        const struct image_topic *a = image_topic_at(before, t);
        const struct image_topic *b = image_topic_by_id(after, a->id);
        for (int32_t n = 0; b != NULL && n < a->partition_count; n++)
            check_partition_step(&a->partitions[n], &b->partitions[n], step);
    }
}

/* ---- snapshots ---------------------------------------------------------------------------------
 */

static void apply(void *ctx, struct bytes framed)
{
    struct fail f = {0};

    if (image_edit_apply(ctx, framed, &f) < 0)
        check_fail(__FILE__, __LINE__, "%s", f.text);
}

void truth_check_snapshot(const struct image *i)
{
    struct image *empty = image_empty();
    struct image_edit *e = image_edit_begin(empty);
    struct text ours = {0}, theirs = {0};
    struct image *again;

    image_write(i, apply, e);
    again = image_edit_finish(e, image_offset(i), image_epoch(i), image_timestamp_ms(i));
    image_print(i, &ours);
    image_print(again, &theirs);
    CHECK(str_equal(text_str(&ours), text_str(&theirs)));
    text_deinit(&ours);
    text_deinit(&theirs);
    image_unref(again);
    image_unref(empty);
}
