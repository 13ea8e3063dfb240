/* SPDX-License-Identifier: MIT */
/* The `exec` runner: an attempt is one run of a command, from its start to the last byte of its
 * pipes and the end of the last process that it has started.
 *
 * The command is started without a shell, looked up in PATH, in a session and process group of its
 * own, with the payload on its standard input, the limits and ignored signals that jobd was started
 * with (inherited.h), and jobd's environment, to which come
 *
 *     JOBD_ID, JOBD_QUEUE, JOBD_ATTEMPT   which attempt of which job this is
 *     JOBD_CONTENT_TYPE                   the payload's type, if it has one
 *     TRACEPARENT                         the client's, if it gave one
 *
 * and from which go the variables that name jobd's secrets and the sockets handed to it. It
 * inherits no descriptor but its three. Its queue may give it another directory, user and nice
 * value, and more variables.
 *
 *     exit 0                         done
 *     another exit code, a signal    a failed attempt
 *     too late, told to stop         TERM to all that descends from it, KILL after a while to what
 *                                    is left: the command's own end takes no time from the rest
 *
 * However it ends, standard output is the output, text when it is UTF-8, and the end of standard
 * error is the error, behind what jobd itself has to say.
 *
 * When the command has ended by itself, what others of it write is read until both pipes end, but
 * for at most a second: then the output counts as cut. Whatever is left is killed. The attempt ends
 * when nothing of it is left, so no two attempts of a job run at a time. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "jobd/pool.h"
#include "run/exec_output.h"

struct user;

/* Where and as whom a command runs; what is NULL is as for jobd itself. Borrowed as long as
 * attempts run. */
struct exec_place {
    const char *directory;
    char *const
        *environment; /* `NAME=value`, NULL at the end: added, or in place of what is there */
    const struct user *user;
    const int *nice; /* -20 to 19 */
};

struct exec_config {
    const char *const *command; /* NULL at the end; borrowed as long as attempts run */
    const char *queue;          /* the queue's name, borrowed too */
    size_t output_max_bytes;    /* of standard output; the rest is read and dropped */
    int64_t kill_after_us;      /* from TERM to KILL */
    struct exec_place place;
    /* Not NULL: told of what is kept of standard output as it comes, in the thread that runs the
     * attempt, which it must not hold up. The bytes are borrowed until return. */
    void (*on_output)(void *context, const void *bytes, size_t size);
    void *output_context;
};

/* A jobd_run; `context` is a struct exec_config. In any number of threads at a time. SIGPIPE must
 * be ignored. Blocks until nothing of the command is left; without a timeout that may be never. */
void exec_run(const struct jobd_task *task, struct jobd_outcome *outcome, void *context);

/* The same with any descriptor that becomes readable to say stop, -1 for none. */
void exec_attempt(const struct jobd_task *task, struct jobd_outcome *outcome,
                  const struct exec_config *config, int stop_fd);
