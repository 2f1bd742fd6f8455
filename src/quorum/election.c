/* quorum-state: the epoch and the vote, as one line of JSON. */
#include "quorum/internal.h"

/* Exactly what Kafka writes, without a newline. Rule: KIP-595, and KIP-853 for version 1. */
void election_print(const struct raft_election *e, const struct raft_voters *voters,
                    struct text *out)
{
    char directory[UUID_TEXT_BYTES];

    if (voters->kraft_version > 0) {
        text_printf(out,
                    "{\"leaderId\":%" PRId32 ",\"leaderEpoch\":%" PRId32 ",\"votedId\":%" PRId32
                    ",\"votedDirectoryId\":\"%s\",\"data_version\":1}",
                    e->leader_id, e->epoch, e->voted_id,
                    uuid_text(e->voted_directory_id, directory));
        return;
    }
    text_printf(out,
                "{\"clusterId\":\"\",\"leaderId\":%" PRId32 ",\"leaderEpoch\":%" PRId32
                ",\"votedId\":%" PRId32 ",\"appliedOffset\":0,\"currentVoters\":[",
                e->leader_id, e->epoch, e->voted_id);
    for (uint32_t i = 0; i < voters->count; i++)
        text_printf(out, "%s{\"voterId\":%" PRId32 "}", i == 0 ? "" : ",", voters->voters[i].id);
    text_printf(out, "],\"data_version\":0}");
}

/* ---- reading: a small scanner, for members we know and to step over those that we do not
 * ---------- */

struct scanner {
    const char *p, *end;
};

static void skip_blanks(struct scanner *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\r' || *s->p == '\n'))
        s->p++;
}

static bool take(struct scanner *s, char c)
{
    skip_blanks(s);
    if (s->p == s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

/* Text without its quotes; nothing that we look for has an escape in it. */
static int take_text(struct scanner *s, struct str *out)
{
    if (!take(s, '"'))
        return ERR_CORRUPT;
    const char *begin = s->p;
    while (s->p < s->end && *s->p != '"')
        s->p += *s->p == '\\' && s->end - s->p > 1 ? 2 : 1;
    if (s->p == s->end)
        return ERR_CORRUPT;
    *out = (struct str){begin, (int32_t)(s->p - begin)};
    s->p++;
    return 0;
}

/* A value of whatever kind: number or text, or a list or object to be stepped over (then it is the
 * empty text). */
static int take_value(struct scanner *s, struct str *out)
{
    uint32_t depth = 0;

    skip_blanks(s);
    if (s->p < s->end && *s->p == '"')
        return take_text(s, out);
    const char *begin = s->p;
    while (s->p < s->end) {
        char c = *s->p;
        if (depth == 0 && (c == ',' || c == '}'))
            break;
        if (c == '"') {
            struct str inner;
            TRY(take_text(s, &inner));
            continue;
        }
        if (c == '[' || c == '{')
            depth++;
        if (c == ']' || c == '}') {
            if (depth == 0)
                return ERR_CORRUPT;
            depth--;
        }
        s->p++;
    }
    if (depth > 0 || s->p == begin)
        return ERR_CORRUPT;
    *out = str_trim((struct str){begin, (int32_t)(s->p - begin)});
    return 0;
}

struct election_text {
    struct str leader_id, leader_epoch, voted_id, voted_directory_id, data_version;
};

static int scan(struct str text, struct election_text *out)
{
    struct scanner s = {text.p, text.p + text.n};
    const struct {
        const char *name;
        struct str *value;
    } members[] = {
        {"leaderId", &out->leader_id},        {"leaderEpoch", &out->leader_epoch},
        {"votedId", &out->voted_id},          {"votedDirectoryId", &out->voted_directory_id},
        {"data_version", &out->data_version},
    };

    if (!take(&s, '{'))
        return ERR_CORRUPT;
    if (!take(&s, '}')) {
        do {
            struct str name, value;
            TRY(take_text(&s, &name));
            if (!take(&s, ':'))
                return ERR_CORRUPT;
            TRY(take_value(&s, &value));
            for (size_t i = 0; i < array_count(members); i++) {
                if (str_equal(name, str_of(members[i].name)))
                    *members[i].value = value;
            }
        } while (take(&s, ','));
        if (!take(&s, '}'))
            return ERR_CORRUPT;
    }
    skip_blanks(&s);
    return s.p == s.end ? 0 : ERR_CORRUPT;
}

static int number(struct str value, const char *name, int64_t low, int64_t *out, struct fail *f)
{
    if (str_to_i64(value, low, INT32_MAX, out) < 0)
        return fail_set(f, ERR_CORRUPT, "\"%s\" is \"%.*s\", must be a number from %" PRId64 " on",
                        name, STR_ARG(value), low);
    return 0;
}

int election_parse(struct str text, struct raft_election *out, struct fail *f)
{
    struct election_text t = {STR_NULL, STR_NULL, STR_NULL, STR_NULL, STR_NULL};
    struct raft_election e = {0};
    int64_t version = 0, epoch = 0, leader_id = -1, voted_id = -1;

    if (scan(text, &t) < 0)
        return fail_set(f, ERR_CORRUPT, "it is not one JSON object");
    TRY(number(t.data_version, "data_version", 0, &version, f));
    if (version > 1)
        return fail_set(f, ERR_VERSION, "data_version is %" PRId64 ", known are 0 and 1", version);
    TRY(number(t.leader_epoch, "leaderEpoch", 0, &epoch, f));
    TRY(number(t.leader_id, "leaderId", -1, &leader_id, f));
    TRY(number(t.voted_id, "votedId", -1, &voted_id, f));
    if (version == 1 && uuid_parse(t.voted_directory_id, &e.voted_directory_id) < 0)
        return fail_set(f, ERR_CORRUPT, "\"votedDirectoryId\" is \"%.*s\", must be 22 letters",
                        STR_ARG(t.voted_directory_id));
    e.epoch = (int32_t)epoch;
    e.leader_id = (int32_t)leader_id;
    e.voted_id = (int32_t)voted_id;
    *out = e;
    return 0;
}
