/* mr_producer against a real server: threads, limits, deadlines, forks, a loop of the caller's. */
#define _GNU_SOURCE
#include "lab.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

static struct mr_record record_for(struct mr_topic *t, const char *value)
{
    return (struct mr_record){
        .topic = t, .partition = MR_ANY, .key = MR_NULL, .value = mr_text(value), .timestamp_ms = MR_NOW};
}

TEST(library_producer, the_header_is_of_the_library_that_is_linked)
{
    char version[32];

    snprintf(version, sizeof version, "%d.%d.%d", MR_VERSION_MAJOR, MR_VERSION_MINOR, MR_VERSION_PATCH);
    CHECK_TEXT(mr_version(), version);
}

TEST(library_producer, settings_that_cannot_be_are_refused)
{
    struct mr_settings *s = mr_settings_new();
    struct mr_error e;

    CHECK_EQ(mr_set(s, "bootstrap.server", "x:1", &e), MR_INVALID);
    CHECK(strstr(e.text, "bootstrap.servers") != NULL); /* the nearest one */
    CHECK_EQ(mr_set(s, "linger.ms", "soon", &e), MR_INVALID);
    CHECK_EQ(e.advice, MR_REPAIR);
    CHECK(mr_producer_open(s, NULL, NULL, &e) == NULL); /* no bootstrap.servers */
    CHECK_EQ(e.code, MR_INVALID);
    CHECK_EQ(mr_set(s, "bootstrap.servers", "127.0.0.1:1", &e), 0);
    CHECK_EQ(mr_set(s, "enable.idempotence", "true", &e), 0);
    CHECK_EQ(mr_set(s, "acks", "1", &e), 0);
    CHECK(mr_producer_open(s, NULL, NULL, &e) == NULL);
    CHECK(strstr(e.text, "acks") != NULL);
    CHECK_EQ(mr_set(s, "fetch.min.bytes", "10", &e), 0); /* of consumers: no mistake */
    CHECK_EQ(mr_set(s, "key.serializer", "x.Y", &e), 1); /* taken, and without effect */
    CHECK(strstr(mr_setting_help("key.serializer"), "Java") != NULL); /* that is why */
    CHECK(strstr(mr_setting_help("linger.ms"), "wait") != NULL);
    CHECK(mr_setting_help("lingr.ms") == NULL);
    CHECK_EQ(mr_set(s, "acks", "all", &e), 0);
    CHECK_EQ(mr_set(s, "security.protocol", "SASL_SSL", &e), 0);
    CHECK(mr_producer_open(s, NULL, NULL, &e) == NULL);
    CHECK(strstr(e.text, "security.protocol=SASL_SSL: TLS and SASL are not built yet") != NULL);
    mr_settings_free(s);
}

/* The socket of this process whose other end is `port`; -1: none. */
static int socket_to(uint16_t port)
{
    for (int fd = 3; fd < 256; fd++) {
        struct sockaddr_in peer;
        socklen_t n = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &n) == 0 && peer.sin_family == AF_INET &&
            ntohs(peer.sin_port) == port)
            return fd;
    }
    return -1;
}

/* Linux doubles them for its own use (socket(7)). */
TEST(library_producer, buffers_of_connections_have_the_size_that_was_set)
{
    struct mr_error e;
    struct lab lab;
    int size = 0;
    socklen_t n = sizeof size;

    lab_init(&lab);
    struct mr_settings *s = lab_settings(&lab, "send.buffer.bytes", "30000", "receive.buffer.bytes", "20000", NULL);
    struct mr_producer *p = mr_producer_open(s, NULL, NULL, &e);
    CHECK(p != NULL);
    struct mr_record r = record_for(mr_producer_topic(p, "buffers"), "v");
    CHECK_EQ(mr_produce(p, &r, PATIENT_MS, &e), 0);
    CHECK_EQ(mr_producer_flush(p, PATIENT_MS, &e), 0);
    int fd = socket_to((uint16_t)atoi(strrchr(lab.address, ':') + 1));
    CHECK(fd >= 0);
    CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &n), 0);
    CHECK_EQ(size, 60000);
    CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, &n), 0);
    CHECK_EQ(size, 40000);
    CHECK_EQ(mr_producer_close(p, PATIENT_MS, &e), 0);
    mr_settings_free(s);
    lab_deinit(&lab);
}

TEST(library_producer, settings_come_from_a_file)
{
    char path[] = "/tmp/millrace-settings-XXXXXX";
    struct mr_settings *s = mr_settings_new();
    struct mr_error e;
    int fd = mkstemp(path);

    CHECK(fd >= 0);
    CHECK(dprintf(fd, "# mine\nbootstrap.servers=127.0.0.1:1\nlinger.ms = 7\n") > 0);
    CHECK_EQ(mr_settings_read(s, path, &e), 0);
    CHECK(dprintf(fd, "key.serializer=x.Y\nvalue.serializer=x.Y\n") > 0);
    CHECK_EQ(mr_settings_read(s, path, &e), 2);
    CHECK(dprintf(fd, "lingr.ms=7\n") > 0);
    CHECK_EQ(mr_settings_read(s, path, &e), MR_INVALID);
    CHECK(strstr(e.text, "linger.ms") != NULL);
    close(fd);
    unlink(path);
    CHECK_EQ(mr_settings_read(s, path, &e), MR_SYSTEM);
    mr_settings_free(s);
}

struct writer {
    pthread_t thread;
    struct mr_producer *p;
    struct mr_topic *topic;
    uint64_t first;
    struct mr_error error;
};
#define WRITES 5000

static void *write_many(void *arg)
{
    struct writer *w = arg;

    for (uint64_t i = 0; i < WRITES; i++) {
        struct mr_record r = record_for(w->topic, "some bytes of a record");
        r.tag = w->first + i;
        if (mr_produce(w->p, &r, PATIENT_MS, &w->error) < 0)
            break;
    }
    return NULL;
}

TEST(library_producer, several_threads_write_and_every_record_is_told_of_once)
{
    struct heard heard = {0};
    struct mr_producer_hooks hooks = {.ctx = &heard, .acked = heard_acked};
    struct writer writers[4];
    struct lab lab;

    lab_init(&lab);
    struct mr_settings *s = lab_settings(&lab, "buffer.memory", "262144", NULL); /* so that some wait for room */
    struct mr_producer *p = mr_producer_open(s, &hooks, NULL, &lab.e);
    CHECK(p != NULL);
    for (uint64_t i = 0; i < 4; i++) {
        writers[i] = (struct writer){.p = p, .topic = mr_producer_topic(p, "many"), .first = 1 + i * WRITES};
        CHECK_EQ(pthread_create(&writers[i].thread, NULL, write_many, &writers[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(writers[i].thread, NULL);
    for (int i = 0; i < 4; i++)
        CHECK_TEXT(writers[i].error.text, "");
    CHECK_OK(&lab, mr_producer_flush(p, PATIENT_MS, &lab.e));
    CHECK_EQ(heard.acked, 4 * WRITES);
    CHECK_EQ(heard.failed, 0);
    CHECK_EQ(heard.tags, (uint64_t)4 * WRITES * (4 * WRITES + 1) / 2);
    struct mr_health health;
    mr_producer_health(p, &health);
    CHECK_EQ(health.state, MR_UP);
    CHECK_OK(&lab, mr_producer_close(p, PATIENT_MS, &lab.e));
    mr_settings_free(s);
    lab_deinit(&lab);
}

static int threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    int n = 0;

    CHECK(tasks != NULL);
    for (struct dirent *task; (task = readdir(tasks)) != NULL;)
        n += task->d_name[0] != '.';
    closedir(tasks);
    return n;
}

#define MANY 50

TEST(library_producer, many_producers_have_one_thread)
{
    struct heard heard = {0};
    struct mr_producer_hooks hooks = {.ctx = &heard, .acked = heard_acked};
    struct mr_producer *p[MANY];
    struct lab lab;

    lab_init(&lab);
    struct mr_settings *s = lab_settings(&lab, NULL);
    int before = threads();
    for (int i = 0; i < MANY; i++) {
        p[i] = mr_producer_open(s, &hooks, NULL, &lab.e);
        CHECK(p[i] != NULL);
        struct mr_record r = record_for(mr_producer_topic(p[i], "t"), "v");
        CHECK_OK(&lab, mr_produce(p[i], &r, PATIENT_MS, &lab.e));
    }
    for (int i = 0; i < MANY; i++)
        CHECK_OK(&lab, mr_producer_flush(p[i], PATIENT_MS, &lab.e));
    CHECK_EQ(threads(), before + 1);
    CHECK_EQ(heard.acked, MANY);
    for (int i = 0; i < MANY; i++)
        CHECK_OK(&lab, mr_producer_close(p[i], PATIENT_MS, &lab.e));
    mr_settings_free(s);
    lab_deinit(&lab);
}

TEST(library_producer, records_that_do_not_fit_are_refused)
{
    struct lab lab;

    lab_init(&lab);
    struct mr_settings *s = lab_settings(&lab, "max.request.size", "1000", NULL);
    struct mr_producer *p = mr_producer_open(s, NULL, NULL, &lab.e);
    CHECK(p != NULL);
    char large[2000];
    memset(large, 'x', sizeof large);
    struct mr_record r = record_for(mr_producer_topic(p, "t"), "");
    r.value = mr_bytes(large, sizeof large);
    CHECK_EQ(mr_produce(p, &r, 0, &lab.e), MR_TOO_LARGE);
    CHECK(lab.e.definite);
    struct mr_header nameless = {MR_NULL, mr_text("v")};
    r = record_for(mr_producer_topic(p, "t"), "v");
    r.headers = &nameless;
    r.header_count = 1;
    CHECK_EQ(mr_produce(p, &r, 0, &lab.e), MR_INVALID);
    r.topic = NULL;
    CHECK_EQ(mr_produce(p, &r, 0, &lab.e), MR_INVALID);
    CHECK_OK(&lab, mr_producer_close(p, PATIENT_MS, &lab.e));
    mr_settings_free(s);
    lab_deinit(&lab);
}

/* Nobody listens there. */
TEST(library_producer, deadlines_are_kept_without_a_broker)
{
    struct heard heard = {0};
    struct mr_producer_hooks hooks = {.ctx = &heard, .acked = heard_acked};
    struct mr_settings *s = mr_settings_new();
    struct mr_error e;

    CHECK_EQ(mr_set(s, "bootstrap.servers", "127.0.0.1:1", &e), 0);
    CHECK_EQ(mr_set(s, "buffer.memory", "20000", &e), 0);
    struct mr_producer *p = mr_producer_open(s, &hooks, NULL, &e);
    CHECK(p != NULL);
    struct mr_record r = record_for(mr_producer_topic(p, "t"), "a record of some bytes, so that it is soon full");
    int64_t began = now_ms();
    int rc;
    while ((rc = mr_produce(p, &r, 0, &e)) == 0) {
    }
    CHECK_EQ(rc, MR_FULL);
    CHECK_EQ(mr_produce(p, &r, 200, &e), MR_FULL);
    CHECK(now_ms() - began >= 200);
    CHECK_EQ(mr_producer_flush(p, 100, &e), MR_TIMED_OUT);
    struct mr_health health = {0};
    for (int i = 0; i < 6000 && strstr(health.reason, "127.0.0.1:1") == NULL; i++) { /* when it has been refused once */
        usleep(10000);
        mr_producer_health(p, &health);
    }
    CHECK_EQ(health.state, MR_CONNECTING);
    CHECK(strstr(health.reason, "127.0.0.1:1") != NULL);
    began = now_ms();
    CHECK_EQ(mr_producer_close(p, 300, &e), MR_TIMED_OUT);
    CHECK(now_ms() - began < PATIENT_MS); /* not delivery.timeout.ms */
    CHECK_EQ(heard.acked, 0);
    CHECK(heard.failed > 0);
    mr_settings_free(s);
}

TEST(library_producer, a_child_of_a_fork_is_told_and_does_no_harm)
{
    struct heard heard = {0};
    struct mr_producer_hooks hooks = {.ctx = &heard, .acked = heard_acked};
    struct lab lab;
    int status;

    lab_init(&lab);
    struct mr_settings *s = lab_settings(&lab, NULL);
    struct mr_producer *p = mr_producer_open(s, &hooks, NULL, &lab.e);
    CHECK(p != NULL);
    struct mr_record r = record_for(mr_producer_topic(p, "t"), "v");
    CHECK_OK(&lab, mr_produce(p, &r, 1000, &lab.e));
    CHECK_OK(&lab, mr_producer_flush(p, PATIENT_MS, &lab.e));
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        bool told = mr_produce(p, &r, 0, NULL) == MR_FORKED && mr_producer_flush(p, 0, NULL) == MR_FORKED &&
                    mr_producer_close(p, 0, NULL) == MR_FORKED;
        struct mr_producer *own = mr_producer_open(s, NULL, NULL, NULL); /* one of its own works */
        r.topic = mr_producer_topic(own, "t");
        told = told && mr_produce(own, &r, 1000, NULL) == 0 && mr_producer_close(own, PATIENT_MS, NULL) == 0;
        _exit(told ? 0 : 1);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_OK(&lab, mr_produce(p, &r, 1000, &lab.e));
    CHECK_OK(&lab, mr_producer_close(p, PATIENT_MS, &lab.e));
    CHECK_EQ(heard.acked, 2);
    mr_settings_free(s);
    lab_deinit(&lab);
}

TEST(library_producer, a_loop_of_the_callers_does_all)
{
    struct heard heard = {0};
    struct mr_producer_hooks hooks = {.ctx = &heard, .acked = heard_acked};
    struct lab lab;

    lab_init(&lab);
    struct mr_settings *s = lab_settings(&lab, NULL);
    struct mr_loop *l = mr_loop_new(&lab.e);
    CHECK(l != NULL);
    struct mr_producer *p = mr_producer_open(s, &hooks, l, &lab.e);
    CHECK(p != NULL);
    struct mr_record r = record_for(mr_producer_topic(p, "t"), "v");
    for (int i = 0; i < 100; i++)
        CHECK_OK(&lab, mr_produce(p, &r, 0, &lab.e));
    struct pollfd fd = {.fd = mr_loop_fd(l), .events = POLLIN};
    for (int turns = 0; heard.acked < 100; turns++) {
        CHECK(turns < 100000);
        poll(&fd, 1, (int)mr_loop_due_ms(l));
        CHECK_OK(&lab, mr_loop_run(l, 0, &lab.e));
    }
    CHECK_OK(&lab, mr_produce(p, &r, 0, &lab.e));
    CHECK_OK(&lab, mr_producer_flush(p, PATIENT_MS, &lab.e)); /* a call that waits turns the loop itself */
    CHECK_EQ(heard.acked, 101);
    CHECK_OK(&lab, mr_producer_close(p, PATIENT_MS, &lab.e));
    mr_loop_free(l);
    mr_settings_free(s);
    lab_deinit(&lab);
}

static struct mr_producer *waited_on;
static int waited;

static void wait_in_hook(void *ctx, const struct mr_ack *ack)
{
    waited = mr_producer_flush(waited_on, 1000, NULL);
}

TEST(library_producer, a_hook_that_waits_is_refused)
{
    struct mr_producer_hooks hooks = {.acked = wait_in_hook};
    struct lab lab;

    lab_init(&lab);
    struct mr_settings *s = lab_settings(&lab, NULL);
    waited_on = mr_producer_open(s, &hooks, NULL, &lab.e);
    CHECK(waited_on != NULL);
    struct mr_record r = record_for(mr_producer_topic(waited_on, "t"), "v");
    CHECK_OK(&lab, mr_produce(waited_on, &r, 1000, &lab.e));
    CHECK_OK(&lab, mr_producer_close(waited_on, PATIENT_MS, &lab.e));
    CHECK_EQ(waited, MR_INVALID);
    mr_settings_free(s);
    lab_deinit(&lab);
}
