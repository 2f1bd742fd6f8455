/* io_epoll/world.c - the shards and lanes of one process: made, started, stopped, freed. */
#include "io_epoll/inside.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define SHARD_BYTES_ALIGNED 128 /* two cache lines: neighbours are fetched in pairs */

static const int64_t wait_for_ever_ns = INT64_MAX / 2;

/* ---- the calls that need no file of their own ------------------------------------------ */

static int64_t epoll_wall_ms(const struct io *io)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * (int64_t)1000 + now.tv_nsec / 1000000;
}

static void epoll_random_bytes(struct io *io, void *p, size_t n)
{
    uint8_t *at = p;

    while (n > 0) {
        ssize_t got = getrandom(at, n, 0);
        if (got < 0) {
            ASSERT(errno == EINTR); /* the kernel has the call, and the memory is there */
            continue;
        }
        at += got;
        n -= (size_t)got;
    }
}

static const struct io_backend backend = {
    .wall_ms = epoll_wall_ms,
    .random_bytes = epoll_random_bytes,
    .timer_set = epoll_timer_set,
    .timer_clear = epoll_timer_clear,
    .complete = epoll_complete,
    .cancel = epoll_cancel,
    .post = epoll_post,
    .offload = epoll_offload,
    .open = epoll_open,
    .close = epoll_close,
    .read = epoll_read,
    .write = epoll_write,
    .write_durable = epoll_write_durable,
    .sync = epoll_sync,
    .truncate = epoll_truncate,
    .allocate = epoll_allocate,
    .size = epoll_size,
    .lock = epoll_lock,
    .rename = epoll_rename,
    .remove = epoll_remove,
    .mkdir = epoll_mkdir,
    .rmdir = epoll_rmdir,
    .sync_dir = epoll_sync_dir,
    .chmod = epoll_chmod,
    .list = epoll_list,
    .space = epoll_space,
    .listen = epoll_listen,
    .accept = epoll_accept,
    .listener_close = epoll_listener_close,
    .connect = epoll_connect,
    .recv_lend = epoll_recv_lend,
    .recv = epoll_recv,
    .send = epoll_send,
    .socket_close = epoll_socket_close,
};

/* ---- shards ---------------------------------------------------------------------------- */

/* The edge alone is the news: the loop looks into the inbox in every turn. */
static void wake_ready(struct watch *w, uint32_t events) {}

static void shard_init(struct shard *s, struct io_epoll_world *world, uint32_t number)
{
    uint64_t seed;

    *s = (struct shard){.world = world, .epoll_fd = -1, .has_wait_ns = true};
    s->io.backend = &backend;
    s->io.now_ns = clock_ns();
    s->io.shard = number;
    s->io.shard_count = world->shard_count;
    epoll_random_bytes(&s->io, &seed, sizeof(seed));
    prng_init(&s->io.prng, seed);
    s->wake = (struct watch){.fd = -1, .ready = wake_ready};
    heap_init(&s->timers);
    list_init(&s->ready);
    list_init(&s->soon);
    list_init(&s->messages);
    list_init(&s->handles);
    list_init(&s->inbox.ops);
    list_init(&s->inbox.messages);
    pthread_mutex_init(&s->inbox.lock, NULL);
}

static int shard_open(struct shard *s)
{
    s->scratch = malloc(SCRATCH_BYTES);
    if (s->scratch == NULL)
        return -ENOMEM;
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll_fd < 0)
        return -errno;
    s->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->wake.fd < 0)
        return -errno;
    return watch_add(s, &s->wake);
}

static void shard_free(struct shard *s)
{
    if (s == NULL)
        return;
    aio_free(s->aio);
    while (!list_empty(&s->handles)) {
        struct handle *h = container_of(s->handles.next, struct handle, node);
        h->abandon(h);
    }
    watch_close(&s->wake);
    if (s->epoll_fd >= 0)
        close(s->epoll_fd);
    heap_deinit(&s->timers);
    pthread_mutex_destroy(&s->inbox.lock);
    free(s->scratch);
    free(s);
}

static int shard_new(struct io_epoll_world *world, uint32_t number)
{
    void *memory;

    if (posix_memalign(&memory, SHARD_BYTES_ALIGNED, sizeof(struct shard)) != 0)
        return -ENOMEM;
    world->shards[number] = memory;
    shard_init(world->shards[number], world, number);
    return shard_open(world->shards[number]);
}

/* ---- new and free ---------------------------------------------------------------------- */

/* A broker holds a descriptor for each connection and for many segments. */
static void raise_open_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* best effort: we run with what there is */
}

static uint32_t threads_or(uint32_t wanted, uint32_t otherwise)
{
    return wanted == 0 ? otherwise : wanted;
}

static int world_fill(struct io_epoll_world *world, const struct io_epoll_options *options)
{
    const uint32_t threads[LANES] = {
        [LANE_FILE] = threads_or(options->file_threads, 2),
        [LANE_REMOVE] = 1,
        [LANE_READ] = threads_or(options->read_threads, 4),
        [LANE_SYNC] = threads_or(options->sync_threads, 2),
        [LANE_WORK] = threads_or(options->work_threads, 1),
        [LANE_RESOLVE] = threads_or(options->resolve_threads, 1),
    };
    static const char *const names[LANES] = {
        [LANE_FILE] = "io-file",
        [LANE_REMOVE] = "io-remove",
        [LANE_READ] = "io-read",
        [LANE_SYNC] = "io-sync",
        [LANE_WORK] = "io-work",
        [LANE_RESOLVE] = "io-resolve",
    };
    int error = 0;

    /* All of them, so that io_epoll_free finds each one made. */
    for (uint32_t i = 0; i < LANES; i++) {
        int failed = pool_lane_init(&world->lanes[i], world, names[i], threads[i]);
        error = failed < 0 ? failed : error;
    }
    TRY(error);
    for (uint32_t i = 0; i < world->shard_count; i++)
        TRY(shard_new(world, i));
    return 0;
}

int io_epoll_new(uint32_t shard_count, const struct io_epoll_options *options,
                 struct io_epoll_world **out)
{
    static const struct io_epoll_options defaults = {0};

    ASSERT(shard_count >= 1);
    ASSERT(shard_count <= IO_EPOLL_SHARDS_MAX);

    struct io_epoll_world *world = calloc(1, sizeof(*world));
    struct shard **shards = calloc(shard_count, sizeof(*shards));
    if (world == NULL || shards == NULL) {
        free(world);
        free(shards);
        return -ENOMEM;
    }
    world->shards = shards;
    world->shard_count = shard_count;
    world->signals.fd = -1;
    pthread_mutex_init(&world->lock, NULL);
    pthread_cond_init(&world->wake, NULL);

    if (options == NULL)
        options = &defaults;
    if (!options->guest) {
        signal(SIGPIPE, SIG_IGN); /* sendfile has no flag against it */
        raise_open_files();
    }
    int error = world_fill(world, options);
    if (error < 0) {
        io_epoll_free(world);
        return error;
    }
    *out = world;
    return 0;
}

static void join_shards(struct io_epoll_world *world)
{
    for (uint32_t i = 1; i <= world->threads; i++)
        pthread_join(world->shards[i]->thread, NULL);
    world->threads = 0;
}

void io_epoll_free(struct io_epoll_world *world)
{
    if (world == NULL)
        return;
    io_epoll_stop(world);
    join_shards(world);
    for (uint32_t i = 0; i < LANES; i++)
        pool_lane_deinit(&world->lanes[i]);
    for (uint32_t i = 0; i < world->shard_count; i++)
        shard_free(world->shards[i]);
    watch_close(&world->signals);
    pthread_cond_destroy(&world->wake);
    pthread_mutex_destroy(&world->lock);
    free(world->shards);
    free(world);
}

struct io *io_epoll_shard(struct io_epoll_world *world, uint32_t shard)
{
    ASSERT(shard < world->shard_count);
    return &world->shards[shard]->io;
}

/* ---- signals --------------------------------------------------------------------------- */

static void signals_ready(struct watch *w, uint32_t events)
{
    struct io_epoll_world *world = container_of(w, struct io_epoll_world, signals);
    struct signalfd_siginfo info;

    while (read(w->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        world->signals_pending |= 1u << info.ssi_signo;
}

int io_epoll_on_signal(struct io_epoll_world *world,
                       void (*on_signal)(struct io *io, int signal, void *arg), void *arg)
{
    sigset_t set;

    ASSERT(world->signals.fd < 0);
    ASSERT(world->state == WORLD_NEW);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    int error = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (error != 0)
        return -error;
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return -errno;

    world->on_signal = on_signal;
    world->on_signal_arg = arg;
    world->signals = (struct watch){.fd = fd, .ready = signals_ready};
    return watch_add(world->shards[0], &world->signals);
}

/* ---- run ------------------------------------------------------------------------------- */

static bool world_is_stopping(struct io_epoll_world *world)
{
    return atomic_load(&world->stopping);
}

static void shard_loop(struct shard *s)
{
    while (!world_is_stopping(s->world))
        shard_turn(s, wait_for_ever_ns);
}

/* Until all threads exist: a world runs whole or not at all. */
static bool wait_for_others(struct io_epoll_world *world)
{
    pthread_mutex_lock(&world->lock);
    while (world->state == WORLD_NEW)
        pthread_cond_wait(&world->wake, &world->lock);
    bool runs = world->state == WORLD_RUNS;
    pthread_mutex_unlock(&world->lock);
    return runs;
}

static void tell_others(struct io_epoll_world *world, enum world_state state)
{
    pthread_mutex_lock(&world->lock);
    world->state = state;
    pthread_cond_broadcast(&world->wake);
    pthread_mutex_unlock(&world->lock);
}

static void *shard_thread(void *arg)
{
    struct shard *s = arg;

    if (!wait_for_others(s->world))
        return NULL;
    if (s->world->start != NULL)
        s->world->start(&s->io, s->world->start_arg);
    shard_loop(s);
    return NULL;
}

int io_epoll_start(struct io_epoll_world *world, void (*start)(struct io *io, void *arg), void *arg)
{
    ASSERT(world->state == WORLD_NEW);
    world->start = start;
    world->start_arg = arg;
    for (uint32_t i = 1; i < world->shard_count; i++) {
        char name[20];
        int error = pthread_create(&world->shards[i]->thread, NULL, shard_thread, world->shards[i]);
        if (error != 0) {
            tell_others(world, WORLD_FAILED);
            join_shards(world);
            return -error;
        }
        snprintf(name, sizeof(name), "shard-%u", i);
        pthread_setname_np(world->shards[i]->thread, name);
        world->threads++;
    }
    tell_others(world, WORLD_RUNS);
    if (start != NULL)
        start(&world->shards[0]->io, arg);
    return 0;
}

void io_epoll_turn(struct io_epoll_world *world, int64_t wait_ns)
{
    shard_turn(world->shards[0], wait_ns);
}

int io_epoll_fd(const struct io_epoll_world *world)
{
    return world->shards[0]->epoll_fd;
}

int64_t io_epoll_due_ns(struct io_epoll_world *world)
{
    int64_t due_ns = shard_sleep_ns(world->shards[0], wait_for_ever_ns);

    return due_ns == wait_for_ever_ns ? INT64_MAX : due_ns;
}

int io_epoll_run(struct io_epoll_world *world, void (*start)(struct io *io, void *arg), void *arg)
{
    TRY(io_epoll_start(world, start, arg));
    shard_loop(world->shards[0]);
    join_shards(world);
    return 0;
}

void io_epoll_stop(struct io_epoll_world *world)
{
    atomic_store(&world->stopping, true);
    for (uint32_t i = 0; i < world->shard_count; i++) {
        if (world->shards[i] != NULL)
            shard_wake(world->shards[i]);
    }
}
