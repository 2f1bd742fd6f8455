/* Names in directories. */
#include "conformance.h"

static void make(struct trial *w, const char *name, const char *text)
{
    struct io_file *file = file_new(w, name);

    if (text[0] != '\0')
        file_write(w, file, 0, text, (uint32_t)strlen(text));
    file_close(w, file);
}

/* One line per entry. */
static struct str listing(struct trial *w, const char *directory, struct text *text)
{
    struct io_entries entries = {0};
    int64_t count = RUN(w, io_list(w->io, directory, &entries, op));

    text_clear(text);
    if (count < 0)
        text_printf(text, "%s", error_text((int)count));
    CHECK_EQ(count < 0 ? 0 : count, entries.count);
    for (uint32_t i = 0; i < entries.count; i++) {
        const struct io_entry *e = &entries.entries[i];
        if (e->is_dir)
            text_printf(text, "%s/\n", e->name);
        else
            text_printf(text, "%s %" PRIu64 "\n", e->name, e->size_bytes);
    }
    io_entries_free(&entries);
    CHECK_EQ(entries.count, 0);
    io_entries_free(&entries); /* accepts an empty one */
    return text_str(text);
}

TEST(io_list, is_sorted_by_name)
{
    struct trial w;
    struct text text = {0};

    trial_open(&w, 1);
    CHECK_TEXT(listing(&w, w.world->directory, &text), "");
    make(&w, "b", "12345");
    make(&w, "a", "");
    make(&w, "Z", "1");
    make(&w, "aa", "12");
    CHECK_EQ(RUN(&w, io_mkdir(w.io, path(&w, "topic-0"), op)), 0);
    make(&w, "topic-0/inside", "123");
    CHECK_TEXT(listing(&w, w.world->directory, &text), "Z 1\n"
                                                       "a 0\n"
                                                       "aa 2\n"
                                                       "b 5\n"
                                                       "topic-0/\n");
    CHECK_TEXT(listing(&w, path(&w, "topic-0"), &text), "inside 3\n");
    text_deinit(&text);
    trial_close(&w);
}

TEST(io_list, tells_when_a_file_was_changed)
{
    struct trial w;
    struct io_entries entries = {0};

    trial_open(&w, 1);
    int64_t before_ms = io_wall_ms(w.io);
    trial_sleep(&w, 5000000);
    make(&w, "a", "x");
    CHECK_EQ(RUN(&w, io_list(w.io, w.world->directory, &entries, op)), 1);
    /* A file system's clock may lag by one tick of the kernel. */
    CHECK(entries.entries[0].modified_ms >= before_ms - 20);
    CHECK(entries.entries[0].modified_ms <= io_wall_ms(w.io) + 20);
    io_entries_free(&entries);
    trial_close(&w);
}

TEST(io_list, needs_a_directory)
{
    struct trial w;
    struct io_entries entries = {.entries = UNTOUCHED};

    trial_open(&w, 1);
    make(&w, "file", "");
    CHECK_EQ(RUN(&w, io_list(w.io, path(&w, "none"), &entries, op)), -ENOENT);
    CHECK_EQ(RUN(&w, io_list(w.io, path(&w, "file"), &entries, op)), -ENOTDIR);
    CHECK(entries.entries == UNTOUCHED);
    trial_close(&w);
}

TEST(io_list, holds_many)
{
    enum { N = 200 };
    struct trial w;
    struct io_entries entries = {0};
    char name[] = "f-000";

    trial_open(&w, 1);
    for (uint32_t i = 0; i < N; i++) {
        uint32_t k = i * 37 % N; /* not in order */
        name[2] = (char)('0' + k / 100);
        name[3] = (char)('0' + k / 10 % 10);
        name[4] = (char)('0' + k % 10);
        make(&w, name, "");
    }
    CHECK_EQ(RUN(&w, io_list(w.io, w.world->directory, &entries, op)), N);
    for (uint32_t i = 1; i < N; i++)
        CHECK(strcmp(entries.entries[i - 1].name, entries.entries[i].name) < 0);
    io_entries_free(&entries);
    trial_close(&w);
}

TEST(io_rename, replaces)
{
    struct trial w;
    struct text text = {0};

    trial_open(&w, 1);
    make(&w, "new", "12345");
    make(&w, "old", "1");
    CHECK_EQ(RUN(&w, io_rename(w.io, path(&w, "new"), path(&w, "old"), op)), 0);
    CHECK_TEXT(listing(&w, w.world->directory, &text), "old 5\n");
    CHECK_EQ(RUN(&w, io_rename(w.io, path(&w, "new"), path(&w, "old"), op)), -ENOENT);
    CHECK_EQ(RUN(&w, io_rename(w.io, path(&w, "old"), path(&w, "no/dir"), op)), -ENOENT);
    text_deinit(&text);
    trial_close(&w);
}

TEST(io_rename, moves_a_directory_with_what_is_in_it)
{
    struct trial w;
    struct text text = {0};

    trial_open(&w, 1);
    CHECK_EQ(RUN(&w, io_mkdir(w.io, path(&w, "t-0"), op)), 0);
    make(&w, "t-0/log", "123");
    CHECK_EQ(RUN(&w, io_rename(w.io, path(&w, "t-0"), path(&w, "t-0.deleted"), op)), 0);
    CHECK_TEXT(listing(&w, w.world->directory, &text), "t-0.deleted/\n");
    CHECK_TEXT(listing(&w, path(&w, "t-0.deleted"), &text), "log 3\n");
    text_deinit(&text);
    trial_close(&w);
}

TEST(io_remove, takes_files_only)
{
    struct trial w;
    struct text text = {0};

    trial_open(&w, 1);
    make(&w, "a", "1");
    CHECK_EQ(RUN(&w, io_mkdir(w.io, path(&w, "d"), op)), 0);
    CHECK_EQ(RUN(&w, io_remove(w.io, path(&w, "a"), op)), 0);
    CHECK_EQ(RUN(&w, io_remove(w.io, path(&w, "a"), op)), -ENOENT);
    CHECK_EQ(RUN(&w, io_remove(w.io, path(&w, "d"), op)), -EISDIR);
    CHECK_TEXT(listing(&w, w.world->directory, &text), "d/\n");
    text_deinit(&text);
    trial_close(&w);
}

TEST(io_mkdir, and_rmdir)
{
    struct trial w;
    struct text text = {0};

    trial_open(&w, 1);
    CHECK_EQ(RUN(&w, io_mkdir(w.io, path(&w, "d"), op)), 0);
    CHECK_EQ(RUN(&w, io_mkdir(w.io, path(&w, "d"), op)), -EEXIST);
    CHECK_EQ(RUN(&w, io_mkdir(w.io, path(&w, "no/d"), op)), -ENOENT);
    make(&w, "d/a", "");
    CHECK_EQ(RUN(&w, io_rmdir(w.io, path(&w, "d"), op)), -ENOTEMPTY);
    CHECK_EQ(RUN(&w, io_rmdir(w.io, path(&w, "d/a"), op)), -ENOTDIR);
    CHECK_EQ(RUN(&w, io_remove(w.io, path(&w, "d/a"), op)), 0);
    CHECK_EQ(RUN(&w, io_rmdir(w.io, path(&w, "d"), op)), 0);
    CHECK_EQ(RUN(&w, io_rmdir(w.io, path(&w, "d"), op)), -ENOENT);
    CHECK_TEXT(listing(&w, w.world->directory, &text), "");
    text_deinit(&text);
    trial_close(&w);
}

TEST(io_sync_dir, needs_a_directory)
{
    struct trial w;

    trial_open(&w, 1);
    make(&w, "a", "");
    CHECK_EQ(RUN(&w, io_sync_dir(w.io, w.world->directory, op)), 0);
    CHECK_EQ(RUN(&w, io_sync_dir(w.io, path(&w, "none"), op)), -ENOENT);
    CHECK_EQ(RUN(&w, io_sync_dir(w.io, path(&w, "a"), op)), -ENOTDIR);
    trial_close(&w);
}

TEST(io_chmod, needs_something)
{
    struct trial w;
    struct io_file *file;

    trial_open(&w, 1);
    make(&w, "a", "");
    CHECK_EQ(RUN(&w, io_chmod(w.io, path(&w, "a"), 0600, op)), 0);
    CHECK_EQ(RUN(&w, io_chmod(w.io, path(&w, "none"), 0600, op)), -ENOENT);
    CHECK_EQ(
        RUN(&w, io_open(w.io, path(&w, "secret"), IO_WRITE | IO_CREATE | IO_PRIVATE, &file, op)),
        0);
    file_close(&w, file);
    trial_close(&w);
}

TEST(io_space, there_is_some)
{
    struct trial w;
    struct io_space space = {0};

    trial_open(&w, 1);
    CHECK_EQ(RUN(&w, io_space(w.io, w.world->directory, &space, op)), 0);
    CHECK(space.total_bytes > 0);
    CHECK(space.free_bytes <= space.total_bytes);
    CHECK_EQ(RUN(&w, io_space(w.io, path(&w, "none"), &space, op)), -ENOENT);
    trial_close(&w);
}
