/* lab.h - what the simulator's own tests share: operations that are waited for in one line. */
#pragma once

#include "check.h"
#include "simulator/simulator.h"

#define US INT64_C(1000)
#define MS INT64_C(1000000)
#define SEC INT64_C(1000000000)

struct call {
    struct op op;
    bool over;
    int64_t result;
};

static inline void call_done(struct op *op, int64_t result)
{
    struct call *c = container_of(op, struct call, op);

    ASSERT(!c->over);
    c->over = true;
    c->result = result;
}

static inline struct op *call_begin(struct call *c)
{
    *c = (struct call){.over = false};
    op_init(&c->op, call_done);
    return &c->op;
}

static inline int64_t call_wait(struct sim *sim, struct call *c)
{
    while (!c->over)
        CHECK(sim_step(sim)); /* else nothing will ever complete it */
    return c->result;
}

/* The result of an operation, which names itself `op`. */
#define DO(sim_, call_)                                 \
    __extension__({                                     \
        struct call do_;                                \
        struct op *op = call_begin(&do_);               \
        call_;                                          \
        call_wait((sim_), &do_);                        \
    })

/* A world with one started node of one shard, named "a". */
struct lab {
    struct sim *sim;
    struct sim_node *node;
    struct io *io;
};

static inline struct lab lab_open(uint64_t seed, const struct sim_options *options)
{
    struct lab l = {.sim = sim_new(seed, options)};

    l.node = sim_node_new(l.sim, "a");
    sim_node_start(l.node, 1);
    l.io = sim_node_io(l.node, 0);
    return l;
}

/* After a crash: the same machine, a new process. */
static inline void lab_restart(struct lab *l)
{
    sim_node_start(l->node, 1);
    l->io = sim_node_io(l->node, 0);
}

static inline struct io_file *lab_file(struct lab *l, const char *path, uint32_t flags)
{
    struct io_file *file = NULL;

    CHECK_EQ(DO(l->sim, io_open(l->io, path, flags, &file, op)), 0);
    return file;
}

static inline int64_t lab_write(struct lab *l, struct io_file *file, uint64_t position,
                                const void *p, uint32_t n)
{
    struct bytes piece = {p, (int32_t)n};

    return DO(l->sim, io_write(file, position, &piece, 1, op));
}

/* `n` times `c`, until the next call; aligned, so that direct files take it too. */
static inline struct bytes lab_bytes(char c, uint32_t n)
{
    static _Alignas(IO_ALIGN_BYTES) uint8_t bytes[1 << 20];

    ASSERT(n <= sizeof(bytes));
    return (struct bytes){memset(bytes, c, n), (int32_t)n};
}

static inline int64_t lab_fill(struct lab *l, struct io_file *file, uint64_t position, char c,
                               uint32_t n)
{
    struct bytes piece = lab_bytes(c, n);

    return DO(l->sim, io_write(file, position, &piece, 1, op));
}

static inline int64_t lab_fill_durable(struct lab *l, struct io_file *file, uint64_t position,
                                       char c, uint32_t n)
{
    struct bytes piece = lab_bytes(c, n);

    return DO(l->sim, io_write_durable(file, position, &piece, 1, op));
}

/* The content of a file, or "-ENOENT" and the like as a number; clear it with text_deinit. */
static inline struct text lab_content(struct lab *l, const char *path)
{
    struct text text = {NULL};
    int error = sim_disk_get(l->node, path, &text);

    if (error < 0)
        text_printf(&text, "%d", error);
    return text;
}
