/* SPDX-License-Identifier: MIT */
/* All that descends from one command, wherever it has gone; the process has one list of those that
 * run. process_tree.c says how they are told apart, and what can escape.
 *
 * Functions of a tree are for the thread that runs it; different trees may be used in different
 * threads at a time. */
#pragma once

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Both stand in the environment of a command, with its job and its attempt: what it starts inherits
 * them. */
#define PROCESS_TREE_JOB     "JOBD_ID=%" PRIu64
#define PROCESS_TREE_ATTEMPT "JOBD_ATTEMPT=%" PRIu32

/* Sessions that belong to a tree, beside its leader's. */
struct sessions {
    pid_t *of;
    size_t len, room;
};

struct process_tree {
    pid_t leader; /* the command itself, leader of its session and its group; 0: not started */
    uint64_t job;
    uint32_t attempt;
    uint64_t began_ticks; /* no process of it is older */
    bool ended;           /* the command itself, see process_tree_leader_ended() */
    bool ending;          /* it is being killed */
    struct sessions sessions;
    LIST_ENTRY(process_tree) entry;
};

/* A command is about to be started: fills in its tree, which must stay where it is until
 * process_tree_end(). One of the next two must follow: the command was started, or it was not. */
void process_tree_begin(struct process_tree *tree, uint64_t job, uint32_t attempt);
void process_tree_started(struct process_tree *tree, pid_t leader);
void process_tree_give_up(struct process_tree *tree);

/* Has the command itself ended? True also when somebody else has reaped it. */
bool process_tree_leader_ended(struct process_tree *tree);

/* Sends a signal to all living processes of the tree, each once; number 0 sends none. Returns the
 * id of one that was alive just before; 0: none was, and if the leader has ended, nothing of the
 * tree is left. SIGCONT follows SIGTERM, so that stopped processes get it. Orphans that have ended
 * are reaped. A process that may not be signalled counts as gone. Costs some microseconds, and some
 * more for each process of the machine when there is any beside the leader. Where memory is short,
 * or /proc cannot be read, only the leader's group is reached and 0 is returned. */
pid_t process_tree_signal(struct process_tree *tree, int number);

/* Ends the tree, before its leader is reaped: from then on its id may be another process's. What is
 * left of its group is killed, which is something only if /proc cannot be read. */
void process_tree_end(struct process_tree *tree);

/* SIGKILL for all trees, before jobd itself ends. From then on no command begins, and
 * process_tree_begin() and process_tree_end() do not return, so that no job changes any more. Any
 * thread. Blocks until nothing is left, commands that are being started included, but for at most a
 * second. */
void process_trees_kill(void);

/* Reaps all orphans that have ended. In the main thread, whose children they are, at each SIGCHLD;
 * that thread must not start processes itself. */
void process_trees_reap(void);
