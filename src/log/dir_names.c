/* What lies in a log directory, by its names. */
#include <ctype.h>

#include "log/journal_format.h"
#include "log/state.h"

#define METADATA_DIR_NAME "__cluster_metadata-0"

/* Rule: interop 1.4: the partition is what follows the last '-'. */
static bool split_name(struct str name, struct str *topic, int32_t *partition)
{
    int64_t number;

    for (int32_t i = name.n; i-- > 1;) {
        if (name.p[i] != '-')
            continue;
        struct str digits = {name.p + i + 1, name.n - i - 1};
        if (digits.n == 0 || !isdigit((unsigned char)digits.p[0]) ||
            str_to_i64(digits, 0, INT32_MAX, &number) < 0)
            return false;
        *topic = (struct str){name.p, i};
        *partition = (int32_t)number;
        return true;
    }
    return false;
}

/* TOPIC-PARTITION.<32 hex> before `ending`. */
static bool is_marked(struct str name, struct str ending)
{
    if (!str_ends(name, ending) || name.n <= ending.n + 33)
        return false;
    return name.p[name.n - ending.n - 33] == '.';
}

enum log_dir_kind log_dir_kind(struct str name, struct str *topic, int32_t *partition)
{
    if (is_marked(name, STR("-delete")))
        return LOG_DIR_DELETE;
    if (is_marked(name, STR("-stray")))
        return LOG_DIR_OTHER;
    if (is_marked(name, STR("-future"))) {
        name.n -= STR("-future").n + 33;
        return split_name(name, topic, partition) ? LOG_DIR_FUTURE : LOG_DIR_OTHER;
    }
    if (str_equal(name, STR("remote-log-index-cache")) || str_equal(name, STR(METADATA_DIR_NAME)))
        return LOG_DIR_OTHER;
    if (str_equal(name, STR(JOURNAL_FOLDER_NAME)))
        return LOG_DIR_OTHER;
    return split_name(name, topic, partition) ? LOG_DIR_LIVE : LOG_DIR_BAD;
}

bool log_dir_is_partition(struct str name, int32_t *partition)
{
    struct str topic;

    return log_dir_kind(name, &topic, partition) == LOG_DIR_LIVE;
}

bool partition_metadata_parse(struct str content, struct uuid *topic_id)
{
    struct str line, key;

    while (str_cut(&content, '\n', &line)) {
        if (str_cut(&line, ':', &key) && str_equal(str_trim(key), STR("topic_id")))
            return uuid_parse(str_trim(line), topic_id) == 0;
    }
    return false;
}
