/* SPDX-License-Identifier: MIT */
/* The signals that the process listens to, read in its main thread. One that would end a process
 * is one that ends this one in order: commands must not go on behind it. SIGHUP is for a reload,
 * but an end when it is the terminal that hung up; nohup(1) keeps the server. As process 1 of a
 * container it also reaps the children that others left behind. */
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
