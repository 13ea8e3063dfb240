/* SPDX-License-Identifier: MIT */
/* An attempt goes through these phases; one poll() waits for the pipes, for the end of a process,
 * for the stop and for the deadline of the phase.
 *
 *     RUNS      until the command ends (SETTLES), or it is told to stop or is too late (ENDS)
 *     SETTLES   it has ended by itself, helpers may be writing: until both pipes end or a second
 *               has passed (KILLS)
 *     ENDS      TERM has been sent: until nobody is left (OVER) or the time is up (KILLS)
 *     KILLS     KILL is sent, again and again, until nobody is left (OVER)
 *
 * The process that is waited for is the command; when that has ended, any of those that are left,
 * and at its end all are looked at again. The command itself is reaped last, so that its id, which
 * is also its session's, stays its own so long. */
#include "run/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/event.h"
#include "base/log.h"
#include "base/portable.h"
#include "base/verify.h"
#include "run/exec_env.h"
#include "run/process_tree.h"
#include "run/spawn.h"
#include "run/user.h"

enum {
    ROOM_BYTES = 65536,  /* of one read; before that the child's stack */
    PACE_MS = 10,        /* between two looks where the kernel tells of no end, and two KILLs */
    SLOW_PACE_MS = 1000, /* and two KILLs for what does not die */
    FAST_PACE_MS = 1     /* and both pipes have ended: so will the command */
};

#define SETTLE_US  CLOCK_SECOND_US        /* for helpers of a command that has ended */
#define UNDYING_US (10 * CLOCK_SECOND_US) /* after KILL; then a line in the log says so */
#define NO_STATUS  (-1)

_Static_assert((int)SPAWN_STACK_BYTES <= (int)ROOM_BYTES, "the room must do for a stack");

enum { INPUT, OUTPUT, ERRORS, PIPES };
enum { WATCHED = PIPES, STOP, POLLS }; /* what is waited for beside them */

enum run_phase { RUNS, SETTLES, ENDS, KILLS, OVER };

/* Why a command that runs was told to end. */
enum reason { REASON_NONE, REASON_STOP, REASON_TIMEOUT };

/* One run of the command. */
struct run {
    const struct jobd_task *task;
    const struct exec_config *config;
    struct process_tree tree;
    enum spawn_step failed; /* of a command that could not be started */
    enum run_phase phase;
    enum reason reason;
    int watched;         /* a pidfd of it, or of another that is left; -1: the kernel has none */
    int64_t deadline_us; /* of the phase */
    int ends[PIPES];     /* our ends; -1: closed */
    size_t written;      /* of the payload */
    struct exec_output out;
    char *room;
};

/* ---- how it ends */

__attribute__((format(printf, 2, 3))) static void fail(struct jobd_outcome *outcome,
                                                       const char *format, ...)
{
    char text[EXEC_ERROR_BYTES + 256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    outcome->state = JOBD_FAILED;
    outcome->error = jobd_blob_text(text);
}

static void judge(const struct run *run, int status, struct jobd_outcome *outcome)
{
    char errors[EXEC_ERROR_BYTES + 1];
    exec_errors_end(&run->out, errors);
    const char *between = errors[0] != '\0' ? ": " : "";
    if (run->reason == REASON_STOP) {
        outcome->state = JOBD_CANCELLED;
        outcome->error = errors[0] != '\0' ? jobd_blob_text(errors) : NULL;
    } else if (run->reason == REASON_TIMEOUT) {
        fail(outcome, "timed out after %" PRId64 " ms%s%s", run->task->timeout_us / 1000, between,
             errors);
    } else if (status == NO_STATUS) {
        fail(outcome, "its exit status is lost: another part of the process took it%s%s", between,
             errors);
    } else if (WIFSIGNALED(status)) {
        int number = WTERMSIG(status);
        fail(outcome, "killed by signal %d (%s)%s%s", number, portable_signal_name(number), between,
             errors);
    } else {
        outcome->exited = true;
        outcome->exit_code = WEXITSTATUS(status);
        if (outcome->exit_code != 0)
            fail(outcome, "%s", errors[0] != '\0' ? errors : "exited with a non-zero status");
        else if (errors[0] != '\0')
            outcome->error = jobd_blob_text(errors);
    }
}

/* ---- what goes in and out */

static void close_end(struct run *run, int pipe)
{
    if (run->ends[pipe] >= 0)
        close(run->ends[pipe]);
    run->ends[pipe] = -1;
}

static void write_payload(struct run *run)
{
    const struct jobd_blob *payload = run->task->payload;
    ssize_t size =
        write(run->ends[INPUT], payload->bytes + run->written, payload->size - run->written);
    if (size > 0)
        run->written += (size_t)size;
    /* A command need not read all of its input: EPIPE is no failure. */
    if ((size < 0 && errno != EAGAIN && errno != EINTR) || run->written == payload->size)
        close_end(run, INPUT);
}

static void keep_output(struct run *run, size_t size)
{
    const struct exec_config *config = run->config;
    size_t before = run->out.used;
    if (exec_output_add(&run->out, run->room, size))
        jobd_show(run->out.output, run->out.used, run->out.truncated);
    if (config->on_output != NULL && run->out.used > before)
        config->on_output(config->output_context, run->out.output->bytes + before,
                          run->out.used - before);
}

/* One read: how many bytes have come, 0 when there are none now, or at the end of the pipe. */
static size_t read_some(struct run *run, int pipe)
{
    ssize_t size;
    do
        size = read(run->ends[pipe], run->room, ROOM_BYTES);
    while (size < 0 && errno == EINTR);
    if (size == 0 || (size < 0 && errno != EAGAIN))
        close_end(run, pipe);
    if (size <= 0)
        return 0;
    if (pipe == OUTPUT)
        keep_output(run, (size_t)size);
    else
        exec_errors_add(&run->out, run->room, (size_t)size);
    return (size_t)size;
}

/* Reads only what is in the pipe once none of our processes is left: one that got the pipe in
 * another way, as over a socket, may go on writing for ever. */
static void read_rest(struct run *run, int pipe)
{
    int bytes = 0;
    if (run->ends[pipe] < 0)
        return;
    (void)ioctl(run->ends[pipe], FIONREAD, &bytes); /* a pipe always tells */
    size_t left = (size_t)bytes + 1, size;          /* one more, to see the end */
    while (left > 0 && run->ends[pipe] >= 0 && (size = read_some(run, pipe)) > 0)
        left -= size < left ? size : left;
    if (run->ends[pipe] >= 0 && pipe == OUTPUT)
        run->out.truncated = true;
}

/* ---- start */

static void close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++)
        if (pair[i] >= 0)
            close(pair[i]);
}

/* Ours does not block; the command's does, as commands expect. */
static int open_pipe(int pair[2], int ours)
{
    if (pipe2(pair, O_CLOEXEC) != 0)
        return -errno;
    return fcntl(pair[ours], F_SETFL, O_NONBLOCK) == 0 ? 0 : -errno;
}

static int open_pipes(const struct run *run, int pairs[PIPES][2])
{
    bool has_input = run->task->payload != NULL && run->task->payload->size > 0;
    int error = has_input ? open_pipe(pairs[INPUT], 1) : 0;
    if (error == 0)
        error = open_pipe(pairs[OUTPUT], 0);
    if (error == 0)
        error = open_pipe(pairs[ERRORS], 0);
    return error;
}

static int spawn_tree(struct run *run, int pairs[PIPES][2], char **environment)
{
    const struct exec_place *place = &run->config->place;
    const struct spawn_plan plan = {.command = run->config->command,
                                    .environment = environment,
                                    .directory = place->directory,
                                    .user = place->user,
                                    .nice = place->nice,
                                    .input = pairs[INPUT][0],
                                    .output = pairs[OUTPUT][1],
                                    .errors = pairs[ERRORS][1],
                                    .stack = run->room,
                                    .stack_bytes = ROOM_BYTES};
    pid_t leader;
    process_tree_begin(&run->tree, run->task->id, run->task->attempt);
    int error = spawn(&leader, &plan, &run->failed);
    if (error == 0)
        process_tree_started(&run->tree, leader);
    else
        process_tree_give_up(&run->tree);
    return error;
}

/* Where an old kernel, or the seccomp filter of an old container engine, has no pidfd_open(), the
 * end of a command is polled for. */
static int watch_leader(pid_t leader)
{
    static atomic_flag said = ATOMIC_FLAG_INIT;
    int fd = portable_pidfd(leader);
    if (fd < 0 && (errno == ENOSYS || errno == EPERM) && !atomic_flag_test_and_set(&said))
        log_warn("pidfd_open: %s: the end of a command is looked for every %d ms", strerror(errno),
                 PACE_MS);
    return fd;
}

/* What it could not get, for the error. */
static const char *refused(const struct run *run)
{
    const struct exec_place *place = &run->config->place;
    switch (run->failed) {
    case SPAWN_NICE:
        return "the nice value";
    case SPAWN_USER:
        return place->user->name;
    case SPAWN_DIRECTORY:
        return place->directory;
    case SPAWN_PROGRAM:
        break;
    }
    return run->config->command[0];
}

/* 0; or -errno, and nothing is left open. */
static int start(struct run *run)
{
    int pairs[PIPES][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
    struct exec_env *env = exec_env_new(run->task, run->config);
    int error = env != NULL && run->room != NULL ? open_pipes(run, pairs) : -ENOMEM;
    if (error == 0)
        error = spawn_tree(run, pairs, exec_env_list(env));
    exec_env_free(env);
    if (error != 0) {
        for (int i = 0; i < PIPES; i++)
            close_pair(pairs[i]);
        return error;
    }
    for (int i = 0; i < PIPES; i++) {
        int ours = i == INPUT ? 1 : 0;
        run->ends[i] = pairs[i][ours];
        if (pairs[i][!ours] >= 0)
            close(pairs[i][!ours]);
    }
    run->watched = watch_leader(run->tree.leader);
    return 0;
}

/* ---- the phases */

static void enter(struct run *run, enum run_phase phase, int64_t us)
{
    run->phase = phase;
    run->deadline_us = us > 0 ? clock_after_us(us) : JOBD_NEVER;
}

/* The next one to wait for; nobody is left when there is none. */
static void watch(struct run *run, pid_t left)
{
    if (!process_tree_leader_ended(&run->tree))
        return;
    if (run->watched >= 0)
        close(run->watched);
    run->watched = left > 0 ? portable_pidfd(left) : -1; /* -1 too when it has just ended */
    if (left == 0)
        run->phase = OVER;
}

static void kill_all(struct run *run)
{
    if (run->phase != KILLS)
        enter(run, KILLS, UNDYING_US);
    watch(run, process_tree_signal(&run->tree, SIGKILL));
}

static void tell_to_end(struct run *run, enum reason reason)
{
    run->reason = reason;
    run->phase = ENDS;
    run->deadline_us = clock_after_us(run->config->kill_after_us);
    (void)process_tree_signal(&run->tree, SIGTERM);
}

/* What was waited for has ended, or may have. */
static void look(struct run *run)
{
    if (!process_tree_leader_ended(&run->tree))
        return;
    if (run->phase == RUNS)
        enter(run, SETTLES, SETTLE_US);
    else if (run->phase == ENDS)
        watch(run, process_tree_signal(&run->tree, 0));
    else if (run->phase == KILLS)
        kill_all(run);
}

static void hear_stop(struct run *run)
{
    if (run->phase == RUNS)
        tell_to_end(run, REASON_STOP);
    else
        run->deadline_us = 0; /* it has ended by itself: what it said counts */
}

static void look_at_time(struct run *run)
{
    bool late = clock_now_us() >= run->deadline_us;
    bool quiet = run->ends[OUTPUT] < 0 && run->ends[ERRORS] < 0;
    if (run->phase == SETTLES && (late || quiet)) {
        run->out.truncated = run->out.truncated || run->ends[OUTPUT] >= 0;
        kill_all(run);
    } else if (run->phase == RUNS && late) {
        tell_to_end(run, REASON_TIMEOUT);
    } else if (run->phase == ENDS && late) {
        kill_all(run);
    } else if (run->phase == KILLS && late) {
        log_warn("job %" PRIu64 ": a process of its command does not end after SIGKILL",
                 run->task->id);
        run->deadline_us = JOBD_NEVER;
    }
}

/* ---- while it runs */

/* -1: without end. */
static int patience_ms(const struct run *run)
{
    int left_ms = clock_ms_until(run->deadline_us), pace_ms = -1;
    if (run->phase == KILLS)
        pace_ms = run->deadline_us == JOBD_NEVER ? SLOW_PACE_MS : PACE_MS;
    else if (run->watched < 0 && run->phase != SETTLES)
        pace_ms = run->ends[OUTPUT] < 0 && run->ends[ERRORS] < 0 ? FAST_PACE_MS : PACE_MS;
    return pace_ms < 0 || (left_ms >= 0 && left_ms < pace_ms) ? left_ms : pace_ms;
}

static void wait_for_any(const struct run *run, int stop_fd, struct pollfd polls[POLLS])
{
    bool hears = run->phase == RUNS || run->phase == SETTLES;
    bool settles = run->phase == SETTLES;
    polls[INPUT] = (struct pollfd){.fd = run->ends[INPUT], .events = POLLOUT};
    polls[OUTPUT] = (struct pollfd){.fd = run->ends[OUTPUT], .events = POLLIN};
    polls[ERRORS] = (struct pollfd){.fd = run->ends[ERRORS], .events = POLLIN};
    polls[WATCHED] = (struct pollfd){.fd = settles ? -1 : run->watched, .events = POLLIN};
    polls[STOP] = (struct pollfd){.fd = hears ? stop_fd : -1, .events = POLLIN};
    (void)event_poll(polls, POLLS, patience_ms(run));
}

static void attend(struct run *run, int stop_fd)
{
    while (run->phase != OVER) {
        struct pollfd polls[POLLS];
        wait_for_any(run, stop_fd, polls);
        if (polls[INPUT].revents != 0)
            write_payload(run);
        if (polls[OUTPUT].revents != 0)
            (void)read_some(run, OUTPUT);
        if (polls[ERRORS].revents != 0)
            (void)read_some(run, ERRORS);
        if (polls[WATCHED].revents != 0 || run->watched < 0 || run->phase == KILLS)
            look(run);
        if (polls[STOP].revents != 0 && (run->phase == RUNS || run->phase == SETTLES))
            hear_stop(run);
        look_at_time(run);
    }
}

/* NO_STATUS: somebody else has waited for it. */
static int reap(struct run *run)
{
    int status = 0;
    pid_t reaped;
    process_tree_end(&run->tree);
    do
        reaped = waitpid(run->tree.leader, &status, 0);
    while (reaped < 0 && errno == EINTR);
    return reaped < 0 ? NO_STATUS : status;
}

void exec_attempt(const struct jobd_task *task, struct jobd_outcome *outcome,
                  const struct exec_config *config, int stop_fd)
{
    struct run run = {.task = task,
                      .config = config,
                      .watched = -1,
                      .ends = {-1, -1, -1},
                      .out = {.max_bytes = config->output_max_bytes},
                      .room = malloc(ROOM_BYTES)};
    enter(&run, RUNS, task->timeout_us);
    int error = start(&run);
    if (error != 0) {
        fail(outcome, "%s: %s", refused(&run), strerror(-error));
        free(run.room);
        return;
    }
    attend(&run, stop_fd);
    read_rest(&run, OUTPUT);
    read_rest(&run, ERRORS);
    int status = reap(&run);
    outcome->output = exec_output_take(&run.out);
    outcome->output_truncated = run.out.truncated;
    judge(&run, status, outcome);
    for (int i = 0; i < PIPES; i++)
        close_end(&run, i);
    if (run.watched >= 0)
        close(run.watched);
    free(run.room);
}

void exec_run(const struct jobd_task *task, struct jobd_outcome *outcome, void *context)
{
    exec_attempt(task, outcome, context, jobd_stop_descriptor());
}
