/* io/io.c - finds the backend of what a call names, and checks what every backend relies on. */
#include "io/io.h"

#include <stdlib.h>

/* ---- time and chance ------------------------------------------------------------------ */

int64_t io_now_ns(const struct io *io)
{
    return io->now_ns;
}

int64_t io_wall_ms(const struct io *io)
{
    return io->backend->wall_ms(io);
}

struct prng *io_prng(struct io *io)
{
    return &io->prng;
}

void io_random_bytes(struct io *io, void *p, size_t n)
{
    io->backend->random_bytes(io, p, n);
}

/* ---- timers, turns, shards ------------------------------------------------------------- */

void io_timer_set(struct io *io, struct io_timer *t, int64_t at_ns,
                  void (*fire)(struct io_timer *t))
{
    ASSERT(fire != NULL);
    ASSERT(!io_timer_is_set(t) || t->io == io); /* a timer stays on the shard that set it */
    t->fire = fire;
    t->io = io;
    io->backend->timer_set(io, t, at_ns);
}

void io_timer_clear(struct io_timer *t)
{
    if (io_timer_is_set(t))
        t->io->backend->timer_clear(t->io, t);
}

void io_complete(struct io *io, struct op *op, int64_t result)
{
    io->backend->complete(io, op, result);
}

void io_cancel(struct io *io, struct op *op)
{
    io->backend->cancel(io, op);
}

uint32_t io_shard(const struct io *io)
{
    return io->shard;
}

uint32_t io_shard_count(const struct io *io)
{
    return io->shard_count;
}

void io_post(struct io *from, uint32_t shard, struct io_message *m)
{
    ASSERT(shard < from->shard_count);
    ASSERT(m->run != NULL);
    from->backend->post(from, shard, m);
}

void io_offload(struct io *io, void (*work)(void *arg), void *arg, struct op *op)
{
    ASSERT(work != NULL);
    io->backend->offload(io, work, arg, op);
}

/* ---- files ----------------------------------------------------------------------------- */

void io_open(struct io *io, const char *path, uint32_t flags, struct io_file **out, struct op *op)
{
    ASSERT((flags & (IO_READ | IO_WRITE)) != 0);
    io->backend->open(io, path, flags, out, op);
}

bool io_file_is_direct(const struct io_file *file)
{
    return file->direct;
}

void *io_aligned_new(size_t n)
{
    return aligned_alloc(IO_ALIGN_BYTES, io_align_up(n));
}

void io_close(struct io_file *file, struct op *op)
{
    file->io->backend->close(file, op);
}

/* I6, also where the file system has no direct access: so that both ways are tested alike. */
static void check_aligned(const struct io_file *file, uint64_t position, const void *p, uint64_t n)
{
    if (!file->aligned)
        return;
    ASSERT(io_is_aligned(position));
    ASSERT(io_is_aligned((uintptr_t)p));
    ASSERT(io_is_aligned(n));
}

void io_read(struct io_file *file, uint64_t position, void *into, uint32_t n, struct op *op)
{
    check_aligned(file, position, into, n);
    file->io->backend->read(file, position, into, n, op);
}

static void check_pieces(const struct io_file *file, uint64_t position, const struct bytes *pieces,
                         uint32_t count)
{
    ASSERT(count >= 1);
    ASSERT(count <= IO_PIECES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        ASSERT(pieces[i].n >= 0);
        check_aligned(file, position, pieces[i].p, (uint64_t)pieces[i].n);
    }
}

void io_write(struct io_file *file, uint64_t position, const struct bytes *pieces, uint32_t count,
              struct op *op)
{
    check_pieces(file, position, pieces, count);
    file->io->backend->write(file, position, pieces, count, op);
}

void io_write_durable(struct io_file *file, uint64_t position, const struct bytes *pieces,
                      uint32_t count, struct op *op)
{
    check_pieces(file, position, pieces, count);
    file->io->backend->write_durable(file, position, pieces, count, op);
}

void io_sync(struct io_file *file, struct op *op)
{
    file->io->backend->sync(file, op);
}

void io_truncate(struct io_file *file, uint64_t size_bytes, struct op *op)
{
    file->io->backend->truncate(file, size_bytes, op);
}

void io_allocate(struct io_file *file, uint64_t position, uint64_t n, struct op *op)
{
    file->io->backend->allocate(file, position, n, op);
}

void io_size(struct io_file *file, struct op *op)
{
    file->io->backend->size(file, op);
}

void io_lock(struct io_file *file, struct op *op)
{
    file->io->backend->lock(file, op);
}

/* ---- names ----------------------------------------------------------------------------- */

void io_rename(struct io *io, const char *from, const char *to, struct op *op)
{
    io->backend->rename(io, from, to, op);
}

void io_remove(struct io *io, const char *path, struct op *op)
{
    io->backend->remove(io, path, op);
}

void io_mkdir(struct io *io, const char *path, struct op *op)
{
    io->backend->mkdir(io, path, op);
}

void io_rmdir(struct io *io, const char *path, struct op *op)
{
    io->backend->rmdir(io, path, op);
}

void io_sync_dir(struct io *io, const char *path, struct op *op)
{
    io->backend->sync_dir(io, path, op);
}

void io_chmod(struct io *io, const char *path, uint32_t mode, struct op *op)
{
    io->backend->chmod(io, path, mode, op);
}

void io_list(struct io *io, const char *path, struct io_entries *out, struct op *op)
{
    io->backend->list(io, path, out, op);
}

void io_entries_free(struct io_entries *entries)
{
    for (uint32_t i = 0; i < entries->count; i++)
        free(entries->entries[i].name);
    free(entries->entries);
    *entries = (struct io_entries){0};
}

void io_space(struct io *io, const char *path, struct io_space *out, struct op *op)
{
    io->backend->space(io, path, out, op);
}

/* ---- sockets --------------------------------------------------------------------------- */

static void check_address(const struct io_address *address)
{
    ASSERT(memchr(address->host, '\0', sizeof(address->host)) != NULL);
}

void io_listen(struct io *io, const struct io_address *address,
               const struct io_listen_options *options, struct io_listener **out,
               struct io_address *bound, struct op *op)
{
    static const struct io_listen_options zeroed;

    check_address(address);
    io->backend->listen(io, address, options == NULL ? &zeroed : options, out, bound, op);
}

void io_accept(struct io_listener *l, struct io_socket **out, struct io_address *peer,
               struct op *op)
{
    l->io->backend->accept(l, out, peer, op);
}

void io_listener_close(struct io_listener *l, struct op *op)
{
    l->io->backend->listener_close(l, op);
}

void io_connect(struct io *io, const struct io_address *address, const struct io_connect_options *options,
                struct io_socket **out, struct op *op)
{
    static const struct io_connect_options zeroed;

    check_address(address);
    io->backend->connect(io, address, options == NULL ? &zeroed : options, out, op);
}

void io_recv_lend(struct io_socket *s, struct bytes *out, struct op *op)
{
    s->io->backend->recv_lend(s, out, op);
}

void io_recv(struct io_socket *s, void *into, uint32_t n, struct op *op)
{
    ASSERT(n > 0);
    s->io->backend->recv(s, into, n, op);
}

void io_send(struct io_socket *s, const struct io_span *spans, uint32_t count, struct op *op)
{
    for (uint32_t i = 0; i < count; i++)
        ASSERT(spans[i].p != NULL || spans[i].file == NULL || !spans[i].file->aligned);
    s->io->backend->send(s, spans, count, op);
}

void io_withdraw(struct io_file *file)
{
    __atomic_store_n(&file->withdrawn, true, __ATOMIC_RELEASE);
}

bool io_is_withdrawn(const struct io_file *file)
{
    return __atomic_load_n(&file->withdrawn, __ATOMIC_ACQUIRE);
}

void io_socket_close(struct io_socket *s, struct op *op)
{
    s->io->backend->socket_close(s, op);
}
