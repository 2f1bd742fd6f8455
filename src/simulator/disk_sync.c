/* simulator/disk_sync.c - what of a file becomes durable: seals, syncs, durable writes. */
#include "simulator/disk.h"

/* ---- syncs ------------------------------------------------------------------------------- */

struct seal sim_file_seal(struct inode *f)
{
    struct seal seal = {f->epoch, f->size_bytes};

    f->epoch++;
    f->size_low_sealed = f->size_bytes;
    return seal;
}

/* Newest version that the seal covers; NULL = none. */
static struct version *version_sealed(const struct page *page, uint32_t epoch)
{
    struct version *v = page->top;

    while (v != NULL && v->epoch > epoch)
        v = v->older;
    return v;
}

void sim_file_sync(struct inode *f, struct seal seal)
{
    if (seal.epoch <= f->epoch_durable)
        return; /* a later one was quicker */
    LIST_EACH (it, &f->dirty) {
        struct page *page = container_of(it, struct page, dirty);
        struct version *v = version_sealed(page, seal.epoch);
        if (page->lost || v == NULL)
            continue;
        if (v != page->top) { /* still dirty; only what lies below v ends */
            for (struct version *old = v->older, *older; old != NULL; old = older) {
                older = old->older;
                sim_version_free(f->disk, old);
            }
            v->older = NULL;
            v->epoch = 0;
        } else if (v->hole && (uint64_t)page->index * PAGE_BYTES >= f->size_bytes) {
            sim_page_drop(f, page);
        } else {
            sim_page_clean(f, page, v);
        }
    }
    f->epoch_durable = seal.epoch;
    f->size_durable = seal.size_bytes;
    if (f->grown_epoch > seal.epoch && f->grown_bytes > seal.size_bytes)
        f->size_durable = f->grown_bytes; /* by a durable write while the sync was in flight */
    f->size_low = f->size_durable < f->size_low_sealed ? f->size_durable : f->size_low_sealed;
}

void sim_file_sync_failed(struct inode *f, struct seal seal)
{
    LIST_EACH (it, &f->dirty) {
        struct page *page = container_of(it, struct page, dirty);
        if (version_sealed(page, seal.epoch) == page->top)
            page->lost = (prng_u64(f->disk->prng) & 3) != 0;
    }
}

/* ---- durable writes ---------------------------------------------------------------------- */

/* A version that is not there, or has no bytes, is there from now on and has zeros. */
static void version_fill(struct disk *d, struct version **link)
{
    struct version *hole = *link;
    struct version *v = sim_version_new(d, false);

    memset(v->bytes, 0, PAGE_BYTES);
    if (hole != NULL) {
        v->epoch = hole->epoch;
        v->older = hole->older;
        sim_version_free(d, hole);
    }
    *link = v;
}

/* Bytes [at, at + n) of the top go into all that may survive instead of it. */
static void page_make_durable(struct inode *f, struct page *page, uint32_t at, uint32_t n)
{
    const struct version *top = page->top;
    struct version **link = &page->top->older;
    uint32_t epoch;

    if (n == PAGE_BYTES) {
        sim_page_clean(f, page, page->top);
        return;
    }
    do {
        if (*link == NULL || (*link)->hole)
            version_fill(f->disk, link);
        memcpy((*link)->bytes + at, top->bytes + at, n);
        epoch = (*link)->epoch;
        link = &(*link)->older;
    } while (epoch != 0);
}

/* The size needs the file system's journal, and that holds all that came before: so a truncation
 * that was not durable becomes so, and takes the data with it. */
void sim_file_make_durable(struct inode *f, uint64_t position, uint64_t n)
{
    uint64_t end = position + n;

    if (f->size_low < f->size_durable && end > f->size_low) {
        sim_file_sync(f, sim_file_seal(f));
        return;
    }
    for (uint64_t at = position; at < end;) {
        uint32_t offset = (uint32_t)(at % PAGE_BYTES);
        uint32_t part = PAGE_BYTES - offset < end - at ? PAGE_BYTES - offset : (uint32_t)(end - at);
        page_make_durable(f, sim_page_find(f, at / PAGE_BYTES), offset, part);
        at += part;
    }
    if (end <= f->size_durable)
        return;
    f->size_durable = f->size_low = end;
    f->size_low_sealed = f->size_low_sealed > end ? f->size_low_sealed : end;
    f->grown_epoch = f->epoch;
    f->grown_bytes = end;
}

void sim_file_durable_failed(struct inode *f, uint64_t position, uint64_t n)
{
    for (uint64_t i = position / PAGE_BYTES; i * PAGE_BYTES < position + n; i++) {
        struct page *page = sim_page_find(f, i);
        if (page != NULL && list_linked(&page->dirty))
            page->lost = (prng_u64(f->disk->prng) & 3) != 0;
    }
}
