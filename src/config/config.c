/* Values over a table. Only what was set takes memory: an array of entries sorted by setting, and
 * for one setting the level that wins comes first. */
#include "config/internal.h"

#include <stdlib.h>

struct entry {
    uint16_t id;
    uint8_t source;
    char *text; /* terminated */
    int32_t text_bytes;
    union setting_number number;
};

struct config {
    const struct config_table *table;
    struct entry *entries;
    uint32_t count, capacity;
};

struct config *config_new(const struct config_table *table)
{
    struct config *c = calloc(1, sizeof *c);

    ASSERT(c != NULL);
    ASSERT(table->count <= UINT16_MAX);
    c->table = table;
    return c;
}

void config_free(struct config *c)
{
    if (c == NULL)
        return;
    for (uint32_t i = 0; i < c->count; i++)
        free(c->entries[i].text);
    free(c->entries);
    free(c);
}

struct config *config_copy(const struct config *c)
{
    struct config *copy = config_new(c->table);

    if (c->count == 0)
        return copy;
    copy->entries = malloc(c->count * sizeof *c->entries);
    ASSERT(copy->entries != NULL);
    copy->capacity = c->count;
    for (; copy->count < c->count; copy->count++) {
        const struct entry *e = &c->entries[copy->count];
        copy->entries[copy->count] = *e;
        copy->entries[copy->count].text = str_dup((struct str){e->text, e->text_bytes});
    }
    return copy;
}

const struct config_table *config_table_of(const struct config *c)
{
    return c->table;
}

/* Smaller wins. The protocol's numbers are in this order, but for the last one. */
static uint32_t rank(enum config_source source)
{
    return source == CONFIG_GROUP ? 0 : source;
}

static uint32_t place(uint32_t id, enum config_source source)
{
    return id << 8 | rank(source);
}

/* Index of the first entry that does not stand before (id, source). */
static uint32_t find(const struct config *c, uint32_t id, enum config_source source)
{
    uint32_t low = 0, high = c->count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (place(c->entries[middle].id, c->entries[middle].source) < place(id, source))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct entry *entry_at(const struct config *c, uint32_t id, enum config_source source)
{
    uint32_t i = find(c, id, source);

    ASSERT(id < c->table->count);
    if (i == c->count || c->entries[i].id != id || c->entries[i].source != source)
        return NULL;
    return &c->entries[i];
}

/* The entry that wins, NULL when the default is in force. */
static const struct entry *entry_in_force(const struct config *c, uint32_t id)
{
    ASSERT(id < c->table->count);
    uint32_t i = find(c, id, CONFIG_GROUP);
    return i < c->count && c->entries[i].id == id ? &c->entries[i] : NULL;
}

static void entry_remove(struct config *c, uint32_t id, enum config_source source)
{
    const struct entry *e = entry_at(c, id, source);
    if (e == NULL)
        return;
    uint32_t i = (uint32_t)(e - c->entries);
    free(c->entries[i].text);
    c->count--;
    memmove(&c->entries[i], &c->entries[i + 1], (c->count - i) * sizeof c->entries[0]);
}

void config_put(struct config *c, enum config_source source, uint32_t id, struct str canonical,
                union setting_number number)
{
    entry_remove(c, id, source);
    if (c->count == c->capacity) {
        c->capacity = c->capacity == 0 ? 4 : c->capacity * 2;
        c->entries = realloc(c->entries, c->capacity * sizeof c->entries[0]);
        ASSERT(c->entries != NULL);
    }
    uint32_t i = find(c, id, source);
    memmove(&c->entries[i + 1], &c->entries[i], (c->count - i) * sizeof c->entries[0]);
    c->entries[i] = (struct entry){.id = (uint16_t)id,
                                   .source = (uint8_t)source,
                                   .text = str_dup(canonical),
                                   .text_bytes = canonical.n,
                                   .number = number};
    c->count++;
}

/* What the setting's mode says of a level: Kafka refuses the same. */
static int check_level(const struct setting *s, enum config_source source, struct fail *f)
{
    if (source != CONFIG_DYNAMIC_BROKER && source != CONFIG_DYNAMIC_DEFAULT_BROKER)
        return 0;
    if (s->mode == SETTING_READ_ONLY)
        return fail_set(f, -EINVAL,
                        "%s cannot change while a broker runs; set it in the broker's file",
                        s->name);
    if (s->mode == SETTING_PER_BROKER && source == CONFIG_DYNAMIC_DEFAULT_BROKER)
        return fail_set(f, -EINVAL, "%s cannot be set for all brokers at once; name the broker",
                        s->name);
    return 0;
}

int config_set(struct config *c, enum config_source source, struct str name, struct str value,
               struct fail *f)
{
    struct text canonical = {0};
    union setting_number number;
    int id = setting_find(c->table, name);

    ASSERT(source != CONFIG_UNKNOWN && source != CONFIG_DEFAULT);
    if (id < 0)
        return fail_set(f, -ENOENT, "unknown %s setting: %.*s", c->table->what,
                        name.n > 200 ? 200 : name.n, name.n > 0 ? name.p : "");
    const struct setting *s = &c->table->settings[id];
    if (str_is_null(value)) {
        entry_remove(c, (uint32_t)id, source);
        return 0;
    }
    TRY(check_level(s, source, f));
    int error = setting_parse(s, value, &canonical, &number, f);
    if (error == 0)
        error = rules_check(s, text_str(&canonical), number, f);
    if (error == 0)
        config_put(c, source, (uint32_t)id, text_str(&canonical), number);
    text_deinit(&canonical);
    return error;
}

struct str config_text(const struct config *c, uint32_t id)
{
    const struct entry *e = entry_in_force(c, id);

    if (e == NULL)
        return str_of(c->table->settings[id].default_text);
    return (struct str){e->text, e->text_bytes};
}

bool config_text_at(const struct config *c, enum config_source source, uint32_t id, struct str *out)
{
    if (source == CONFIG_DEFAULT) {
        *out = str_of(c->table->settings[id].default_text);
        return !c->table->settings[id].required;
    }
    const struct entry *e = entry_at(c, id, source);
    *out = e == NULL ? STR_NULL : (struct str){e->text, e->text_bytes};
    return e != NULL;
}

enum config_source config_source(const struct config *c, uint32_t id)
{
    const struct entry *e = entry_in_force(c, id);

    return e == NULL ? CONFIG_DEFAULT : (enum config_source)e->source;
}

static union setting_number number_in_force(const struct config *c, uint32_t id)
{
    const struct entry *e = entry_in_force(c, id);

    return e == NULL ? c->table->settings[id].default_number : e->number;
}

int64_t config_i64(const struct config *c, uint32_t id)
{
    enum setting_type type = c->table->settings[id].type;

    ASSERT(type == SETTING_INT || type == SETTING_SHORT || type == SETTING_LONG);
    return number_in_force(c, id).i64;
}

bool config_bool(const struct config *c, uint32_t id)
{
    ASSERT(c->table->settings[id].type == SETTING_BOOLEAN);
    return number_in_force(c, id).i64 == 1;
}

double config_f64(const struct config *c, uint32_t id)
{
    ASSERT(c->table->settings[id].type == SETTING_DOUBLE);
    return number_in_force(c, id).f64;
}

struct str config_str(const struct config *c, uint32_t id)
{
    enum setting_type type = c->table->settings[id].type;

    ASSERT(type == SETTING_STRING || type == SETTING_LIST || type == SETTING_CLASS ||
           type == SETTING_PASSWORD);
    return config_text(c, id);
}
