/* Words of a command line into options, with the habits of argparse4j. */
#include "cli/internal.h"

#include <stdio.h>
#include <stdlib.h>

/* `word` as option: "--name", "--name=value", "-n", "-nvalue". NULL when it is none of them. */
static const struct arg_option *find(const struct arg_option *options, uint32_t count,
                                     const char *word, struct str *attached)
{
    *attached = STR_NULL;
    for (uint32_t i = 0; i < count; i++) {
        const struct arg_option *o = &options[i];
        size_t n = strlen(o->name);
        if (strncmp(word, "--", 2) == 0) {
            if (strncmp(word + 2, o->name, n) != 0)
                continue;
            if (word[2 + n] == '\0')
                return o;
            if (word[2 + n] == '=' && o->has_value) {
                *attached = str_of(word + 2 + n + 1);
                return o;
            }
            continue;
        }
        if (word[0] != '-' || word[1] != o->letter)
            continue;
        if (word[2] == '\0')
            return o;
        if (o->has_value) {
            *attached = str_of(word + 2);
            return o;
        }
    }
    return NULL;
}

static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0';
}

static enum args_end wrong(struct text *err, const char *program, const char *usage,
                           const char *format, ...) PRINTF(4, 5);
static enum args_end wrong(struct text *err, const char *program, const char *usage,
                           const char *format, ...)
{
    va_list args;

    text_printf(err, "%s%s: error: ", usage, program);
    va_start(args, format);
    text_vprintf(err, format, args);
    va_end(args);
    text_printf(err, "\n");
    return ARGS_WRONG;
}

/* "--name", or "--name/-n" when it has a letter. */
static const char *spelled(const struct arg_option *o, char out[64])
{
    if (o->letter == '\0')
        snprintf(out, 64, "--%s", o->name);
    else
        snprintf(out, 64, "--%s/-%c", o->name, o->letter);
    return out;
}

/* The option of the same group that was given before, or NULL. */
static const struct arg_option *rival(const struct arg_option *options, uint32_t count,
                                      const struct arg_found *found, const struct arg_option *o)
{
    for (uint32_t i = 0; o->group != 0 && i < count; i++) {
        if (&options[i] != o && options[i].group == o->group && found[i].count > 0)
            return &options[i];
    }
    return NULL;
}

enum args_end args_read(int argc, char **argv, const char *program, const char *usage,
                        const struct arg_option *options, uint32_t count, struct arg_found *found,
                        struct text *err)
{
    char name[64], rival_name[64];

    for (uint32_t i = 0; i < count; i++)
        found[i].count = 0;
    for (int i = 0; i < argc; i++) {
        struct str value;
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
            return ARGS_HELP;
        const struct arg_option *o = find(options, count, argv[i], &value);
        if (o == NULL)
            return wrong(err, program, usage, "unrecognized arguments: '%s'", argv[i]);
        struct arg_found *f = &found[o - options];
        const struct arg_option *other = rival(options, count, found, o);
        if (other != NULL)
            return wrong(err, program, usage, "argument %s: not allowed with argument %s",
                         spelled(o, name), spelled(other, rival_name));
        if (o->has_value && str_is_null(value)) {
            if (i + 1 == argc || is_option(argv[i + 1]))
                return wrong(err, program, usage, "argument %s: expected one argument",
                             spelled(o, name));
            value = str_of(argv[++i]);
        }
        if (f->count == ARG_VALUES_MAX)
            return wrong(err, program, usage, "argument %s: given more than %d times",
                         spelled(o, name), ARG_VALUES_MAX);
        f->values[f->count++] = value;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (options[i].required && found[i].count == 0)
            return wrong(err, program, usage, "argument %s is required", spelled(&options[i], name));
    }
    return ARGS_OK;
}

int args_part(int argc, char **argv, const struct arg_option *options, uint32_t count, int *words)
{
    char **parted = calloc((size_t)argc + 1, sizeof(*parted));
    int front = 0, back = 0;
    bool all = false; /* behind "--" */

    ASSERT(parted != NULL);
    for (int i = 0; i < argc; i++) {
        struct str value;
        if (!all && strcmp(argv[i], "--") == 0) {
            all = true;
            continue;
        }
        if (all || !is_option(argv[i])) {
            parted[back++] = argv[i];
            continue;
        }
        const struct arg_option *o = find(options, count, argv[i], &value);
        argv[front++] = argv[i];
        if (o != NULL && o->has_value && str_is_null(value) && i + 1 < argc)
            argv[front++] = argv[++i];
    }
    memcpy(argv + front, parted, (size_t)back * sizeof(*parted));
    free(parted);
    *words = back;
    return front;
}
