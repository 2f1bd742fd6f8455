/* io_epoll/aio.c - direct reads and writes by Linux AIO: the shard submits them itself, some at a
 * time, and finds their ends in a ring that the kernel writes; no thread is woken for them.
 *
 *     aio_add ─► queue ── io_submit, once a turn ─► kernel ── ring, and an edge of shard->wake
 *                  │ refused                                      │
 *                  ▼                                              ▼
 *                pool ◄── a part was done, the rest ────────── aio_take ─► LISTED
 *
 * Only for files that are past the page cache, and not for writes that lengthen them: io_submit
 * would wait for the others.
 */
#include "io_epoll/inside.h"

#include <linux/aio_abi.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define AIO_IN_FLIGHT_MAX 128 /* of a shard: more than a disk works on at a time */
#define AIO_BATCH_MAX 32      /* that one io_submit takes */

/* The kernel's ring of completions, mapped into the process at the address that is the context's
 * number. The kernel moves `tail`, we move `head`. */
struct aio_ring {
    uint32_t id, count;
    uint32_t head, tail;
    uint32_t magic, compatible, incompatible, header_bytes;
    struct io_event events[];
};
#define AIO_RING_MAGIC 0xa10a10a1

struct aio {
    aio_context_t context;
    struct aio_ring *ring;
    struct list queue; /* PARKED, intrusive: bounded by what the callers have in flight */
    uint32_t in_flight;
    struct iocb blocks[AIO_BATCH_MAX];
    struct iovec pieces[AIO_BATCH_MAX][IO_PIECES_MAX];
};

/* NULL: the kernel has none for us (all taken, forbidden, unknown), or not the ring we know. */
static struct aio *aio_new(void)
{
    struct aio *a = calloc(1, sizeof(*a));

    if (a == NULL)
        return NULL;
    list_init(&a->queue);
    if (syscall(SYS_io_setup, AIO_IN_FLIGHT_MAX, &a->context) < 0) {
        free(a);
        return NULL;
    }
    a->ring = (struct aio_ring *)a->context;
    if (a->ring->magic != AIO_RING_MAGIC || a->ring->incompatible != 0 ||
        a->ring->header_bytes != sizeof(*a->ring)) {
        aio_free(a);
        return NULL;
    }
    return a;
}

/* io_destroy waits for what is in flight: so nobody's memory is written to afterwards. */
void aio_free(struct aio *a)
{
    if (a == NULL)
        return;
    ASSERT(syscall(SYS_io_destroy, a->context) == 0);
    free(a);
}

bool aio_ready(struct shard *s)
{
    if (!s->aio_asked)
        s->aio = aio_new();
    s->aio_asked = true;
    return s->aio != NULL;
}

static void aio_cancel(struct op *op)
{
    list_remove(&op->node);
    task_list(op, -ECANCELED);
}

void aio_add(struct op *op)
{
    struct shard *s = op->owner;
    struct task *t = task_of(op);

    t->state = TASK_PARKED;
    t->cancel = aio_cancel;
    list_add_tail(&s->aio->queue, &op->node);
}

/* ---- submission ------------------------------------------------------------------------ */

static void to_pool(struct op *op)
{
    pool_add(op, task_of(op)->lane);
}

/* Up to `room` operations of the queue, as the kernel wants them. */
static uint32_t fill(struct shard *s, struct iocb *batch[AIO_BATCH_MAX], uint32_t room)
{
    struct aio *a = s->aio;
    uint32_t count = 0;

    LIST_EACH (it, &a->queue) {
        struct iocb *b = &a->blocks[count];
        if (count == room || count == AIO_BATCH_MAX)
            break;
        file_to_aio(op_of_node(it), b, a->pieces[count]);
        b->aio_data = (uintptr_t)op_of_node(it);
        b->aio_flags = IOCB_FLAG_RESFD;
        b->aio_resfd = (uint32_t)s->wake.fd;
        batch[count++] = b;
    }
    return count;
}

/* The kernel takes a beginning of the batch; why it stopped it says when it is asked again. */
void aio_submit(struct shard *s)
{
    struct aio *a = s->aio;
    struct iocb *batch[AIO_BATCH_MAX];
    uint32_t count;

    if (a == NULL)
        return;
    while ((count = fill(s, batch, AIO_IN_FLIGHT_MAX - a->in_flight)) > 0) {
        long taken = syscall(SYS_io_submit, a->context, (long)count, batch);
        if (taken <= 0)
            to_pool(op_of_node(list_take_head(&a->queue)));
        for (long i = 0; i < taken; i++) {
            task_of(op_of_node(list_take_head(&a->queue)))->state = TASK_DISK;
            a->in_flight++;
        }
    }
}

/* ---- completion ------------------------------------------------------------------------ */

void aio_take(struct shard *s)
{
    struct aio *a = s->aio;

    if (a == NULL || a->in_flight == 0)
        return;

    uint32_t head = a->ring->head;
    uint32_t tail = __atomic_load_n(&a->ring->tail, __ATOMIC_ACQUIRE);
    while (head != tail) {
        const struct io_event *e = &a->ring->events[head];
        struct op *op = (struct op *)(uintptr_t)e->data;
        a->in_flight--;
        if (file_from_aio(op, e->res))
            task_list(op, task_of(op)->result);
        else
            to_pool(op);
        head = (head + 1) % a->ring->count;
    }
    __atomic_store_n(&a->ring->head, head, __ATOMIC_RELEASE);
}
