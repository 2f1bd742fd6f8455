/* millrace/admin_access.h - libmillrace: who may do what, and how much: ACLs, quotas, users, tokens.
 *
 * A1 to A5 of admin.h hold.
 */
#ifndef MILLRACE_ADMIN_ACCESS_H
#define MILLRACE_ADMIN_ACCESS_H

#include <millrace/admin.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- ACLs -------------------------------------------------------------------------------------- */

enum mr_acl_resource {
    MR_ACL_ANY = 1, /* in filters, of each enum */
    MR_ACL_TOPIC = 2,
    MR_ACL_GROUP = 3,
    MR_ACL_CLUSTER = 4,
    MR_ACL_TRANSACTIONAL_ID = 5,
    MR_ACL_DELEGATION_TOKEN = 6,
    MR_ACL_USER = 7,
};
enum mr_acl_pattern { MR_ACL_MATCH = 2, MR_ACL_LITERAL = 3, MR_ACL_PREFIXED = 4 };
enum mr_acl_permission { MR_ACL_DENY = 2, MR_ACL_ALLOW = 3 };
enum mr_acl_operation {
    MR_ACL_ALL = 2,
    MR_ACL_READ = 3,
    MR_ACL_WRITE = 4,
    MR_ACL_CREATE = 5,
    MR_ACL_DELETE = 6,
    MR_ACL_ALTER = 7,
    MR_ACL_DESCRIBE = 8,
    MR_ACL_CLUSTER_ACTION = 9,
    MR_ACL_DESCRIBE_CONFIGS = 10,
    MR_ACL_ALTER_CONFIGS = 11,
    MR_ACL_IDEMPOTENT_WRITE = 12,
    MR_ACL_CREATE_TOKENS = 13,
    MR_ACL_DESCRIBE_TOKENS = 14,
    MR_ACL_TWO_PHASE_COMMIT = 15,
};
/* One binding; or a filter, in which 0 and NULL fit anything. */
struct mr_acl {
    int32_t resource, pattern, operation, permission;
    const char *resource_name;
    const char *principal;       /* "User:alice" */
    const char *host;            /* "*" = from anywhere */
    struct mr_error error;
};
/* -> outcomes, in the order given; `number`: which one */
MR_API struct mr_answer *mr_create_acls(struct mr_admin *a, const struct mr_acl *acls, uint32_t count,
                                        const struct mr_how *how);
/* -> acls */
MR_API struct mr_answer *mr_describe_acls(struct mr_admin *a, const struct mr_acl *filter, const struct mr_how *how);
/* -> acls: those that are gone, or could not go */
MR_API struct mr_answer *mr_delete_acls(struct mr_admin *a, const struct mr_acl *filters, uint32_t count,
                                        const struct mr_how *how);
MR_API const struct mr_acl *mr_acls(const struct mr_answer *r, uint32_t *count);

struct mr_quota_entity {
    const char *type;            /* "user", "client-id", "ip" */
    const char *name;            /* NULL: the default */
};
struct mr_quota_limit {
    const char *key;             /* "producer_byte_rate" ... */
    double value;
    int32_t remove;              /* 1: to be removed */
    int32_t unused;
};
struct mr_quota {
    uint32_t entity_count, limit_count;
    const struct mr_quota_entity *entities;
    const struct mr_quota_limit *limits;
    struct mr_error error;
};
/* `entities` that the quotas are of, exactly (NULL: all quotas). -> quotas */
MR_API struct mr_answer *mr_describe_quotas(struct mr_admin *a, const struct mr_quota_entity *entities, uint32_t count,
                                            const struct mr_how *how);
/* -> quotas, with their errors */
MR_API struct mr_answer *mr_alter_quotas(struct mr_admin *a, const struct mr_quota *quotas, uint32_t count,
                                         const struct mr_how *how);
MR_API const struct mr_quota *mr_quotas(const struct mr_answer *r, uint32_t *count);

/* ---- users and tokens --------------------------------------------------------------------------- */

enum mr_scram_mechanism { MR_SCRAM_SHA_256 = 1, MR_SCRAM_SHA_512 = 2 };
struct mr_scram_user {
    const char *name;
    int32_t mechanism;           /* enum mr_scram_mechanism */
    int32_t iterations;
    struct mr_error error;
};
/* Who has which credentials (`names` NULL: everybody). -> SCRAM users, one for each credential */
MR_API struct mr_answer *mr_describe_scram_users(struct mr_admin *a, const char *const *names, uint32_t count,
                                                 const struct mr_how *how);
MR_API const struct mr_scram_user *mr_scram_users(const struct mr_answer *r, uint32_t *count);

struct mr_scram_change {
    const char *name;            /* of the user */
    const char *password;        /* NULL: the credential is removed. It is not sent: what SCRAM derives from it is */
    int32_t mechanism;           /* enum mr_scram_mechanism */
    int32_t iterations;          /* 4096 to 16384; 0 = 4096. Each costs the calling thread a microsecond or so */
};
/* A user is changed as a whole, or not at all. -> outcomes, one for each user */
MR_API struct mr_answer *mr_alter_scram_users(struct mr_admin *a, const struct mr_scram_change *changes, uint32_t count,
                                              const struct mr_how *how);

/* A delegation token (KIP-48). Who has its id and hmac is its owner to brokers: keep it as you keep a password. */
struct mr_token {
    const char *id;
    const char *owner, *requester; /* "User:alice"; requester "" when an old broker does not say */
    struct mr_bytes hmac;
    uint32_t renewer_count;
    int32_t unused;
    const char *const *renewers;   /* besides the owner */
    int64_t issue_ms, expiry_ms, max_ms; /* since 1970; it cannot be renewed beyond max_ms */
};
/* `owner` NULL: whoever asks. life_ms -1: as long as the brokers allow. Through a connection that knows who asks (SASL,
 * or TLS with a certificate). -> tokens: one, without renewers */
MR_API struct mr_answer *mr_create_token(struct mr_admin *a, const char *owner, const char *const *renewers,
                                         uint32_t count, int64_t life_ms, const struct mr_how *how);
/* From now on it lives for period_ms (-1: as long as the brokers say). -> outcomes: one; `number`: when it ends */
MR_API struct mr_answer *mr_renew_token(struct mr_admin *a, struct mr_bytes hmac, int64_t period_ms,
                                        const struct mr_how *how);
/* It ends in period_ms (-1: now). -> outcomes: one; `number`: when it ends */
MR_API struct mr_answer *mr_expire_token(struct mr_admin *a, struct mr_bytes hmac, int64_t period_ms,
                                         const struct mr_how *how);
/* Those of these owners (NULL: of all) that the one who asks may see. -> tokens */
MR_API struct mr_answer *mr_describe_tokens(struct mr_admin *a, const char *const *owners, uint32_t count,
                                            const struct mr_how *how);
MR_API const struct mr_token *mr_tokens(const struct mr_answer *r, uint32_t *count);

#ifdef __cplusplus
}
#endif
#endif
