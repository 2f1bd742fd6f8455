/* --add-scram: a user's credential from a password. Rule: RFC 5802, KIP-900. */
#include "cli/scram.h"

#include "protocol/user_scram_credential_record.h"
#include "quorum/quorum.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define KEY_BYTES_MAX SCRAM_KEY_BYTES_MAX
#define SALT_BYTES SCRAM_SALT_BYTES
#define ITERATIONS_MIN SCRAM_ITERATIONS_MIN
#define ITERATIONS_MAX SCRAM_ITERATIONS_MAX

struct scram {
    const EVP_MD *digest;
    const char *kafka_name; /* of the mechanism, in Kafka's messages */
    int8_t mechanism;
    struct str name, salt, iterations, password, salted_password;
};

static int take_mechanism(struct str name, struct scram *s, struct fail *f)
{
    if (str_equal(name, STR("SCRAM-SHA-256"))) {
        s->digest = EVP_sha256();
        s->kafka_name = "SCRAM_SHA_256";
        s->mechanism = 1;
        return 0;
    }
    if (str_equal(name, STR("SCRAM-SHA-512"))) {
        s->digest = EVP_sha512();
        s->kafka_name = "SCRAM_SHA_512";
        s->mechanism = 2;
        return 0;
    }
    return fail_set(f, -EINVAL, "The add-scram mechanism %.*s is not supported.", STR_ARG(name));
}

/* key=value, the value perhaps in quotes. */
static int take_part(struct str part, struct scram *s, struct fail *f)
{
    struct str value = part, key;
    const struct {
        const char *key;
        struct str *value;
    } known[] = {{"name", &s->name},
                 {"salt", &s->salt},
                 {"iterations", &s->iterations},
                 {"password", &s->password},
                 {"saltedpassword", &s->salted_password}};

    if (memchr(part.p, '=', (size_t)part.n) == NULL)
        return fail_set(f, -EINVAL, "No equals sign found in SCRAM component: %.*s", STR_ARG(part));
    (void)str_cut(&value, '=', &key);
    if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
        value = (struct str){value.p + 1, value.n - 2};
    for (size_t i = 0; i < array_count(known); i++) {
        if (str_equal(key, str_of(known[i].key))) {
            *known[i].value = value;
            return 0;
        }
    }
    return fail_set(f, -EINVAL, "Unknown SCRAM configurations: %.*s", STR_ARG(key));
}

static int parse(struct str argument, struct scram *s, struct fail *f)
{
    struct str rest = str_trim(argument), mechanism, part;

    if (memchr(rest.p, '=', (size_t)rest.n) == NULL)
        return fail_set(f, -EINVAL, "Failed to find equals sign in SCRAM argument '%.*s'",
                        STR_ARG(rest));
    (void)str_cut(&rest, '=', &mechanism);
    TRY(take_mechanism(mechanism, s, f));
    if (!str_starts(rest, STR("[")))
        return fail_set(f, -EINVAL, "Expected configuration string to start with [");
    if (rest.n < 2 || !str_ends(rest, STR("]")))
        return fail_set(f, -EINVAL, "Expected configuration string to end with ]");
    rest = (struct str){rest.p + 1, rest.n - 2};
    while (str_cut(&rest, ',', &part))
        TRY(take_part(part, s, f));
    if (str_is_null(s->name))
        return fail_set(f, -EINVAL, "You must supply 'name' to add-scram");
    if (!str_is_null(s->password))
        return 0;
    if (str_is_null(s->salted_password))
        return fail_set(f, -EINVAL,
                        "You must supply one of 'password' or 'saltedpassword' to add-scram");
    if (str_is_null(s->salt))
        return fail_set(f, -EINVAL, "You must supply 'salt' with 'saltedpassword' to add-scram");
    return 0;
}

/* Base64 with padding into at most `room` bytes; the count, or -EINVAL. */
static int decode(struct str in, uint8_t *out, int room)
{
    if (in.n == 0 || in.n % 4 != 0 || in.n / 4 * 3 > room)
        return -EINVAL;
    int n = EVP_DecodeBlock(out, (const uint8_t *)in.p, in.n);
    if (n < 0)
        return -EINVAL;
    for (int32_t i = in.n; i > in.n - 2 && in.p[i - 1] == '='; i--)
        n--;
    return n;
}

static int iterations_of(const struct scram *s, struct fail *f)
{
    int64_t iterations = ITERATIONS_MIN;

    if (!str_is_null(s->iterations) &&
        str_to_i64(s->iterations, INT32_MIN, INT32_MAX, &iterations) < 0)
        return fail_set(f, -EINVAL, "Failed to parse iterations count: %.*s",
                        STR_ARG(s->iterations));
    if (iterations < ITERATIONS_MIN)
        return fail_set(f, -EINVAL, "The 'iterations' value must be >= %d for add-scram using %s",
                        ITERATIONS_MIN, s->kafka_name);
    if (iterations > ITERATIONS_MAX)
        return fail_set(f, -EINVAL, "The 'iterations' value must be <= %d for add-scram using %s",
                        ITERATIONS_MAX, s->kafka_name);
    return (int)iterations;
}

/* SaltedPassword, or the one that was given; its bytes. */
static int salted_password(const struct scram *s, const uint8_t *salt, int salt_bytes,
                           int iterations, uint8_t *out, struct fail *f)
{
    if (str_is_null(s->password)) {
        int decoded = decode(s->salted_password, out, KEY_BYTES_MAX + 2);
        if (decoded <= 0)
            return fail_set(f, -EINVAL, "Failed to decode given saltedPassword: %.*s",
                            STR_ARG(s->salted_password));
        return decoded;
    }
    int n = scram_salted_password(s->mechanism, s->password, (struct bytes){salt, salt_bytes}, iterations, out);
    return n > 0 ? n : fail_set(f, -EINVAL, "OpenSSL cannot derive a key with %s", s->kafka_name);
}

/* StoredKey = H(HMAC(salted, "Client Key")), ServerKey = HMAC(salted, "Server Key"). */
static int keys(const struct scram *s, const uint8_t *salted, int salted_bytes, uint8_t *stored,
                uint8_t *server, struct fail *f)
{
    static const uint8_t client_text[] = "Client Key", server_text[] = "Server Key";
    uint8_t client[KEY_BYTES_MAX];
    unsigned int n;

    if (HMAC(s->digest, salted, salted_bytes, client_text, sizeof(client_text) - 1, client, &n) ==
            NULL ||
        EVP_Digest(client, n, stored, &n, s->digest, NULL) != 1 ||
        HMAC(s->digest, salted, salted_bytes, server_text, sizeof(server_text) - 1, server, &n) ==
            NULL)
        return fail_set(f, -EINVAL, "OpenSSL cannot compute %s", s->kafka_name);
    return (int)n;
}

int scram_record(struct io *io, struct str argument, struct text *framed, struct fail *f)
{
    struct scram s = {.name = STR_NULL,
                      .salt = STR_NULL,
                      .iterations = STR_NULL,
                      .password = STR_NULL,
                      .salted_password = STR_NULL};
    uint8_t salt[256], salted[KEY_BYTES_MAX + 2], stored[KEY_BYTES_MAX], server[KEY_BYTES_MAX];
    struct user_scram_credential_record m;
    int salt_bytes = SALT_BYTES;

    TRY(parse(argument, &s, f));
    if (str_is_null(s.salt))
        io_random_bytes(io, salt, SALT_BYTES);
    else if ((salt_bytes = decode(s.salt, salt, sizeof(salt))) < 0)
        return fail_set(f, -EINVAL, "Failed to decode given salt: %.*s", STR_ARG(s.salt));
    int iterations = iterations_of(&s, f);
    TRY(iterations);
    int salted_bytes = salted_password(&s, salt, salt_bytes, iterations, salted, f);
    TRY(salted_bytes);
    int key_bytes = keys(&s, salted, salted_bytes, stored, server, f);
    TRY(key_bytes);

    user_scram_credential_record_init(&m);
    m.name = s.name;
    m.mechanism = s.mechanism;
    m.salt = (struct bytes){salt, salt_bytes};
    m.stored_key = (struct bytes){stored, key_bytes};
    m.server_key = (struct bytes){server, key_bytes};
    m.iterations = iterations;
    quorum_frame(&user_scram_credential_record_message, 0, &m, framed);
    return 0;
}

int scram_secret(struct io *io, struct str mechanism, struct str value, struct scram_secret *out, struct fail *f)
{
    struct scram s = {.salt = STR_NULL, .salted_password = STR_NULL};
    struct str rest = value, part;
    int64_t iterations = ITERATIONS_MIN;

    TRY(take_mechanism(mechanism, &s, f));
    if (str_starts(rest, STR("iterations=")) && str_cut(&rest, ',', &part)) {
        part = (struct str){part.p + 11, part.n - 11};
        if (str_to_i64(part, INT32_MIN, INT32_MAX, &iterations) < 0)
            return fail_set(f, -EINVAL, "Failed to parse iterations count: %.*s", STR_ARG(part));
        iterations = iterations == -1 ? ITERATIONS_MIN : iterations;
    }
    if (!str_starts(rest, STR("password=")))
        return fail_set(f, -EINVAL, "Invalid credential property %.*s: it is [iterations=N,]password=...",
                        STR_ARG(mechanism)); /* without its value, which may have a password */
    if (iterations < ITERATIONS_MIN)
        return fail_set(f, -EINVAL, "Iterations %d is less than the minimum %d required for %.*s.", (int)iterations,
                        ITERATIONS_MIN, STR_ARG(mechanism));
    s.password = (struct str){rest.p + 9, rest.n - 9};
    io_random_bytes(io, out->salt, SALT_BYTES);
    int n = salted_password(&s, out->salt, SALT_BYTES, (int)iterations, out->salted, f);
    TRY(n);
    out->mechanism = s.mechanism;
    out->iterations = (int)iterations;
    out->salted_bytes = n;
    return 0;
}
