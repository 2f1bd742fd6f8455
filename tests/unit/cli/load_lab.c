#include "load_lab.h"

#include <stdio.h>

void load_lab_open(struct load_lab *l)
{
    lab_open(&l->lab, 1);
    pipes_init(&l->pipes, l->lab.io);
}

void load_lab_end(struct load_lab *l)
{
    pipes_deinit(&l->pipes);
    lab_end(&l->lab);
}

void load_lab_start(struct load_lab *l, const char *line)
{
    static char copy[600];
    static char *argv[40];
    struct cli *c = &l->pipes.cli;

    snprintf(copy, sizeof(copy), "%s", line);
    c->argc = 0;
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
        argv[c->argc++] = word;
    c->argv = argv;
    pipes_feed(&l->pipes, "");
    cluster_tool_run(c, wait_begin(&l->wait));
}

void load_lab_finish(struct load_lab *l)
{
    l->status = wait_end(&l->lab, &l->wait);
    CHECK(l->pipes.cli.interrupt == NULL);
}

const char *load_lab_run(struct load_lab *l, const char *line)
{
    load_lab_start(l, line);
    load_lab_finish(l);
    return text_str(&l->pipes.out).p;
}

const char *load_lab_err(struct load_lab *l)
{
    return text_str(&l->pipes.cli.err).p;
}

int times_in(const char *text, const char *part)
{
    int n = 0;

    for (; (text = strstr(text, part)) != NULL; text++)
        n++;
    return n;
}
