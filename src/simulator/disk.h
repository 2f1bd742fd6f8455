/* simulator/disk.h - what a disk holds, and what of it would survive a power cut.
 *
 * Names. Each directory is a map of entries; an entry knows what it names now and what it would
 * name after a power cut. Every change of names is also a record in the journal of the disk until
 * it is made durable:
 *
 *      entry "a"  now ──► inode 7        changes: #12 link  a := 7
 *                 durable ──► nothing             #15 move  b := nothing, c := 3
 *
 * Content. A file is a table of 4 KiB pages; a page is a stack of versions, newest on top. Reads
 * see the top. A version carries the file's epoch in which it was begun; starting a sync ends the
 * epoch (seals), so a later write makes a new version and the sync covers exactly what was there:
 *
 *      write  write │sync starts│  write  │sync ends
 *      [ epoch 1   ]             [epoch 2]  keeps everything up to epoch 1, for good
 *
 * A durable write puts its bytes into every version of their pages, the lowest too, and leaves the
 * rest of a page as dirty as it was.
 *
 *   D1  The lowest version of a dirty page, or zeros where there is none, is what surely survives.
 *   D2  A clean page has one version. Bytes beyond the file's size are zeros.
 *   D3  An inode lives while an entry (now or durable), a change or a handle refers to it.
 *
 * No clock and no operations here: file.c decides when something happens.
 */
#pragma once

#include "simulator/simulator.h"

#define PAGE_BYTES 4096u
#define SECTOR_BYTES 512u
#define CHUNK_PAGES 256u

struct version {
    struct version *older; /* NULL: what is below is durable zeros */
    uint32_t epoch;        /* 0 = durable */
    bool hole;             /* all zeros; `bytes` is not there */
    uint8_t bytes[];
};

struct page {
    union {
        struct version *top;
        struct page *next_free;
    };
    struct list dirty; /* linked while dirty */
    uint32_t index;
    bool lost;         /* a sync failed: cached and readable, but no sync will ever write it */
};

struct chunk {
    struct page *pages[CHUNK_PAGES];
    uint32_t count;
};

/* What a sync that starts now will cover. */
struct seal {
    uint32_t epoch;
    uint64_t size_bytes;
};

struct entry {
    struct map_node node;
    struct inode *directory;
    struct inode *now, *durable;
    uint32_t changes; /* that refer to it */
    char name[];
};

struct inode {
    struct disk *disk;
    struct list all;
    uint32_t refs;
    uint32_t number;          /* in order of creation: for traces */
    uint32_t mode;
    bool is_dir;
    int64_t modified_ms;

    /* directory */
    struct map entries;
    uint32_t entry_count;     /* that name something now */
    struct list changes;      /* struct change_link, in order */
    struct entry *durable_entry;
    uint32_t changes_kept;    /* by a power cut: how many of its next changes survive */

    /* file */
    struct chunk **chunks;
    uint32_t chunk_count;
    uint32_t pages_count;     /* that hold a version */
    uint32_t pages_reserved;  /* counted against the disk up to here whether there or not */
    uint32_t pages_inside;    /* of pages_count, those below pages_reserved */
    uint64_t size_bytes;
    uint64_t size_durable;
    uint64_t size_low;        /* smallest since what is durable: where it was cut off */
    uint64_t size_low_sealed; /* the same since the newest seal */
    uint32_t epoch;
    uint32_t epoch_durable;
    uint32_t grown_epoch;     /* of the last durable write that moved size_durable */
    uint64_t grown_bytes;     /* to there */
    struct list dirty;
    const void *lock_owner;
};

/* A change in a directory's list. */
struct change_link {
    struct list node;
    struct change *change;
};

struct change {
    struct list node_all;
    struct change_link a; /* in the directory of `set`, or of `cleared` alone */
    struct change_link b; /* in the directory of `cleared`, when that is another one */
    uint64_t sequence;
    struct entry *cleared;      /* := nothing; may be NULL */
    struct entry *set;          /* := inode; may be NULL */
    struct inode *inode;
};

struct disk {
    struct prng *prng;
    struct inode *root;
    struct list inodes;
    struct list changes;
    uint64_t next_change;
    uint32_t next_inode;
    uint64_t pages_used, pages_total;
    struct version *free_versions; /* with bytes */
    struct page *free_pages;
};

/* What a power cut did, added up. */
struct sim_counters;

struct disk *disk_new(struct prng *prng, uint64_t total_bytes);
void disk_free(struct disk *d);

void sim_inode_unref(struct inode *i); /* accepts NULL */

/* ---- names: 0 or a negative errno ------------------------------------------------------- */

int disk_find(struct disk *d, const char *path, struct inode **out); /* borrowed */

/* `out` gets a reference. `changed` tells whether anything on the disk did. */
int disk_open(struct disk *d, const char *path, uint32_t flags, int64_t wall_ms,
              struct inode **out, bool *changed);
int disk_rename(struct disk *d, const char *from, const char *to);
int disk_remove(struct disk *d, const char *path);
int disk_mkdir(struct disk *d, const char *path, int64_t wall_ms);
int disk_rmdir(struct disk *d, const char *path);

/* Make all changes in a directory durable whose sequence is below `before`. */
void sim_dir_sync(struct inode *dir, uint64_t before);
int sim_dir_list(struct inode *dir, struct io_entries *out);

/* ---- content ---------------------------------------------------------------------------- */

uint32_t sim_file_read(const struct inode *f, uint64_t position, void *into, uint32_t n);

/* -ENOSPC after a part. */
int sim_file_write(struct inode *f, uint64_t position, const void *p, uint32_t n);

/* What was just written to [position, position + n), and the size that it needs, is durable. */
void sim_file_make_durable(struct inode *f, uint64_t position, uint64_t n);

/* A durable write of [position, position + n) failed: some of its pages will never be written. */
void sim_file_durable_failed(struct inode *f, uint64_t position, uint64_t n);
int sim_file_allocate(struct inode *f, uint64_t position, uint64_t n);
void sim_file_truncate(struct inode *f, uint64_t size_bytes);

struct seal sim_file_seal(struct inode *f);
void sim_file_sync(struct inode *f, struct seal seal);

/* A sync that failed: some pages will never be written, and nothing says which. */
void sim_file_sync_failed(struct inode *f, struct seal seal);

int sim_file_rot(struct inode *f, uint64_t position);

/* ---- the end of power ------------------------------------------------------------------- */

void disk_power_cut(struct disk *d, bool names_subset, struct sim_counters *counters);

/* Shared by the parts. */
struct version *sim_version_new(struct disk *d, bool hole);
void sim_version_free(struct disk *d, struct version *v);
struct page *sim_page_find(const struct inode *f, uint64_t index); /* NULL: it has no version */
void sim_page_drop(struct inode *f, struct page *page);
void sim_page_clean(struct inode *f, struct page *page, struct version *keep);
void sim_file_end(struct inode *f);
void sim_file_cut(struct inode *f, uint64_t size_bytes);
void sim_entry_set_durable(struct entry *e, struct inode *i);
void sim_change_apply_durable(struct change *c);
void sim_change_free(struct change *c);
