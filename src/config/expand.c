/* References inside values: ${SOURCE:NAME}. */
#include "config/internal.h"

/* Find the first "${" and the "}" behind it. */
static bool find_reference(struct str s, int32_t *begin, int32_t *end)
{
    for (int32_t i = 0; i + 1 < s.n; i++) {
        if (s.p[i] != '$' || s.p[i + 1] != '{')
            continue;
        const char *close = memchr(s.p + i + 2, '}', (size_t)(s.n - i - 2));
        if (close == NULL)
            return false;
        *begin = i;
        *end = (int32_t)(close - s.p) + 1;
        return true;
    }
    return false;
}

int config_expand(struct str value,
                  int (*look)(void *ctx, struct str source, struct str name, struct text *out),
                  void *ctx, struct text *out, struct fail *f)
{
    int32_t begin, end;

    while (find_reference(value, &begin, &end)) {
        struct str whole = {value.p + begin, end - begin};
        struct str name = {whole.p + 2, whole.n - 3}, source;
        text_add(out, value.p, (size_t)begin);
        int error = -ENOTSUP;
        if (name.n > 0 && memchr(name.p, ':', (size_t)name.n) != NULL) {
            (void)str_cut(&name, ':', &source);
            error = look(ctx, source, name, out);
        }
        if (error == -ENOTSUP)
            text_add_str(out, whole);
        else if (error < 0)
            return fail_set(f, error, "%.*s: %s", whole.n > 200 ? 200 : whole.n, whole.p,
                            error_text(error));
        value.p += end;
        value.n -= end;
    }
    text_add_str(out, value);
    return 0;
}
