/* See compact_story.h. */
#include "compact_story.h"

#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "crash_case.h"

#define TOPIC "t"
#define TIME_0 10000

static bool step(void *world)
{
    return sim_step(world);
}

void keyed_restart(struct keyed_story *s)
{
    struct log_settings settings = s->lab.settings;

    sim_node_start(s->node, 1);
    lab_init(&s->lab, sim_node_io(s->node, 0), step, s->sim, "/data");
    if (settings.segment_bytes != 0)
        s->lab.settings = settings;
}

struct keyed_story *keyed_new(uint64_t seed)
{
    struct keyed_story *s = calloc(1, sizeof(*s));

    ASSERT(s != NULL);
    seed = crash_seed(seed);
    struct sim_options options = {.names_subset = seed % 2 == 0,
                                  .trace = crash_trace()};
    s->sim = sim_new(seed, &options);
    s->node = sim_node_new(s->sim, "a");
    prng_init(&s->g, seed);
    keyed_restart(s);
    s->lab.settings.segment_bytes = 900;
    s->lab.settings.index_interval_bytes = 150;
    s->lab.settings.file_delete_delay_ms = 1000;
    s->retention_ms = 1000000;
    return s;
}

/* Files whose time has come are being removed: that ends by itself. */
#define LAST_STEPS 1000

void keyed_free(struct keyed_story *s)
{
    for (int i = 0; i < LAST_STEPS && sim_step(s->sim); i++)
        continue;
    lab_deinit(&s->lab);
    sim_free(s->sim);
    free(s);
}

bool keyed_is_up(const struct keyed_story *s)
{
    return sim_node_is_up(s->node);
}

static bool works(const struct keyed_story *s)
{
    return s->log != NULL && keyed_is_up(s) && !s->lab.dir->has_failed;
}

void keyed_open(struct keyed_story *s)
{
    if (!keyed_is_up(s) || lab_dir_open(&s->lab) < 0)
        return;
    s->log = lab_log_open(&s->lab, TOPIC, s->lab.dir->clean);
}

static void save_first_dirty(struct keyed_story *s)
{
    struct checkpoint_entry e = {(char *)(uintptr_t)TOPIC, 0, log_first_dirty(s->log)};
    struct checkpoint c = {&e, 1};

    if (keyed_is_up(s))
        (void)WAIT(&s->lab, log_dir_checkpoint_cleaner(s->lab.dir, &c, op));
}

void keyed_close(struct keyed_story *s, bool clean)
{
    if (clean && works(s))
        save_first_dirty(s);
    if (s->log != NULL && WAIT(&s->lab, log_close(s->log, op)) < 0)
        clean = false;
    s->log = NULL;
    if (s->lab.dir != NULL)
        (void)WAIT(&s->lab, log_dir_close(s->lab.dir, clean, 1, op));
    s->lab.dir = NULL;
}

/* ---- appending ------------------------------------------------------------------------------ */

static void append_built(struct keyed_story *s, struct batch_builder *b)
{
    struct text bytes = {0};
    struct log_appended done;
    struct batch batch;

    CHECK_EQ(batch_builder_finish(b, &bytes), 0);
    CHECK(batch_read(bytes_of_str(text_str(&bytes)), &batch, NULL) > 0);
    enum kerr error = log_append(s->log, &batch, 1, io_wall_ms(s->lab.io), &done);
    if (error != KERR_NONE && works(s))
        check_fail(__FILE__, __LINE__, "seed %llu: error %d for sequence %d",
                   (unsigned long long)sim_seed(s->sim), error, batch.base_sequence);
    batch_builder_deinit(b);
    text_deinit(&bytes);
}

static void begin_batch(struct batch_builder *b, int producer, int32_t sequence)
{
    batch_builder_init(b);
    if (producer == 0)
        return;
    b->producer_id = producer;
    b->producer_epoch = 0;
    b->base_sequence = sequence;
    if (producer == 2)
        b->attributes |= BATCH_TRANSACTIONAL;
}

static void append_one(struct keyed_story *s)
{
    int producer = (int)prng_below(&s->g, STORY_PRODUCERS);
    int32_t count = 1 + (int32_t)prng_below(&s->g, 4);
    int64_t base = log_end(s->log);
    struct batch_builder b;
    char key[16], value[80];

    if (base + count >= STORY_RECORDS_MAX)
        return;
    begin_batch(&b, producer, s->next_sequence[producer]);
    if (prng_below(&s->g, 3) == 0) {
        b.attributes |= CODEC_LZ4;
        b.level = codec_level_default(CODEC_LZ4);
    }
    s->next_sequence[producer] += producer == 0 ? 0 : count;
    if (producer == 2 && s->open == 0) {
        s->open = ++s->transactions;
        s->open_first = base;
    }
    for (int32_t i = 0; i < count; i++) {
        struct story_record *r = &s->records[base + i];
        *r = (struct story_record){.key = (int)prng_below(&s->g, STORY_KEYS),
                                   .value = (int)(base + i),
                                   .producer = producer,
                                   .transaction = producer == 2 ? s->open : 0,
                                   .last_of_batch = i + 1 == count};
        if (prng_below(&s->g, 6) == 0)
            r->value = -1;
        int k = snprintf(key, sizeof(key), "k%d", r->key);
        int v = snprintf(value, sizeof(value), "%d %040d", r->value, 0);
        batch_builder_add(&b, TIME_0 + base + i, (struct bytes){(uint8_t *)key, k},
                          r->value < 0 ? BYTES_NULL : (struct bytes){(uint8_t *)value, v}, NULL, 0);
    }
    append_built(s, &b);
}

void keyed_append(struct keyed_story *s, int batches)
{
    for (; batches > 0 && works(s); batches--)
        append_one(s);
}

void keyed_end_transaction(struct keyed_story *s, bool commit)
{
    static const uint8_t marker[6];
    struct batch_builder b;

    if (!works(s) || s->open == 0)
        return;
    begin_batch(&b, 2, -1);
    b.attributes |= BATCH_CONTROL;
    batch_builder_add_control(&b, commit ? CONTROL_COMMIT : CONTROL_ABORT, TIME_0 + log_end(s->log),
                              (struct bytes){marker, 6});
    s->records[log_end(s->log)] = (struct story_record){
        .producer = 2, .transaction = s->open, .marker = true, .last_of_batch = true};
    s->aborted[s->open] = !commit;
    s->open = 0;
    append_built(s, &b);
}

void keyed_until_stable(struct keyed_story *s)
{
    while (works(s) && log_stable(s->log) < log_end(s->log)) {
        CHECK(sim_step(s->sim));
        if (works(s) && log_stable(s->log) > s->acknowledged)
            s->acknowledged = log_stable(s->log);
    }
}

void keyed_flush(struct keyed_story *s)
{
    if (works(s) && WAIT(&s->lab, log_flush(s->log, op)) == 0)
        s->acknowledged = log_end(s->log);
}

/* ---- compaction ------------------------------------------------------------------------------ */

bool keyed_measure(struct keyed_story *s, struct keyed_run *run)
{
    if (!works(s))
        return false;
    struct log_dirt_rules rules = {.stable_end = log_last_stable_offset(s->log, log_stable(s->log)),
                                   .wall_ms = io_wall_ms(s->lab.io)};
    *run = (struct keyed_run){.how = {.delete_retention_ms = s->retention_ms,
                                      .map_bytes_max = 1 << 16,
                                      .load_factor = 0.9,
                                      .buffer_bytes = 8192,
                                      .bytes_per_second = 1e300}};
    if (WAIT(&s->lab, log_measure_dirt(s->log, &rules, &run->dirt, op)) < 0)
        return false;
    return run->dirt.first_uncleanable > run->dirt.first_dirty;
}

void keyed_compact_measured(struct keyed_story *s, struct keyed_run *run)
{
    s->compacted_to = run->dirt.first_uncleanable;
    if (s->retention_ms == 0)
        s->tombstones_to = run->dirt.first_uncleanable;
    run->how.first_uncleanable = run->dirt.first_uncleanable;
    log_compact(s->log, &run->how, &run->done, &run->fail, wait_begin(&run->wait));
}

bool keyed_compact_begin(struct keyed_story *s, struct keyed_run *run)
{
    if (!keyed_measure(s, run))
        return false;
    keyed_compact_measured(s, run);
    return true;
}

int64_t keyed_compact(struct keyed_story *s, void (*meanwhile)(struct keyed_story *s))
{
    struct keyed_run run;

    if (!keyed_compact_begin(s, &run))
        return 0;
    while (!run.wait.done) {
        CHECK(sim_step(s->sim));
        if (meanwhile != NULL && works(s) && !run.wait.done)
            meanwhile(s);
    }
    if (run.wait.result >= 0) {
        CHECK_EQ(log_first_dirty(s->log), run.dirt.first_uncleanable);
        CHECK_EQ(run.done.first_dirty, run.dirt.first_uncleanable);
        save_first_dirty(s);
    } else if (works(s) && !s->may_fail) {
        check_fail(__FILE__, __LINE__, "seed %llu: %s", (unsigned long long)sim_seed(s->sim),
                   run.fail.text);
    }
    return run.wait.result;
}

/* ---- what must hold ---------------------------------------------------------------------------
 */

struct found {
    bool there[STORY_RECORDS_MAX];
    int64_t last_sequence[STORY_PRODUCERS];
};

static void check_record(struct keyed_story *s, const struct record *r)
{
    const struct story_record *e = &s->records[r->offset];
    char text[80];

    CHECK(!e->marker);
    snprintf(text, sizeof(text), "k%d", e->key);
    CHECK_TEXT(str_of_bytes(r->key), text);
    snprintf(text, sizeof(text), "%d %040d", e->value, 0);
    CHECK_TEXT(str_of_bytes(r->value), e->value < 0 ? NULL : text);
    CHECK_EQ(r->timestamp_ms, TIME_0 + r->offset);
}

/* The batches of a read from `offset`: each is whole, ascending, and says what was appended. */
static int64_t check_batches(struct keyed_story *s, struct bytes rest, int64_t offset,
                             struct found *found)
{
    struct records records;
    struct record r;
    struct batch b;
    int rc;

    while ((rc = batch_next(&rest, &b)) == 1) {
        CHECK(batch_crc_ok(&b));
        CHECK(b.last_offset >= offset);
        CHECK(s->records[b.last_offset].last_of_batch);
        CHECK_EQ(records_begin(&records, &b, 1 << 20), 0);
        while ((rc = records_next(&records, &r)) == 1) {
            if (!batch_is_control(&b))
                check_record(s, &r);
            if (found != NULL)
                found->there[r.offset] = true;
        }
        CHECK_EQ(rc, 0);
        records_end(&records);
        offset = b.last_offset + 1;
    }
    CHECK_EQ(rc, 0);
    return offset;
}

static void read_all(struct keyed_story *s, struct found *found)
{
    int64_t offset = log_start(s->log);

    while (offset < log_end(s->log)) {
        struct text some = lab_read(&s->lab, s->log, offset, log_end(s->log), 700);
        if (some.n == 0)
            break;
        offset = check_batches(s, bytes_of_str(text_str(&some)), offset, found);
        text_deinit(&some);
    }
}

/* What a reader of committed records must not see is not there, or is said to be aborted. */
static void check_aborted(struct keyed_story *s, const struct found *found)
{
    struct log_aborted *list;
    int64_t count =
        WAIT(&s->lab, log_aborted_between(s->log, 0, log_end(s->log), &s->lab.arena, &list, op));

    CHECK(count >= 0);
    for (int64_t offset = log_start(s->log); offset < log_end(s->log); offset++) {
        const struct story_record *e = &s->records[offset];
        bool said = false;
        if (!found->there[offset] || e->marker || !s->aborted[e->transaction])
            continue;
        for (int64_t i = 0; i < count; i++)
            said |= list[i].producer_id == 2 && list[i].first_offset <= offset &&
                    offset <= list[i].last_offset;
        if (!said)
            check_fail(__FILE__, __LINE__, "seed %llu: the aborted record at %lld would be seen",
                       (unsigned long long)sim_seed(s->sim), (long long)offset);
    }
    arena_reset(&s->lab.arena);
}

static void check_values(struct keyed_story *s, const struct found *found)
{
    int64_t last[STORY_KEYS];

    for (int k = 0; k < STORY_KEYS; k++)
        last[k] = -1;
    for (int64_t offset = s->started; offset < log_end(s->log); offset++) {
        const struct story_record *e = &s->records[offset];
        bool counts = !e->marker && !(e->transaction != 0 && s->aborted[e->transaction]);
        if (counts)
            last[e->key] = offset;
        if (offset >= s->compacted_to && !found->there[offset])
            check_fail(__FILE__, __LINE__, "seed %llu: %lld was not compacted, and is gone",
                       (unsigned long long)sim_seed(s->sim), (long long)offset);
    }
    for (int k = 0; k < STORY_KEYS; k++) {
        bool may_go = last[k] >= 0 && s->records[last[k]].value < 0 && last[k] < s->tombstones_to;
        if (last[k] >= 0 && !found->there[last[k]] && !may_go)
            check_fail(__FILE__, __LINE__, "seed %llu: the last value of key %d, at %lld, is gone",
                       (unsigned long long)sim_seed(s->sim), k, (long long)last[k]);
    }
}

static void check_producers(struct keyed_story *s)
{
    struct log_producer found[8];
    uint32_t count = log_producers(s->log, found, 8);

    for (uint32_t i = 0; i < count; i++) {
        if (s->next_sequence[found[i].producer_id] > 0)
            CHECK_EQ(found[i].last_sequence, s->next_sequence[found[i].producer_id] - 1);
    }
}

/* No name is left of a replacement; each segment has its indexes. */
void keyed_check_names(struct keyed_story *s)
{
    struct text files = lab_files(&s->lab, TOPIC "-0");
    struct str rest = text_str(&files), line, name;

    while (str_cut(&rest, '\n', &line)) {
        CHECK(str_cut(&line, ' ', &name));
        CHECK(!str_ends(name, STR(".cleaned")));
        CHECK(!str_ends(name, STR(".swap")));
    }
    text_deinit(&files);
}

void keyed_cut(struct keyed_story *s, int64_t offset)
{
    while (offset > 0 && offset < log_end(s->log) && !s->records[offset - 1].last_of_batch)
        offset++;
    CHECK_EQ(WAIT(&s->lab, log_truncate(s->log, offset, op)), 0);
    CHECK_EQ(log_end(s->log), offset);
    s->acknowledged = s->started = offset;
}

void keyed_adopt(struct keyed_story *s)
{
    int64_t end = log_end(s->log);

    s->open = 0;
    memset(s->next_sequence, 0, sizeof(s->next_sequence));
    for (int64_t offset = 0; offset < end; offset++) {
        const struct story_record *e = &s->records[offset];
        s->next_sequence[e->producer] += e->marker || e->producer == 0 ? 0 : 1;
        if (e->transaction != 0)
            s->open = e->marker ? 0 : e->transaction;
    }
    /* a marker that was lost has ended nothing */
    for (int i = 1; i <= s->transactions; i++) {
        bool ended = false;
        for (int64_t offset = 0; offset < end; offset++)
            ended |= s->records[offset].marker && s->records[offset].transaction == i;
        s->aborted[i] &= ended;
    }
    s->acknowledged = end;
}

void keyed_check(struct keyed_story *s)
{
    struct found *found = calloc(1, sizeof(*found));

    ASSERT(found != NULL);
    CHECK(log_end(s->log) >= s->acknowledged);
    keyed_adopt(s);
    read_all(s, found);
    check_values(s, found);
    check_aborted(s, found);
    check_producers(s);
    free(found);
}

void keyed_look(struct keyed_story *s)
{
    int64_t span = log_end(s->log) - log_start(s->log);
    int64_t offset = log_start(s->log) + (int64_t)prng_below(&s->g, (uint64_t)span + 1);
    struct log_read r = {.offset = offset,
                         .limit = log_end(s->log),
                         .first_whole = true,
                         .max_bytes = 1 + (uint32_t)prng_below(&s->g, 1500),
                         .arena = &s->lab.arena};
    struct log_time_found time;
    struct text some = {0};
    int64_t rc = WAIT(&s->lab, log_read_bytes(s->log, &r, &some, op));

    if (works(s)) {
        CHECK(rc >= 0);
        (void)check_batches(s, bytes_of_str(text_str(&some)), offset, NULL);
    }
    text_deinit(&some);
    arena_reset(&s->lab.arena);
    if (!works(s))
        return;
    rc = WAIT(&s->lab, log_find_time(s->log, TIME_0 + offset, log_end(s->log), &time, op));
    if (!works(s) || rc != 1) {
        CHECK(rc >= 0 || !works(s));
        return;
    }
    CHECK(time.offset >= offset);
    CHECK_EQ(time.timestamp_ms, TIME_0 + time.offset);
}
