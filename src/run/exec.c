/* SPDX-License-Identifier: MIT */
#include "run/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "run/process_groups.h"
#include "base/portable.h"
#include "base/text.h"
#include "base/verify.h"

enum {
    READ_BYTES = 65536,
    RESTS_MAX = 4,
    OUTPUT_FIRST_BYTES = 4096,
    VARIABLES = 5,
    VARIABLE_SIZE = 320,
    REST_MS = 100 /* after poll() failed */
};

enum { INPUT, OUTPUT, ERRORS, PIPES };
enum { PIDFD = PIPES, STOP, POLLS }; /* what is waited for beside them */

/* Why a command that runs was told to end. */
enum reason { REASON_NONE, REASON_STOP, REASON_TIMEOUT };

/* One run of the command, as jobd sees it. */
struct run {
    const struct jobd_task *task;
    const struct exec_config *config;
    struct group group;
    int pidfd;
    int ends[PIPES]; /* our ends; -1: closed */
    size_t written;  /* of the payload */
    struct jobd_blob *output;
    size_t output_used;
    bool truncated;
    char errors[EXEC_ERROR_BYTES]; /* a ring: the last bytes */
    uint64_t errors_total;
    int64_t deadline_us; /* of what comes next: the timeout, then KILL */
    enum reason reason;
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

/* The last bytes of standard error from the beginning of a character on, without line ends behind
 * them. */
static void end_of_errors(const struct run *run, char text[EXEC_ERROR_BYTES + 1])
{
    size_t length = 0;
    uint64_t from = run->errors_total > EXEC_ERROR_BYTES ? run->errors_total - EXEC_ERROR_BYTES : 0;
    for (uint64_t at = from; at < run->errors_total; at++) {
        char c = run->errors[at % EXEC_ERROR_BYTES];
        bool inside = from > 0 && length == 0 && ((unsigned char)c & 0xc0) == 0x80;
        if (!inside && c != '\0')
            text[length++] = c;
    }
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r'))
        length--;
    text[length] = '\0';
}

static void judge(const struct run *run, int status, struct jobd_outcome *outcome)
{
    char errors[EXEC_ERROR_BYTES + 1];
    end_of_errors(run, errors);
    const char *between = errors[0] != '\0' ? ": " : "";
    if (run->reason == REASON_STOP) {
        outcome->state = JOBD_CANCELLED;
    } else if (run->reason == REASON_TIMEOUT) {
        fail(outcome, "timed out after %" PRId64 " ms%s%s", run->task->timeout_us / 1000, between,
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
    /* Who does not want to read all of it need not: EPIPE is no failure. */
    if ((size < 0 && errno != EAGAIN && errno != EINTR) || run->written == payload->size)
        close_end(run, INPUT);
}

/* False when memory is short: then the output is cut here. */
static bool grow_output(struct run *run, size_t needed)
{
    size_t room = run->output != NULL ? run->output->size : 0;
    if (needed <= room)
        return true;
    size_t next = room > 0 ? room * 2 : OUTPUT_FIRST_BYTES;
    if (next < needed)
        next = needed;
    if (next > run->config->output_max_bytes)
        next = run->config->output_max_bytes;
    struct jobd_blob *grown = jobd_blob_new(next, NULL);
    if (grown == NULL)
        return false;
    if (run->output != NULL)
        memcpy(grown->bytes, run->output->bytes, run->output_used);
    jobd_blob_unref(run->output);
    run->output = grown;
    return true;
}

static void keep_output(struct run *run, const char *bytes, size_t size)
{
    size_t room = run->config->output_max_bytes - run->output_used;
    if (size > room) {
        run->truncated = true;
        size = room;
    }
    if (size == 0)
        return;
    if (!grow_output(run, run->output_used + size)) {
        run->truncated = true;
        return;
    }
    verify(run->output != NULL);
    memcpy(run->output->bytes + run->output_used, bytes, size);
    run->output_used += size;
}

static void keep_errors(struct run *run, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        run->errors[run->errors_total++ % EXEC_ERROR_BYTES] = bytes[i];
}

/* One read; false when nothing more has come, or nothing more will. */
static bool read_some(struct run *run, int pipe, char *room)
{
    if (run->ends[pipe] < 0)
        return false;
    ssize_t size = read(run->ends[pipe], room, READ_BYTES);
    if (size < 0 && errno == EINTR)
        return true;
    if (size == 0 || (size < 0 && errno != EAGAIN))
        close_end(run, pipe);
    if (size <= 0)
        return false;
    if (pipe == OUTPUT)
        keep_output(run, room, (size_t)size);
    else
        keep_errors(run, room, (size_t)size);
    return true;
}

/* What stands in the pipes when the command has ended; no more, as one that has left its group may
 * go on writing. */
static void read_rest(struct run *run, char *room)
{
    for (int i = 0; i < RESTS_MAX && read_some(run, OUTPUT, room); i++)
        ;
    for (int i = 0; i < RESTS_MAX && read_some(run, ERRORS, room); i++)
        ;
}

static struct jobd_blob *take_output(struct run *run)
{
    struct jobd_blob *fitting = NULL;
    if (run->output_used > 0) {
        bool text = text_is_utf8(run->output->bytes, run->output_used);
        fitting = jobd_blob_new(run->output_used, text ? TYPE_TEXT : NULL);
        if (fitting != NULL)
            memcpy(fitting->bytes, run->output->bytes, run->output_used);
        else
            run->truncated = true;
    }
    jobd_blob_unref(run->output);
    run->output = NULL;
    return fitting;
}

/* ---- the environment */

struct environment {
    char **list;
    char own[VARIABLES][VARIABLE_SIZE];
};

static bool is_variable(const char *entry, const char *name)
{
    size_t length = strlen(name);
    return strncmp(entry, name, length) == 0 && entry[length] == '=';
}

static bool is_private(const char *entry)
{
    static const char *const names[] = {"JOBD_ID",           "JOBD_QUEUE",     "JOBD_ATTEMPT",
                                        "JOBD_CONTENT_TYPE", "TRACEPARENT",    "JOBD_TOKEN_FILE",
                                        "JOBD_TLS_CERT",     "JOBD_TLS_KEY",   "LISTEN_FDS",
                                        "LISTEN_PID",        "LISTEN_FDNAMES", "NOTIFY_SOCKET"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (is_variable(entry, names[i]))
            return true;
    return false;
}

__attribute__((format(printf, 3, 4))) static void
add_variable(struct environment *around, size_t *used, const char *format, ...)
{
    size_t own = 0;
    while (own < VARIABLES - 1 && around->own[own][0] != '\0')
        own++;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(around->own[own], VARIABLE_SIZE, format, arguments);
    va_end(arguments);
    around->list[(*used)++] = around->own[own];
}

/* NULL when memory is short; free() it and its list. */
static struct environment *surroundings_new(const struct jobd_task *task,
                                            const struct exec_config *config)
{
    struct environment *around = calloc(1, sizeof *around);
    size_t count = 0, used = 0;
    while (environ != NULL && environ[count] != NULL)
        count++;
    if (around == NULL)
        return NULL;
    around->list = calloc(count + VARIABLES + 1, sizeof *around->list);
    if (around->list == NULL) {
        free(around);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        if (!is_private(environ[i]))
            around->list[used++] = environ[i];
    add_variable(around, &used, "JOBD_ID=%" PRIu64, task->id);
    add_variable(around, &used, "JOBD_QUEUE=%s", config->queue);
    add_variable(around, &used, "JOBD_ATTEMPT=%" PRIu32, task->attempt);
    if (task->payload != NULL && task->payload->type[0] != '\0')
        add_variable(around, &used, "JOBD_CONTENT_TYPE=%s", task->payload->type);
    if (task->trace != NULL && task->trace[0] != '\0')
        add_variable(around, &used, "TRACEPARENT=%s", task->trace);
    return around;
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

static int add_actions(posix_spawn_file_actions_t *actions, int pairs[PIPES][2], bool has_input)
{
    int error = has_input ? posix_spawn_file_actions_adddup2(actions, pairs[INPUT][0], 0)
                          : posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(actions, pairs[OUTPUT][1], 1);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(actions, pairs[ERRORS][1], 2);
    /* What jobd itself was started with, and libraries open, may lack O_CLOEXEC. */
    if (error == 0)
        error = portable_close_from(actions, 3);
    return error;
}

/* No signal blocked, none ignored that jobd ignores, a group of its own. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, ours;
    sigemptyset(&none);
    sigemptyset(&ours);
    sigaddset(&ours, SIGPIPE);
    sigaddset(&ours, SIGXFSZ);
    int error = posix_spawnattr_setsigmask(attributes, &none);
    if (error == 0)
        error = posix_spawnattr_setsigdefault(attributes, &ours);
    if (error == 0)
        error = posix_spawnattr_setpgroup(attributes, 0);
    if (error == 0)
        error = posix_spawnattr_setflags(
            attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    return error;
}

static int spawn_group(struct group *group, char *const *command,
                       const posix_spawn_file_actions_t *actions,
                       const posix_spawnattr_t *attributes, char **environment)
{
    pid_t id;
    process_groups_begin();
    int error = posix_spawnp(&id, command[0], actions, attributes, command, environment);
    if (error == 0)
        process_groups_add(group, id);
    else
        process_groups_give_up();
    return error;
}

static int spawn(struct run *run, int pairs[PIPES][2], char **environment)
{
    union {
        const char *const *read;
        char *const *given; /* posix_spawnp() only reads them */
    } command = {.read = run->config->command};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0)
        return -error;
    error = posix_spawnattr_init(&attributes);
    if (error == 0) {
        error = add_actions(&actions, pairs, pairs[INPUT][0] >= 0);
        if (error == 0)
            error = set_attributes(&attributes);
        if (error == 0)
            error = spawn_group(&run->group, command.given, &actions, &attributes, environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return -error;
}

/* 0 or -errno; then nothing is left open. */
static int start(struct run *run)
{
    int pairs[PIPES][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
    bool has_input = run->task->payload != NULL && run->task->payload->size > 0;
    struct environment *around = surroundings_new(run->task, run->config);
    int error = around != NULL ? 0 : -ENOMEM;
    if (error == 0 && has_input)
        error = open_pipe(pairs[INPUT], 1);
    if (error == 0)
        error = open_pipe(pairs[OUTPUT], 0);
    if (error == 0)
        error = open_pipe(pairs[ERRORS], 0);
    if (error == 0)
        error = spawn(run, pairs, around->list);
    if (around != NULL)
        free(around->list);
    free(around);
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
    return 0;
}

/* ---- while it runs */

static void signal_group(const struct run *run, int number)
{
    (void)kill(-run->group.id, number); /* it may have ended: then there is nobody */
}

static void tell_to_end(struct run *run, enum reason reason)
{
    run->reason = reason;
    run->deadline_us = clock_after_us(run->config->kill_after_us);
    signal_group(run, SIGTERM);
}

static void look_at_time(struct run *run)
{
    if (clock_now_us() < run->deadline_us)
        return;
    if (run->reason == REASON_NONE) {
        tell_to_end(run, REASON_TIMEOUT);
    } else {
        run->deadline_us = JOBD_NEVER;
        signal_group(run, SIGKILL);
    }
}

static int patience_ms(const struct run *run)
{
    if (run->deadline_us == JOBD_NEVER)
        return -1;
    int64_t left_ms = (run->deadline_us - clock_now_us() + 999) / 1000;
    return left_ms < 0 ? 0 : left_ms > INT32_MAX ? INT32_MAX : (int)left_ms;
}

/* Until the command itself has ended, whoever else holds its pipes. */
static void attend(struct run *run, int stop_fd, char *room)
{
    for (;;) {
        struct pollfd polls[POLLS] = {
            [INPUT] = {.fd = run->ends[INPUT], .events = POLLOUT},
            [OUTPUT] = {.fd = run->ends[OUTPUT], .events = POLLIN},
            [ERRORS] = {.fd = run->ends[ERRORS], .events = POLLIN},
            [PIDFD] = {.fd = run->pidfd, .events = POLLIN},
            [STOP] = {.fd = run->reason == REASON_NONE ? stop_fd : -1, .events = POLLIN},
        };
        int ready = poll(polls, POLLS, patience_ms(run));
        if (ready < 0 && errno != EINTR)
            (void)poll(NULL, 0, REST_MS); /* no memory, or the limit on open files is below 5 */
        if (ready > 0 && polls[INPUT].revents != 0)
            write_payload(run);
        if (ready > 0 && polls[OUTPUT].revents != 0)
            (void)read_some(run, OUTPUT, room);
        if (ready > 0 && polls[ERRORS].revents != 0)
            (void)read_some(run, ERRORS, room);
        if (ready > 0 && polls[PIDFD].revents != 0)
            return;
        if (ready > 0 && polls[STOP].revents != 0)
            tell_to_end(run, REASON_STOP);
        look_at_time(run);
    }
}

/* Its group lives on as long as the command is not reaped, so the signal cannot hit a stranger. */
static int reap(struct run *run)
{
    siginfo_t info;
    int status = 0;
    while (waitid(P_PID, (id_t)run->group.id, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR)
        ;
    signal_group(run, SIGKILL);
    process_groups_remove(&run->group);
    while (waitpid(run->group.id, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

void exec_attempt(const struct jobd_task *task, struct jobd_outcome *outcome,
                  const struct exec_config *config, int stop_fd)
{
    struct run run = {.task = task,
                      .config = config,
                      .pidfd = -1,
                      .ends = {-1, -1, -1},
                      .deadline_us =
                          task->timeout_us > 0 ? clock_after_us(task->timeout_us) : JOBD_NEVER};
    char *room = malloc(READ_BYTES);
    int error = room != NULL ? start(&run) : -ENOMEM;
    if (error != 0) {
        fail(outcome, "%s: %s", config->command[0], strerror(-error));
        free(room);
        return;
    }
    run.pidfd = portable_pidfd(run.group.id);
    if (run.pidfd >= 0)
        attend(&run, stop_fd, room);
    int unwatched = errno;
    if (run.pidfd < 0)
        signal_group(&run, SIGKILL);
    int status = reap(&run);
    read_rest(&run, room);
    outcome->output = take_output(&run);
    outcome->output_truncated = run.truncated;
    if (run.pidfd >= 0)
        judge(&run, status, outcome);
    else
        fail(outcome, "%s: %s", config->command[0], strerror(unwatched));
    for (int i = 0; i < PIPES; i++)
        close_end(&run, i);
    if (run.pidfd >= 0)
        close(run.pidfd);
    free(room);
}

void exec_run(const struct jobd_task *task, struct jobd_outcome *outcome, void *context)
{
    exec_attempt(task, outcome, context, jobd_stop_descriptor());
}
