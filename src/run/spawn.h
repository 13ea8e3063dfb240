/* SPDX-License-Identifier: MIT */
/* Starts a program in a session of its own, as posix_spawnp() would, and with the limits and signal
 * dispositions that jobd itself was started with (inherited.h): posix_spawn() knows no limits.
 *
 * The child shares jobd's memory until it has become the program, and the calling thread stands
 * still so long; nothing is copied, however large jobd is. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct user;

/* All borrowed until return. */
struct spawn_plan {
    const char *const *command; /* NULL at the end; looked up in the PATH of the environment below,
                                   no shell; a relative path is relative to the directory */
    char **environment;         /* NULL at the end */
    const char *directory;      /* NULL: jobd's */
    const struct user *user;    /* NULL: jobd's; then no capability is left, unless it is root */
    const int *nice;            /* NULL: jobd's */
    int input;                  /* becomes 0; -1: /dev/null */
    int output, errors;         /* become 1 and 2; the three are above 2 themselves */
    void *stack; /* for the child, at least SPAWN_STACK_BYTES, aligned as by malloc() */
    size_t stack_bytes;
};

enum { SPAWN_STACK_BYTES = 32768 };

/* What a refusal is about. */
enum spawn_step { SPAWN_PROGRAM, SPAWN_NICE, SPAWN_USER, SPAWN_DIRECTORY };

/* 0 and the *id of the process, which is the calling thread's child and leads its own session and
 * group. Or -errno and *failed, also when the program cannot be run; then there is no child. In the
 * child all other descriptors are closed, and no signal is blocked. Any thread. Blocks until the
 * program has been loaded. */
__attribute__((warn_unused_result)) int spawn(pid_t *id, const struct spawn_plan *plan,
                                              enum spawn_step *failed);
