/* SPDX-License-Identifier: MIT */
#include "run/inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

/* Written once, before there are threads. */
static bool taken, limit_known;
static sigset_t ignored;
static struct rlimit open_files;

static int open_missing(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) /* the lowest free one */
            return errno != 0 ? -errno : -EBADF;
    return 0;
}

static void take_signals(void)
{
    struct sigaction now;
    sigemptyset(&ignored);
    for (int number = 1; number < NSIG; number++)
        if (sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN)
            sigaddset(&ignored, number);
    (void)signal(SIGCHLD, SIG_DFL); /* fails for no signal that exists */
}

int inherited_take(void)
{
    int error = open_missing();
    take_signals();
    limit_known = getrlimit(RLIMIT_NOFILE, &open_files) == 0;
    taken = true;
    return error;
}

bool inherited_ignored(int signal)
{
    return taken && sigismember(&ignored, signal) == 1;
}

bool inherited_open_files(struct rlimit *limit)
{
    if (limit_known)
        *limit = open_files;
    return limit_known;
}
