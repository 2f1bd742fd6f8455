/* Members of a group that are to leave it: those that are named, or all. */
#include "library/admin.h"

static void take_left(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct leave_group_request *asked = part->request;
    const struct leave_group_response *m = response;

    if (m->error_code != KERR_NONE) { /* then it says nothing of members */
        for (int32_t i = 0; i < asked->members_count; i++) {
            const struct leave_group_request_members *one = &asked->members[i];
            bool is_static = one->group_instance_id.n > 0;
            answer_outcome(r, is_static ? one->group_instance_id : one->member_id, -1, m->error_code, STR_NULL);
        }
        return;
    }
    for (int32_t i = 0; i < m->members_count; i++) {
        const struct leave_group_response_members *one = &m->members[i];
        bool is_static = one->group_instance_id.n > 0;
        answer_outcome(r, is_static ? one->group_instance_id : one->member_id, -1, one->error_code, STR_NULL);
    }
}

static const struct answer_verb leave = {"mr_remove_group_members", API_LEAVE_GROUP, ROWS_OUTCOME, take_left, NULL};

/* Who leaves; `reason` may be null. */
static void put_leaver(struct leave_group_request_members *to, struct str id, struct str instance_id, struct str reason)
{
    leave_group_request_members_init(to);
    to->member_id = id;
    to->group_instance_id = instance_id;
    to->reason = reason;
}

/* ---- all: who they are is asked first ------------------------------------------------------------------------- */

/* r->more holds the group, the reason, and then of each member its id and its instance id. */
enum { MORE_GROUP, MORE_REASON, MORE_MEMBERS };

static void more_begin(struct mr_answer *r, int32_t members)
{
    struct str *more = answer_array(r, MORE_MEMBERS + 2 * (size_t)members, sizeof *more);

    more[MORE_GROUP] = r->more[MORE_GROUP];
    more[MORE_REASON] = r->more[MORE_REASON];
    r->more = more;
    r->more_count = MORE_MEMBERS;
}

/* A static member is known by its instance id alone, also when it comes back under another id meanwhile. */
static void more_member(struct mr_answer *r, struct str id, struct str instance_id)
{
    bool is_static = instance_id.n > 0;

    r->more[r->more_count++] = is_static ? STR("") : arena_str(&r->arena, id);
    r->more[r->more_count++] = is_static ? arena_str(&r->arena, instance_id) : STR_NULL;
}

static void take_members_classic(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct describe_groups_response *m = response;

    if (m->groups_count == 0 || answer_is_refused(r, m->groups->error_code, m->groups->error_message))
        return;
    more_begin(r, m->groups->members_count);
    for (int32_t i = 0; i < m->groups->members_count; i++)
        more_member(r, m->groups->members[i].member_id, m->groups->members[i].group_instance_id);
}

static bool leave_all(struct mr_answer *r, int64_t result)
{
    if (result < 0 || r->error.code != MR_OK || r->more_count <= MORE_MEMBERS)
        return false;
    answer_renew(r, &leave);
    struct leave_group_request *m = r->request;
    m->group_id = r->more[MORE_GROUP];
    m->members_count = (r->more_count - MORE_MEMBERS) / 2;
    m->members = answer_array(r, (size_t)m->members_count, sizeof *m->members);
    for (int32_t i = 0; i < m->members_count; i++)
        put_leaver(&m->members[i], r->more[MORE_MEMBERS + 2 * i], r->more[MORE_MEMBERS + 2 * i + 1],
                   r->more[MORE_REASON]);
    return true;
}

static void take_members(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct consumer_group_describe_response *m = response;

    if (m->groups_count == 0 || m->groups->error_code == KERR_GROUP_ID_NOT_FOUND ||
        m->groups->error_code == KERR_UNSUPPORTED_VERSION)
        return; /* it may be one of the classic protocol */
    if (answer_is_refused(r, m->groups->error_code, m->groups->error_message))
        return;
    more_begin(r, m->groups->members_count);
    for (int32_t i = 0; i < m->groups->members_count; i++)
        more_member(r, m->groups->members[i].member_id, m->groups->members[i].instance_id);
}

static bool ask_classic_or_leave(struct mr_answer *r, int64_t result)
{
    static const struct answer_verb classic = {"mr_remove_group_members", API_DESCRIBE_GROUPS, ROWS_OUTCOME,
                                               take_members_classic, leave_all};

    if (r->more_count > 0 || r->error.code != MR_OK)
        return leave_all(r, result);
    if (result < 0 && result != ERR_VERSION) /* a broker before Kafka 3.7 knows no other protocol */
        return false;
    answer_renew(r, &classic);
    struct describe_groups_request *m = r->request;
    m->groups = &r->more[MORE_GROUP];
    m->groups_count = 1;
    return true;
}

static struct mr_answer *remove_all(struct mr_admin *a, const char *group, const char *reason, const struct mr_how *how)
{
    static const struct answer_verb all = {"mr_remove_group_members", API_CONSUMER_GROUP_DESCRIBE, ROWS_OUTCOME,
                                           take_members, ask_classic_or_leave};
    struct mr_answer *r = answer_new(a, &all, how);

    if (r == NULL)
        return NULL;
    r->more = answer_array(r, MORE_MEMBERS, sizeof *r->more);
    r->more[MORE_GROUP] = answer_text(r, group, "the group");
    r->more[MORE_REASON] = answer_text_or_null(r, reason);
    struct consumer_group_describe_request *m = r->request;
    m->group_ids = &r->more[MORE_GROUP];
    m->group_ids_count = 1;
    return answer_ask(r);
}

/* ---- those that are named ------------------------------------------------------------------------------------- */

struct mr_answer *mr_remove_group_members(struct mr_admin *a, const char *group, const struct mr_group_leaver *members,
                                          uint32_t count, const char *reason, const struct mr_how *how)
{
    struct mr_answer *r;

    if (members == NULL)
        return remove_all(a, group, reason, how);
    r = answer_new(a, &leave, how);
    if (r == NULL)
        return NULL;
    struct leave_group_request *m = r->request;
    struct str why = answer_text_or_null(r, reason);
    m->group_id = answer_text(r, group, "the group");
    m->members = answer_array(r, count, sizeof *m->members);
    m->members_count = (int32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        struct str id = members[i].id == NULL ? STR("") : answer_text_or_null(r, members[i].id);
        put_leaver(&m->members[i], id, answer_text_or_null(r, members[i].instance_id), why);
        if (members[i].id == NULL && members[i].instance_id == NULL)
            answer_refuse(r, "a member has neither an id nor an instance id");
    }
    return answer_ask(r);
}
