#define _GNU_SOURCE
#include "bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int wire_connect(const struct plan *plan)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)plan->port)};
    int one = 1, fd;

    if (inet_pton(AF_INET, plan->host, &address.sin_addr) != 1)
        die("%s is not an IPv4 address", plan->host);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket: %s", error_text(-errno));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

static bool send_all(int fd, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        p += sent;
        n -= (size_t)sent;
    }
    return true;
}

static bool receive_all(int fd, uint8_t *p, size_t n)
{
    return recv(fd, p, n, MSG_WAITALL) == (ssize_t)n;
}

static bool receive_frame(int fd, struct frame *frame, int32_t *n)
{
    uint8_t length[4];

    if (!receive_all(fd, length, sizeof(length)))
        return false;
    *n = get_i32(length);
    if (*n < 4 || *n > FRAME_BYTES_MAX)
        die("the broker announces a response of %d bytes", *n);
    if ((size_t)*n > frame->capacity) {
        free(frame->p);
        frame->capacity = (size_t)*n + (size_t)*n / 2;
        frame->p = malloc(frame->capacity);
        if (frame->p == NULL)
            die("out of memory");
    }
    return receive_all(fd, frame->p, (size_t)*n);
}

bool wire_call(int fd, enum api_key key, int16_t version, const void *request, struct frame *frame,
               struct arena *arena, void *response)
{
    const struct api *api = api_find((int16_t)key);
    struct request_header header;
    int64_t header_bytes, body_bytes;
    int32_t n, correlation_id;

    request_header_init(&header);
    header.request_api_key = (int16_t)key;
    header.request_api_version = version;
    header.client_id = STR("bench_load");
    header_bytes = request_header_size(&header);
    body_bytes = message_size(api->request, version, request);
    ASSERT(header_bytes > 0);
    ASSERT(body_bytes >= 0);

    arena_reset(arena);
    uint8_t *out = arena_take_raw(arena, 4 + (size_t)(header_bytes + body_bytes));
    put_u32(out, (uint32_t)(header_bytes + body_bytes));
    request_header_write(&header, out + 4);
    message_write(api->request, version, request, out + 4 + header_bytes);
    if (!send_all(fd, out, 4 + (size_t)(header_bytes + body_bytes)) ||
        !receive_frame(fd, frame, &n))
        return false;

    int used =
        response_header_read((struct bytes){frame->p, n}, (int16_t)key, version, &correlation_id);
    if (used < 0 || correlation_id != 0)
        die("%s: the response's header makes no sense", api->name);
    frame->body = (struct bytes){frame->p + used, n - used};
    int rc = message_read(api->response, frame->body, version, arena, response);
    if (rc < 0)
        die("%s: the response cannot be read: %s", api->name, error_text(rc));
    return true;
}
