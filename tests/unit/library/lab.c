#define _GNU_SOURCE
#include "lab.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child's standard output, until the line that says which port it is. */
static void read_ready(struct lab *lab, int fd)
{
    FILE *in = fdopen(fd, "r");
    char line[512];
    unsigned port = 0;

    CHECK(in != NULL);
    CHECK(fgets(line, sizeof line, in) != NULL);
    const char *at = strstr(line, "PLAINTEXT://127.0.0.1:");
    CHECK(at != NULL);
    CHECK_EQ(sscanf(at, "PLAINTEXT://127.0.0.1:%u", &port), 1);
    snprintf(lab->address, sizeof lab->address, "127.0.0.1:%u", port);
    fclose(in);
}

void lab_init(struct lab *lab)
{
    char dirs[128], listeners[128];
    int out[2];

    *lab = (struct lab){.dir = "/tmp/millrace-library-XXXXXX"};
    CHECK(mkdtemp(lab->dir) != NULL);
    snprintf(dirs, sizeof dirs, "log.dirs=%s/data", lab->dir);
    snprintf(listeners, sizeof listeners, "listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0");
    CHECK_EQ(pipe(out), 0);
    lab->server = fork();
    CHECK(lab->server >= 0);
    if (lab->server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nothing behind */
        dup2(out[1], STDOUT_FILENO);
        if (freopen("/dev/null", "w", stderr) == NULL)
            _exit(126);
        close(out[0]);
        close(out[1]);
        /* Tests write records of 1970: they stay, also when a test takes longer than the first check of old segments. */
        execl(MILLRACE, "millrace", "server", "--override", dirs, "--override", listeners, "--override",
              "log.retention.ms=-1", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    read_ready(lab, out[0]);
}

void lab_deinit(struct lab *lab)
{
    char command[128];
    int status;

    CHECK_EQ(kill(lab->server, SIGTERM), 0);
    CHECK_EQ(waitpid(lab->server, &status, 0), lab->server);
    snprintf(command, sizeof command, "rm -rf %s", lab->dir);
    CHECK_EQ(system(command), 0);
}

struct mr_settings *lab_settings(const struct lab *lab, ...)
{
    struct mr_settings *s = mr_settings_new();
    struct mr_error e;
    const char *name;
    va_list args;

    CHECK_EQ(mr_set(s, "bootstrap.servers", lab->address, &e), 0);
    va_start(args, lab);
    while ((name = va_arg(args, const char *)) != NULL) {
        if (mr_set(s, name, va_arg(args, const char *), &e) < 0)
            check_fail(__FILE__, __LINE__, "%s", e.text);
    }
    va_end(args);
    return s;
}

/* ---- admins --------------------------------------------------------------------------------------- */

struct mr_admin *lab_admin(struct lab *lab, struct mr_loop *l)
{
    struct mr_settings *s = lab_settings(lab, NULL);
    struct mr_admin *a = mr_admin_open(s, l, &lab->e);

    if (a == NULL)
        check_fail(__FILE__, __LINE__, "%s", lab->e.text);
    mr_settings_free(s);
    return a;
}

struct mr_answer *lab_well(struct lab *lab, struct mr_answer *r)
{
    CHECK(r != NULL);
    CHECK_OK(lab, mr_answer_wait(r, PATIENT_MS, &lab->e));
    CHECK_EQ(mr_answer_wait(r, 0, &lab->e), 0);
    return r;
}

const struct mr_outcome *outcome_of(const struct mr_answer *r, const char *name)
{
    uint32_t count;
    const struct mr_outcome *o = mr_outcomes(r, &count);

    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(o[i].name, name) == 0)
            return &o[i];
    }
    check_fail(__FILE__, __LINE__, "there is no row of %s", name);
    return NULL;
}

void heard_acked(void *ctx, const struct mr_ack *ack)
{
    struct heard *h = ctx;

    h->batches++;
    for (int32_t i = 0; i < ack->count; i++)
        h->tags += mr_ack_tag(ack, i);
    if (ack->error.code != MR_OK) {
        h->failed += ack->count;
        h->error = ack->error;
        return;
    }
    h->acked += ack->count;
    h->last_base_offset = ack->base_offset;
}

void lab_write(struct lab *lab, const char *topic, int count)
{
    struct heard heard = {0};
    struct mr_producer_hooks hooks = {.ctx = &heard, .acked = heard_acked};
    struct mr_settings *s = lab_settings(lab, NULL);
    struct mr_producer *p = mr_producer_open(s, &hooks, NULL, &lab->e);
    char value[16];

    CHECK(p != NULL);
    for (int i = 0; i < count; i++) {
        snprintf(value, sizeof value, "%d", i);
        struct mr_record r = {.topic = mr_producer_topic(p, topic), .key = MR_NULL, .value = mr_text(value),
                              .timestamp_ms = 1000 + i};
        CHECK_OK(lab, mr_produce(p, &r, PATIENT_MS, &lab->e));
    }
    CHECK_OK(lab, mr_producer_close(p, PATIENT_MS, &lab->e));
    CHECK_EQ(heard.acked, count);
    mr_settings_free(s);
}

long lab_sum(struct mr_chunk *k, long *left)
{
    struct mr_error e;
    struct mr_read r;
    long sum = 0;
    int64_t done = MR_DONE_NONE;

    while (*left > 0 && mr_chunk_next(k, &r, &e) == 1) {
        sum += strtol(r.value.p, NULL, 10);
        done = r.offset + 1;
        (*left)--;
    }
    mr_chunk_release(k, done);
    return sum;
}

long lab_read(struct mr_consumer *c, long count)
{
    struct mr_error e;
    struct mr_chunk *k;
    long sum = 0;

    while (count > 0) {
        int rc = mr_poll(c, PATIENT_MS, &k, &e);
        if (rc < 0)
            check_fail(__FILE__, __LINE__, "mr_poll: %s", e.text);
        CHECK_EQ(rc, 1);
        sum += lab_sum(k, &count);
    }
    return sum;
}
