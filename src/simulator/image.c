/* simulator/image.c - a test's own look at a disk: at once, without operations and faults. */
#include "simulator/internal.h"

#include <stdio.h>

/* As `path` up to `n` bytes. */
static int mkdir_prefix(struct sim_node *node, const char *path, size_t n)
{
    char part[1024];
    int error;

    if (n >= sizeof(part))
        return -ENAMETOOLONG;
    memcpy(part, path, n);
    part[n] = '\0';
    error = disk_mkdir(node->disk, part, sim_node_wall_ms(node));
    return error == -EEXIST ? 0 : error;
}

/* Everything in the journal of names that lies on `path` becomes durable. */
static void sync_parents(struct disk *d, const char *path)
{
    char part[1024];
    size_t n = strlen(path);

    ASSERT(n < sizeof(part));
    for (size_t i = 0; i < n; i++) {
        struct inode *dir;
        if (path[i] != '/')
            continue;
        memcpy(part, path, i + 1);
        part[i + 1] = '\0';
        if (disk_find(d, part, &dir) == 0 && dir->is_dir)
            sim_dir_sync(dir, UINT64_MAX);
    }
}

int sim_disk_mkdir(struct sim_node *node, const char *path)
{
    size_t n = strlen(path);

    for (size_t i = 1; i <= n; i++) {
        if (path[i] == '/' || path[i] == '\0')
            TRY(mkdir_prefix(node, path, i));
    }
    sim_dir_sync(node->disk->root, UINT64_MAX);
    sync_parents(node->disk, path);
    return 0;
}

int sim_disk_put(struct sim_node *node, const char *path, struct bytes content)
{
    const char *name = strrchr(path, '/');
    struct inode *file;
    bool changed;

    if (name != NULL && name != path) {
        for (const char *p = path + 1; p <= name; p++) {
            if (*p == '/')
                TRY(mkdir_prefix(node, path, (size_t)(p - path)));
        }
    }
    TRY(disk_open(node->disk, path, IO_WRITE | IO_CREATE | IO_TRUNCATE, sim_node_wall_ms(node),
                  &file, &changed));
    if (content.n > 0 && sim_file_write(file, 0, content.p, (uint32_t)content.n) < 0) {
        sim_inode_unref(file);
        return -ENOSPC;
    }
    sim_file_sync(file, sim_file_seal(file));
    sim_inode_unref(file);
    sim_dir_sync(node->disk->root, UINT64_MAX);
    sync_parents(node->disk, path);
    return 0;
}

static int file_find(struct sim_node *node, const char *path, struct inode **out)
{
    TRY(disk_find(node->disk, path, out));
    return (*out)->is_dir ? -EISDIR : 0;
}

int sim_disk_get(struct sim_node *node, const char *path, struct text *out)
{
    uint8_t part[PAGE_BYTES];
    struct inode *file;

    TRY(file_find(node, path, &file));
    for (uint64_t at = 0; at < file->size_bytes; at += sizeof(part))
        text_add(out, part, sim_file_read(file, at, part, sizeof(part)));
    return 0;
}

int sim_disk_rot(struct sim_node *node, const char *path, uint64_t position)
{
    struct inode *file;

    TRY(file_find(node, path, &file));
    return sim_file_rot(file, position);
}

void sim_disk_limit(struct sim_node *node, uint64_t total_bytes)
{
    node->disk->pages_total = total_bytes / PAGE_BYTES;
}

static void dump_dir(struct inode *dir, const char *path, struct text *out)
{
    struct io_entries all;

    if (sim_dir_list(dir, &all) < 0)
        return;
    for (uint32_t i = 0; i < all.count; i++) {
        char below[1024];
        struct inode *inode;
        snprintf(below, sizeof(below), "%s/%s", path, all.entries[i].name);
        if (!all.entries[i].is_dir) {
            text_printf(out, "%s %" PRIu64 "\n", below, all.entries[i].size_bytes);
            continue;
        }
        text_printf(out, "%s/\n", below);
        if (disk_find(dir->disk, below, &inode) == 0)
            dump_dir(inode, below, out);
    }
    io_entries_free(&all);
}

void sim_disk_dump(struct sim_node *node, struct text *out)
{
    dump_dir(node->disk->root, "", out);
}
