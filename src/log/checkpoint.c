/* Text checkpoints, version 0 (interop: 1.3): "0", the count, then "TOPIC PARTITION OFFSET" lines.
 */
#include <stdlib.h>

#include "log/log.h"

void checkpoint_free(struct checkpoint *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        free(c->entries[i].topic);
    free(c->entries);
    *c = (struct checkpoint){0};
}

void checkpoint_print(const struct checkpoint *c, struct text *out)
{
    text_printf(out, "0\n%u\n", c->count);
    for (uint32_t i = 0; i < c->count; i++)
        text_printf(out, "%s %d %lld\n", c->entries[i].topic, c->entries[i].partition,
                    (long long)c->entries[i].offset);
}

/* The next word of `*rest`; blanks of any number part words. */
static bool word_cut(struct str *rest, struct str *word)
{
    *rest = str_trim(*rest);
    if (!str_cut(rest, ' ', word))
        return false;
    *word = str_trim(*word);
    return true;
}

static int parse_entry(struct str line, struct checkpoint_entry *out)
{
    struct str topic, partition_text, offset_text, more;
    int64_t partition, offset;

    if (!word_cut(&line, &topic) || !word_cut(&line, &partition_text) ||
        !word_cut(&line, &offset_text) || word_cut(&line, &more))
        return ERR_CORRUPT;
    if (str_to_i64(partition_text, 0, INT32_MAX, &partition) < 0)
        return ERR_CORRUPT;
    if (str_to_i64(offset_text, 0, INT64_MAX, &offset) < 0)
        return ERR_CORRUPT;
    *out = (struct checkpoint_entry){str_dup(topic), (int32_t)partition, offset};
    return 0;
}

static void entry_add(struct checkpoint *c, struct checkpoint_entry entry)
{
    if ((c->count & (c->count - 1)) == 0) { /* at each power of two */
        size_t capacity = c->count == 0 ? 1 : (size_t)c->count * 2;
        c->entries = realloc(c->entries, capacity * sizeof(*c->entries));
        ASSERT(c->entries != NULL);
    }
    c->entries[c->count++] = entry;
}

void checkpoint_add(struct checkpoint *c, struct str topic, int32_t partition, int64_t offset)
{
    entry_add(c, (struct checkpoint_entry){str_dup(topic), partition, offset});
}

static int compare(const void *a, const void *b)
{
    const struct checkpoint_entry *x = a, *y = b;
    int order = strcmp(x->topic, y->topic);

    return order != 0 ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

int checkpoint_parse(struct str text, struct checkpoint *out, struct fail *f)
{
    struct checkpoint c = {0};
    struct checkpoint_entry entry;
    int64_t version, count = 0;
    struct str line;
    int number = 0;

    while (str_cut(&text, '\n', &line)) {
        number++;
        if (number == 1 && str_to_i64(str_trim(line), 0, 0, &version) < 0)
            goto bad;
        if (number == 2 && str_to_i64(str_trim(line), 0, UINT32_MAX, &count) < 0)
            goto bad;
        if (number <= 2)
            continue;
        if (parse_entry(line, &entry) < 0)
            goto bad;
        entry_add(&c, entry);
    }
    if (number == 1 || c.count != count) /* an empty file has no entries */
        goto bad;
    if (c.count > 0)
        qsort(c.entries, c.count, sizeof(*c.entries), compare);
    *out = c;
    return 0;
bad:
    checkpoint_free(&c);
    return fail_set(f, ERR_CORRUPT,
                    "line %d is not as it should be (version 0, the count, TOPIC PARTITION OFFSET)",
                    number);
}

int64_t checkpoint_find(const struct checkpoint *c, struct str topic, int32_t partition,
                        int64_t otherwise)
{
    uint32_t low = 0, high = c->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct checkpoint_entry *e = &c->entries[middle];
        int order = str_compare(str_of(e->topic), topic);
        if (order == 0)
            order = (e->partition > partition) - (e->partition < partition);
        if (order == 0)
            return e->offset;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return otherwise;
}
