/* SPDX-License-Identifier: MIT */
/* The signals of the process, read in its main thread. A signal that would end a process ends this
 * one in order, because commands must not go on without it. SIGHUP reloads the settings, unless the
 * terminal has hung up: that ends the server too, but not under nohup(1). At each signal orphans
 * are reaped, which a process 1 of a container must do. */
#pragma once

#include <stdint.h>

enum {
    SIGNALS_HANG_UP = -1, /* SIGHUP, since the terminal hung up */
    SIGNALS_NAME_SIZE = 16
};

struct signals {
    int fd;       /* -1: not open */
    int terminal; /* the one it was started in; -1: none, or one that may go */
};

/* Blocks the signals for this thread and those it will start, and ignores SIGPIPE and SIGXFSZ.
 * Before the sandbox, which may hide the terminal. 0 or -errno. */
__attribute__((warn_unused_result)) int signals_open(struct signals *signals);
/* Takes one that was not opened. */
void signals_close(struct signals *signals);

/* Blocks until a signal came: SIGHUP to reload, SIGUSR1 to open logs anew; SIGNALS_HANG_UP, or the
 * number of one that ends the server; or until `other` (-1: none) is readable, or until_us
 * (JOBD_NEVER: for ever): 0. The main thread. */
int signals_wait(const struct signals *signals, int other, int64_t until_us);

/* Its name, as SIGTERM. */
void signals_name(int number, char name[SIGNALS_NAME_SIZE]);
