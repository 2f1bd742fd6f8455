/* sim_node: a whole node, or a cluster of several, and its clients, seed by seed.
 *
 *   sim_node --seed N [--trace]            play one seed
 *   sim_node --seeds FROM..TO [--jobs N]   play each seed twice and compare
 *   sim_node --cluster ...                 three to five nodes instead of one
 *   sim_node --once ...                    not twice: for who looks for what else breaks
 *
 * Of many, what they were together is said in a line before the last.
 *
 * Seeds are played in processes of their own, because a broken property ends the process that found it: the
 * next one goes on behind that seed. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "world.h"

#define JOBS_MAX 16
#define SEED_SECONDS_MAX 60 /* of processor time; one takes some tens of milliseconds */

struct words {
    uint64_t from, to;
    uint32_t jobs;
    bool cluster, once, trace, until_failure;
    const char *program;
};

struct job {
    pid_t pid;
    int out;      /* a struct played per seed that passed */
    uint64_t next, step, to;
    uint64_t passed;
    struct played sum;
    bool running;
};

static const char usage[] =
    "usage: sim_node [--cluster] --seed N [--trace]\n"
    "       sim_node [--cluster] --seeds FROM..TO [--jobs N] [--once] [--until-failure]\n";

/* ---- one seed ------------------------------------------------------------------------------------ */

static const char *kind(const struct words *w)
{
    return w->cluster ? " --cluster" : "";
}

static void play(const struct words *w, uint64_t seed, struct played *out)
{
    struct played again;

    world_play(seed, w->cluster, w->program, NULL, out);
    if (w->once)
        return;
    world_play(seed, w->cluster, w->program, NULL, &again);
    if (out->hash == again.hash)
        return;
    printf("FAILED seed %" PRIu64 ": played twice it is two histories, %016" PRIx64 " and %016" PRIx64
           "; replay: %s%s --seed %" PRIu64 " --trace\n", seed, out->hash, again.hash, w->program, kind(w), seed);
    fflush(stdout);
    _exit(1);
}

static int play_one(const struct words *w)
{
    struct played played;

    world_play(w->from, w->cluster, w->program, w->trace ? stdout : NULL, &played);
    printf("seed %" PRIu64 " passed, hash %016" PRIx64 "\n", w->from, played.hash);
    printf("1 passed, 0 failed\n");
    return 0;
}

/* ---- many ------------------------------------------------------------------------------------------ */

static void limit_time(void)
{
    struct itimerval t = {.it_value.tv_sec = SEED_SECONDS_MAX};

    setitimer(ITIMER_VIRTUAL, &t, NULL);
}

static void job_begin(const struct words *w, struct job *j)
{
    int ends[2];

    if (j->next > j->to)
        return;
    if (pipe(ends) < 0) {
        perror("sim_node: pipe");
        exit(2);
    }
    fflush(stdout);
    j->pid = fork();
    if (j->pid < 0) {
        perror("sim_node: fork");
        exit(2);
    }
    if (j->pid == 0) {
        close(ends[0]);
        for (uint64_t seed = j->next; seed <= j->to; seed += j->step) {
            struct played played;
            limit_time();
            play(w, seed, &played);
            if (write(ends[1], &played, sizeof played) != sizeof played)
                _exit(2);
        }
        _exit(0);
    }
    close(ends[1]);
    j->out = ends[0];
    j->running = true;
}

static void add(struct played *sum, const struct played *one)
{
    sum->ns += one->ns;
    sum->events += one->events;
    sum->lives += one->lives;
    for (int i = 0; i < FAULT_KINDS; i++)
        sum->faults[i] += one->faults[i];
}

/* Count what it has told; at its end see how it ended. True while it runs. */
static bool job_listen(const struct words *w, struct job *j, uint64_t *failed)
{
    struct played told[8]; /* what is that short is written, and so read, as a whole */
    ssize_t n = read(j->out, told, sizeof told) / (ssize_t)sizeof told[0];
    int status = 0;

    if (n > 0) {
        for (ssize_t i = 0; i < n; i++)
            add(&j->sum, &told[i]);
        j->passed += (uint64_t)n;
        j->next += (uint64_t)n * j->step;
        return true;
    }
    close(j->out);
    waitpid(j->pid, &status, 0);
    j->running = false;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return false;
    (*failed)++;
    if (WIFSIGNALED(status)) {
        printf("FAILED seed %" PRIu64 ": %s; replay: %s%s --seed %" PRIu64 " --trace\n", j->next,
               WTERMSIG(status) == SIGVTALRM ? "it does not come to an end" : strsignal(WTERMSIG(status)),
               w->program, kind(w), j->next);
        fflush(stdout);
    }
    j->next += j->step;
    if (!w->until_failure)
        job_begin(w, j);
    return j->running;
}

static void jobs_end(struct job *jobs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!jobs[i].running)
            continue;
        kill(jobs[i].pid, SIGKILL);
        waitpid(jobs[i].pid, NULL, 0);
        close(jobs[i].out);
    }
}

static void say(const struct played *sum)
{
    printf("%.1f simulated hours, %" PRIu64 " events, %" PRIu64 " lives of nodes", (double)sum->ns / 3.6e12, sum->events,
           sum->lives);
    for (int i = 0; i < FAULT_KINDS; i++)
        printf("%s %" PRIu64 " %s", i == 0 ? "; faults:" : ",", sum->faults[i], fault_names[i]);
    printf("\n");
}

static int play_many(const struct words *w)
{
    struct job jobs[JOBS_MAX] = {0};
    uint64_t passed = 0, failed = 0;
    struct played sum = {0};
    uint32_t running = 0;

    for (uint32_t i = 0; i < w->jobs; i++) {
        jobs[i] = (struct job){.next = w->from + i, .step = w->jobs, .to = w->to};
        job_begin(w, &jobs[i]);
        running += jobs[i].running;
    }
    while (running > 0 && !(w->until_failure && failed > 0)) {
        struct pollfd fds[JOBS_MAX];
        for (uint32_t i = 0; i < w->jobs; i++)
            fds[i] = (struct pollfd){jobs[i].running ? jobs[i].out : -1, POLLIN, 0};
        if (poll(fds, w->jobs, -1) < 0)
            continue;
        for (uint32_t i = 0; i < w->jobs; i++) {
            if (jobs[i].running && fds[i].revents != 0 && !job_listen(w, &jobs[i], &failed))
                running--;
        }
    }
    jobs_end(jobs, w->jobs);
    for (uint32_t i = 0; i < w->jobs; i++) {
        passed += jobs[i].passed;
        add(&sum, &jobs[i].sum);
    }
    say(&sum);
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}

/* ---- words ------------------------------------------------------------------------------------------ */

static bool number(const char *text, uint64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == 0;
}

static bool range(const char *text, struct words *w)
{
    char from[32] = {0};
    const char *dots = strstr(text, "..");

    if (dots == NULL || (size_t)(dots - text) >= sizeof from)
        return false;
    memcpy(from, text, (size_t)(dots - text));
    return number(from, &w->from) && number(dots + 2, &w->to) && w->from <= w->to;
}

static bool parse(int argc, char **argv, struct words *w, bool *many)
{
    uint64_t n;

    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--trace") == 0) {
            w->trace = true;
        } else if (strcmp(argv[i], "--cluster") == 0) {
            w->cluster = true;
        } else if (strcmp(argv[i], "--once") == 0) {
            w->once = true;
        } else if (strcmp(argv[i], "--until-failure") == 0) {
            w->until_failure = true;
        } else if (strcmp(argv[i], "--seed") == 0 && number(value, &n)) {
            w->from = w->to = n;
            i++;
        } else if (strcmp(argv[i], "--seeds") == 0 && range(value, w)) {
            *many = true;
            i++;
        } else if (strcmp(argv[i], "--jobs") == 0 && number(value, &n) && n >= 1 && n <= JOBS_MAX) {
            w->jobs = (uint32_t)n;
            i++;
        } else {
            return false;
        }
    }
    return w->from > 0;
}

int main(int argc, char **argv)
{
    struct words w = {.jobs = 1, .program = argv[0]};
    bool many = false;

    if (!parse(argc, argv, &w, &many)) {
        fputs(usage, stderr);
        return 2;
    }
    return many ? play_many(&w) : play_one(&w);
}
