/* SPDX-License-Identifier: MIT */
/* The process groups of commands that run: a server that ends at once leaves none behind.
 *
 * Any thread; the process has one list of them. */
#pragma once

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <sys/types.h>

struct group {
    pid_t id; /* the leader's */
    LIST_ENTRY(group) entry;
};

/* A command is about to be started; false when none may any more. Else one of these must follow:
 * it has been, and `group` stays where it is until groups_remove(); or it has not. */
bool groups_begin(void);
void groups_add(struct group *group, pid_t id);
void groups_give_up(void);

/* Before the leader is reaped: from then on its id may be a stranger's. */
void groups_remove(struct group *group);

/* No command begins any more, and SIGKILL for all that run. Blocks while one is being started,
 * which is killed too, but for at most a second. */
void groups_kill(void);
