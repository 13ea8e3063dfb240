/* SPDX-License-Identifier: MIT */
/* What a command costs by itself: starts it with pipes for its output and errors, reads both to
 * their end, waits, and again, for so many seconds; prints how many. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void must(int error, const char *what)
{
    if (error == 0)
        return;
    fprintf(stderr, "spawn_loop: %s: %s\n", what, strerror(error));
    exit(1);
}

static void read_to_end(int fd)
{
    char bytes[4096];
    while (read(fd, bytes, sizeof bytes) > 0)
        ;
    close(fd);
}

static void run_once(char **command)
{
    posix_spawn_file_actions_t actions;
    int out[2], err[2];
    pid_t pid;
    must(pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0 ? errno : 0, "pipe");
    must(posix_spawn_file_actions_init(&actions), "actions");
    must(posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0), "actions");
    must(posix_spawn_file_actions_adddup2(&actions, out[1], 1), "actions");
    must(posix_spawn_file_actions_adddup2(&actions, err[1], 2), "actions");
    must(posix_spawnp(&pid, command[0], &actions, NULL, command, environ), command[0]);
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    close(err[1]);
    read_to_end(out[0]);
    read_to_end(err[0]);
    must(waitpid(pid, NULL, 0) < 0 ? errno : 0, "waitpid");
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("Usage: spawn_loop SECONDS COMMAND [ARGUMENT...]\n", stderr);
        return 2;
    }
    double begun_s = now_s(), seconds = strtod(argv[1], NULL);
    unsigned long runs = 0;
    for (; now_s() - begun_s < seconds; runs++)
        run_once(argv + 2);
    printf("%.6f %lu\n", now_s() - begun_s, runs);
    return 0;
}
