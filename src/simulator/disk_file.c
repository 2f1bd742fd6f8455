/* simulator/disk_file.c - the content of files: pages, versions, seals. */
#include "simulator/disk.h"

#include <stdlib.h>

/* One rewrite of a dirty page in so many finds that the kernel has written it back meanwhile. */
#define WRITEBACK_ONE_IN 16

struct version *sim_version_new(struct disk *d, bool hole)
{
    struct version *v;

    if (!hole && d->free_versions != NULL) {
        v = d->free_versions;
        d->free_versions = v->older;
    } else {
        v = malloc(sizeof(*v) + (hole ? 0 : PAGE_BYTES));
        ASSERT(v != NULL);
    }
    v->older = NULL;
    v->epoch = 0;
    v->hole = hole;
    return v;
}

void sim_version_free(struct disk *d, struct version *v)
{
    if (v->hole) {
        free(v);
        return;
    }
    v->older = d->free_versions;
    d->free_versions = v;
}

struct page *sim_page_find(const struct inode *f, uint64_t index)
{
    uint64_t chunk = index / CHUNK_PAGES;

    if (chunk >= f->chunk_count || f->chunks[chunk] == NULL)
        return NULL;
    return f->chunks[chunk]->pages[index % CHUNK_PAGES];
}

/* Reserve up to `pages`, or give back what is beyond; false when the disk is full. */
static bool file_reserve(struct inode *f, uint32_t pages)
{
    struct disk *d = f->disk;
    uint32_t inside = 0;
    int64_t more;

    for (uint32_t c = 0; c * CHUNK_PAGES < pages && c < f->chunk_count; c++) {
        if (f->chunks[c] == NULL)
            continue;
        if ((c + 1) * CHUNK_PAGES <= pages) {
            inside += f->chunks[c]->count;
            continue;
        }
        for (uint32_t i = 0; i < pages % CHUNK_PAGES; i++)
            inside += f->chunks[c]->pages[i] != NULL;
    }
    more = (int64_t)pages - inside - ((int64_t)f->pages_reserved - f->pages_inside);
    if (more > 0 && d->pages_used + (uint64_t)more > d->pages_total)
        return false;
    d->pages_used = (uint64_t)((int64_t)d->pages_used + more);
    f->pages_reserved = pages;
    f->pages_inside = inside;
    return true;
}

/* NULL when the disk is full. */
static struct page *page_get(struct inode *f, uint64_t index)
{
    struct disk *d = f->disk;
    struct page *page = sim_page_find(f, index);
    uint64_t c = index / CHUNK_PAGES;

    if (page != NULL)
        return page;
    if (index >= f->pages_reserved) {
        if (d->pages_used >= d->pages_total)
            return NULL;
        d->pages_used++;
    } else {
        f->pages_inside++;
    }
    if (c >= f->chunk_count) {
        uint32_t count = (uint32_t)(c + 1 > 2ull * f->chunk_count ? c + 1 : 2ull * f->chunk_count);
        f->chunks = realloc(f->chunks, count * sizeof(*f->chunks));
        ASSERT(f->chunks != NULL);
        memset(f->chunks + f->chunk_count, 0, (count - f->chunk_count) * sizeof(*f->chunks));
        f->chunk_count = count;
    }
    if (f->chunks[c] == NULL) {
        f->chunks[c] = calloc(1, sizeof(**f->chunks));
        ASSERT(f->chunks[c] != NULL);
    }
    if (d->free_pages != NULL) {
        page = d->free_pages;
        d->free_pages = page->next_free;
    } else {
        page = malloc(sizeof(*page));
        ASSERT(page != NULL);
    }
    *page = (struct page){.index = (uint32_t)index};
    f->chunks[c]->pages[index % CHUNK_PAGES] = page;
    f->chunks[c]->count++;
    f->pages_count++;
    return page;
}

void sim_page_drop(struct inode *f, struct page *page)
{
    struct chunk *chunk = f->chunks[page->index / CHUNK_PAGES];

    for (struct version *v = page->top, *older; v != NULL; v = older) {
        older = v->older;
        sim_version_free(f->disk, v);
    }
    if (list_linked(&page->dirty))
        list_remove(&page->dirty);
    chunk->pages[page->index % CHUNK_PAGES] = NULL;
    chunk->count--;
    f->pages_count--;
    if (page->index < f->pages_reserved)
        f->pages_inside--;
    else
        f->disk->pages_used--;
    page->next_free = f->disk->free_pages;
    f->disk->free_pages = page;
}

/* Only `keep` (one of the page's versions, or NULL for zeros) is left, and is durable. */
void sim_page_clean(struct inode *f, struct page *page, struct version *keep)
{
    for (struct version *v = page->top, *older; v != NULL; v = older) {
        older = v->older;
        if (v != keep)
            sim_version_free(f->disk, v);
    }
    page->top = keep;
    page->lost = false;
    if (keep != NULL) {
        keep->older = NULL;
        keep->epoch = 0;
    }
    if (list_linked(&page->dirty))
        list_remove(&page->dirty);
}

static void page_dirty(struct inode *f, struct page *page)
{
    page->lost = false; /* written again, so the next sync tries again */
    if (!list_linked(&page->dirty))
        list_add_tail(&f->dirty, &page->dirty);
}

/* The version of this epoch, on top; its content is the old top's. */
static struct version *page_top(struct inode *f, struct page *page, bool hole)
{
    struct version *old = page->top;
    struct version *v;

    page_dirty(f, page);
    if (old != NULL && old->epoch == f->epoch && old->hole == hole)
        return old;
    v = sim_version_new(f->disk, hole);
    v->epoch = f->epoch;
    v->older = old;
    if (!hole) {
        if (old == NULL || old->hole)
            memset(v->bytes, 0, PAGE_BYTES);
        else
            memcpy(v->bytes, old->bytes, PAGE_BYTES);
    }
    if (old != NULL && old->epoch == f->epoch) { /* a hole and not, or the other way round */
        v->older = old->older;
        sim_version_free(f->disk, old);
    }
    page->top = v;
    return v;
}

/* The kernel may write a dirty page back whenever it likes: what is there now becomes, whole or by
 * sectors, what surely survives. So later versions are torn against any earlier one. */
static void page_writeback(struct inode *f, struct page *page)
{
    struct version *top = page->top;
    struct version *base;
    uint64_t r = prng_u64(f->disk->prng);

    if (!list_linked(&page->dirty) || page->lost || r % WRITEBACK_ONE_IN != 0)
        return;
    if (f->size_low < f->size_durable && ((uint64_t)page->index + 1) * PAGE_BYTES > f->size_low)
        return; /* not before the truncation that came first */
    if (top == NULL || top->hole || (top->older != NULL && top->older->epoch != 0))
        return;
    base = top->older;
    if (base == NULL || base->hole) {
        if (base != NULL)
            sim_version_free(f->disk, base);
        top->older = base = sim_version_new(f->disk, false);
        memset(base->bytes, 0, PAGE_BYTES);
    }
    for (uint32_t s = 0; s < PAGE_BYTES / SECTOR_BYTES; s++) {
        if ((r >> (8 + s) & 1) != 0 || (r >> 63) != 0)
            memcpy(base->bytes + s * SECTOR_BYTES, top->bytes + s * SECTOR_BYTES, SECTOR_BYTES);
    }
}

uint32_t sim_file_read(const struct inode *f, uint64_t position, void *into, uint32_t n)
{
    uint8_t *to = into;
    uint32_t done = 0;

    if (position >= f->size_bytes)
        return 0;
    if (n > f->size_bytes - position)
        n = (uint32_t)(f->size_bytes - position);
    while (done < n) {
        uint32_t at = (uint32_t)((position + done) % PAGE_BYTES);
        uint32_t part = PAGE_BYTES - at < n - done ? PAGE_BYTES - at : n - done;
        const struct page *page = sim_page_find(f, (position + done) / PAGE_BYTES);
        if (page == NULL || page->top == NULL || page->top->hole)
            memset(to + done, 0, part);
        else
            memcpy(to + done, page->top->bytes + at, part);
        done += part;
    }
    return n;
}

int sim_file_write(struct inode *f, uint64_t position, const void *p, uint32_t n)
{
    const uint8_t *from = p;

    for (uint32_t done = 0; done < n;) {
        uint32_t at = (uint32_t)((position + done) % PAGE_BYTES);
        uint32_t part = PAGE_BYTES - at < n - done ? PAGE_BYTES - at : n - done;
        struct page *page = page_get(f, (position + done) / PAGE_BYTES);
        if (page == NULL)
            return -ENOSPC;
        page_writeback(f, page);
        memcpy(page_top(f, page, false)->bytes + at, from + done, part);
        done += part;
        if (position + done > f->size_bytes)
            f->size_bytes = position + done;
    }
    return 0;
}

int sim_file_allocate(struct inode *f, uint64_t position, uint64_t n)
{
    uint64_t end = position + n;
    uint64_t pages = (end + PAGE_BYTES - 1) / PAGE_BYTES;

    if (end < position || pages >= UINT32_MAX)
        return -EFBIG;
    if (pages > f->pages_reserved && !file_reserve(f, (uint32_t)pages))
        return -ENOSPC;
    if (end > f->size_bytes)
        f->size_bytes = end;
    return 0;
}

/* Bytes from `size_bytes` on become zeros; what may survive a power cut stays below them. */
void sim_file_truncate(struct inode *f, uint64_t size_bytes)
{
    uint64_t first = size_bytes / PAGE_BYTES;
    uint32_t at = (uint32_t)(size_bytes % PAGE_BYTES);

    if (size_bytes < f->size_bytes) {
        struct page *page = at == 0 ? NULL : sim_page_find(f, first);
        if (page != NULL && page->top != NULL && !page->top->hole)
            memset(page_top(f, page, false)->bytes + at, 0, PAGE_BYTES - at);
        for (uint64_t c = first / CHUNK_PAGES; c < f->chunk_count; c++) {
            for (uint32_t i = 0; f->chunks[c] != NULL && i < CHUNK_PAGES; i++) {
                page = f->chunks[c]->pages[i];
                if (page != NULL && (uint64_t)page->index * PAGE_BYTES >= size_bytes)
                    page_top(f, page, true);
            }
        }
        if (f->pages_reserved > first + (at != 0))
            (void)file_reserve(f, (uint32_t)(first + (at != 0))); /* gives back */
        if (size_bytes < f->size_low)
            f->size_low = size_bytes;
        if (size_bytes < f->size_low_sealed)
            f->size_low_sealed = size_bytes;
    }
    f->size_bytes = size_bytes;
}

int sim_file_rot(struct inode *f, uint64_t position)
{
    struct page *page = sim_page_find(f, position / PAGE_BYTES);

    if (position >= f->size_bytes)
        return -EINVAL;
    if (page == NULL || page->top == NULL || page->top->hole)
        return -EINVAL;
    for (struct version *v = page->top; v != NULL; v = v->older) {
        if (!v->hole)
            v->bytes[position % PAGE_BYTES] ^= 1;
    }
    return 0;
}

/* After a power cut: the size is decided, all pages are clean. */
void sim_file_cut(struct inode *f, uint64_t size_bytes)
{
    uint64_t first = size_bytes / PAGE_BYTES;
    uint32_t at = (uint32_t)(size_bytes % PAGE_BYTES);
    struct page *page = at == 0 ? NULL : sim_page_find(f, first);

    if (page != NULL && page->top != NULL && !page->top->hole)
        memset(page->top->bytes + at, 0, PAGE_BYTES - at);
    for (uint64_t c = first / CHUNK_PAGES; c < f->chunk_count; c++) {
        for (uint32_t i = 0; f->chunks[c] != NULL && i < CHUNK_PAGES; i++) {
            page = f->chunks[c]->pages[i];
            if (page != NULL && (uint64_t)page->index * PAGE_BYTES >= size_bytes)
                sim_page_drop(f, page);
        }
    }
    if (f->pages_reserved > first + (at != 0))
        (void)file_reserve(f, (uint32_t)(first + (at != 0)));
    f->size_bytes = f->size_durable = f->size_low = f->size_low_sealed = size_bytes;
}

/* Give up all memory of a file's content. */
void sim_file_end(struct inode *f)
{
    (void)file_reserve(f, 0);
    for (uint32_t c = 0; c < f->chunk_count; c++) {
        for (uint32_t i = 0; f->chunks[c] != NULL && i < CHUNK_PAGES; i++) {
            if (f->chunks[c]->pages[i] != NULL)
                sim_page_drop(f, f->chunks[c]->pages[i]);
        }
        free(f->chunks[c]);
    }
    free(f->chunks);
}
