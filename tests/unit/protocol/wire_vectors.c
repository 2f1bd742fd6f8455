/* wire_vectors.c - hold tables of messages that Kafka wrote against our codecs.
 *
 *     wire_vectors FILE.tsv ...
 *
 * Each row: decode, all bytes used; the content equals the row's JSON; encode to the same bytes;
 * no cut is accepted; no changed byte does harm. The last line is "N passed, N failed". */

#include <stdlib.h>

#include "vectors.h"

static struct str file_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct text text = {0};
    char part[65536];
    size_t n;

    if (file == NULL)
        return STR_NULL;
    while ((n = fread(part, 1, sizeof(part), file)) > 0)
        text_add(&text, part, n);
    fclose(file);
    return (struct str){text.p, (int32_t)text.n};
}

int main(int argc, char **argv)
{
    struct vector_totals totals = {0};
    int broken = 0;

    if (argc < 2) {
        fprintf(stderr, "usage: wire_vectors FILE.tsv ...\n");
        return 2;
    }
    for (int i = 1; i < argc; i++) {
        struct str text = file_text(argv[i]);
        if (str_is_null(text)) {
            fprintf(stderr, "%s: cannot be read\n", argv[i]);
            broken++;
        } else if (vectors_check(text, argv[i], true, &totals) < 0) {
            broken++;
        }
        free((void *)(uintptr_t)text.p);
    }
    printf("%u passed, %u failed\n", totals.passed, totals.failed + (unsigned)broken);
    return totals.failed > 0 || broken > 0;
}
