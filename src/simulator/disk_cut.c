/* simulator/disk_cut.c - the power goes: what is left of what was not synced.
 *
 * Each power cut draws what happens to names, and each file draws its own fate, so that over seeds
 * every combination comes: all kept, all lost, a prefix, a suffix, single pages, single sectors. */
#include "simulator/disk.h"

enum fate { FATE_LOST, FATE_KEPT, FATE_PAGES, FATE_SECTORS, FATE_PREFIX, FATE_SUFFIX, FATES };

enum names_fate { NAMES_LOST, NAMES_KEPT, NAMES_PREFIX, NAMES_PREFIX_EACH, NAMES_SUBSET };

/* What becomes of one page. */
enum page_fate { PAGE_LOST, PAGE_KEPT, PAGE_TORN };

/* ---- names ------------------------------------------------------------------------------ */

static uint32_t list_count(const struct list *head)
{
    uint32_t n = 0;

    for (const struct list *it = head->next; it != head; it = it->next)
        n++;
    return n;
}

/* Take one from a directory's budget of surviving changes. */
static bool budget_take(struct inode *dir)
{
    if (dir->changes_kept == 0)
        return false;
    dir->changes_kept--;
    return true;
}

/* Kept only when it is within the prefix of both its directories. */
static bool change_in_prefix(struct change *c)
{
    struct inode *a = c->set != NULL ? c->set->directory : c->cleared->directory;
    struct inode *b = c->cleared != NULL ? c->cleared->directory : a;

    if (budget_take(a) && (a == b || budget_take(b)))
        return true;
    a->changes_kept = 0;
    b->changes_kept = 0;
    return false;
}

static void names_settle(struct disk *d, bool subset, struct sim_counters *counters)
{
    uint32_t count = list_count(&d->changes);
    enum names_fate fate = (enum names_fate)prng_below(d->prng, subset ? 5 : 4);
    uint64_t prefix = prng_below(d->prng, count + 1u);

    LIST_EACH (it, &d->inodes) {
        struct inode *i = container_of(it, struct inode, all);
        if (!list_empty(&i->changes))
            i->changes_kept = (uint32_t)prng_below(d->prng, list_count(&i->changes) + 1u);
    }
    for (uint64_t n = 0; !list_empty(&d->changes); n++) {
        struct change *c = LIST_FIRST(&d->changes, struct change, node_all);
        bool kept = fate == NAMES_KEPT || (fate == NAMES_PREFIX && n < prefix) ||
                    (fate == NAMES_PREFIX_EACH && change_in_prefix(c)) ||
                    (fate == NAMES_SUBSET && (prng_u64(d->prng) & 1) != 0);
        if (kept)
            sim_change_apply_durable(c);
        sim_change_free(c);
        counters->names_kept += kept;
        counters->names_lost += !kept;
    }
}

static void names_read_back(struct inode *dir)
{
    dir->entry_count = 0;
    MAP_EACH (it, &dir->entries) {
        struct entry *e = container_of(it, struct entry, node);
        struct inode *now = e->now;
        e->now = e->durable;
        if (e->durable != NULL) {
            e->durable->refs++;
            dir->entry_count++;
        }
        sim_entry_set_durable(e, e->durable); /* frees it when it names nothing */
        sim_inode_unref(now);
    }
}

/* ---- content ---------------------------------------------------------------------------- */

static struct version *version_base(struct page *page)
{
    struct version *v = page->top;

    while (v != NULL && v->epoch != 0)
        v = v->older;
    return v;
}

/* The newest version, or now and then one that a sync in flight was about to write. */
static struct version *version_pick(struct disk *d, struct page *page)
{
    struct version *v = page->top;

    while (v->older != NULL && v->older->epoch != 0 && (prng_u64(d->prng) & 3) == 0)
        v = v->older;
    return v;
}

static const uint8_t *version_sector(const struct version *v, uint32_t sector)
{
    static const uint8_t zeros[SECTOR_BYTES];

    return v == NULL || v->hole ? zeros : v->bytes + sector * SECTOR_BYTES;
}

/* A new durable version with some sectors of each. */
static struct version *version_tear(struct disk *d, const struct version *base,
                                    const struct version *newer)
{
    struct version *v = sim_version_new(d, false);
    uint64_t r = prng_u64(d->prng);

    for (uint32_t s = 0; s < PAGE_BYTES / SECTOR_BYTES; s++)
        memcpy(v->bytes + s * SECTOR_BYTES, version_sector((r >> s & 1) != 0 ? newer : base, s),
               SECTOR_BYTES);
    return v;
}

/* A truncation survives: what was durable beyond it is zeros now. */
static void base_truncate(struct inode *f, struct version *base, uint64_t page_start)
{
    uint64_t at = f->size_low > page_start ? f->size_low - page_start : 0;

    if (base != NULL && !base->hole && at < PAGE_BYTES)
        memset(base->bytes + at, 0, PAGE_BYTES - at);
}

static void page_settle(struct inode *f, struct page *page, enum page_fate fate, bool truncated,
                        struct sim_counters *counters)
{
    uint64_t start = (uint64_t)page->index * PAGE_BYTES;
    struct version *base = version_base(page);
    struct version *newer = version_pick(f->disk, page);

    if (f->size_low < f->size_durable) {
        if (truncated)
            base_truncate(f, base, start);
        else if (start + PAGE_BYTES > f->size_low)
            fate = PAGE_LOST; /* it was written behind a truncation that did not survive */
    }
    if (fate == PAGE_TORN) {
        struct version *torn = version_tear(f->disk, base, newer);
        sim_page_clean(f, page, NULL);
        page->top = torn;
        counters->pages_torn++;
        return;
    }
    sim_page_clean(f, page, fate == PAGE_KEPT ? newer : base);
}

static enum page_fate page_fate_draw(struct disk *d, enum fate fate, uint64_t n, uint64_t split)
{
    uint64_t r = prng_u64(d->prng);

    switch (fate) {
    case FATE_LOST:
        return PAGE_LOST;
    case FATE_KEPT:
        return PAGE_KEPT;
    case FATE_PAGES:
        return (r & 1) != 0 ? PAGE_KEPT : PAGE_LOST;
    case FATE_SECTORS:
        return PAGE_TORN;
    case FATE_PREFIX:
        return n == split ? PAGE_TORN : n < split ? PAGE_KEPT : PAGE_LOST;
    case FATE_SUFFIX:
        return n == split ? PAGE_TORN : n > split ? PAGE_KEPT : PAGE_LOST;
    case FATES:
        break;
    }
    UNREACHABLE("fate");
}

static uint64_t size_settle(struct inode *f, enum fate fate, bool truncated)
{
    uint64_t base = truncated ? f->size_low : f->size_durable;
    uint64_t size;

    if (fate == FATE_KEPT)
        return f->size_bytes;
    if (fate == FATE_LOST || (!truncated && f->size_low < f->size_durable))
        return f->size_durable;
    if (f->size_bytes == base)
        return base;
    switch (prng_below(f->disk->prng, 4)) {
    case 0:
        return base;
    case 1:
    case 2:
        return f->size_bytes;
    }
    size = base + prng_below(f->disk->prng, f->size_bytes - base);
    if (prng_below(f->disk->prng, 2) == 0 && size / PAGE_BYTES * PAGE_BYTES > base)
        size = size / PAGE_BYTES * PAGE_BYTES;
    return size;
}

static void file_power_cut(struct inode *f, struct sim_counters *counters)
{
    struct disk *d = f->disk;
    uint32_t dirty = list_count(&f->dirty);
    bool cut_off = f->size_low < f->size_durable;
    enum fate fate;
    bool truncated;
    uint64_t split, size, n = 0;

    f->lock_owner = NULL;
    if (dirty == 0 && f->size_bytes == f->size_durable && !cut_off)
        return;
    fate = (enum fate)prng_below(d->prng, FATES);
    split = prng_below(d->prng, dirty + 1u);
    truncated = cut_off && (fate == FATE_KEPT || (fate != FATE_LOST && (prng_u64(d->prng) & 1)));
    LIST_EACH (it, &f->dirty)
        page_settle(f, container_of(it, struct page, dirty), page_fate_draw(d, fate, n++, split),
                    truncated, counters);
    size = size_settle(f, fate, truncated);
    counters->sizes_lost += size != f->size_bytes;
    counters->files_kept += fate == FATE_KEPT;
    counters->files_lost += fate == FATE_LOST;
    counters->files_torn += fate != FATE_KEPT && fate != FATE_LOST;
    sim_file_cut(f, size);
}

void disk_power_cut(struct disk *d, bool names_subset, struct sim_counters *counters)
{
    names_settle(d, names_subset, counters);

    /* Nothing is freed while we walk: each inode holds itself until its turn. */
    LIST_EACH (it, &d->inodes)
        container_of(it, struct inode, all)->refs++;
    LIST_EACH (it, &d->inodes) {
        struct inode *i = container_of(it, struct inode, all);
        if (i->is_dir)
            names_read_back(i);
    }
    LIST_EACH (it, &d->inodes) {
        struct inode *i = container_of(it, struct inode, all);
        if (!i->is_dir && i->refs > 1)
            file_power_cut(i, counters);
    }
    LIST_EACH (it, &d->inodes)
        sim_inode_unref(container_of(it, struct inode, all));
}
