/* To whom a log belongs, and its epochs: the small files of its directory, when it is opened. */
#include <stdio.h>
#include <stdlib.h>

#include "log/opening.h"

static void note_names(struct opening *x)
{
    for (uint32_t i = 0; i < x->entries.count; i++) {
        const char *name = x->entries.entries[i].name;
        x->has_metadata |= strcmp(name, LOG_METADATA_NAME) == 0;
        x->has_epochs |= strcmp(name, LOG_EPOCHS_NAME) == 0;
    }
}

/* "version: 0\ntopic_id: <22 letters>", as Kafka writes it. */
static int take_metadata(struct opening *x)
{
    struct str rest = text_str(&x->text), line;
    struct uuid id = UUID_ZERO;
    char have[UUID_TEXT_BYTES], want[UUID_TEXT_BYTES];

    while (str_cut(&rest, '\n', &line)) {
        struct str value = line, key;
        if (!str_cut(&value, ':', &key) || !str_equal(str_trim(key), STR("topic_id")))
            continue;
        if (uuid_parse(str_trim(value), &id) < 0)
            return fail_set(x->fail, ERR_CORRUPT, "%s/%s: no topic id can be read from it",
                            x->log->path, LOG_METADATA_NAME);
    }
    if (uuid_is_zero(x->log->topic_id))
        x->log->topic_id = id;
    if (!uuid_is_zero(id) && !uuid_equal(id, x->log->topic_id))
        return fail_set(
            x->fail, ERR_CORRUPT,
            "%s belongs to topic id %s, not to %s: it is of an older topic of that name",
            x->log->path, uuid_text(id, have), uuid_text(x->log->topic_id, want));
    return 0;
}

struct bytes opening_metadata(struct opening *x)
{
    char id[UUID_TEXT_BYTES];

    text_clear(&x->text);
    text_printf(&x->text, "version: 0\ntopic_id: %s", uuid_text(x->log->topic_id, id));
    return bytes_of_str(text_str(&x->text));
}

/* An unreadable file of epochs is not the end: the batches say it all again. */
static void take_epochs(struct opening *x)
{
    struct fail why = {0};

    if (epochs_parse(&x->log->epochs, text_str(&x->text), &why) == 0)
        return;
    say(x->log->telemetry, LOG_WARN, "log", "%s/%s: it is made again from the batches",
        x->log->path, why.text);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct log_found *)a)->name, ((const struct log_found *)b)->name);
}

/* The directory has been looked into, and says what it is to say: names are listed in their order. */
static bool id_is_known(const struct opening *x)
{
    struct log_found key = {.name = strrchr(x->log->path, '/') + 1};
    const struct log_found *found =
        bsearch(&key, x->o->dir->found, x->o->dir->found_count, sizeof(key), by_name);

    return found != NULL && !uuid_is_zero(found->topic_id) && uuid_equal(found->topic_id, x->log->topic_id);
}

static void read_names_run(struct flow *f)
{
    struct opening *x = container_of(f, struct opening, part);
    struct log *log = x->log;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(log->io, &f->op));
    if (x->has_metadata && !id_is_known(x)) {
        snprintf(x->path, sizeof(x->path), "%s/%s", log->path, LOG_METADATA_NAME);
        FLOW_TRY(f, "read partition.metadata",
                 file_read_all(log->io, x->path, SMALL_FILE_BYTES_MAX, &x->text, &f->op));
        if (take_metadata(x) < 0) {
            flow_done(f, ERR_CORRUPT);
            return;
        }
    }
    if (x->has_epochs) {
        snprintf(x->path, sizeof(x->path), "%s/%s", log->path, LOG_EPOCHS_NAME);
        text_clear(&x->text);
        FLOW_TRY(f, "read leader epochs",
                 file_read_all(log->io, x->path, SMALL_FILE_BYTES_MAX, &x->text, &f->op));
        take_epochs(x);
    }
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    opening_step_end(x, f, f->result);
}

void opening_read_names(struct opening *x, struct op *op)
{
    note_names(x);
    flow_start(&x->part, read_names_run, op);
}
