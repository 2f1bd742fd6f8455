/* Leader epochs and where they start. */
#include "log/epochs.h"

#include <stdlib.h>

void epochs_deinit(struct epochs *e)
{
    free(e->entries);
    *e = (struct epochs){0};
}

static void epochs_push(struct epochs *e, struct epoch_entry entry)
{
    if (e->count == e->capacity) {
        e->capacity = e->capacity == 0 ? 4 : e->capacity * 2;
        e->entries = realloc(e->entries, e->capacity * sizeof(*e->entries));
        ASSERT(e->entries != NULL);
    }
    e->entries[e->count++] = entry;
}

void epochs_assign(struct epochs *e, int32_t epoch, int64_t start)
{
    if (e->count > 0 && e->entries[e->count - 1].epoch == epoch &&
        start >= e->entries[e->count - 1].start)
        return;
    while (e->count > 0) {
        const struct epoch_entry *last = &e->entries[e->count - 1];
        if (last->epoch < epoch && last->start < start)
            break;
        e->count--;
    }
    epochs_push(e, (struct epoch_entry){epoch, start});
    e->version++;
}

void epochs_truncate(struct epochs *e, int64_t end)
{
    while (e->count > 0 && e->entries[e->count - 1].start >= end) {
        e->count--;
        e->version++;
    }
}

void epochs_raise_start(struct epochs *e, int64_t start)
{
    uint32_t below = 0;

    while (below < e->count && e->entries[below].start < start)
        below++;
    if (below == 0)
        return;
    if (below < e->count && e->entries[below].start == start) {
        /* the next one starts exactly there: nothing of the older ones is left */
    } else {
        below--;
        e->entries[below].start = start;
    }
    memmove(e->entries, e->entries + below, (e->count - below) * sizeof(*e->entries));
    e->count -= below;
    e->version++;
}

void epochs_clear(struct epochs *e)
{
    if (e->count > 0)
        e->version++;
    e->count = 0;
}

int32_t epochs_latest(const struct epochs *e)
{
    return e->count == 0 ? -1 : e->entries[e->count - 1].epoch;
}

/* Index of the last entry whose epoch is <= `epoch`; -1 none. */
static int64_t floor_epoch(const struct epochs *e, int32_t epoch)
{
    uint32_t low = 0, high = e->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (e->entries[middle].epoch <= epoch)
            low = middle + 1;
        else
            high = middle;
    }
    return (int64_t)low - 1;
}

int32_t epochs_at(const struct epochs *e, int64_t offset)
{
    uint32_t low = 0, high = e->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (e->entries[middle].start <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? -1 : e->entries[low - 1].epoch;
}

bool epochs_contradict(const struct epochs *e, const struct batch *b)
{
    int32_t epoch = epochs_at(e, b->base_offset);

    return epoch >= 0 && b->leader_epoch >= 0 && epoch != b->leader_epoch;
}

int64_t epochs_start(const struct epochs *e, int32_t epoch)
{
    int64_t i = floor_epoch(e, epoch);

    if (i < 0 || e->entries[i].epoch != epoch)
        return -1;
    return e->entries[i].start;
}

struct epoch_end epochs_end(const struct epochs *e, int32_t epoch, int64_t log_end)
{
    if (epoch < 0 || e->count == 0 || epoch > epochs_latest(e))
        return (struct epoch_end){-1, -1};
    if (epoch == epochs_latest(e))
        return (struct epoch_end){epoch, log_end};
    int64_t i = floor_epoch(e, epoch);
    if (i < 0)
        return (struct epoch_end){epoch, e->entries[0].start};
    return (struct epoch_end){e->entries[i].epoch, e->entries[i + 1].start};
}

void epochs_print(const struct epochs *e, struct text *out)
{
    text_printf(out, "0\n%u\n", e->count);
    for (uint32_t i = 0; i < e->count; i++)
        text_printf(out, "%d %lld\n", e->entries[i].epoch, (long long)e->entries[i].start);
}

/* "EPOCH START", greater than the last one. */
static int parse_line(struct str line, const struct epochs *e, struct epoch_entry *out)
{
    struct str rest = str_trim(line), word;
    int64_t epoch, start;

    if (!str_cut(&rest, ' ', &word) || str_to_i64(word, 0, INT32_MAX, &epoch) < 0)
        return ERR_CORRUPT;
    if (str_to_i64(str_trim(rest), 0, INT64_MAX, &start) < 0)
        return ERR_CORRUPT;
    if (e->count > 0 &&
        (epoch <= e->entries[e->count - 1].epoch || start <= e->entries[e->count - 1].start))
        return ERR_CORRUPT;
    *out = (struct epoch_entry){(int32_t)epoch, start};
    return 0;
}

int epochs_parse(struct epochs *e, struct str text, struct fail *f)
{
    struct epochs parsed = {0};
    struct epoch_entry entry;
    struct str line;
    int64_t number, count = 0;
    int line_number = 0;

    while (str_cut(&text, '\n', &line)) {
        line_number++;
        if (line_number == 1 && str_to_i64(str_trim(line), 0, 0, &number) < 0)
            goto bad;
        if (line_number == 2 && str_to_i64(str_trim(line), 0, INT32_MAX, &count) < 0)
            goto bad;
        if (line_number <= 2)
            continue;
        if (parse_line(line, &parsed, &entry) < 0)
            goto bad;
        epochs_push(&parsed, entry);
    }
    if (line_number == 1 || parsed.count != count)
        goto bad;
    parsed.version = e->version + 1;
    parsed.saved_version = parsed.version;
    free(e->entries);
    *e = parsed;
    return 0;
bad:
    epochs_deinit(&parsed);
    return fail_set(f, ERR_CORRUPT, "%s: line %d is not as it should be", "leader-epoch-checkpoint",
                    line_number);
}
