/* simulator/disk_name.c - directories, and the journal of their changes. */
#include "simulator/disk.h"

#include <stdlib.h>

#define MODE_WRITE 0200u
#define MODE_READ 0400u

static bool entry_named(const struct map_node *node, const void *key)
{
    return str_equal(str_of(container_of(node, struct entry, node)->name),
                     *(const struct str *)key);
}

static struct inode *inode_new(struct disk *d, bool is_dir, uint32_t mode, int64_t wall_ms)
{
    struct inode *i = calloc(1, sizeof(*i));

    ASSERT(i != NULL);
    i->disk = d;
    i->number = d->next_inode++;
    i->is_dir = is_dir;
    i->mode = mode;
    i->modified_ms = wall_ms;
    i->refs = 1;
    i->epoch = 1;
    list_add_tail(&d->inodes, &i->all);
    list_init(&i->dirty);
    list_init(&i->changes);
    map_init(&i->entries, entry_named);
    return i;
}

static struct inode *inode_ref(struct inode *i)
{
    i->refs++;
    return i;
}

static void entry_free_unused(struct entry *e)
{
    if (e->now != NULL || e->durable != NULL || e->changes > 0)
        return;
    map_remove(&e->directory->entries, &e->node);
    free(e);
}

/* The memory of an inode; what its entries name is not touched. */
static void inode_free(struct inode *i)
{
    MAP_EACH (it, &i->entries)
        free(container_of(it, struct entry, node));
    map_deinit(&i->entries);
    sim_file_end(i);
    list_remove(&i->all);
    free(i);
}

static struct change *change_first(struct inode *dir)
{
    return LIST_FIRST(&dir->changes, struct change_link, node)->change;
}

static void change_release(struct entry *e)
{
    if (e == NULL)
        return;
    e->changes--;
    entry_free_unused(e);
}

/* `dir` goes away: of a rename to or from another directory only the other half stays. */
static void change_leave(struct inode *dir, struct change *c)
{
    struct inode *inode = c->inode;

    if (!list_linked(&c->b.node)) {
        sim_change_free(c);
        return;
    }
    if (c->set->directory != dir) {
        list_remove(&c->b.node);
        change_release(c->cleared);
        c->cleared = NULL;
        return;
    }
    list_remove(&c->a.node);
    list_insert_before(&c->b.node, &c->a.node);
    list_remove(&c->b.node);
    change_release(c->set);
    c->set = NULL;
    c->inode = NULL;
    sim_inode_unref(inode);
}

/* A directory that nothing names any more: its entries go with it. */
static void inode_orphan(struct inode *dir)
{
    while (!list_empty(&dir->changes))
        change_leave(dir, change_first(dir));
    for (struct map_node *it = map_first(&dir->entries); it != NULL;
         it = map_first(&dir->entries)) {
        struct entry *e = container_of(it, struct entry, node);
        struct inode *now = e->now;
        e->now = NULL;
        if (e->durable != NULL)
            sim_entry_set_durable(e, NULL);
        else
            entry_free_unused(e);
        sim_inode_unref(now);
    }
}

void sim_inode_unref(struct inode *i)
{
    if (i == NULL)
        return;
    ASSERT(i->refs > 0);
    if (--i->refs > 0)
        return;
    if (i->is_dir) {
        i->refs = 1; /* while its entries go */
        inode_orphan(i);
    }
    inode_free(i);
}

struct disk *disk_new(struct prng *prng, uint64_t total_bytes)
{
    struct disk *d = calloc(1, sizeof(*d));

    ASSERT(d != NULL);
    d->prng = prng;
    d->pages_total = total_bytes / PAGE_BYTES;
    list_init(&d->inodes);
    list_init(&d->changes);
    d->root = inode_new(d, true, 0755, 0);
    return d;
}

void disk_free(struct disk *d)
{
    if (d == NULL)
        return;
    LIST_EACH (it, &d->changes)
        free(container_of(it, struct change, node_all));
    LIST_EACH (it, &d->inodes)
        inode_free(container_of(it, struct inode, all));
    for (struct version *v = d->free_versions, *next; v != NULL; v = next) {
        next = v->older;
        free(v);
    }
    for (struct page *p = d->free_pages, *next; p != NULL; p = next) {
        next = p->next_free;
        free(p);
    }
    free(d);
}

/* ---- paths ------------------------------------------------------------------------------ */

static struct entry *entry_find(struct inode *dir, struct str name)
{
    struct map_node *node = map_find(&dir->entries, str_hash(name), &name);

    return node == NULL ? NULL : container_of(node, struct entry, node);
}

static struct entry *entry_get(struct inode *dir, struct str name)
{
    struct entry *e = entry_find(dir, name);

    if (e != NULL)
        return e;
    e = calloc(1, sizeof(*e) + (size_t)name.n + 1);
    ASSERT(e != NULL);
    e->directory = dir;
    memcpy(e->name, name.p, (size_t)name.n);
    map_add(&dir->entries, &e->node, str_hash(name));
    return e;
}

/* The directory that holds the last part of `path`, and that part: empty for the root itself. */
static int path_walk(struct disk *d, const char *path, struct inode **dir, struct str *last)
{
    struct str rest = str_of(path);
    struct str part;

    *dir = d->root;
    *last = STR("");
    while (str_cut(&rest, '/', &part)) {
        struct entry *e;
        if (part.n == 0 || str_equal(part, STR(".")))
            continue;
        if (part.n > 255)
            return -ENAMETOOLONG;
        if (str_equal(part, STR("..")))
            return -EINVAL; /* programs build paths downwards only */
        if (last->n > 0) {
            e = entry_find(*dir, *last);
            if (e == NULL || e->now == NULL)
                return -ENOENT;
            if (!e->now->is_dir)
                return -ENOTDIR;
            *dir = e->now;
        }
        *last = part;
    }
    return 0;
}

int disk_find(struct disk *d, const char *path, struct inode **out)
{
    struct inode *dir;
    struct str name;
    struct entry *e;

    if (path[0] == '\0')
        return -ENOENT;
    TRY(path_walk(d, path, &dir, &name));
    if (name.n == 0) {
        *out = d->root;
        return 0;
    }
    e = entry_find(dir, name);
    if (e == NULL || e->now == NULL)
        return -ENOENT;
    *out = e->now;
    return 0;
}

/* ---- changes ----------------------------------------------------------------------------- */

static void entry_set_now(struct entry *e, struct inode *i)
{
    struct inode *old = e->now;

    e->directory->entry_count += (i != NULL) - (old != NULL);
    e->now = i == NULL ? NULL : inode_ref(i);
    sim_inode_unref(old);
}

/* An inode has one durable name at most: without the middle of a chain of renames the first name
 * must not stay beside the last one. */
void sim_entry_set_durable(struct entry *e, struct inode *i)
{
    struct inode *old = e->durable;

    if (old == i) {
        entry_free_unused(e);
        return;
    }
    if (i != NULL) {
        inode_ref(i);
        if (i->durable_entry != NULL)
            sim_entry_set_durable(i->durable_entry, NULL);
        i->durable_entry = e;
    }
    e->durable = i;
    if (old != NULL && old->durable_entry == e)
        old->durable_entry = NULL;
    entry_free_unused(e);
    sim_inode_unref(old);
}

void sim_change_apply_durable(struct change *c)
{
    if (c->cleared != NULL && (c->inode == NULL || c->cleared->durable == c->inode))
        sim_entry_set_durable(c->cleared, NULL);
    if (c->set != NULL)
        sim_entry_set_durable(c->set, c->inode);
}

void sim_change_free(struct change *c)
{
    struct inode *inode = c->inode;

    list_remove(&c->node_all);
    list_remove(&c->a.node);
    if (list_linked(&c->b.node))
        list_remove(&c->b.node);
    change_release(c->cleared);
    change_release(c->set);
    free(c);
    sim_inode_unref(inode);
}

/* cleared := nothing, set := inode; both at once. Either entry may be NULL. */
static void change_make(struct disk *d, struct entry *cleared, struct entry *set,
                        struct inode *inode)
{
    struct change *c = calloc(1, sizeof(*c));
    struct entry *a = set != NULL ? set : cleared;

    ASSERT(c != NULL);
    c->sequence = d->next_change++;
    c->a.change = c->b.change = c;
    c->cleared = cleared;
    c->set = set;
    c->inode = inode == NULL ? NULL : inode_ref(inode);
    list_add_tail(&d->changes, &c->node_all);
    list_add_tail(&a->directory->changes, &c->a.node);
    if (cleared != NULL && cleared->directory != a->directory)
        list_add_tail(&cleared->directory->changes, &c->b.node);
    if (cleared != NULL) {
        cleared->changes++;
        entry_set_now(cleared, NULL);
    }
    if (set != NULL) {
        set->changes++;
        entry_set_now(set, inode);
    }
}

void sim_dir_sync(struct inode *dir, uint64_t before)
{
    inode_ref(dir);
    while (!list_empty(&dir->changes)) {
        struct change *c = change_first(dir);
        if (c->sequence >= before)
            break;
        sim_change_apply_durable(c);
        sim_change_free(c);
    }
    sim_inode_unref(dir);
}

/* ---- the calls --------------------------------------------------------------------------- */

int disk_open(struct disk *d, const char *path, uint32_t flags, int64_t wall_ms, struct inode **out,
              bool *changed)
{
    struct inode *dir;
    struct inode *file;
    struct str name;
    struct entry *e;

    if (path[0] == '\0')
        return -ENOENT;
    TRY(path_walk(d, path, &dir, &name));
    e = name.n == 0 ? NULL : entry_find(dir, name);
    if (name.n == 0 || (e != NULL && e->now != NULL && e->now->is_dir))
        return -EISDIR;
    if (e == NULL || e->now == NULL) {
        if ((flags & IO_CREATE) == 0)
            return -ENOENT;
        if ((dir->mode & MODE_WRITE) == 0)
            return -EACCES;
        file = inode_new(d, false, flags & IO_PRIVATE ? 0600 : 0644, wall_ms);
        change_make(d, NULL, entry_get(dir, name), file);
        dir->modified_ms = wall_ms;
        *changed = true;
        *out = file;
        return 0;
    }
    if ((flags & IO_CREATE) != 0 && (flags & IO_EXCLUSIVE) != 0)
        return -EEXIST;
    file = e->now;
    if ((file->mode & MODE_READ) == 0)
        return -EACCES;
    if ((flags & (IO_WRITE | IO_TRUNCATE)) != 0 && (file->mode & MODE_WRITE) == 0)
        return -EACCES;
    if ((flags & IO_TRUNCATE) != 0 && file->size_bytes > 0) {
        sim_file_truncate(file, 0);
        *changed = true;
    }
    *out = inode_ref(file);
    return 0;
}

/* true when `dir` is `below`, which lies on `path`, or one of the directories above it. */
static bool is_above(struct disk *d, const struct inode *dir, const struct inode *below,
                     const char *path)
{
    struct str rest = str_of(path);
    struct str part;
    struct inode *at = d->root;

    while (at != below && str_cut(&rest, '/', &part)) {
        if (part.n == 0 || str_equal(part, STR(".")))
            continue;
        if (at == dir)
            return true;
        at = entry_find(at, part)->now; /* path_walk went here before */
    }
    return at == dir;
}

static int rename_allowed(struct disk *d, struct entry *from, struct inode *to_dir,
                          struct entry *to, const char *to_path)
{
    struct inode *moved = from->now;

    if ((from->directory->mode & MODE_WRITE) == 0 || (to_dir->mode & MODE_WRITE) == 0)
        return -EACCES;
    if (moved->is_dir && is_above(d, moved, to_dir, to_path))
        return -EINVAL;
    if (to == NULL || to->now == NULL)
        return 0;
    if (moved->is_dir && !to->now->is_dir)
        return -ENOTDIR;
    if (!moved->is_dir && to->now->is_dir)
        return -EISDIR;
    if (to->now->is_dir && to->now->entry_count > 0)
        return -ENOTEMPTY;
    return 0;
}

int disk_rename(struct disk *d, const char *from, const char *to)
{
    struct inode *from_dir, *to_dir;
    struct str from_name, to_name;
    struct entry *source;

    TRY(path_walk(d, from, &from_dir, &from_name));
    source = from_name.n == 0 ? NULL : entry_find(from_dir, from_name);
    if (source == NULL || source->now == NULL)
        return -ENOENT;
    TRY(path_walk(d, to, &to_dir, &to_name));
    if (to_name.n == 0)
        return -EBUSY;
    TRY(rename_allowed(d, source, to_dir, entry_find(to_dir, to_name), to));
    if (entry_find(to_dir, to_name) != source)
        change_make(d, source, entry_get(to_dir, to_name), source->now);
    return 0;
}

static int entry_for_removal(struct disk *d, const char *path, struct entry **out)
{
    struct inode *dir;
    struct str name;
    struct entry *e;

    TRY(path_walk(d, path, &dir, &name));
    if (name.n == 0)
        return -EBUSY;
    e = entry_find(dir, name);
    if (e == NULL || e->now == NULL)
        return -ENOENT;
    if ((dir->mode & MODE_WRITE) == 0)
        return -EACCES;
    *out = e;
    return 0;
}

int disk_remove(struct disk *d, const char *path)
{
    struct entry *e;

    TRY(entry_for_removal(d, path, &e));
    if (e->now->is_dir)
        return -EISDIR;
    change_make(d, e, NULL, NULL);
    return 0;
}

int disk_rmdir(struct disk *d, const char *path)
{
    struct entry *e;

    TRY(entry_for_removal(d, path, &e));
    if (!e->now->is_dir)
        return -ENOTDIR;
    if (e->now->entry_count > 0)
        return -ENOTEMPTY;
    change_make(d, e, NULL, NULL);
    return 0;
}

int disk_mkdir(struct disk *d, const char *path, int64_t wall_ms)
{
    struct inode *dir, *made;
    struct str name;
    struct entry *e;

    TRY(path_walk(d, path, &dir, &name));
    if (name.n == 0)
        return -EEXIST;
    e = entry_find(dir, name);
    if (e != NULL && e->now != NULL)
        return -EEXIST;
    if ((dir->mode & MODE_WRITE) == 0)
        return -EACCES;
    made = inode_new(d, true, 0755, wall_ms);
    change_make(d, NULL, entry_get(dir, name), made);
    sim_inode_unref(made);
    return 0;
}

static int entries_compare(const void *a, const void *b)
{
    return strcmp(((const struct io_entry *)a)->name, ((const struct io_entry *)b)->name);
}

int sim_dir_list(struct inode *dir, struct io_entries *out)
{
    struct io_entries all = {NULL, 0};

    if (!dir->is_dir)
        return -ENOTDIR;
    if ((dir->mode & MODE_READ) == 0)
        return -EACCES;
    all.entries = calloc(dir->entry_count + 1, sizeof(*all.entries));
    ASSERT(all.entries != NULL);
    MAP_EACH (it, &dir->entries) {
        struct entry *e = container_of(it, struct entry, node);
        if (e->now == NULL)
            continue;
        all.entries[all.count++] = (struct io_entry){
            .name = str_dup(str_of(e->name)),
            .size_bytes = e->now->is_dir ? 0 : e->now->size_bytes,
            .modified_ms = e->now->modified_ms,
            .is_dir = e->now->is_dir,
        };
    }
    qsort(all.entries, all.count, sizeof(*all.entries), entries_compare);
    *out = all;
    return 0;
}
