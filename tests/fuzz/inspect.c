/* Foreign bytes as each file that `log dump` prints and `log verify` checks, by the name that the first byte chooses;
 * the second one chooses decoder and options. */
#include "inspect/inspect.h"
#include "io_epoll/io_epoll.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
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
    ASSERT(result == 0 || result == 1 || result == 2);
    container_of(op, struct wait, op)->done = true;
}

static int flush(void *ctx)
{
    struct inspect_output *o = ctx;

    text_clear(o->out);
    text_clear(o->err);
    return 0;
}

static void run_until(struct io_epoll_world *world, struct wait *w)
{
    while (!w->done)
        io_epoll_turn(world, 1000000);
}

/* The bytes are one file of a partition, and a segment lies beside it; or of the log directory itself. */
static void verify(struct io_epoll_world *world, const char *dir, const char *name, const uint8_t *p, size_t n,
                   struct inspect_output *output)
{
    static const char *const partitions[] = {"__cluster_metadata-0", "__consumer_offsets-0", "t-0"};
    struct verify_options o = {.dir = dir, .topic = STR_NULL, .deep = true};
    char path[200];

    for (size_t i = 0; i < array_count(partitions); i++) {
        bool segment = name[0] == '0';
        snprintf(path, sizeof(path), "%s/%s", dir, partitions[i]);
        mkdir(path, 0755);
        snprintf(path, sizeof(path), "%s/%s/%020d%s", dir, partitions[i], 0, segment ? name + 1 : ".log");
        put(path, p, n);
        snprintf(path, sizeof(path), "%s/%s/%s", dir, partitions[i], segment ? "quorum-state" : name);
        put(path, p, n);
    }
    struct wait w = {0};
    op_init(&w.op, wait_done);
    inspect_verify(io_epoll_shard(world, 0), &o, output, &w.op);
    run_until(world, &w);
    for (size_t i = 0; i < array_count(partitions); i++) {
        snprintf(path, sizeof(path), "%s/%s/%020d%s", dir, partitions[i], 0, name[0] == '0' ? name + 1 : ".log");
        unlink(path);
        snprintf(path, sizeof(path), "%s/%s/%s", dir, partitions[i], name[0] == '0' ? "quorum-state" : name);
        unlink(path);
    }
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
    run_until(world, &w);
    unlink(log);
    verify(world, dir, name, data + 2, size - 2, &output);
    text_deinit(&out);
    text_deinit(&err);
    unlink(path);
    return 0;
}
