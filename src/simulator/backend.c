/* simulator/backend.c - the table of all calls. */
#include "simulator/internal.h"

static int64_t sim_io_wall_ms(const struct io *io)
{
    return sim_node_wall_ms(shard_of(io)->life->node);
}

/* From a stream of the process, so that they do not shift what io_prng gives. */
static void sim_io_random_bytes(struct io *io, void *p, size_t n)
{
    struct prng *g = &shard_of(io)->life->secrets;
    uint8_t *to = p;

    for (size_t done = 0; done < n; done += 8) {
        uint64_t r = prng_u64(g);
        memcpy(to + done, &r, n - done < 8 ? n - done : 8);
    }
}

const struct io_backend sim_backend = {
    .wall_ms = sim_io_wall_ms,
    .random_bytes = sim_io_random_bytes,
    .timer_set = sim_io_timer_set,
    .timer_clear = sim_io_timer_clear,
    .complete = sim_io_complete,
    .cancel = sim_io_cancel,
    .post = sim_io_post,
    .offload = sim_io_offload,
    .open = sim_io_open,
    .close = sim_io_close,
    .read = sim_io_read,
    .write = sim_io_write,
    .write_durable = sim_io_write_durable,
    .sync = sim_io_sync,
    .truncate = sim_io_truncate,
    .allocate = sim_io_allocate,
    .size = sim_io_size,
    .lock = sim_io_lock,
    .rename = sim_io_rename,
    .remove = sim_io_remove,
    .mkdir = sim_io_mkdir,
    .rmdir = sim_io_rmdir,
    .sync_dir = sim_io_sync_dir,
    .chmod = sim_io_chmod,
    .list = sim_io_list,
    .space = sim_io_space,
    .listen = sim_io_listen,
    .accept = sim_io_accept,
    .listener_close = sim_io_listener_close,
    .connect = sim_io_connect,
    .recv_lend = sim_io_recv_lend,
    .recv = sim_io_recv,
    .send = sim_io_send,
    .socket_close = sim_io_socket_close,
};
