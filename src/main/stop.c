/* Servers of this machine are found by their command lines in /proc, as Kafka's script finds its JVMs. */
#define _GNU_SOURCE
#include "main/stop.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "config/config.h"

#define FILE_BYTES_MAX (1 << 20)
#define WORDS_MAX 64

static const char usage[] = "usage: kafka-server-stop.sh [--process-role=broker|controller | --node-id=ID]\n"
                            "\n"
                            "Ask the servers that run on this machine to stop cleanly (SIGTERM): all of them, or those "
                            "of a role or with an id.\n"
                            "Exit status: 0 when one was asked, 1 when there is none.\n";

struct chosen {
    struct str role, node_id; /* null = any */
};

/* One process: its command line, and the words in it. */
struct process {
    int pid;
    char *words[WORDS_MAX];
    int count;
};

static bool read_file(const char *path, struct text *out)
{
    FILE *f = fopen(path, "re");
    char piece[4096];
    size_t n;

    if (f == NULL)
        return false;
    while ((n = fread(piece, 1, sizeof piece, f)) > 0 && out->n < FILE_BYTES_MAX)
        text_add(out, piece, n);
    fclose(f);
    return true;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

static bool runs_millrace(int pid)
{
    char path[64], target[4096];

    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n < 0)
        return false;
    target[n] = '\0';
    return strncmp(base_name(target), "millrace", 8) == 0; /* " (deleted)" after an upgrade */
}

/* The words behind those that make it a server; -1 when it is none. */
static int server_words(const struct process *p)
{
    if (p->count == 0)
        return -1;
    const char *name = base_name(p->words[0]);
    if (strcmp(name, "kafka-server-start.sh") == 0)
        return 1;
    if (p->count > 1 && strcmp(name, "kafka-run-class.sh") == 0 && strcmp(p->words[1], "kafka.Kafka") == 0)
        return 2;
    return p->count > 1 && strcmp(p->words[1], "server") == 0 ? 2 : -1;
}

/* The value of `name` in the settings file and overrides of a server; empty when they do not say. */
static void setting_of(const struct process *p, int from, struct str name, struct text *out)
{
    struct str key, value;
    struct fail f = {0};

    for (int i = from; i < p->count; i++) {
        struct text file = {0};
        struct properties properties;
        bool is_override = strcmp(p->words[i], "--override") == 0 && i + 1 < p->count;
        if (p->words[i][0] == '-' && !is_override)
            continue;
        if (is_override) {
            text_printf(&file, "%s\n", p->words[++i]);
        } else {
            char path[4200];
            if (p->words[i][0] == '/')
                snprintf(path, sizeof path, "%s", p->words[i]);
            else
                snprintf(path, sizeof path, "/proc/%d/cwd/%s", p->pid, p->words[i]);
            (void)read_file(path, &file);
        }
        properties_begin(&properties, text_str(&file));
        while (properties_next(&properties, &key, &value, &f) > 0) {
            if (str_equal(key, name)) {
                text_clear(out);
                text_add_str(out, value);
            }
        }
        properties_end(&properties);
        text_deinit(&file);
    }
}

/* One node without words is broker and controller with the id 1, as `millrace server` makes it. */
static bool is_chosen(const struct process *p, int from, const struct chosen *c)
{
    struct text value = {0};
    struct str rest, part;
    bool yes = false;

    if (!str_is_null(c->node_id)) {
        setting_of(p, from, STR("node.id"), &value);
        yes = str_equal(value.n == 0 ? STR("1") : text_str(&value), c->node_id);
    } else if (!str_is_null(c->role)) {
        setting_of(p, from, STR("process.roles"), &value);
        rest = value.n == 0 ? STR("broker,controller") : text_str(&value);
        while (str_cut(&rest, ',', &part))
            yes |= str_equal(str_trim(part), c->role);
    } else {
        yes = true;
    }
    text_deinit(&value);
    return yes;
}

/* 1 when it was asked to stop. */
static int stop_one(int pid, const struct chosen *c)
{
    struct process p = {.pid = pid};
    struct text line = {0};
    char path[64];
    int asked = 0;

    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    if (pid != getpid() && runs_millrace(pid) && read_file(path, &line)) {
        for (size_t at = 0; at < line.n && p.count < WORDS_MAX; at += strlen(line.p + at) + 1)
            p.words[p.count++] = line.p + at;
        int from = server_words(&p);
        if (from >= 0 && is_chosen(&p, from, c)) {
            if (kill(pid, SIGTERM) == 0)
                asked = 1;
            else
                fprintf(stderr, "kafka-server-stop.sh: process %d cannot be stopped: %s\n", pid, strerror(errno));
        }
    }
    text_deinit(&line);
    return asked;
}

int stop_main(int argc, char **argv)
{
    struct chosen c = {STR_NULL, STR_NULL};
    int asked = 0;

    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--process-role=", 15) == 0) {
            c.role = str_of(argv[i] + 15);
        } else if (strncmp(argv[i], "--node-id=", 10) == 0) {
            c.node_id = str_of(argv[i] + 10);
        } else {
            bool help = strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0;
            fputs(usage, help ? stdout : stderr);
            return help ? 0 : 1;
        }
    }
    DIR *proc = opendir("/proc");
    if (proc == NULL) {
        fprintf(stderr, "kafka-server-stop.sh: cannot read /proc: %s\n", strerror(errno));
        return 1;
    }
    for (struct dirent *e; (e = readdir(proc)) != NULL;) {
        int pid = atoi(e->d_name);
        if (pid > 0)
            asked += stop_one(pid, &c);
    }
    closedir(proc);
    if (asked == 0)
        fputs("No kafka server to stop\n", stdout);
    return asked > 0 ? 0 : 1;
}
