/* Run a fuzz target on files, in builds without libFuzzer: every file named, every file in a
 * folder named, and the empty input. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Returns 0 when `path` is a file and was run. */
static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t size = 0, capacity = 0, n;

    if (file == NULL)
        return -errno;
    do {
        if (size == capacity) {
            capacity = capacity == 0 ? 65536 : 2 * capacity;
            data = realloc(data, capacity);
            if (data == NULL)
                abort();
        }
        n = fread(data + size, 1, capacity - size, file);
        size += n;
    } while (n > 0);
    if (ferror(file) != 0) {
        int error = -errno;
        fclose(file);
        free(data);
        return error;
    }
    fclose(file);
    /* A copy of the exact size lets the address sanitizer see an overrun. */
    uint8_t *exact = malloc(size == 0 ? 1 : size);
    if (exact == NULL)
        abort();
    memcpy(exact, data, size);
    free(data);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return 0;
}

static int run_folder(const char *path, unsigned *count)
{
    DIR *folder = opendir(path);

    if (folder == NULL)
        return -errno;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char name[4096];
        int error;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        error = run_file(name);
        if (error < 0) {
            fprintf(stderr, "%s: %s\n", name, strerror(-error));
            exit(1);
        }
        (*count)++;
    }
    closedir(folder);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned count = 1;

    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++) {
        int error = run_folder(argv[i], &count);
        if (error == -ENOTDIR) {
            error = run_file(argv[i]);
            count++;
        }
        /* A target that has no seeds yet is given the name of a folder that is not there. */
        if (error < 0 && error != -ENOENT) {
            fprintf(stderr, "%s: %s\n", argv[i], strerror(-error));
            return 1;
        }
    }
    printf("%u passed, 0 failed\n", count);
    return 0;
}
