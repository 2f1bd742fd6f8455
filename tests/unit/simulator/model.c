/* Random histories of one file against a model that is easy to believe: for each byte, the values
 * that it may have after a power cut. */
#include "lab.h"

#include <stdlib.h>

#define FILE_BYTES 40000u
#define STEPS 60

/* Bit i: the byte may be values[i]; 16 values, 0 is zero. */
struct model {
    uint8_t now[FILE_BYTES];
    uint16_t maybe[FILE_BYTES];
    uint32_t size;
    uint32_t size_synced, size_low, size_high;
};

static void model_write(struct model *m, uint32_t at, uint8_t value, uint32_t n)
{
    for (uint32_t i = at; i < at + n; i++) {
        m->now[i] = value;
        m->maybe[i] |= (uint16_t)(1u << value);
    }
    if (at + n > m->size)
        m->size = at + n;
    if (m->size > m->size_high)
        m->size_high = m->size;
}

/* These bytes are what they are now, and the file reaches as far as they do. */
static void model_write_durable(struct model *m, uint32_t at, uint8_t value, uint32_t n)
{
    model_write(m, at, value, n);
    for (uint32_t i = at; i < at + n; i++)
        m->maybe[i] = (uint16_t)(1u << value);
    if (at + n > m->size_synced)
        m->size_synced = at + n;
    if (at + n > m->size_low)
        m->size_low = at + n;
}

static void model_truncate(struct model *m, uint32_t size)
{
    for (uint32_t i = size; i < m->size; i++) {
        m->now[i] = 0;
        m->maybe[i] |= 1;
    }
    m->size = size;
    if (size < m->size_low)
        m->size_low = size;
    if (size > m->size_high)
        m->size_high = size;
}

static void model_sync(struct model *m)
{
    for (uint32_t i = 0; i < FILE_BYTES; i++)
        m->maybe[i] = (uint16_t)(1u << m->now[i]);
    m->size_synced = m->size_low = m->size_high = m->size;
}

static void model_check(const struct model *m, const struct text *left)
{
    CHECK(left->n >= m->size_low);
    CHECK(left->n <= m->size_high);
    for (uint32_t i = 0; i < left->n; i++) {
        uint8_t value = (uint8_t)left->p[i];
        bool behind = i >= m->size_synced; /* never written there yet: zeros */
        CHECK(value < 16);
        if ((m->maybe[i] >> value & 1) == 0 && !(behind && value == 0))
            check_fail(__FILE__, __LINE__, "byte %u is %u, may be %04x", i, value, m->maybe[i]);
    }
}

/* What is read now is what was written last, whatever is durable. */
static void read_check(struct lab *l, struct io_file *file, const struct model *m)
{
    static uint8_t got[FILE_BYTES];
    uint32_t at = (uint32_t)prng_below(sim_prng(l->sim), FILE_BYTES);
    uint32_t n = (uint32_t)prng_below(sim_prng(l->sim), FILE_BYTES - at) + 1;
    uint32_t there = at >= m->size ? 0 : m->size - at < n ? m->size - at : n;

    CHECK_EQ(DO(l->sim, io_read(file, at, got, n, op)), there);
    CHECK_BYTES(got, there, m->now + at, there);
    CHECK_EQ(DO(l->sim, io_size(file, op)), m->size);
}

static void step(struct lab *l, struct io_file *file, struct model *m)
{
    struct prng *g = sim_prng(l->sim);
    uint32_t at = (uint32_t)prng_below(g, FILE_BYTES);
    uint32_t n = (uint32_t)prng_below(g, prng_below(g, 2) ? 600 : FILE_BYTES - at);
    char value = (char)(1 + prng_below(g, 15));

    n = n > FILE_BYTES - at ? FILE_BYTES - at : n;
    switch (prng_below(g, 10)) {
    case 0:
        CHECK_EQ(DO(l->sim, io_sync(file, op)), 0);
        model_sync(m);
        break;
    case 1:
        CHECK_EQ(DO(l->sim, io_truncate(file, at, op)), 0);
        model_truncate(m, at);
        break;
    case 2:
        CHECK_EQ(DO(l->sim, io_allocate(file, at, n, op)), 0);
        if (at + n > m->size)
            model_truncate(m, at + n); /* grows it */
        break;
    case 3:
        read_check(l, file, m);
        break;
    case 4:
    case 5:
        if (n > 0) {
            CHECK_EQ(lab_fill_durable(l, file, at, value, n), n);
            model_write_durable(m, at, (uint8_t)value, n);
        }
        break;
    default:
        if (n > 0) {
            CHECK_EQ(lab_fill(l, file, at, value, n), n);
            model_write(m, at, (uint8_t)value, n);
        }
    }
}

static void history(uint64_t seed, bool kill)
{
    struct lab l = lab_open(seed, NULL);
    struct model *m = calloc(1, sizeof(*m));
    struct io_file *file = lab_file(&l, "/f", IO_WRITE | IO_CREATE);
    struct text left;

    ASSERT(m != NULL);
    for (uint32_t i = 0; i < FILE_BYTES; i++)
        m->maybe[i] = 1;
    CHECK_EQ(DO(l.sim, io_sync_dir(l.io, "/", op)), 0);
    for (int round = 0; round < 4; round++) {
        for (uint64_t i = prng_below(sim_prng(l.sim), STEPS); i > 0; i--)
            step(&l, file, m);
        read_check(&l, file, m);
        if (kill)
            sim_node_kill(l.node);
        else
            sim_node_power_cut(l.node);
        CHECK_EQ(DO(l.sim, io_close(file, op)), 0); /* in its afterlife */
        left = lab_content(&l, "/f");
        if (kill)
            CHECK_BYTES(left.p, left.n, m->now, m->size);
        else
            model_check(m, &left);
        memset(m->now, 0, sizeof(m->now)); /* go on with what is left */
        memcpy(m->now, left.p == NULL ? "" : left.p, left.n);
        m->size = (uint32_t)left.n;
        text_deinit(&left);
        if (!kill)
            model_sync(m);
        lab_restart(&l);
        file = lab_file(&l, "/f", IO_WRITE);
    }
    sim_free(l.sim);
    free(m);
}

TEST(file_model, holds_over_power_cuts)
{
    for (uint64_t seed = 1; seed <= 300; seed++)
        history(seed, false);
}

TEST(file_model, holds_over_kills)
{
    for (uint64_t seed = 1; seed <= 60; seed++)
        history(seed, true);
}
