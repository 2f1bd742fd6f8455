/* lab.h - a log directory in a world, for the tests of room log.
 *
 * The same calls work on the real world and on the simulator: lab_open takes a turn function.
 */
#pragma once

#include "io/io.h"
#include "log/log.h"

struct lab {
    struct io *io;
    bool (*turn)(void *world);
    void *world;
    char directory[1000];     /* of the logs */
    struct telemetry *telemetry;
    struct telemetry_sink sink;
    struct text said;         /* warnings and errors, one a line */
    struct log_memory memory;
    struct log_dir *dir;
    struct log_settings settings;
    struct arena arena;
    struct fail fail;
    uint32_t stable_calls;
    int64_t wall_ms;
};

/* Values that tests change before lab_log. */
void lab_init(struct lab *lab, struct io *io, bool (*turn)(void *world), void *world,
              const char *directory);
void lab_deinit(struct lab *lab);

/* Waits for an operation. */
struct wait {
    struct op op;
    bool done;
    int64_t result;
};
struct op *wait_begin(struct wait *w);
/* Turns until it is done; its result. Fails the test when the world stands still. */
int64_t wait_end(struct lab *lab, struct wait *w);
#define WAIT(lab, call)                  \
    ({                                   \
        struct wait wait_;               \
        struct op *op = wait_begin(&wait_); \
        call;                            \
        wait_end((lab), &wait_);         \
    })

int64_t lab_dir_open(struct lab *lab);
void lab_dir_close(struct lab *lab, bool clean);
/* Open TOPIC-0 with what the directory's checkpoints say; NULL with lab->fail set. */
struct log *lab_log_open(struct lab *lab, const char *topic, bool clean);
/* The same with a topic id, whatever lies there. */
struct log *lab_log_open_as(struct lab *lab, const char *topic, struct uuid id, bool clean);
struct log *lab_log(struct lab *lab, const char *topic); /* must succeed; clean as the directory */
/* Close the log; write its checkpoints and the directory's marker; all must succeed. */
void lab_stop(struct lab *lab, struct log *log, const char *topic);

struct lab_batch {
    int64_t producer_id;      /* -1 none */
    int16_t epoch;
    int32_t sequence;
    int32_t count;            /* records; 0 = 1 */
    uint32_t value_bytes;     /* of each */
    int64_t timestamp_ms;     /* of the first; the others +1 each */
    bool transactional;
    int marker;               /* 0 none, 1 commit, 2 abort */
    int32_t coordinator_epoch;
    int32_t leader_epoch;
};
/* Bytes of a batch; text_deinit it. `base_offset` matters for log_append_stamped only. */
struct text lab_batch_bytes(const struct lab_batch *b, int64_t base_offset);
enum kerr lab_append(struct lab *lab, struct log *log, const struct lab_batch *b,
                     struct log_appended *out);
/* `n` batches of one record of `value_bytes` each, leader epoch 0, timestamps 1000, 1001, ... */
void lab_fill(struct lab *lab, struct log *log, uint32_t n, uint32_t value_bytes);

/* Bytes of a read; the test fails when it does. */
struct text lab_read(struct lab *lab, struct log *log, int64_t offset, int64_t limit,
                     uint32_t max_bytes);
/* "0..2 3..3 ": base and last offset of each batch from `offset` to the end; checks each CRC. */
struct text lab_batches(struct lab *lab, struct log *log, int64_t offset);
/* A file's content, by the world's io. Missing: n is 0 and p NULL. */
struct text lab_file(struct lab *lab, const char *name);
void lab_write(struct lab *lab, const char *name, const void *p, size_t n);
/* "name size\n" of each file in DIRECTORY/name. */
struct text lab_files(struct lab *lab, const char *name);
