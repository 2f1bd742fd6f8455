/* mr_admin before a server that answers what a test says: what our own does not serve, and every field of its rows. */
#define _GNU_SOURCE
#include "canned.h"

#include "protocol/alter_user_scram_credentials.h"
#include "protocol/create_delegation_token.h"
#include "protocol/describe_delegation_token.h"
#include "protocol/expire_delegation_token.h"
#include "protocol/renew_delegation_token.h"
#include "protocol/unregister_controller.h"

static struct lab lab;

static const char *kafka_word(const struct mr_error *e)
{
    return mr_kafka_code_name(e->kafka_code);
}

static void answer_scram(const struct canned_request *q)
{
    const struct alter_user_scram_credentials_request *m = q->message;
    struct alter_user_scram_credentials_response *a = q->response;

    CHECK_EQ(q->api_key, API_ALTER_USER_SCRAM_CREDENTIALS);
    CHECK_EQ(m->upsertions_count, 1);
    CHECK_TEXT(m->upsertions[0].name, "alice");
    CHECK_EQ(m->upsertions[0].mechanism, 2);
    CHECK_EQ(m->upsertions[0].iterations, 4096);
    CHECK_EQ(m->upsertions[0].salt.n, 20);
    CHECK_EQ(m->upsertions[0].salted_password.n, 64);
    CHECK(memmem(m->upsertions[0].salted_password.p, 64, "pencil", 6) == NULL);
    CHECK_EQ(m->deletions_count, 1);
    CHECK_TEXT(m->deletions[0].name, "bob");
    a->results = arena_take_array(q->arena, 2, sizeof *a->results);
    a->results_count = 2;
    for (int i = 0; i < 2; i++)
        alter_user_scram_credentials_response_results_init(&a->results[i]);
    a->results[0].user = STR("alice");
    a->results[1].user = STR("bob");
    a->results[1].error_code = KERR_RESOURCE_NOT_FOUND;
    a->results[1].error_message = STR("there is no bob");
}

TEST(library_canned, users_are_changed_and_their_passwords_stay_here)
{
    struct mr_scram_change changes[] = {{.name = "alice", .password = "pencil", .mechanism = MR_SCRAM_SHA_512},
                                        {.name = "bob", .mechanism = MR_SCRAM_SHA_256}};

    struct mr_admin *a = canned_admin(&lab, answer_scram);
    struct mr_answer *r = mr_alter_scram_users(a, changes, 2, NULL);
    CHECK_EQ(mr_answer_wait(r, PATIENT_MS, &lab.e), 1);
    CHECK_EQ(outcome_of(r, "alice")->error.code, MR_OK);
    CHECK_TEXT(outcome_of(r, "bob")->error.text, "RESOURCE_NOT_FOUND: there is no bob");
    mr_answer_free(r);
    changes[0].iterations = 100;
    r = mr_alter_scram_users(a, changes, 1, NULL);
    CHECK_EQ(mr_answer_wait(r, PATIENT_MS, &lab.e), MR_INVALID);
    mr_answer_free(r);
    changes[0].iterations = 5000;
    changes[0].mechanism = 3;
    r = mr_alter_scram_users(a, changes, 1, NULL);
    CHECK_EQ(mr_answer_wait(r, PATIENT_MS, &lab.e), MR_INVALID);
    mr_answer_free(r);
    canned_end(&lab, a);
}

static const uint8_t hmac[] = {7, 0, 9};

static void answer_tokens(const struct canned_request *q)
{
    if (q->api_key == API_CREATE_DELEGATION_TOKEN) {
        const struct create_delegation_token_request *m = q->message;
        struct create_delegation_token_response *a = q->response;
        CHECK_TEXT(m->owner_principal_type, "User");
        CHECK_TEXT(m->owner_principal_name, "alice");
        CHECK_EQ(m->renewers_count, 1);
        CHECK_TEXT(m->renewers[0].principal_name, "bob");
        CHECK_EQ(m->max_lifetime_ms, -1);
        a->principal_type = a->token_requester_principal_type = STR("User");
        a->principal_name = m->owner_principal_name;
        a->token_requester_principal_name = STR("root");
        a->token_id = STR("t1");
        a->hmac = (struct bytes){hmac, sizeof hmac};
        a->max_timestamp_ms = 77;
    } else if (q->api_key == API_RENEW_DELEGATION_TOKEN) {
        const struct renew_delegation_token_request *m = q->message;
        CHECK_EQ(m->hmac.n, 3);
        CHECK_EQ(m->hmac.p[2], 9);
        ((struct renew_delegation_token_response *)q->response)->expiry_timestamp_ms = m->renew_period_ms + 1;
    } else if (q->api_key == API_EXPIRE_DELEGATION_TOKEN) {
        ((struct expire_delegation_token_response *)q->response)->error_code = KERR_DELEGATION_TOKEN_NOT_FOUND;
    } else {
        struct describe_delegation_token_response *a = q->response;
        CHECK_EQ(q->api_key, API_DESCRIBE_DELEGATION_TOKEN);
        CHECK_EQ(((const struct describe_delegation_token_request *)q->message)->owners_count, -1);
        a->tokens = arena_take_array(q->arena, 1, sizeof *a->tokens);
        a->tokens_count = 1;
        describe_delegation_token_response_tokens_init(a->tokens);
        a->tokens->token_id = STR("t1");
        a->tokens->principal_type = STR("User");
        a->tokens->principal_name = STR("alice:x");
        a->tokens->hmac = (struct bytes){hmac, sizeof hmac};
        a->tokens->renewers = arena_take_array(q->arena, 1, sizeof *a->tokens->renewers);
        a->tokens->renewers_count = 1;
        describe_delegation_token_response_tokens_renewers_init(a->tokens->renewers);
        a->tokens->renewers->principal_type = STR("User");
        a->tokens->renewers->principal_name = STR("bob");
    }
}

TEST(library_canned, tokens_are_made_renewed_ended_and_told)
{
    const char *const renewers[] = {"User:bob"}, *const nobody[] = {"bob"};
    struct mr_bytes key = {hmac, sizeof hmac};
    uint32_t count;

    struct mr_admin *a = canned_admin(&lab, answer_tokens);
    struct mr_answer *r = lab_well(&lab, mr_create_token(a, "User:alice", renewers, 1, -1, NULL));
    const struct mr_token *token = mr_tokens(r, &count);
    CHECK_EQ(count, 1);
    CHECK_TEXT(token->id, "t1");
    CHECK_TEXT(token->owner, "User:alice");
    CHECK_TEXT(token->requester, "User:root");
    CHECK(token->hmac.n == 3 && memcmp(token->hmac.p, hmac, 3) == 0);
    CHECK_EQ(token->max_ms, 77);
    mr_answer_free(r);
    r = lab_well(&lab, mr_renew_token(a, key, 500, NULL));
    CHECK_EQ(mr_outcomes(r, &count)->number, 501);
    mr_answer_free(r);
    r = mr_expire_token(a, key, -1, NULL);
    CHECK_EQ(mr_answer_wait(r, PATIENT_MS, &lab.e), MR_BROKER);
    CHECK_TEXT(kafka_word(&lab.e), "DELEGATION_TOKEN_NOT_FOUND");
    mr_answer_free(r);
    r = lab_well(&lab, mr_describe_tokens(a, NULL, 0, NULL));
    token = mr_tokens(r, &count);
    CHECK_EQ(count, 1);
    CHECK_TEXT(token->owner, "User:alice:x");
    CHECK_TEXT(token->requester, "");
    CHECK_EQ(token->renewer_count, 1);
    CHECK_TEXT(token->renewers[0], "User:bob");
    mr_answer_free(r);
    r = mr_create_token(a, NULL, nobody, 1, -1, NULL); /* no "User:" */
    CHECK_EQ(mr_answer_wait(r, PATIENT_MS, &lab.e), MR_INVALID);
    mr_answer_free(r);
    canned_end(&lab, a);
}

static void answer_gone(const struct canned_request *q)
{
    CHECK_EQ(q->api_key, API_UNREGISTER_CONTROLLER);
    CHECK_EQ(((const struct unregister_controller_request *)q->message)->controller_id, 3001);
    ((struct unregister_controller_response *)q->response)->error_code = KERR_INVALID_REQUEST;
}

TEST(library_canned, a_controller_that_votes_is_not_forgotten)
{
    struct mr_admin *a = canned_admin(&lab, answer_gone);
    struct mr_answer *r = mr_unregister_controller(a, 3001, NULL);

    CHECK_EQ(mr_answer_wait(r, PATIENT_MS, &lab.e), 1);
    CHECK_TEXT(kafka_word(&outcome_of(r, "3001")->error), "INVALID_REQUEST");
    CHECK_EQ(outcome_of(r, "3001")->error.advice, MR_REPAIR);
    CHECK_EQ(outcome_of(r, "3001")->error.definite, 1);
    mr_answer_free(r);
    canned_end(&lab, a);
}
