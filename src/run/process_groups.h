/* SPDX-License-Identifier: MIT */
/* The process groups of commands that run: a server that ends at once leaves none behind.
 *
 * Any thread; the process has one list of them. */
#pragma once

#include <bsd/sys/queue.h>
#include <sys/types.h>

struct group {
    pid_t id; /* the leader's */
    LIST_ENTRY(group) entry;
};

/* A command is about to be started. Then one of these must follow: it has been, and `group` stays
 * where it is until process_groups_remove(); or it has not. */
void process_groups_begin(void);
void process_groups_add(struct group *group, pid_t id);
void process_groups_give_up(void);

/* Before the leader is reaped: from then on its id may be a stranger's. */
void process_groups_remove(struct group *group);

/* SIGKILL for all that run, before the process ends. No command begins any more, and
 * process_groups_begin() and process_groups_remove() do not return: nothing happens to the jobs any
 * more. Blocks while a command is being started, which is killed too, but for at most a second. */
void process_groups_kill(void);
