/* SPDX-License-Identifier: MIT */
/* The signals that the process listens to, read in its main thread: SIGTERM, SIGINT, SIGHUP. As
 * process 1 of a container it also reaps the children that others left behind. */
#pragma once

#include <stdint.h>

/* Blocks the signals for this thread and those it will start, and ignores SIGPIPE and SIGXFSZ. A
 * descriptor for signals_wait(), to be closed; or -errno. */
__attribute__((warn_unused_result)) int signals_open(void);

/* Blocks until one of the three came: its number; or until `other` (-1: none) is readable, or
 * until_us (JOBD_NEVER: for ever): 0. The main thread. */
int signals_wait(int signals, int other, int64_t until_us);
