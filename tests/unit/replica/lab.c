/* See lab.h. */
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/config_record.h"
#include "protocol/feature_level_record.h"
#include "protocol/partition_change_record.h"
#include "protocol/partition_record.h"
#include "protocol/register_broker_record.h"
#include "protocol/remove_topic_record.h"
#include "protocol/topic_record.h"

/* ---- the node ------------------------------------------------------------------------------- */

static void sink_write(struct telemetry_sink *sink, enum log_level level, const char *room,
                       const char *line)
{
    struct lab *lab = container_of(sink, struct lab, sink);

    text_printf(&lab->said, "%s\n", line);
    if (getenv("LAB_SAYS") != NULL)
        fprintf(stderr, "%s\n", line);
}

void lab_init(struct lab *lab, uint64_t seed, const struct sim_options *options,
              uint32_t shard_count, uint32_t dir_count)
{
    lab_init_in(lab, sim_new(seed, options), shard_count, dir_count);
    lab->borrowed = false;
}

void lab_init_in(struct lab *lab, struct sim *sim, uint32_t shard_count, uint32_t dir_count)
{
    char path[16];

    *lab = (struct lab){.shard_count = shard_count,
                        .dir_count = dir_count,
                        .sink = {.write = sink_write, .level = LOG_WARN}};
    lab->telemetry = telemetry_new(&lab->sink);
    lab->sim = sim;
    lab->borrowed = true;
    lab->node = sim_node_new(lab->sim, "one");
    for (uint32_t d = 0; d < dir_count; d++) {
        snprintf(path, sizeof path, "/data%u", d);
        ASSERT(sim_disk_mkdir(lab->node, path) == 0);
    }
    lab->broker = config_new(&broker_settings);
    lab->image = image_empty();
    struct feature_level_record r;
    feature_level_record_init(&r);
    r.name = STR("metadata.version");
    r.feature_level = 25;
    struct image_edit *e = image_edit_begin(lab->image);
    uint8_t bytes[64];
    message_metadata_write(&feature_level_record_message, 0, &r, bytes);
    int64_t n = message_metadata_size(&feature_level_record_message, 0, &r);
    ASSERT(image_edit_apply(e, (struct bytes){bytes, (int32_t)n}, NULL) == 0);
    image_unref(lab->image);
    lab->image = image_edit_finish(e, 0, 1, 1000);
}

void lab_deinit(struct lab *lab)
{
    lab_bury(lab);
    if (!lab->borrowed)
        sim_free(lab->sim);
    telemetry_free(lab->telemetry);
    config_free(lab->broker);
    image_unref(lab->image);
    text_deinit(&lab->said);
    text_deinit(&lab->told);
    text_deinit(&lab->placed);
}

static void wait_done(struct op *op, int64_t result)
{
    struct wait *w = container_of(op, struct wait, op);

    ASSERT(!w->done);
    w->done = true;
    w->result = result;
}

struct op *wait_begin(struct wait *w)
{
    *w = (struct wait){0};
    op_init(&w->op, wait_done);
    return &w->op;
}

int64_t wait_end(struct lab *lab, struct wait *w)
{
    UNTIL(lab, w->done);
    return w->result;
}

void lab_pass(struct lab *lab, int64_t ns)
{
    sim_run_until(lab->sim, sim_now_ns(lab->sim) + ns);
}

static void leading(void *ctx, struct replica *r, bool leads)
{
    struct lab *lab = ctx;

    CHECK(replica_log(r) != NULL);
    text_printf(&lab->told, "%s %.*s-%d in %d; ", leads ? "leads" : "leaves",
                STR_ARG(replica_topic(r)), replica_partition(r),
                leads ? replica_replication(r)->leader_epoch : -1);
}

static void committed(void *ctx, struct replica *r)
{
    struct lab *lab = ctx;

    text_printf(&lab->told, "%.*s-%d to %d; ", STR_ARG(replica_topic(r)), replica_partition(r),
                (int)replica_high_watermark(r));
}

static void propose(void *ctx, struct replica *r, const struct replication_proposal *proposal)
{
    struct lab *lab = ctx;

    lab->proposals++;
    lab->proposal = *proposal;
}

static void placed(void *ctx, struct replica *r, struct uuid directory)
{
    struct lab *lab = ctx;

    lab->wish = (struct wish){replica_topic_id(r).b[3], replica_partition(r), directory, true};
    text_printf(&lab->placed, "%.*s-%d in %d; ", STR_ARG(replica_topic(r)), replica_partition(r),
                directory.b[3] != 0 ? directory.b[3] - 200 : -directory.b[15]);
}

/* The log starts of all directories, one after another. */
struct saving {
    struct op op, *waiter;
    struct lab *lab;
    uint32_t dir;
    struct checkpoint lines[DIRS_MAX];
};

static void saved_one(struct op *op, int64_t result)
{
    struct saving *s = container_of(op, struct saving, op);
    struct lab *lab = s->lab;

    if (result < 0 || ++s->dir == lab->dir_count) {
        for (uint32_t d = 0; d < lab->dir_count; d++)
            checkpoint_free(&s->lines[d]);
        op = s->waiter;
        free(s);
        op->done(op, result);
        return;
    }
    op_init(&s->op, saved_one);
    log_dir_checkpoint(lab->dirs[s->dir], NULL, &s->lines[s->dir], NULL, &s->op);
}

static void save_starts(void *ctx, struct op *op)
{
    struct saving *s = calloc(1, sizeof *s);
    struct lab *lab = ctx;

    *s = (struct saving){.waiter = op, .lab = lab};
    lab->starts_saved++;
    for (uint32_t d = 0; d < lab->dir_count; d++) {
        for (uint32_t i = 0; i < lab->shard_count; i++)
            replicas_checkpoint(lab->sets[i], lab->dirs[d], false, NULL, &s->lines[d], NULL);
    }
    op_init(&s->op, saved_one);
    log_dir_checkpoint(lab->dirs[0], NULL, &s->lines[0], NULL, &s->op);
}

/* As a broker does it: each shard hears of it by a message. */
struct news {
    struct io_message message;
    struct lab *lab;
    const struct log_dir *dir;
};

static void news_arrived(struct io *io, struct io_message *m)
{
    struct news *news = container_of(m, struct news, message);

    if (news->lab->sets[io_shard(io)] != NULL)
        replicas_dir_failed(news->lab->sets[io_shard(io)], news->dir);
    free(news);
}

static void dir_failed(struct log_dir *dir, struct io *io, const struct fail *why, void *ctx)
{
    struct lab *lab = ctx;

    lab->dir_failed = true;
    for (uint32_t i = 0; i < lab->shard_count; i++) {
        struct news *news = calloc(1, sizeof *news);
        *news = (struct news){.message.run = news_arrived, .lab = lab, .dir = dir};
        io_post(io, i, &news->message);
    }
}

uint32_t lab_online(const struct lab *lab)
{
    uint32_t n = 0;

    for (uint32_t d = 0; d < lab->dir_count; d++)
        n += log_dir_is_online(lab->dirs[d]) ? 1 : 0;
    return n;
}

static int64_t open_dirs(struct lab *lab)
{
    char path[16];
    struct wait w;

    for (uint32_t d = 0; d < lab->dir_count; d++) {
        snprintf(path, sizeof path, "/data%u", lab->first_dir + d);
        lab->fail = (struct fail){0};
        log_dir_open(lab->io, lab->telemetry, path, &lab->dirs[d], &lab->fail, wait_begin(&w));
        if (wait_end(lab, &w) < 0) {
            lab->dirs[d] = NULL;
            return w.result;
        }
        lab->dirs[d]->failed = dir_failed;
        lab->dirs[d]->failed_ctx = lab;
        lab->dirs[d]->directory_id = topic_id((uint8_t)(200 + lab->first_dir + d));
    }
    return 0;
}

/* As a broker's to the others. */
static struct client *peers_new(struct lab *lab, uint32_t shard)
{
    static const struct client_settings settings = {
        .bootstrap_servers = STR_NULL,
        .client_id = {"broker-1", 8},
        .client_rack = STR_NULL,
        .request_timeout_ms = 30000,
        .reconnect_backoff_ms = 50,
        .reconnect_backoff_max_ms = 1000,
        .retry_backoff_ms = 100,
        .retry_backoff_max_ms = 1000,
        .connection_setup_timeout_ms = 10000,
        .connection_setup_timeout_max_ms = 30000,
        .connections_max_idle_ms = -1,
        .metadata_max_age_ms = 300000,
        .frame_bytes_max = 100u << 20,
        .in_flight_max = 5,
    };

    return lab->has_peers ? client_new(sim_node_io(lab->node, shard), lab->telemetry, &settings, NULL) : NULL;
}

int64_t lab_open(struct lab *lab)
{
    if (!sim_node_is_up(lab->node))
        sim_node_start(lab->node, lab->shard_count);
    lab->io = sim_node_io(lab->node, 0);
    lab->dir_failed = false;
    if (open_dirs(lab) < 0)
        return -EIO;
    for (uint32_t i = 0; i < lab->shard_count; i++) {
        lab->peers[i] = peers_new(lab, i);
        struct replicas_options o = {
            .io = sim_node_io(lab->node, i),
            .telemetry = lab->telemetry,
            .dirs = lab->dirs,
            .dir_count = lab->dir_count,
            .dirs_missing = lab->dirs_missing,
            .memory = &lab->memory[i],
            .copied = &lab->copied,
            .broker = lab->broker,
            .node_id = ME,
            .propose = propose,
            .brokers = lab->peers[i],
            .listener = STR("INTERNAL"),
            .leading = leading,
            .committed = committed,
            .placed = placed,
            .save_starts = save_starts,
            .ctx = lab,
        };
        lab->memory[i] = (struct log_memory){.limit_bytes = 16 << 20};
        lab->sets[i] = replicas_new(&o);
    }
    return 0;
}

int64_t lab_start(struct lab *lab)
{
    int64_t result = lab_open(lab);

    return result < 0 ? result : lab_apply(lab);
}

typedef void each_set(struct replicas *rs, const struct image *before, const struct image *after,
                      struct op *op);

static int64_t everywhere(struct lab *lab, each_set *run)
{
    struct wait w[SIM_SHARDS_MAX];
    int64_t result = 0;

    for (uint32_t i = 0; i < lab->shard_count; i++)
        run(lab->sets[i], lab->applied, lab->image, wait_begin(&w[i]));
    for (uint32_t i = 0; i < lab->shard_count; i++)
        CHECK(!w[i].done); /* never inside the call */
    for (uint32_t i = 0; i < lab->shard_count; i++) {
        if (wait_end(lab, &w[i]) < 0 && result == 0)
            result = w[i].result;
    }
    return result;
}

int64_t lab_apply(struct lab *lab)
{
    int64_t result = lab->shard_count > 1 ? everywhere(lab, replicas_remove) : 0;
    int64_t applied = everywhere(lab, replicas_apply);

    image_unref(lab->applied);
    lab->applied = image_ref(lab->image);
    return result < 0 ? result : applied;
}

static int64_t close_sets(struct lab *lab)
{
    struct wait w;
    int64_t result = 0;

    for (uint32_t i = 0; i < lab->shard_count; i++) {
        if (lab->sets[i] == NULL)
            continue;
        replicas_close(lab->sets[i], wait_begin(&w));
        CHECK(!w.done);
        if (wait_end(lab, &w) < 0 && result == 0)
            result = w.result;
        replicas_free(lab->sets[i]);
        lab->sets[i] = NULL;
        if (lab->peers[i] != NULL) {
            client_close(lab->peers[i], wait_begin(&w));
            (void)wait_end(lab, &w);
        }
        lab->peers[i] = NULL;
        log_memory_deinit(&lab->memory[i]);
    }
    image_unref(lab->applied);
    lab->applied = NULL;
    return result;
}

int64_t lab_stop(struct lab *lab)
{
    struct checkpoint lines[DIRS_MAX][3] = {0};
    struct wait w;

    for (uint32_t d = 0; d < lab->dir_count; d++) {
        for (uint32_t i = 0; i < lab->shard_count; i++)
            replicas_checkpoint(lab->sets[i], lab->dirs[d], true, &lines[d][0], &lines[d][1],
                                &lines[d][2]);
    }
    int64_t result = close_sets(lab);
    for (uint32_t d = 0; d < lab->dir_count; d++) {
        bool online = log_dir_is_online(lab->dirs[d]);
        if (online) {
            log_dir_checkpoint(lab->dirs[d], &lines[d][0], &lines[d][1], &lines[d][2],
                               wait_begin(&w));
            online = wait_end(lab, &w) >= 0;
        }
        if (!online && result == 0)
            result = ERR_OFFLINE;
        log_dir_close(lab->dirs[d], online, 7, wait_begin(&w));
        if (wait_end(lab, &w) < 0 && result == 0)
            result = w.result;
        lab->dirs[d] = NULL;
        for (int i = 0; i < 3; i++)
            checkpoint_free(&lines[d][i]);
    }
    return result;
}

void lab_bury(struct lab *lab)
{
    struct wait w;

    (void)close_sets(lab);
    for (uint32_t d = 0; d < lab->dir_count; d++) {
        if (lab->dirs[d] == NULL)
            continue;
        log_dir_close(lab->dirs[d], false, 7, wait_begin(&w));
        (void)wait_end(lab, &w);
        lab->dirs[d] = NULL;
    }
}

/* ---- metadata ------------------------------------------------------------------------------- */

struct uuid topic_id(uint8_t id)
{
    struct uuid u = UUID_ZERO;

    u.b[3] = id;
    u.b[12] = (uint8_t)(id * 17);
    return u;
}

static void meta(struct lab *lab, const struct message *message, int16_t version,
                 const void *record)
{
    int64_t n = message_metadata_size(message, version, record);
    struct image_edit *e = image_edit_begin(lab->image);
    struct fail f = {0};
    uint8_t *bytes;

    CHECK(n > 0);
    bytes = malloc((size_t)n);
    message_metadata_write(message, version, record, bytes);
    if (image_edit_apply(e, (struct bytes){bytes, (int32_t)n}, &f) < 0)
        check_fail(__FILE__, __LINE__, "%s", f.text);
    free(bytes);
    struct image *next = image_edit_finish(e, image_offset(lab->image) + 1, 1, 1000);
    image_unref(lab->image);
    lab->image = next;
}

void meta_partition(struct lab *lab, uint8_t id, int32_t partition, const int32_t *replicas,
                    int32_t count, const struct uuid *directory)
{
    struct uuid directories[4] = {0};
    struct partition_record r;

    partition_record_init(&r);
    r.partition_id = partition;
    r.topic_id = topic_id(id);
    r.replicas = (int32_t *)(uintptr_t)replicas;
    r.replicas_count = count;
    r.isr = (int32_t *)(uintptr_t)replicas;
    r.isr_count = count;
    r.leader = replicas[0];
    r.leader_epoch = 0;
    r.partition_epoch = 0;
    for (int32_t i = 0; i < count; i++)
        directories[i] = directory != NULL ? *directory : topic_id(250);
    r.directories = directories;
    r.directories_count = count;
    meta(lab, &partition_record_message, 1, &r);
}

void meta_topic(struct lab *lab, const char *name, uint8_t id, int32_t partitions)
{
    static const int32_t me[] = {ME};
    struct topic_record r;

    topic_record_init(&r);
    r.name = str_of(name);
    r.topic_id = topic_id(id);
    meta(lab, &topic_record_message, 0, &r);
    for (int32_t p = 0; p < partitions; p++)
        meta_partition(lab, id, p, me, 1, NULL);
}

void meta_broker(struct lab *lab, int32_t id, int64_t epoch, const char *host, uint16_t port)
{
    struct register_broker_record_end_points at;
    struct register_broker_record r;

    register_broker_record_end_points_init(&at);
    at.name = STR("INTERNAL");
    at.host = str_of(host);
    at.port = port;
    register_broker_record_init(&r);
    r.broker_id = id;
    r.broker_epoch = epoch;
    r.incarnation_id = topic_id((uint8_t)epoch);
    r.end_points = &at;
    r.end_points_count = 1;
    r.rack = STR_NULL;
    r.fenced = false;
    meta(lab, &register_broker_record_message, 3, &r);
}

void meta_remove(struct lab *lab, uint8_t id)
{
    struct remove_topic_record r;

    remove_topic_record_init(&r);
    r.topic_id = topic_id(id);
    meta(lab, &remove_topic_record_message, 0, &r);
}

void meta_leader(struct lab *lab, uint8_t id, int32_t partition, int32_t leader)
{
    struct partition_change_record r;

    partition_change_record_init(&r);
    r.topic_id = topic_id(id);
    r.partition_id = partition;
    r.leader = leader;
    meta(lab, &partition_change_record_message, 0, &r);
}

void meta_replicas(struct lab *lab, uint8_t id, int32_t partition, const int32_t *replicas,
                   int32_t count)
{
    struct uuid directories[4] = {topic_id(250), topic_id(250), topic_id(250), topic_id(250)};
    struct partition_change_record r;

    partition_change_record_init(&r);
    r.topic_id = topic_id(id);
    r.partition_id = partition;
    r.replicas = (int32_t *)(uintptr_t)replicas;
    r.replicas_count = count;
    r.isr = (int32_t *)(uintptr_t)replicas;
    r.isr_count = count;
    if (image_partition_find(lab->image, r.topic_id, partition)->leader != replicas[0])
        r.leader = replicas[0];
    r.directories = directories;
    r.directories_count = count;
    meta(lab, &partition_change_record_message, 1, &r);
}

void meta_isr(struct lab *lab, uint8_t id, int32_t partition, const int32_t *isr, int32_t count)
{
    struct partition_change_record r;

    partition_change_record_init(&r);
    r.topic_id = topic_id(id);
    r.partition_id = partition;
    r.isr = (int32_t *)(uintptr_t)isr;
    r.isr_count = count;
    meta(lab, &partition_change_record_message, 0, &r);
}

void meta_config(struct lab *lab, const char *topic, const char *name, const char *value)
{
    struct config_record r;

    config_record_init(&r);
    r.resource_type = 2;
    r.resource_name = str_of(topic);
    r.name = str_of(name);
    r.value = str_of(value);
    meta(lab, &config_record_message, 0, &r);
}

void meta_directory(struct lab *lab, uint8_t id, int32_t partition, struct uuid directory)
{
    struct uuid directories[4] = {directory, directory, directory, directory};
    struct partition_change_record r;

    partition_change_record_init(&r);
    r.topic_id = topic_id(id);
    r.partition_id = partition;
    r.directories = directories;
    r.directories_count = image_partition_find(lab->image, r.topic_id, partition)->replica_count;
    meta(lab, &partition_change_record_message, 1, &r);
}

bool lab_grant(struct lab *lab)
{
    struct wish w = lab->wish;

    if (!w.is_set)
        return false;
    lab->wish.is_set = false;
    if (image_partition_find(lab->image, topic_id(w.id), w.partition) == NULL)
        return false;
    meta_directory(lab, w.id, w.partition, w.directory);
    CHECK_EQ(lab_apply(lab), 0);
    return true;
}

/* ---- replicas ------------------------------------------------------------------------------- */

struct replica *lab_find(struct lab *lab, uint8_t id, int32_t partition)
{
    uint32_t shard = replica_shard(topic_id(id), partition, lab->shard_count);

    for (uint32_t i = 0; i < lab->shard_count; i++)
        CHECK(i == shard || replica_find(lab->sets[i], topic_id(id), partition) == NULL);
    return replica_find(lab->sets[shard], topic_id(id), partition);
}

struct replica *lab_get(struct lab *lab, uint8_t id, int32_t partition)
{
    struct replica *r = lab_find(lab, id, partition);

    if (r == NULL)
        check_fail(__FILE__, __LINE__, "topic %u has no partition %d here", id, partition);
    return r;
}

enum kerr lab_append(struct replica *r, const char *value, int16_t acks,
                     struct replica_appended *out)
{
    struct batch_builder b;
    struct text bytes = {0};
    struct batch batch;

    batch_builder_init(&b);
    batch_builder_add(&b, 1000, BYTES_NULL, bytes_of_str(str_of(value)), NULL, 0);
    CHECK_EQ(batch_builder_finish(&b, &bytes), 0);
    CHECK(batch_read(bytes_of_str(text_str(&bytes)), &batch, NULL) > 0);
    enum kerr error = replica_append(r, &batch, acks, out);
    batch_builder_deinit(&b);
    text_deinit(&bytes);
    return error;
}

struct committed {
    struct replica_wait wait;
    bool done;
    enum kerr error;
};

static void put_ready(struct replica_wait *w, enum kerr error)
{
    struct committed *c = container_of(w, struct committed, wait);

    c->done = true;
    c->error = error;
}

void lab_put(struct lab *lab, struct replica *r, const char *value)
{
    struct committed c = {.wait.ready = put_ready};
    struct replica_appended a;

    CHECK_EQ(lab_append(r, value, -1, &a), KERR_NONE);
    replica_wait_committed(r, &c.wait, a.last_offset + 1);
    UNTIL(lab, c.done);
    CHECK_EQ(c.error, KERR_NONE);
}

struct str lab_read(struct lab *lab, struct replica *r, struct text *out)
{
    struct arena arena = {0};
    struct text bytes = {0};
    struct batch b;
    struct wait w;

    text_clear(out);
    for (int64_t at = log_start(replica_log(r)); at < replica_high_watermark(r);) {
        struct log_read read = {.offset = at, .limit = replica_high_watermark(r),
                                .max_bytes = 1 << 20, .first_whole = true, .arena = &arena};
        text_clear(&bytes);
        log_read_bytes(replica_log(r), &read, &bytes, wait_begin(&w));
        if (wait_end(lab, &w) < 0) { /* a fault of the disk is no loss */
            if (!sim_node_is_up(lab->node))
                break;
            continue;
        }
        CHECK(w.result > 0);
        struct bytes rest = bytes_of_str(text_str(&bytes));
        while (batch_next(&rest, &b) == 1) {
            struct records records;
            struct record record;
            CHECK(batch_crc_ok(&b));
            CHECK_EQ(records_begin(&records, &b, 1 << 20), 0);
            while (records_next(&records, &record) == 1)
                text_printf(out, "%d:%.*s ", (int)record.offset, (int)record.value.n,
                            (const char *)record.value.p);
            records_end(&records);
            at = b.last_offset + 1;
        }
    }
    arena_deinit(&arena);
    text_deinit(&bytes);
    return text_str(out);
}

struct str lab_names(struct lab *lab, uint32_t dir, struct text *out)
{
    struct io_entries entries = {0};
    struct wait w;
    char path[16];

    text_clear(out);
    snprintf(path, sizeof path, "/data%u", dir);
    io_list(lab->io, path, &entries, wait_begin(&w));
    CHECK(wait_end(lab, &w) >= 0);
    for (uint32_t i = 0; i < entries.count; i++) {
        struct str name = str_of(entries.entries[i].name);
        struct str kind = str_ends(name, STR("-stray"))    ? STR("-stray")
                          : str_ends(name, STR("-future")) ? STR("-future")
                                                           : STR("-delete");
        if (!entries.entries[i].is_dir || str_equal(name, STR("millrace.journal")))
            continue;
        if (str_ends(name, kind)) {
            name.n -= kind.n + 32;
            text_printf(out, "%.*s*%.*s ", STR_ARG(name), STR_ARG(kind));
        } else {
            text_printf(out, "%.*s ", STR_ARG(name));
        }
    }
    io_entries_free(&entries);
    return text_str(out);
}
