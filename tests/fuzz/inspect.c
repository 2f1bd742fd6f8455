/* Foreign bytes as each file that `log dump` prints, by the name that the first byte chooses; the second one
 * chooses decoder and options. */
#include "inspect/inspect.h"
#include "io_epoll/io_epoll.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {
    "0.log", "0.index", "0.timeindex", "0.txnindex", "0.snapshot", "leader-epoch-checkpoint",
    "log-start-offset-checkpoint", "partition.metadata", "meta.properties", "quorum-state",
    "bootstrap.checkpoint",
};

static void put(const char *path, const uint8_t *p, size_t n)
{
    FILE *f = fopen(path, "w");

    ASSERT(f != NULL);
    ASSERT(fwrite(p, 1, n, f) == n);
    ASSERT(fclose(f) == 0);
}

struct wait {
    struct op op;
    bool done;
};

static void wait_done(struct op *op, int64_t result)
{
    ASSERT(result == 0 || result == 1);
    container_of(op, struct wait, op)->done = true;
}

static int flush(void *ctx)
{
    struct inspect_output *o = ctx;

    text_clear(o->out);
    text_clear(o->err);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct io_epoll_world *world;
    static char dir[] = "/tmp/millrace-fuzz-XXXXXX";
    char path[128], log[128];
    struct text out = {0}, err = {0};
    struct inspect_output output = {.out = &out, .err = &err, .flush = flush, .ctx = &output};
    struct wait w = {0};

    if (size < 2 || size > 1 << 16)
        return 0;
    if (world == NULL) {
        ASSERT(io_epoll_new(1, NULL, &world) == 0);
        ASSERT(io_epoll_start(world, NULL, NULL) == 0);
        ASSERT(mkdtemp(dir) != NULL);
    }
    const char *name = names[data[0] % array_count(names)];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    snprintf(log, sizeof(log), "%s/%020d.log", dir, 0); /* what an index is held against: the same bytes */
    put(path, data + 2, size - 2);
    put(log, data + 2, size - 2);
    struct dump_options o = {
        .files = (const char *const[]){path},
        .file_count = 1,
        .max_bytes = UINT64_MAX,
        .decoder = (enum inspect_decoder)(data[1] % (DECODE_SHARE + 1)),
        .deep = true,
        .contents = true,
        .json = (data[1] & 0x80) != 0,
        .skip_metadata = (data[1] & 0x40) != 0,
    };
    op_init(&w.op, wait_done);
    inspect_dump(io_epoll_shard(world, 0), &o, &output, &w.op);
    while (!w.done)
        io_epoll_turn(world, 1000000);
    text_deinit(&out);
    text_deinit(&err);
    unlink(path);
    unlink(log);
    return 0;
}
