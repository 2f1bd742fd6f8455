/* io_epoll/address.c - hosts and ports to the kernel's addresses and back. */
#include "io_epoll/inside.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>

static int resolve_error(int error)
{
    if (error == EAI_SYSTEM)
        return errno == 0 ? -EHOSTUNREACH : -errno;
    return error == EAI_MEMORY ? -ENOMEM : -EHOSTUNREACH;
}

int address_resolve(const struct io_address *address, bool numeric_only, bool passive,
                    struct addrinfo **out)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    char port[8];

    hints.ai_flags = AI_NUMERICSERV;
    if (numeric_only)
        hints.ai_flags |= AI_NUMERICHOST;
    if (passive)
        hints.ai_flags |= AI_PASSIVE;
    snprintf(port, sizeof(port), "%u", address->port);
    const char *host = address->host[0] == '\0' ? NULL : address->host;
    errno = 0;
    int error = getaddrinfo(host, port, &hints, out);
    return error == 0 ? 0 : resolve_error(error);
}

int address_resolve_canonical(const struct io_address *address, struct addrinfo **out)
{
    struct io_address named = *address;
    struct addrinfo *list, *at;
    uint32_t count = 0, skipped;

    TRY(address_resolve(address, false, false, &list));
    for (at = list; at != NULL; at = at->ai_next)
        count++;
    at = list;
    for (skipped = address->first % count; skipped > 0; skipped--)
        at = at->ai_next;
    int error = getnameinfo(at->ai_addr, at->ai_addrlen, named.host, sizeof(named.host), NULL, 0, 0);
    if (error != 0) /* no name server answers: then it is the address itself, as where it has no name */
        error = getnameinfo(at->ai_addr, at->ai_addrlen, named.host, sizeof(named.host), NULL, 0, NI_NUMERICHOST);
    freeaddrinfo(list);
    return error != 0 ? resolve_error(error) : address_resolve(&named, false, false, out);
}

/* IPv4 inside IPv6 is given as IPv4, which is how operators write it in rules. */
static socklen_t unmap(const struct sockaddr_storage *from, socklen_t length,
                       struct sockaddr_storage *out)
{
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from;

    *out = *from;
    if (from->ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
        return length;

    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = six->sin6_port};
    memcpy(&four.sin_addr, &six->sin6_addr.s6_addr[12], 4);
    memcpy(out, &four, sizeof(four));
    return sizeof(four);
}

void address_of(const struct sockaddr_storage *from, socklen_t length, struct io_address *out)
{
    struct sockaddr_storage plain;
    struct io_address address = {{0}, 0};

    length = unmap(from, length, &plain);
    if (getnameinfo((const struct sockaddr *)&plain, length, address.host, sizeof(address.host),
                    NULL, 0, NI_NUMERICHOST) != 0)
        address.host[0] = '\0';
    if (plain.ss_family == AF_INET)
        address.port = ntohs(((const struct sockaddr_in *)&plain)->sin_port);
    else if (plain.ss_family == AF_INET6)
        address.port = ntohs(((const struct sockaddr_in6 *)&plain)->sin6_port);
    *out = address;
}
