/* SPDX-License-Identifier: MIT */
#include "server/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/event.h"
#include "base/log.h"
#include "run/inherited.h"
#include "run/process_tree.h"

enum { HANG_UP_MS = 100 };

/* All signals that would end the process, but for those of its own faults. SIGUSR2 is only logged:
 * other servers reopen their logs by it, so people send it. */
static const struct {
    int number;
    const char *name;
} heard[] = {
    {SIGTERM, "SIGTERM"}, {SIGINT, "SIGINT"},       {SIGHUP, "SIGHUP"},   {SIGCHLD, "SIGCHLD"},
    {SIGQUIT, "SIGQUIT"}, {SIGUSR1, "SIGUSR1"},     {SIGUSR2, "SIGUSR2"}, {SIGALRM, "SIGALRM"},
    {SIGPROF, "SIGPROF"}, {SIGVTALRM, "SIGVTALRM"}, {SIGXCPU, "SIGXCPU"}, {SIGIO, "SIGIO"},
    {SIGPWR, "SIGPWR"},   {SIGSTKFLT, "SIGSTKFLT"},
};

void signals_name(int number, char name[SIGNALS_NAME_SIZE])
{
    if (number == SIGNALS_HANG_UP)
        snprintf(name, SIGNALS_NAME_SIZE, "hang-up");
    else
        snprintf(name, SIGNALS_NAME_SIZE, "signal %d", number); /* a real-time one */
    for (size_t i = 0; i < sizeof heard / sizeof heard[0]; i++)
        if (heard[i].number == number)
            snprintf(name, SIGNALS_NAME_SIZE, "%s", heard[i].name);
}

int signals_open(struct signals *signals)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof heard / sizeof heard[0]; i++)
        sigaddset(&set, heard[i].number);
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
        sigaddset(&set, number);
    /* A reader that is gone, and a file that is too large, are errors of write(2) instead. */
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR ||
        signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
        return -errno;
    signals->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals->fd < 0)
        return -errno;
    signals->terminal =
        inherited_ignored(SIGHUP) ? -1 : open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
    return 0;
}

void signals_close(struct signals *signals)
{
    if (signals->fd >= 0)
        close(signals->fd);
    if (signals->terminal >= 0)
        close(signals->terminal);
    *signals = (struct signals){-1, -1};
}

/* Is this because the window was closed, or the last shell has ended? The system says it, or a
 * shell passes it on; the terminal itself may be told a moment later. */
static bool is_hang_up(const struct signals *signals, const struct signalfd_siginfo *info)
{
    struct pollfd terminal = {.fd = signals->terminal};
    if (signals->terminal < 0)
        return false;
    return info->ssi_code == SI_KERNEL ||
           (poll(&terminal, 1, HANG_UP_MS) == 1 && (terminal.revents & POLLHUP));
}

/* What the server has to do about it: a number as signals_wait() returns it, or 0. */
static int judge(const struct signals *signals, const struct signalfd_siginfo *info)
{
    const int number = (int)info->ssi_signo;
    char name[SIGNALS_NAME_SIZE];
    process_trees_reap();
    switch (number) {
    case SIGCHLD:
        return 0;
    case SIGUSR2:
        signals_name(number, name);
        log_info("%s ignored", name);
        return 0;
    case SIGHUP:
        return is_hang_up(signals, info) ? SIGNALS_HANG_UP : SIGHUP;
    default:
        return number;
    }
}

int signals_wait(const struct signals *signals, int other, int64_t until_us)
{
    for (;;) {
        struct pollfd polls[] = {{.fd = signals->fd, .events = POLLIN},
                                 {.fd = other, .events = POLLIN}};
        (void)event_poll(polls, 2, clock_ms_until(until_us));
        struct signalfd_siginfo info;
        int number;
        if (read(signals->fd, &info, sizeof info) == sizeof info &&
            (number = judge(signals, &info)) != 0)
            return number;
        if ((polls[1].revents & POLLIN) != 0 || clock_ms_until(until_us) == 0)
            return 0;
    }
}
