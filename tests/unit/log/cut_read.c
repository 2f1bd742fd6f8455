/* Whoever reads while a log is cut, or begins anew, is told so or finds what is there. */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "compact_story.h"

#define BATCHES 40

enum question { READ, TIME, MAX_TIME, ABORTED, QUESTIONS };

struct asked {
    struct wait wait;
    struct log_read read;
    struct text bytes;
    struct log_time_found time;
    struct log_aborted *aborted;
};

static void ask(struct keyed_story *s, struct asked *a, enum question what, int64_t offset)
{
    struct op *op = wait_begin(&a->wait);

    a->read = (struct log_read){.offset = offset,
                                .limit = log_end(s->log),
                                .first_whole = true,
                                .max_bytes = 1500,
                                .arena = &s->lab.arena};
    switch (what) {
    case READ:
        log_read_bytes(s->log, &a->read, &a->bytes, op);
        return;
    case TIME:
        log_find_time(s->log, 10000 + offset, log_end(s->log), &a->time, op);
        return;
    case MAX_TIME:
        log_find_max_time(s->log, log_end(s->log), &a->time, op);
        return;
    default:
        log_aborted_between(s->log, offset, log_end(s->log), &s->lab.arena, &a->aborted, op);
    }
}

static void take_answer(struct keyed_story *s, struct asked *a)
{
    int64_t rc = wait_end(&s->lab, &a->wait);
    struct bytes rest = bytes_of_str(text_str(&a->bytes));
    struct batch b;

    CHECK(rc >= 0 || rc == -ERANGE);
    while (rc >= 0 && batch_next(&rest, &b) == 1)
        CHECK(batch_crc_ok(&b));
    text_deinit(&a->bytes);
}

/* No name is there that the log does not know. */
static void check_ends(struct keyed_story *s)
{
    struct text files = lab_files(&s->lab, "t-0");
    struct str rest = text_str(&files), line, name;
    int64_t base;

    while (str_cut(&rest, '\n', &line)) {
        CHECK(str_cut(&line, ' ', &name));
        if (str_ends(name, STR(".log")) &&
            str_to_i64((struct str){name.p, name.n - 4}, 0, INT64_MAX, &base) == 0)
            CHECK(base <= log_end(s->log));
    }
    text_deinit(&files);
}

/* False when the cut has ended after fewer steps. */
static bool ask_after(uint32_t steps, bool anew)
{
    struct keyed_story *s = keyed_new(steps + 1);
    struct asked all[3][QUESTIONS] = {0};
    struct wait cut;
    bool early;

    prng_init(&s->g, 7);
    s->lab.memory.files_max = 2;
    keyed_open(s);
    for (int i = 0; i < BATCHES; i++) {
        keyed_append(s, 1);
        if (i % 8 == 7)
            keyed_end_transaction(s, i % 16 == 7);
    }
    keyed_flush(s);
    int64_t end = log_end(s->log), to = end / 3;
    if (anew)
        log_restart_at(s->log, end + 100, wait_begin(&cut));
    else
        log_truncate(s->log, to, wait_begin(&cut));
    for (uint32_t i = 0; i < steps && !cut.done; i++)
        CHECK(sim_step(s->sim));
    early = !cut.done;
    for (int i = 0; i < 3 && early; i++) {
        for (enum question what = 0; what < QUESTIONS; what++)
            ask(s, &all[i][what], what, i * (end - 1) / 2);
    }
    for (int i = 0; i < 3 && early; i++) {
        for (enum question what = 0; what < QUESTIONS; what++)
            take_answer(s, &all[i][what]);
    }
    CHECK_EQ(wait_end(&s->lab, &cut), 0);
    CHECK_EQ(log_end(s->log), anew ? end + 100 : to);
    CHECK_EQ(s->lab.said.n, 0);
    CHECK(!s->lab.dir->has_failed);
    check_ends(s);
    keyed_close(s, true);
    keyed_open(s);
    CHECK(s->log != NULL);
    CHECK_EQ(log_end(s->log), anew ? end + 100 : to);
    keyed_close(s, true);
    keyed_free(s);
    return early;
}

TEST(log_truncate, disturbs_nobody_who_reads)
{
    for (uint32_t steps = 0; ask_after(steps, false); steps++)
        ;
}

TEST(log_restart_at, disturbs_nobody_who_reads)
{
    for (uint32_t steps = 0; ask_after(steps, true); steps++)
        ;
}
