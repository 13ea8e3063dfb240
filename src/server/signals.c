/* SPDX-License-Identifier: MIT */
#include "server/signals.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "jobd/queue.h"
#include "run/process_tree.h"

enum { REST_MS = 100 /* after poll() failed */ };

int signals_open(void)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
    sigset_t set;
    sigemptyset(&set);
    for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaddset(&set, numbers[i]);
    /* A reader that goes, and a limit on the size of files, are errors of write(2), no ends. */
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR ||
        signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
        return -errno;
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd >= 0 ? fd : -errno;
}

/* Milliseconds for poll(), rounded up. */
static int left_ms(int64_t until_us)
{
    int64_t left_us = until_us != JOBD_NEVER ? until_us - clock_now_us() : 0;
    if (until_us == JOBD_NEVER)
        return -1;
    return left_us <= 0                 ? 0
           : left_us / 1000 < INT32_MAX ? (int)((left_us + 999) / 1000)
                                        : INT32_MAX;
}

int signals_wait(int signals, int other, int64_t until_us)
{
    for (;;) {
        struct pollfd polls[] = {{.fd = signals, .events = POLLIN},
                                 {.fd = other, .events = POLLIN}};
        int ready = poll(polls, 2, left_ms(until_us));
        /* A limit on open files below 2 is one for poll() too: no reason to end. */
        if (ready < 0 && errno != EINTR)
            (void)poll(NULL, 0, REST_MS);
        struct signalfd_siginfo info;
        if (read(signals, &info, sizeof info) == sizeof info) {
            process_trees_reap();
            if (info.ssi_signo != SIGCHLD)
                return (int)info.ssi_signo;
        }
        if ((polls[1].revents & POLLIN) != 0 || (until_us != JOBD_NEVER && left_ms(until_us) == 0))
            return 0;
    }
}
