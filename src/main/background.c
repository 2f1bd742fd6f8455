/* What nohup and & are for Kafka's script. */
#define _GNU_SOURCE
#include "main/background.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 4096

static int open_output(void)
{
    const char *dir = getenv("LOG_DIR");
    char path[PATH_BYTES];

    if (dir == NULL || dir[0] == '\0')
        dir = "logs";
    (void)mkdir(dir, 0755); /* what is wrong with it, opening tells */
    snprintf(path, sizeof path, "%s/kafkaServer.out", dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0)
        fprintf(stderr, "millrace server: -daemon: %s: %s; LOG_DIR says where it may be\n", path, strerror(errno));
    return fd;
}

int background_begin(void)
{
    int output = open_output(), input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pid_t pid = output < 0 || input < 0 ? -1 : fork();

    if (pid > 0)
        _exit(0);
    if (pid == 0 && setsid() >= 0 && dup2(input, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0 &&
        dup2(output, STDERR_FILENO) >= 0)
        return 0;
    if (output >= 0)
        fprintf(stderr, "millrace server: -daemon: %s\n", strerror(errno));
    return -1;
}
