/* SPDX-License-Identifier: MIT */
/* What the process was started with, before jobd changed it for its own needs: commands get it
 * back.
 *
 *     standard descriptors   what is missing of 0, 1 and 2 becomes /dev/null, so that nothing that
 *                            is opened later takes its place
 *     signals                what was ignored, as by nohup(1), stays ignored: jobd may block such a
 *                            signal and read it from a signalfd, but leaves its disposition alone.
 *                            SIGCHLD is the exception: ignored, it makes the kernel throw exit
 *                            statuses away, jobd's and those that a command waits for alike
 *     open files             the limit, which jobd raises for itself
 *
 * Not taken: then there is nothing to give back, and commands get defaults. */
#pragma once

#include <stdbool.h>
#include <sys/resource.h>

/* The first thing in main(), before any descriptor is opened and any thread started. 0 or -errno:
 * a standard descriptor is missing and /dev/null cannot be opened. */
__attribute__((warn_unused_result)) int inherited_take(void);

/* Was this signal ignored at the start? Any thread. */
bool inherited_ignored(int signal);

/* The limit on open files at the start; false when it is not known. Any thread. */
bool inherited_open_files(struct rlimit *limit);
