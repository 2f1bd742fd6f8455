/* A kernel that does less than it was asked for, and is interrupted, far more often than a real
 * one: these stand before the C library's functions in the test program, so the whole suite runs on
 * them. Not recv: that a short read means an empty socket is something that the kernel does
 * promise. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

uint32_t interrupt_durable_writes; /* pwritev2 with RWF_DSYNC, so far; atomic */

static _Thread_local uint32_t calls;

static bool interrupted(void)
{
    if (++calls % 7 != 0)
        return false;
    errno = EINTR;
    return true;
}

static bool is_short(void)
{
    return calls % 3 != 0;
}

/* The first pieces, the last of them cut: about half of the bytes; of whole blocks, whole blocks.
 */
static int first_half(const struct iovec *pieces, int count, struct iovec *some)
{
    if (!is_short())
        return 0;
    int used = count == 1 ? 1 : (count + 1) / 2;
    for (int i = 0; i < used; i++)
        some[i] = pieces[i];
    size_t n = some[used - 1].iov_len;
    some[used - 1].iov_len = n % 4096 == 0 ? (n / 4096 + 1) / 2 * 4096 : (n + 1) / 2;
    return n == 0 ? 0 : used;
}

ssize_t pwritev2(int fd, const struct iovec *pieces, int count, off_t position, int flags)
{
    struct iovec some[1024];

    if (interrupted())
        return -1;
    if ((flags & RWF_DSYNC) != 0)
        __atomic_add_fetch(&interrupt_durable_writes, 1, __ATOMIC_RELAXED);
    int used = first_half(pieces, count, some);
    return syscall(SYS_pwritev2, fd, used > 0 ? some : pieces, used > 0 ? used : count, position, 0,
                   flags);
}

ssize_t preadv2(int fd, const struct iovec *pieces, int count, off_t position, int flags)
{
    struct iovec some[1024];

    if (interrupted())
        return -1;
    int used = first_half(pieces, count, some);
    return syscall(SYS_preadv2, fd, used > 0 ? some : pieces, used > 0 ? used : count, position, 0,
                   flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct iovec some[1024];
    struct msghdr half = *message;

    if (interrupted())
        return -1;
    int used = first_half(message->msg_iov, (int)message->msg_iovlen, some);
    if (used > 0) {
        half.msg_iov = some;
        half.msg_iovlen = (size_t)used;
    }
    return syscall(SYS_sendmsg, fd, &half, flags);
}

ssize_t sendfile(int to, int from, off_t *position, size_t n)
{
    if (interrupted())
        return -1;
    return syscall(SYS_sendfile, to, from, position, is_short() && n > 1 ? n / 2 : n);
}

ssize_t recv(int fd, void *into, size_t n, int flags)
{
    if (interrupted())
        return -1;
    return syscall(SYS_recvfrom, fd, into, n, flags, NULL, NULL);
}

int accept4(int fd, struct sockaddr *from, socklen_t *length, int flags)
{
    if (interrupted())
        return -1;
    return (int)syscall(SYS_accept4, fd, from, length, flags);
}

int ftruncate(int fd, off_t size)
{
    if (interrupted())
        return -1;
    return (int)syscall(SYS_ftruncate, fd, size);
}
