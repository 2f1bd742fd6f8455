/* meta.properties: which cluster, node and directory a log directory belongs to. */
#include "quorum/quorum.h"

#include <stdio.h>

/* ---- printing ---------------------------------------------------------------------------- */

/* "Tue Nov 24 22:42:09 UTC 2026" */
static void print_time(int64_t wall_ms, struct text *out)
{
    static const char days[7][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    static const int month_days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t seconds = wall_ms / 1000, day = seconds / 86400;
    int64_t of_day = seconds % 86400, year = 1970, left = day;
    int month = 0;

    for (;; year++) {
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        int64_t length = leap ? 366 : 365;
        if (left >= length) {
            left -= length;
            continue;
        }
        for (;; month++) {
            length = month_days[month] + (month == 1 && leap);
            if (left < length)
                break;
            left -= length;
        }
        break;
    }
    text_printf(out, "%s %s %02d %02d:%02d:%02d UTC %d", days[day % 7], months[month],
                (int)left + 1, (int)(of_day / 3600), (int)(of_day / 60 % 60), (int)(of_day % 60),
                (int)year);
}

void meta_properties_print(const struct meta_properties *m, int64_t wall_ms, struct text *out)
{
    char directory[UUID_TEXT_BYTES];

    text_printf(out, "#\n#");
    print_time(wall_ms, out);
    text_printf(out, "\nnode.id=%" PRId32 "\n", m->node_id);
    if (!uuid_is_zero(m->directory_id))
        text_printf(out, "directory.id=%s\n", uuid_text(m->directory_id, directory));
    text_printf(out, "version=%" PRId32 "\ncluster.id=%s\n", m->version, m->cluster_id);
}

/* ---- parsing: Java properties as far as ids and numbers need them ------------------------ */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\f';
}

/* Split "key = value" at the first separator that is not escaped. Escapes stay: no value that we
 * take has one, save `\:` and the like, which `unescape` resolves. */
static void split(struct str line, struct str *key, struct str *value)
{
    int32_t end = 0;

    while (end < line.n && line.p[end] != '=' && line.p[end] != ':' && !is_blank(line.p[end]))
        end += line.p[end] == '\\' && end + 1 < line.n ? 2 : 1;
    *key = (struct str){line.p, end};
    struct str rest = {line.p + end, line.n - end};
    while (rest.n > 0 && is_blank(*rest.p))
        rest = (struct str){rest.p + 1, rest.n - 1};
    if (rest.n > 0 && (*rest.p == '=' || *rest.p == ':'))
        rest = (struct str){rest.p + 1, rest.n - 1};
    while (rest.n > 0 && is_blank(*rest.p))
        rest = (struct str){rest.p + 1, rest.n - 1};
    *value = rest;
}

/* Remove backslashes that only protect the next character. */
static void unescape(struct str s, struct text *out)
{
    text_clear(out);
    for (int32_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && i + 1 < s.n)
            i++;
        text_add(out, s.p + i, 1);
    }
}

struct found {
    struct text key, value;
    bool cluster_id, node_id, broker_id;
    int32_t broker;
};

static int take(struct found *found, struct meta_properties *m, struct fail *f)
{
    struct str key = text_str(&found->key), value = text_str(&found->value);
    int64_t number;

    if (str_equal(key, STR("cluster.id"))) {
        if (value.n == 0 || (size_t)value.n >= sizeof(m->cluster_id))
            return fail_set(f, ERR_CORRUPT, "cluster.id is \"%.*s\", must have 1 to %zu letters",
                            STR_ARG(value), sizeof(m->cluster_id) - 1);
        memcpy(m->cluster_id, value.p, (size_t)value.n);
        m->cluster_id[value.n] = '\0';
        found->cluster_id = true;
        return 0;
    }
    if (str_equal(key, STR("directory.id"))) {
        if (uuid_parse(value, &m->directory_id) < 0)
            return fail_set(f, ERR_CORRUPT, "directory.id is \"%.*s\", must be 22 letters",
                            STR_ARG(value));
        return 0;
    }
    bool is_version = str_equal(key, STR("version")), is_node = str_equal(key, STR("node.id"));
    if (!is_version && !is_node && !str_equal(key, STR("broker.id")))
        return 0; /* other programs' own values */
    if (str_to_i64(value, 0, INT32_MAX, &number) < 0)
        return fail_set(f, ERR_CORRUPT, "%.*s is \"%.*s\", must be a number from 0 on",
                        STR_ARG(key), STR_ARG(value));
    if (is_version) {
        m->version = (int32_t)number;
    } else if (is_node) {
        m->node_id = (int32_t)number;
        found->node_id = true;
    } else {
        found->broker = (int32_t)number;
        found->broker_id = true;
    }
    return 0;
}

static int check(const struct found *found, struct meta_properties *m, struct fail *f)
{
    if (m->version > 1)
        return fail_set(f, ERR_VERSION, "version is %" PRId32 ", known are 0 and 1", m->version);
    if (m->version == 0 && found->broker_id && !found->node_id)
        m->node_id = found->broker;
    if (m->version == 1 && !found->cluster_id)
        return fail_set(f, ERR_CORRUPT, "cluster.id is missing");
    if (m->version == 1 && !found->node_id)
        return fail_set(f, ERR_CORRUPT, "node.id is missing");
    return 0;
}

int meta_properties_parse(struct str text, struct meta_properties *out, struct fail *f)
{
    struct meta_properties m = {.node_id = -1};
    struct found found = {0};
    struct str line, key, value;
    int error = 0;

    while (error == 0 && str_cut(&text, '\n', &line)) {
        line = str_trim(line);
        if (line.n == 0 || line.p[0] == '#' || line.p[0] == '!')
            continue;
        split(line, &key, &value);
        unescape(key, &found.key);
        unescape(value, &found.value);
        error = take(&found, &m, f);
    }
    text_deinit(&found.key);
    text_deinit(&found.value);
    TRY(error);
    TRY(check(&found, &m, f));
    *out = m;
    return 0;
}
