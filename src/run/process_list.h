/* SPDX-License-Identifier: MIT */
/* Processes, as /proc shows them at one moment: those in a list may have ended, and have started
 * others, by the time the list is used. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
    pid_t id, parent, group, session;
    uint64_t began_ticks; /* after the boot, see process_ticks() */
    bool dead;            /* only to be waited for */
    bool ours;            /* the caller's own */
};

struct process_list {
    struct process *of; /* by id */
    size_t len, room;
    bool moved;  /* one ended while it was read: what it leaves may not be in it */
    bool unsure; /* the caller's own: of one it could not be told whether it is ours */
};

enum process_answer { PROCESS_NO, PROCESS_YES, PROCESS_UNSURE };

/* Zero it before its first use; then it can be read into again and again. */
void process_list_release(struct process_list *list);

/* Lists all processes. False when /proc cannot be read or is that of another namespace, or memory
 * is short. Any thread; costs some microseconds for each process. */
__attribute__((warn_unused_result)) bool process_list_all(struct process_list *list);

/* Lists the children of the main thread: in a process that adopts orphans these are the adopted
 * ones, as long as its main thread starts no process itself. False when that cannot be known. Any
 * thread. */
__attribute__((warn_unused_result)) bool process_list_adopted(struct process_list *list);

/* The one with this id, or NULL. */
struct process *process_find(const struct process_list *list, pid_t id);

/* Is each of these `len` texts an entry of the environment with which the process was started?
 * `NAME=` stands for any value. PROCESS_NO also when that cannot be known; PROCESS_UNSURE while it
 * is just becoming another program: ask again. Any thread. */
enum process_answer process_has_environment(pid_t id, const char *const *texts, size_t len);

/* Now, in the unit of began_ticks, rounded down. */
uint64_t process_ticks(void);
