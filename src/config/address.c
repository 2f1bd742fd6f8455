/* Hosts and ports are read as Kafka reads them: the port stands behind the last colon, so that an
 * IPv6 address needs no brackets.
 *
 * Addresses without a listener's name: HOST:PORT, and voters, ID@HOST:PORT. */
#include "config/internal.h"

static bool is_host_letter(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '%' || c == '.' || c == '_' || c == ':';
}

bool is_host(struct str s)
{
    for (int32_t i = 0; i < s.n; i++) {
        if (!is_host_letter(s.p[i]))
            return false;
    }
    return true;
}

int address_parse(struct str value, struct str *host, uint16_t *port)
{
    int32_t n = value.n - 1;
    int64_t number;

    while (n >= 0 && value.p[n] != ':')
        n--;
    if (n < 0)
        return -EINVAL;
    struct str digits = {value.p + n + 1, value.n - n - 1}, name = {value.p, n};
    if (digits.n == 0 || digits.p[0] == '+' || str_to_i64(digits, 0, UINT16_MAX, &number) < 0)
        return -EINVAL;
    if (name.n >= 2 && name.p[0] == '[' && name.p[name.n - 1] == ']') {
        name.p++;
        name.n -= 2;
    }
    if (name.n > HOST_BYTES_MAX || !is_host(name))
        return -EINVAL;
    *host = name;
    *port = (uint16_t)number;
    return 0;
}

int host_port_parse(struct str value, char host[256], uint16_t *port)
{
    struct str name;
    uint16_t number;

    TRY(address_parse(value, &name, &number));
    if (name.n == 0)
        return -EINVAL;
    memcpy(host, name.p, (size_t)name.n);
    host[name.n] = '\0';
    *port = number;
    return 0;
}

static int voter_parse(struct str value, struct quorum_voter *out, struct fail *f)
{
    struct quorum_voter v = {0};
    struct str rest = str_trim(value), id, host;
    int64_t number;

    if (rest.n == 0 || memchr(rest.p, '@', (size_t)rest.n) == NULL)
        return fail_set(f, -EINVAL, "is not ID@HOST:PORT at \"%.*s\"", STR_ARG(value));
    (void)str_cut(&rest, '@', &id);
    if (str_to_i64(id, 0, INT32_MAX, &number) < 0)
        return fail_set(f, -EINVAL, "has a voter whose id is no number of 0 or more, at \"%.*s\"",
                        STR_ARG(value));
    if (address_parse(rest, &host, &v.port) < 0)
        return fail_set(f, -EINVAL, "is not ID@HOST:PORT at \"%.*s\"", STR_ARG(value));
    if (host.n == 0) /* Kafka takes it for this machine, and examples in the field rely on it */
        host = STR("localhost");
    if (str_equal(host, STR("0.0.0.0")))
        return fail_set(f, -EINVAL, "has a voter at 0.0.0.0, where nobody can connect to");
    memcpy(v.host, host.p, (size_t)host.n);
    v.id = (int32_t)number;
    *out = v;
    return 0;
}

int quorum_voters_parse(struct str value, struct quorum_voter *out, uint32_t max, struct fail *f)
{
    struct str part;
    uint32_t count = 0;

    while (str_cut(&value, ',', &part)) {
        if (count == max)
            return fail_set(f, -EINVAL, "has more than %u voters", max);
        TRY(voter_parse(part, &out[count], f));
        for (uint32_t i = 0; i < count; i++) {
            if (out[i].id == out[count].id)
                return fail_set(f, -EINVAL, "has voter %d twice", out[count].id);
        }
        count++;
    }
    return (int)count;
}
