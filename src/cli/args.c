/* Words of a command line into options, with the habits of argparse4j. */
#include "cli/internal.h"

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
            return wrong(err, program, usage,
                         "argument --%s/-%c: not allowed with argument --%s/-%c", o->name,
                         o->letter, other->name, other->letter);
        if (o->has_value && str_is_null(value)) {
            if (i + 1 == argc || is_option(argv[i + 1]))
                return wrong(err, program, usage, "argument --%s/-%c: expected one argument",
                             o->name, o->letter);
            value = str_of(argv[++i]);
        }
        if (f->count == ARG_VALUES_MAX)
            return wrong(err, program, usage, "argument --%s/-%c: given more than %d times",
                         o->name, o->letter, ARG_VALUES_MAX);
        f->values[f->count++] = value;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (options[i].required && found[i].count == 0)
            return wrong(err, program, usage, "argument --%s/-%c is required", options[i].name,
                         options[i].letter);
    }
    return ARGS_OK;
}
