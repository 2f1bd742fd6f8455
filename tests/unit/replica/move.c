/* Replicas that move from one log directory to another while they serve. */
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>

static void begin(struct lab *lab, uint32_t dirs, const char *segment_bytes)
{
    static const int32_t me[] = {ME};
    struct uuid first = topic_id(200);

    lab_init(lab, 3, NULL, 1, dirs);
    meta_topic(lab, "orders", 1, 0);
    meta_partition(lab, 1, 0, me, 1, &first);
    if (segment_bytes != NULL)
        meta_config(lab, "orders", "segment.bytes", segment_bytes);
}

static void end(struct lab *lab, struct text *text)
{
    text_deinit(text);
    lab_deinit(lab);
}

/* "0:0 1:1 ... " of `count` records. */
static struct str numbers(uint32_t count, struct text *out)
{
    text_clear(out);
    for (uint32_t i = 0; i < count; i++)
        text_printf(out, "%u:%u ", i, i);
    return text_str(out);
}

static void put_number(struct lab *lab, uint32_t number)
{
    char value[16];

    snprintf(value, sizeof value, "%u", number);
    lab_put(lab, lab_get(lab, 1, 0), value);
}

/* Append while it is moved, until it has moved; nobody may see more than a moment of refusal. How many were. */
static uint32_t append_until_moved(struct lab *lab, uint32_t number, uint32_t to)
{
    int refused = 0;
    struct replica_appended a;
    char value[16];

    for (int i = 0; replica_dir(lab_get(lab, 1, 0)) != lab->dirs[to]; i++) {
        CHECK(i < 10000);
        (void)lab_grant(lab);
        snprintf(value, sizeof value, "%u", number);
        enum kerr error = lab_append(lab_get(lab, 1, 0), value, 1, &a);
        refused += error == KERR_NOT_LEADER_OR_FOLLOWER ? 1 : 0;
        CHECK(error == KERR_NONE || error == KERR_NOT_LEADER_OR_FOLLOWER);
        number += error == KERR_NONE ? 1 : 0;
        lab_pass(lab, 3 * MS);
    }
    CHECK(refused < 100);
    return number;
}

static void check_all(struct lab *lab, uint32_t count)
{
    struct text have = {0}, want = {0};

    UNTIL(lab, replica_high_watermark(lab_get(lab, 1, 0)) == count);
    CHECK_TEXT(lab_read(lab, lab_get(lab, 1, 0), &have), numbers(count, &want).p);
    text_deinit(&have);
    text_deinit(&want);
}

TEST(move, log_is_copied_while_it_grows_and_exchanged)
{
    struct lab lab;
    struct text text = {0};
    uint32_t n = 0;

    begin(&lab, 2, NULL);
    CHECK_EQ(lab_start(&lab), 0);
    for (; n < 40; n++)
        put_number(&lab, n);
    struct replica *r = lab_get(&lab, 1, 0);
    int32_t epoch = log_latest_epoch(replica_log(r));
    CHECK_EQ(replica_move(r, lab.dirs[1]), KERR_NONE);
    CHECK_EQ(replica_move(r, lab.dirs[1]), KERR_NONE); /* it does already */
    n = append_until_moved(&lab, n, 1);
    CHECK(lab_get(&lab, 1, 0) == r);
    put_number(&lab, n++);
    check_all(&lab, n);
    CHECK_EQ(log_latest_epoch(replica_log(r)), epoch);
    CHECK_TEXT(text_str(&lab.placed), "orders-0 in 1; ");
    lab_pass(&lab, 120 * SEC); /* file.delete.delay.ms */
    CHECK_TEXT(lab_names(&lab, 0, &text), "");
    CHECK_TEXT(lab_names(&lab, 1, &text), "orders-0 ");
    CHECK_EQ(log_dir_partitions(lab.dirs[0], 0), 0);
    CHECK_EQ(log_dir_partitions(lab.dirs[1], 0), 1);
    CHECK_EQ(lab_stop(&lab), 0);
    CHECK_EQ(lab_start(&lab), 0);
    check_all(&lab, n);
    CHECK_EQ(replica_move(lab_get(&lab, 1, 0), lab.dirs[0]), KERR_NONE); /* and back */
    n = append_until_moved(&lab, n, 0);
    check_all(&lab, n);
    CHECK_EQ(lab_stop(&lab), 0);
    CHECK_EQ(lab.said.n, 0);
    end(&lab, &text);
}

static enum kerr append_as(struct lab *lab, int64_t producer, int32_t sequence, int32_t count,
                           struct replica_appended *out)
{
    struct text bytes = {0};
    struct batch_builder b;
    struct batch batch;
    enum kerr error;

    batch_builder_init(&b);
    b.producer_id = producer;
    b.producer_epoch = 0;
    b.base_sequence = sequence;
    for (int32_t i = 0; i < count; i++)
        batch_builder_add(&b, io_wall_ms(lab->io), BYTES_NULL, bytes_of_str(STR("0")), NULL, 0);
    CHECK_EQ(batch_builder_finish(&b, &bytes), 0);
    CHECK(batch_read(bytes_of_str(text_str(&bytes)), &batch, NULL) > 0);
    error = replica_append(lab_get(lab, 1, 0), &batch, -1, out);
    batch_builder_deinit(&b);
    text_deinit(&bytes);
    return error;
}

/* A producer's sequences go with it: what it sends again is known as a duplicate, and a gap is refused. */
TEST(move, producers_are_known_afterwards)
{
    struct lab lab;
    struct replica_appended first, again;
    struct text text = {0};

    begin(&lab, 2, NULL);
    CHECK_EQ(lab_start(&lab), 0);
    struct replica *r = lab_get(&lab, 1, 0);
    CHECK_EQ(append_as(&lab, 7, 0, 1, &first), KERR_NONE);
    CHECK_EQ(replica_move(r, lab.dirs[1]), KERR_NONE);
    uint32_t n = append_until_moved(&lab, 1, 1);
    CHECK_EQ(append_as(&lab, 7, 0, 1, &again), KERR_NONE);
    CHECK(again.duplicate && !first.duplicate);
    CHECK_EQ(again.base_offset, 0);
    check_all(&lab, n);
    CHECK_EQ(lab_stop(&lab), 0);
    end(&lab, &text);
}

static void put_batch(struct lab *lab, struct replica *r, const char *key, int64_t timestamp_ms, int32_t count)
{
    struct replica_appended a;
    struct text bytes = {0};
    struct batch_builder b;
    struct batch batch;

    batch_builder_init(&b);
    for (int32_t i = 0; i < count; i++)
        batch_builder_add(&b, timestamp_ms, bytes_of_str(str_of(key)), bytes_of_str(STR("0")), NULL, 0);
    CHECK_EQ(batch_builder_finish(&b, &bytes), 0);
    CHECK(batch_read(bytes_of_str(text_str(&bytes)), &batch, NULL) > 0);
    CHECK_EQ(replica_append(r, &batch, -1, &a), KERR_NONE);
    UNTIL(lab, replica_high_watermark(r) == a.last_offset + 1);
    batch_builder_deinit(&b);
    text_deinit(&bytes);
}

/* A start that lies within the first batch or segment is there after the move, and after a crash behind it. */
TEST(move, start_of_the_log_goes_with_it)
{
    struct lab lab;
    struct text text = {0};
    int64_t low;

    begin(&lab, 2, NULL);
    CHECK_EQ(lab_start(&lab), 0);
    struct replica *r = lab_get(&lab, 1, 0);
    put_batch(&lab, r, "key", 1000, 20);
    CHECK_EQ(replica_delete_records(r, 7, &low), KERR_NONE);
    CHECK_EQ(replica_move(r, lab.dirs[1]), KERR_NONE);
    uint32_t n = append_until_moved(&lab, 20, 1);
    CHECK_EQ(log_start(replica_log(r)), 7);
    CHECK(lab.starts_saved > 0);
    sim_node_power_cut(lab.node);
    lab_bury(&lab);
    CHECK_EQ(lab_start(&lab), 0);
    CHECK_EQ(log_start(replica_log(lab_get(&lab, 1, 0))), 7);
    CHECK(log_end(replica_log(lab_get(&lab, 1, 0))) >= 20);
    CHECK(log_end(replica_log(lab_get(&lab, 1, 0))) <= n);
    CHECK_EQ(lab_stop(&lab), 0);
    end(&lab, &text);
}

static void move_to(struct lab *lab, uint32_t to)
{
    struct replica *r = lab_get(lab, 1, 0);

    CHECK_EQ(replica_move(r, lab->dirs[to]), KERR_NONE);
    UNTIL(lab, lab_grant(lab) || replica_dir(r) == lab->dirs[to]);
    UNTIL(lab, replica_dir(r) == lab->dirs[to]);
}

static void ignore_cleaned(void *ctx, struct log_dir *dir)
{
}

/* Also what is known by batches that were deleted: who sends them once more must not have them twice. It outlives a
 * crash. */
TEST(move, producers_of_deleted_batches_are_known_afterwards)
{
    struct lab lab;
    struct replica_appended a;
    struct text text = {0};
    int64_t low;

    begin(&lab, 2, NULL);
    meta_config(&lab, "orders", "segment.ms", "1");
    CHECK_EQ(lab_start(&lab), 0);
    struct replica *r = lab_get(&lab, 1, 0);
    CHECK_EQ(append_as(&lab, 7, 0, 1, &a), KERR_NONE);
    CHECK_EQ(append_as(&lab, 7, 1, 2, &a), KERR_NONE);
    CHECK_EQ(append_as(&lab, 8, 0, 1, &a), KERR_NONE);
    lab_pass(&lab, SEC);
    put_batch(&lab, r, "key", io_wall_ms(lab.io), 1); /* in a segment of its own */
    CHECK_EQ(append_as(&lab, 8, 1, 1, &a), KERR_NONE);
    lab_pass(&lab, SEC);
    CHECK_EQ(replica_delete_records(r, 4, &low), KERR_NONE);
    lab_pass(&lab, SEC);
    CHECK_EQ(log_first_segment(replica_log(r)), 4);
    move_to(&lab, 1);
    CHECK_EQ(append_as(&lab, 7, 0, 1, &a), KERR_NONE);
    CHECK(a.duplicate && a.base_offset == 0);
    CHECK_EQ(append_as(&lab, 8, 0, 1, &a), KERR_NONE);
    CHECK(a.duplicate && a.base_offset == 3);
    CHECK_EQ(append_as(&lab, 8, 1, 1, &a), KERR_NONE);
    CHECK(a.duplicate && a.base_offset == 5);
    sim_node_power_cut(lab.node);
    lab_bury(&lab);
    CHECK_EQ(lab_start(&lab), 0);
    r = lab_get(&lab, 1, 0);
    CHECK(replica_dir(r) == lab.dirs[1]);
    CHECK_EQ(append_as(&lab, 7, 0, 1, &a), KERR_NONE);
    CHECK(a.duplicate && a.base_offset == 0);
    CHECK_EQ(append_as(&lab, 7, 1, 2, &a), KERR_NONE);
    CHECK(a.duplicate && a.base_offset == 1);
    CHECK_EQ(append_as(&lab, 7, 5, 1, &a), KERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    CHECK_EQ(append_as(&lab, 7, 3, 1, &a), KERR_NONE);
    CHECK(!a.duplicate);
    CHECK_EQ(lab_stop(&lab), 0);
    end(&lab, &text);
}

/* Compaction has taken its first records: it starts where it did, for who wants to read on from there. */
TEST(move, compacted_log_starts_where_it_did)
{
    struct lab lab;
    struct text before = {0}, after = {0};
    struct wait wait;

    begin(&lab, 2, NULL);
    meta_config(&lab, "orders", "cleanup.policy", "compact");
    meta_config(&lab, "orders", "segment.ms", "1");
    CHECK_EQ(lab_start(&lab), 0);
    for (int i = 0; i < 6; i++)
        put_batch(&lab, lab_get(&lab, 1, 0), "key", 1000 + i * 1000, 2);
    lab_pass(&lab, SEC); /* rolled segments are closed aside */
    struct cleaner *cleaner = cleaner_start(lab.sets[0], ignore_cleaned, NULL);
    UNTIL(&lab, log_first_dirty(replica_log(lab_get(&lab, 1, 0))) > 0);
    cleaner_stop(cleaner, wait_begin(&wait));
    CHECK_EQ(wait_end(&lab, &wait), 0);
    CHECK_TEXT(lab_read(&lab, lab_get(&lab, 1, 0), &before), "9:0 10:0 11:0 ");
    for (uint32_t to = 1; to != UINT32_MAX; to--) { /* and back */
        move_to(&lab, to);
        CHECK_EQ(log_start(replica_log(lab_get(&lab, 1, 0))), 0);
        CHECK_EQ(log_end(replica_log(lab_get(&lab, 1, 0))), 12);
        CHECK_TEXT(lab_read(&lab, lab_get(&lab, 1, 0), &after), before.p);
    }
    CHECK_EQ(lab_stop(&lab), 0);
    CHECK_EQ(lab_start(&lab), 0);
    CHECK_EQ(log_start(replica_log(lab_get(&lab, 1, 0))), 0);
    CHECK_EQ(lab_stop(&lab), 0);
    text_deinit(&before);
    end(&lab, &after);
}

/* Records without a timestamp are as old as their file: retention must not take the copy for one of 1970. */
TEST(move, records_without_a_timestamp_stay)
{
    struct lab lab;
    struct text text = {0};
    struct wait wait;

    begin(&lab, 2, NULL);
    CHECK_EQ(lab_start(&lab), 0);
    put_batch(&lab, lab_get(&lab, 1, 0), "key", -1, 3);
    move_to(&lab, 1);
    replicas_retain(lab.sets[0], wait_begin(&wait));
    CHECK_EQ(wait_end(&lab, &wait), 0);
    CHECK_EQ(log_start(replica_log(lab_get(&lab, 1, 0))), 0);
    CHECK_EQ(lab_stop(&lab), 0);
    end(&lab, &text);
}

/* Everything was deleted from it: the copy is as empty, and begins where it ends. */
TEST(move, empty_log_keeps_its_offsets)
{
    struct lab lab;
    struct text text = {0};
    int64_t low;

    begin(&lab, 2, NULL);
    CHECK_EQ(lab_start(&lab), 0);
    for (uint32_t n = 0; n < 3; n++)
        put_number(&lab, n);
    struct replica *r = lab_get(&lab, 1, 0);
    CHECK_EQ(replica_delete_records(r, 3, &low), KERR_NONE);
    CHECK_EQ(replica_move(r, lab.dirs[1]), KERR_NONE);
    while (replica_dir(r) != lab.dirs[1]) {
        (void)lab_grant(&lab);
        lab_pass(&lab, 5 * MS);
    }
    CHECK_EQ(log_start(replica_log(r)), 3);
    CHECK_EQ(log_end(replica_log(r)), 3);
    CHECK_EQ(lab_stop(&lab), 0);
    end(&lab, &text);
}

TEST(move, another_destination_calls_the_first_off)
{
    struct lab lab;
    struct text text = {0};

    begin(&lab, 3, NULL);
    CHECK_EQ(lab_start(&lab), 0);
    for (uint32_t n = 0; n < 10; n++)
        put_number(&lab, n);
    CHECK_EQ(replica_move(lab_get(&lab, 1, 0), lab.dirs[1]), KERR_NONE);
    lab_pass(&lab, 500 * MS); /* it waits for the controller */
    CHECK_TEXT(lab_names(&lab, 1, &text), "orders-0.*-future ");
    CHECK_EQ(replica_move(lab_get(&lab, 1, 0), lab.dirs[2]), KERR_NONE);
    uint32_t n = append_until_moved(&lab, 10, 2);
    check_all(&lab, n);
    lab_pass(&lab, 120 * SEC);
    CHECK_TEXT(lab_names(&lab, 1, &text), "");
    CHECK_EQ(replica_move(lab_get(&lab, 1, 0), lab.dirs[1]), KERR_NONE);
    lab_pass(&lab, 500 * MS);
    CHECK_EQ(replica_move(lab_get(&lab, 1, 0), lab.dirs[2]), KERR_NONE); /* stay */
    lab_pass(&lab, 120 * SEC);
    CHECK_TEXT(lab_names(&lab, 1, &text), "");
    CHECK(str_ends(text_str(&lab.placed), STR("orders-0 in 1; orders-0 in 2; ")));
    check_all(&lab, n);
    CHECK_EQ(lab_stop(&lab), 0);
    end(&lab, &text);
}

TEST(move, topic_that_is_deleted_takes_the_copy_along)
{
    struct lab lab;
    struct text text = {0};

    begin(&lab, 2, NULL);
    CHECK_EQ(lab_start(&lab), 0);
    put_number(&lab, 0);
    CHECK_EQ(replica_move(lab_get(&lab, 1, 0), lab.dirs[1]), KERR_NONE);
    lab_pass(&lab, 200 * MS);
    meta_remove(&lab, 1);
    CHECK_EQ(lab_apply(&lab), 0);
    lab_pass(&lab, 120 * SEC);
    CHECK_TEXT(lab_names(&lab, 0, &text), "");
    CHECK_TEXT(lab_names(&lab, 1, &text), "");
    CHECK_EQ(lab_stop(&lab), 0);
    end(&lab, &text);
}

TEST(move, goes_on_after_a_stop_and_after_a_crash)
{
    for (int way = 0; way < 3; way++) {
        struct lab lab;
        struct text text = {0};

        begin(&lab, 2, NULL);
        CHECK_EQ(lab_start(&lab), 0);
        for (uint32_t n = 0; n < 10; n++)
            put_number(&lab, n);
        CHECK_EQ(replica_move(lab_get(&lab, 1, 0), lab.dirs[1]), KERR_NONE);
        lab_pass(&lab, 200 * MS);
        CHECK_TEXT(lab_names(&lab, 1, &text), "orders-0.*-future ");
        lab.wish.is_set = false;
        if (way == 0)
            CHECK_EQ(lab_stop(&lab), 0);
        else if (way == 1)
            sim_node_kill(lab.node);
        else
            sim_node_power_cut(lab.node);
        lab_bury(&lab);
        CHECK_EQ(lab_start(&lab), 0);
        uint32_t n = append_until_moved(&lab, 10, 1);
        check_all(&lab, n);
        CHECK_EQ(lab_stop(&lab), 0);
        CHECK_TEXT(lab_names(&lab, 1, &text), "orders-0 ");
        end(&lab, &text);
    }
}

TEST(move, new_partition_is_made_where_an_operator_wanted_it)
{
    static const int32_t me[] = {ME};
    struct lab lab;
    struct text text = {0};
    struct uuid unassigned = {{[15] = 1}};

    begin(&lab, 3, NULL);
    CHECK_EQ(lab_start(&lab), 0);
    replicas_prefer(lab.sets[0], STR("wanted"), 1, lab.dirs[1]);
    replicas_prefer(lab.sets[0], STR("wanted"), 1, lab.dirs[2]); /* the last word holds */
    replicas_prefer(lab.sets[0], STR("wanted"), 9, lab.dirs[2]); /* never comes */
    meta_topic(&lab, "wanted", 2, 0);
    for (int32_t p = 0; p < 2; p++)
        meta_partition(&lab, 2, p, me, 1, &unassigned);
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK(replica_dir(lab_get(&lab, 2, 1)) == lab.dirs[2]);
    CHECK(replica_dir(lab_get(&lab, 2, 0)) == lab.dirs[1]);
    CHECK_EQ(lab_stop(&lab), 0);
    end(&lab, &text);
}

/* The crash at the end of a move leaves two logs; the metadata says which one it is. */
TEST(move, of_twins_the_one_that_metadata_names_is_kept)
{
    for (uint32_t named = 0; named < 2; named++) {
        struct lab lab;
        struct text text = {0};

        begin(&lab, 2, NULL);
        for (uint32_t d = 0; d < 2; d++) {
            char path[60], id[UUID_TEXT_BYTES], content[60];
            snprintf(path, sizeof path, "/data%u/orders-0/partition.metadata", d);
            snprintf(content, sizeof content, "version: 0\ntopic_id: %s", uuid_text(topic_id(1), id));
            CHECK_EQ(sim_disk_put(lab.node, path, bytes_of_str(str_of(content))), 0);
        }
        meta_directory(&lab, 1, 0, topic_id((uint8_t)(200 + named)));
        CHECK_EQ(lab_start(&lab), 0);
        CHECK(replica_dir(lab_get(&lab, 1, 0)) == lab.dirs[named]);
        CHECK_TEXT(lab_names(&lab, named, &text), "orders-0 ");
        CHECK_TEXT(lab_names(&lab, 1 - named, &text), "orders-0.*-stray ");
        put_number(&lab, 0);
        CHECK_EQ(lab_stop(&lab), 0);
        end(&lab, &text);
    }
}

/* ---- every fault and every crash ------------------------------------------------------------- */

struct story {
    struct lab lab;
    uint32_t acknowledged, appended, moves;
};

struct number {
    struct replica_wait wait;
    struct story *story;
    uint32_t number;
};

static void acknowledged(struct replica_wait *w, enum kerr error)
{
    struct number *n = container_of(w, struct number, wait);

    if (error == KERR_NONE && n->story->acknowledged < n->number + 1)
        n->story->acknowledged = n->number + 1;
    free(n);
}

/* Append while it moves to and fro; ends early when the node is down or its partition is offline. */
static void live(struct story *x)
{
    struct lab *lab = &x->lab;
    const struct log_dir *lies = NULL;

    if (lab_start(lab) < 0)
        return;
    for (int i = 0; i < 120 && sim_node_is_up(lab->node); i++) {
        struct replica *r = lab_find(lab, 1, 0);
        struct replica_appended a;
        char value[16];
        if (r == NULL)
            break;
        x->moves += lies != NULL && lies != replica_dir(r) ? 1 : 0;
        lies = replica_dir(r);
        if (i % 40 == 5)
            (void)replica_move(r, lab->dirs[i / 40 % 2 == 0 ? 1 : 0]);
        snprintf(value, sizeof value, "%u", x->appended);
        if (lab_append(r, value, -1, &a) == KERR_NONE) {
            struct number *n = calloc(1, sizeof *n);
            *n = (struct number){.wait.ready = acknowledged, .story = x, .number = x->appended++};
            replica_wait_committed(r, &n->wait, a.last_offset + 1);
        }
        lab_pass(lab, 4 * MS);
        if (i % 3 == 0)
            (void)lab_grant(lab);
    }
}

static uint32_t records_found(struct story *x)
{
    struct text have = {0}, want = {0};
    struct str all = lab_read(&x->lab, lab_get(&x->lab, 1, 0), &have);
    uint32_t n = (uint32_t)log_end(replica_log(lab_get(&x->lab, 1, 0)));

    CHECK_TEXT(all, numbers(n, &want).p);
    text_deinit(&have);
    text_deinit(&want);
    return n;
}

static void survives(uint64_t n, uint32_t crash, bool *over)
{
    static struct story x;
    uint64_t before;

    x = (struct story){0};
    begin(&x.lab, 2, NULL);
    sim_node_start(x.lab.node, 1);
    if (crash != 0)
        sim_crash_at_io(x.lab.node, n, crash);
    else
        sim_fail_at(x.lab.node, n, -EIO);
    live(&x);
    before = sim_node_counters(x.lab.node)->power_cuts + sim_node_counters(x.lab.node)->kills;
    for (int k = 0; k < SIM_KINDS; k++)
        before += sim_node_counters(x.lab.node)->failed[k];
    *over = before == 0;
    CHECK(!*over || x.moves == 3);
    sim_crash_at_io(x.lab.node, 0, SIM_CRASH_KILL);
    sim_fail_at(x.lab.node, 0, 0);
    if (sim_node_is_up(x.lab.node))
        sim_node_power_cut(x.lab.node);
    lab_bury(&x.lab);
    x.lab.wish.is_set = false;
    CHECK_EQ(lab_start(&x.lab), 0);
    (void)lab_grant(&x.lab);
    uint32_t found = records_found(&x);
    CHECK(found >= x.acknowledged);
    CHECK(found <= x.appended);
    for (int i = 0; i < 50; i++) { /* a move that was under way ends well */
        lab_pass(&x.lab, 30 * MS);
        (void)lab_grant(&x.lab);
    }
    put_number(&x.lab, found);
    CHECK_EQ(records_found(&x), found + 1);
    CHECK_EQ(lab_stop(&x.lab), 0);
    lab_deinit(&x.lab);
}

TEST(move, every_single_crash_and_fault_on_the_way_loses_nothing)
{
    static const uint32_t how[] = {0, SIM_CRASH_POWER, SIM_CRASH_POWER | SIM_CRASH_AFTER, SIM_CRASH_KILL};

    for (size_t i = 0; i < array_count(how); i++) {
        bool over = false;
        uint64_t n = 1;
        for (; !over; n += 1 + n / 60)
            survives(n, how[i], &over);
        CHECK(n > 100);
    }
}
