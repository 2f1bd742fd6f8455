/* Who clients are: SCRAM users, delegation tokens. */
#include "admin/scram.h"
#include "library/admin.h"

/* ---- SCRAM users: describe ------------------------------------------------------------------------------------- */

static void take_users(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct describe_user_scram_credentials_response *m = response;

    if (answer_is_refused(r, m->error_code, m->error_message))
        return;
    for (int32_t i = 0; i < m->results_count; i++) {
        const struct describe_user_scram_credentials_response_results *from = &m->results[i];
        const char *name = answer_keep(r, from->user);
        for (int32_t k = 0; k < from->credential_infos_count; k++)
            *(struct mr_scram_user *)answer_row(r) = (struct mr_scram_user){
                .name = name,
                .mechanism = from->credential_infos[k].mechanism,
                .iterations = from->credential_infos[k].iterations,
            };
        if (from->error_code != KERR_NONE) {
            struct mr_scram_user *u = answer_row(r);
            u->name = name;
            answer_row_error(r, &u->error, from->error_code, from->error_message);
        }
    }
}

struct mr_answer *mr_describe_scram_users(struct mr_admin *a, const char *const *names, uint32_t count,
                                          const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_describe_scram_users", API_DESCRIBE_USER_SCRAM_CREDENTIALS,
                                            ROWS_SCRAM_USER, take_users, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct describe_user_scram_credentials_request *m = r->request;
    m->users_count = names == NULL ? -1 : (int32_t)count;
    m->users = names == NULL ? NULL : answer_array(r, count, sizeof *m->users);
    for (uint32_t i = 0; names != NULL && i < count; i++) {
        describe_user_scram_credentials_request_users_init(&m->users[i]);
        m->users[i].name = answer_text(r, names[i], "the name of a user");
    }
    return answer_ask(r);
}

/* ---- SCRAM users: alter ------------------------------------------------------------------------------------------ */

static void take_changed(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct alter_user_scram_credentials_response *m = response;

    for (int32_t i = 0; i < m->results_count; i++)
        answer_outcome(r, m->results[i].user, -1, m->results[i].error_code, m->results[i].error_message);
}

static void ask_upsertion(struct mr_answer *r, const struct mr_scram_change *c,
                          struct alter_user_scram_credentials_request_upsertions *out)
{
    int iterations = c->iterations == 0 ? SCRAM_ITERATIONS_MIN : c->iterations;
    uint8_t *salt = answer_array(r, SCRAM_SALT_BYTES, 1), *salted = answer_array(r, SCRAM_KEY_BYTES_MAX, 1);

    alter_user_scram_credentials_request_upsertions_init(out);
    out->name = answer_text(r, c->name, "the name of a user");
    out->mechanism = (int8_t)c->mechanism;
    out->iterations = iterations;
    if (iterations < SCRAM_ITERATIONS_MIN || iterations > SCRAM_ITERATIONS_MAX) {
        answer_refuse(r, "%d iterations: there are %d to %d", iterations, SCRAM_ITERATIONS_MIN, SCRAM_ITERATIONS_MAX);
        return;
    }
    io_random_bytes(r->loop->io, salt, SCRAM_SALT_BYTES);
    out->salt = (struct bytes){salt, SCRAM_SALT_BYTES};
    int n = scram_salted_password((int8_t)c->mechanism, str_of(c->password), out->salt, iterations, salted);
    if (n < 0)
        answer_refuse(r, "mechanism %d: there are 1 (SCRAM-SHA-256) and 2 (SCRAM-SHA-512)", c->mechanism);
    else
        out->salted_password = (struct bytes){salted, n};
}

struct mr_answer *mr_alter_scram_users(struct mr_admin *a, const struct mr_scram_change *changes, uint32_t count,
                                       const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_alter_scram_users", API_ALTER_USER_SCRAM_CREDENTIALS, ROWS_OUTCOME,
                                            take_changed, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct alter_user_scram_credentials_request *m = r->request;
    m->upsertions = answer_array(r, count, sizeof *m->upsertions);
    m->deletions = answer_array(r, count, sizeof *m->deletions);
    for (uint32_t i = 0; i < count; i++) {
        if (changes[i].password != NULL) {
            ask_upsertion(r, &changes[i], &m->upsertions[m->upsertions_count++]);
            continue;
        }
        struct alter_user_scram_credentials_request_deletions *d = &m->deletions[m->deletions_count++];
        alter_user_scram_credentials_request_deletions_init(d);
        d->name = answer_text(r, changes[i].name, "the name of a user");
        d->mechanism = (int8_t)changes[i].mechanism;
    }
    return answer_ask(r);
}

/* ---- delegation tokens ------------------------------------------------------------------------------------------- */

/* "User:alice" in two; NULL: the caller says nobody. */
static void ask_principal(struct mr_answer *r, const char *text, struct str *type, struct str *name)
{
    struct str rest = answer_text_or_null(r, text);

    *type = *name = STR_NULL;
    if (text == NULL)
        return;
    if (memchr(rest.p, ':', (size_t)rest.n) == NULL || !str_cut(&rest, ':', type))
        answer_refuse(r, "principal %s: it is TYPE:NAME, as User:alice", text);
    *name = rest;
}

static const char *keep_principal(struct mr_answer *r, struct str type, struct str name)
{
    return type.n <= 0 ? "" : answer_keep(r, arena_printf(&r->arena, "%.*s:%.*s", STR_ARG(type), STR_ARG(name)));
}

static struct mr_bytes keep_bytes(struct mr_answer *r, struct bytes b)
{
    return mr_bytes(answer_keep(r, (struct str){(const char *)b.p, b.n}), b.n);
}

static void take_created(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct create_delegation_token_response *m = response;

    if (answer_is_refused(r, m->error_code, STR_NULL))
        return;
    *(struct mr_token *)answer_row(r) = (struct mr_token){
        .id = answer_keep(r, m->token_id),
        .owner = keep_principal(r, m->principal_type, m->principal_name),
        .requester = keep_principal(r, m->token_requester_principal_type, m->token_requester_principal_name),
        .hmac = keep_bytes(r, m->hmac),
        .issue_ms = m->issue_timestamp_ms,
        .expiry_ms = m->expiry_timestamp_ms,
        .max_ms = m->max_timestamp_ms,
    };
}

struct mr_answer *mr_create_token(struct mr_admin *a, const char *owner, const char *const *renewers, uint32_t count,
                                  int64_t life_ms, const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_create_token", API_CREATE_DELEGATION_TOKEN, ROWS_TOKEN, take_created,
                                            NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct create_delegation_token_request *m = r->request;
    ask_principal(r, owner, &m->owner_principal_type, &m->owner_principal_name);
    m->max_lifetime_ms = life_ms;
    m->renewers = answer_array(r, count, sizeof *m->renewers);
    m->renewers_count = (int32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        create_delegation_token_request_renewers_init(&m->renewers[i]);
        (void)answer_text(r, renewers[i], "a renewer");
        ask_principal(r, renewers[i], &m->renewers[i].principal_type, &m->renewers[i].principal_name);
    }
    return answer_ask(r);
}

static struct bytes ask_hmac(struct mr_answer *r, struct mr_bytes hmac)
{
    uint8_t *copy = answer_array(r, hmac.n < 0 ? 0 : (size_t)hmac.n, 1);

    if (hmac.n <= 0) {
        answer_refuse(r, "the token's hmac is empty");
        return BYTES_NULL;
    }
    memcpy(copy, hmac.p, (size_t)hmac.n);
    return (struct bytes){copy, hmac.n};
}

/* Both answers have one shape. */
static void take_life(struct mr_answer *r, int16_t error, int64_t expiry_ms)
{
    if (answer_is_refused(r, error, STR_NULL))
        return;
    answer_outcome(r, STR(""), -1, KERR_NONE, STR_NULL)->number = expiry_ms;
}

static void take_renewed(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct renew_delegation_token_response *m = response;

    take_life(r, m->error_code, m->expiry_timestamp_ms);
}

struct mr_answer *mr_renew_token(struct mr_admin *a, struct mr_bytes hmac, int64_t period_ms, const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_renew_token", API_RENEW_DELEGATION_TOKEN, ROWS_OUTCOME, take_renewed,
                                            NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct renew_delegation_token_request *m = r->request;
    m->hmac = ask_hmac(r, hmac);
    m->renew_period_ms = period_ms;
    return answer_ask(r);
}

static void take_expired(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct expire_delegation_token_response *m = response;

    take_life(r, m->error_code, m->expiry_timestamp_ms);
}

struct mr_answer *mr_expire_token(struct mr_admin *a, struct mr_bytes hmac, int64_t period_ms, const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_expire_token", API_EXPIRE_DELEGATION_TOKEN, ROWS_OUTCOME, take_expired,
                                            NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct expire_delegation_token_request *m = r->request;
    m->hmac = ask_hmac(r, hmac);
    m->expiry_time_period_ms = period_ms;
    return answer_ask(r);
}

static void take_tokens(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct describe_delegation_token_response *m = response;

    if (answer_is_refused(r, m->error_code, STR_NULL))
        return;
    for (int32_t i = 0; i < m->tokens_count; i++) {
        const struct describe_delegation_token_response_tokens *from = &m->tokens[i];
        const char **renewers = answer_array(r, (size_t)from->renewers_count, sizeof *renewers);
        for (int32_t k = 0; k < from->renewers_count; k++)
            renewers[k] = keep_principal(r, from->renewers[k].principal_type, from->renewers[k].principal_name);
        *(struct mr_token *)answer_row(r) = (struct mr_token){
            .id = answer_keep(r, from->token_id),
            .owner = keep_principal(r, from->principal_type, from->principal_name),
            .requester = keep_principal(r, from->token_requester_principal_type, from->token_requester_principal_name),
            .hmac = keep_bytes(r, from->hmac),
            .renewer_count = (uint32_t)from->renewers_count,
            .renewers = renewers,
            .issue_ms = from->issue_timestamp,
            .expiry_ms = from->expiry_timestamp,
            .max_ms = from->max_timestamp,
        };
    }
}

struct mr_answer *mr_describe_tokens(struct mr_admin *a, const char *const *owners, uint32_t count,
                                     const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_describe_tokens", API_DESCRIBE_DELEGATION_TOKEN, ROWS_TOKEN,
                                            take_tokens, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct describe_delegation_token_request *m = r->request;
    m->owners_count = owners == NULL ? -1 : (int32_t)count;
    m->owners = owners == NULL ? NULL : answer_array(r, count, sizeof *m->owners);
    for (uint32_t i = 0; owners != NULL && i < count; i++) {
        describe_delegation_token_request_owners_init(&m->owners[i]);
        (void)answer_text(r, owners[i], "an owner");
        ask_principal(r, owners[i], &m->owners[i].principal_type, &m->owners[i].principal_name);
    }
    return answer_ask(r);
}
