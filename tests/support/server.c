/* SPDX-License-Identifier: MIT */
#include "support/server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/portable.h"
#include "support/described.h"
#include "support/postgres.h"

extern char **environ;

enum { SERVERS_MAX = 32, WORDS_MAX = 64, LOOK_EVERY_MS = 5 };

/* What one pipe has brought. */
struct text {
    int fd; /* -1: closed */
    char *bytes;
    size_t size, room;
};

struct server {
    pid_t pid;
    int pidfd;
    bool waited_for;
    int code;
    char address[SERVER_ADDRESS_SIZE];
    pthread_t reader;
    int bell[2]; /* a byte in it: the reader shall look at close_output */
    pthread_mutex_t lock;
    pthread_cond_t grown;
    struct text texts[2]; /* by enum stream, guarded by the lock; fd is the reader's own */
    bool close_output, over;
};

static struct server *servers[SERVERS_MAX];
static size_t servers_len;

/* ---- time */

int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void look_again(int64_t deadline_ms, const char *waiting_for)
{
    if (now_ms() > deadline_ms)
        fail_msg("waited in vain: %s", waiting_for);
    poll(NULL, 0, LOOK_EVERY_MS);
}

void let_pass(int64_t ms)
{
    const int64_t over_ms = now_ms() + ms;
    for (int64_t left_ms = ms; left_ms > 0; left_ms = over_ms - now_ms())
        poll(NULL, 0, (int)left_ms);
}

/* ---- the reader */

static void *room_for(struct text *text, size_t more)
{
    if (text->size + more + 1 > text->room) {
        text->room = 2 * (text->size + more + 1);
        text->bytes = realloc(text->bytes, text->room);
        if (text->bytes == NULL)
            abort();
    }
    return text->bytes + text->size;
}

static void end_text(struct text *text)
{
    close(text->fd);
    text->fd = -1;
}

static void read_some(struct server *server, struct text *text)
{
    char piece[4096];
    ssize_t got = read(text->fd, piece, sizeof piece);
    if (got < 0 && errno == EINTR)
        return;
    if (got <= 0) {
        end_text(text);
        return;
    }
    pthread_mutex_lock(&server->lock);
    memcpy(room_for(text, (size_t)got), piece, (size_t)got);
    text->size += (size_t)got;
    text->bytes[text->size] = '\0';
    pthread_cond_broadcast(&server->grown);
    pthread_mutex_unlock(&server->lock);
}

static void *read_all(void *context)
{
    struct server *server = context;
    while (server->texts[OUT].fd >= 0 || server->texts[ERR].fd >= 0) {
        struct pollfd polls[] = {{.fd = server->texts[OUT].fd, .events = POLLIN},
                                 {.fd = server->texts[ERR].fd, .events = POLLIN},
                                 {.fd = server->bell[0], .events = POLLIN}};
        char byte;
        if (poll(polls, 3, -1) < 0)
            continue;
        for (int i = 0; i < 2; i++)
            if (polls[i].revents != 0)
                read_some(server, &server->texts[i]);
        if (polls[2].revents != 0 && read(server->bell[0], &byte, 1) == 1) {
            if (server->texts[OUT].fd >= 0)
                end_text(&server->texts[OUT]);
            pthread_mutex_lock(&server->lock);
            server->close_output = true;
            pthread_cond_broadcast(&server->grown);
            pthread_mutex_unlock(&server->lock);
        }
    }
    pthread_mutex_lock(&server->lock);
    server->over = true;
    pthread_cond_broadcast(&server->grown);
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

static void init_growth(pthread_cond_t *grown)
{
    pthread_condattr_t monotonic;
    assert_int_equal(pthread_condattr_init(&monotonic), 0);
    assert_int_equal(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC), 0);
    assert_int_equal(pthread_cond_init(grown, &monotonic), 0);
    pthread_condattr_destroy(&monotonic);
}

/* With the lock held: waits for more to come. False when none will, or the deadline is over. */
static bool wait_for_growth(struct server *server, int64_t deadline_ms)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ms / 1000),
                             .tv_nsec = (long)(deadline_ms % 1000 * 1000000)};
    return !server->over && now_ms() < deadline_ms &&
           (pthread_cond_timedwait(&server->grown, &server->lock, &until) == 0 ||
            now_ms() < deadline_ms);
}

/* ---- lines */

/* With the lock held: the end of the next whole line at or after `at`, or NULL. */
static const char *line_end(const struct text *text, const char *at)
{
    if (text->bytes == NULL)
        return NULL;
    return memchr(at, '\n', text->size - (size_t)(at - text->bytes));
}

static void copy_line(const char *at, const char *end, char line[SERVER_LINE_SIZE])
{
    size_t size = (size_t)(end - at);
    if (size >= SERVER_LINE_SIZE)
        size = SERVER_LINE_SIZE - 1;
    memcpy(line, at, size);
    line[size] = '\0';
}

/* With the lock held: lines that contain `wanted` (`whole`: that are it); the last one is copied,
 * where `line` is not NULL. */
static size_t count_locked(const struct text *text, const char *wanted, bool whole, char *line)
{
    size_t count = 0, wanted_size = strlen(wanted);
    const char *at = text->bytes, *end;
    for (; (end = line_end(text, at)) != NULL; at = end + 1) {
        size_t size = (size_t)(end - at);
        if (whole ? size != wanted_size || memcmp(at, wanted, size) != 0
                  : memmem(at, size, wanted, wanted_size) == NULL)
            continue;
        count++;
        if (line != NULL)
            copy_line(at, end, line);
    }
    return count;
}

static void await_lines(struct server *server, enum stream stream, const char *text, size_t count,
                        char *line)
{
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    size_t seen;
    pthread_mutex_lock(&server->lock);
    while ((seen = count_locked(&server->texts[stream], text, false, line)) < count &&
           wait_for_growth(server, deadline_ms))
        ;
    pthread_mutex_unlock(&server->lock);
    if (seen < count)
        fail_msg("%zu of %zu lines \"%s\" came; standard error:\n%s", seen, count, text,
                 server_output(server, ERR));
}

void server_await_line(struct server *server, enum stream stream, const char *text,
                       char line[SERVER_LINE_SIZE])
{
    await_lines(server, stream, text, 1, line);
}

void server_await_lines(struct server *server, enum stream stream, const char *text, size_t count)
{
    await_lines(server, stream, text, count, NULL);
}

size_t server_count_lines(struct server *server, enum stream stream, const char *text)
{
    pthread_mutex_lock(&server->lock);
    size_t count = count_locked(&server->texts[stream], text, false, NULL);
    pthread_mutex_unlock(&server->lock);
    return count;
}

size_t server_count_done(struct server *server, uint64_t id)
{
    char wanted[48];
    snprintf(wanted, sizeof wanted, "done job %llu", (unsigned long long)id);
    pthread_mutex_lock(&server->lock);
    size_t count = count_locked(&server->texts[OUT], wanted, true, NULL);
    pthread_mutex_unlock(&server->lock);
    return count;
}

void server_last_line(struct server *server, enum stream stream, char line[SERVER_LINE_SIZE])
{
    line[0] = '\0';
    pthread_mutex_lock(&server->lock);
    (void)count_locked(&server->texts[stream], "", false, line);
    pthread_mutex_unlock(&server->lock);
}

char *server_output(struct server *server, enum stream stream)
{
    pthread_mutex_lock(&server->lock);
    char *copy = strdup(server->texts[stream].size > 0 ? server->texts[stream].bytes : "");
    pthread_mutex_unlock(&server->lock);
    assert_non_null(copy);
    return copy;
}

void server_close_output(struct server *server)
{
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    assert_int_equal(write(server->bell[1], "", 1), 1);
    pthread_mutex_lock(&server->lock);
    while (!server->close_output && wait_for_growth(server, deadline_ms))
        ;
    bool closed = server->close_output;
    pthread_mutex_unlock(&server->lock);
    assert_true(closed);
}

/* ---- start */

static bool is_ours(const char *variable)
{
    return strncmp(variable, "JOBD_", 5) == 0 || strncmp(variable, "LISTEN_", 7) == 0;
}

/* Our own environment without what would change the server, and the plan's additions. */
static char **make_environment(const struct server_plan *plan)
{
    size_t len = 0, used = 0;
    while (environ[len] != NULL)
        len++;
    char **all = calloc(len + WORDS_MAX, sizeof *all);
    assert_non_null(all);
    bool own_grace = false;
    for (size_t i = 0; i < len; i++)
        if (!is_ours(environ[i]))
            all[used++] = environ[i];
    for (size_t i = 0; plan->environment != NULL && plan->environment[i] != NULL; i++) {
        union {
            const char *read;
            char *given; /* execve() only reads it */
        } word = {.read = plan->environment[i]};
        own_grace = own_grace || strncmp(word.read, "JOBD_GRACE=", 11) == 0;
        all[used++] = word.given;
    }
    static char quick[] = "JOBD_GRACE=0ms";
    if (!own_grace)
        all[used++] = quick;
    return all;
}

static void make_command(const struct server_plan *plan, const char *command[WORDS_MAX])
{
    size_t used = 0;
    for (size_t i = 0; plan->wrapper != NULL && plan->wrapper[i] != NULL; i++)
        command[used++] = plan->wrapper[i];
    command[used++] = plan->program != NULL ? plan->program : JOBD_BINARY;
    for (size_t i = 0; plan->arguments != NULL && plan->arguments[i] != NULL; i++) {
        assert_true(used + 1 < WORDS_MAX);
        command[used++] = plan->arguments[i];
    }
    command[used] = NULL;
}

/* In the child, where other threads' locks may be held: system calls only. */
static void become(const struct server_plan *plan, const char *const *command,
                   char *const *environment, const int outputs[2])
{
    union {
        const char *const *read;
        char *const *given; /* execve() only reads them */
    } words = {.read = command};
    int copies[DESCRIPTORS_MAX]; /* out of the way of each other's numbers */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(outputs[OUT], STDOUT_FILENO);
    dup2(outputs[ERR], STDERR_FILENO);
    for (unsigned i = 0; i < plan->descriptors_len; i++)
        copies[i] = fcntl(plan->descriptors[i], F_DUPFD_CLOEXEC, 3 + DESCRIPTORS_MAX);
    for (unsigned i = 0; i < plan->descriptors_len; i++)
        dup2(copies[i], 3 + (int)i);
    execvpe(command[0], words.given, environment);
    _exit(127);
}

static void watch(struct server *server, const int outputs[2])
{
    server->texts[OUT].fd = outputs[OUT];
    server->texts[ERR].fd = outputs[ERR];
    assert_int_equal(pipe2(server->bell, O_CLOEXEC), 0);
    assert_int_equal(pthread_mutex_init(&server->lock, NULL), 0);
    init_growth(&server->grown);
    assert_int_equal(pthread_create(&server->reader, NULL, read_all, server), 0);
}

struct server *server_spawn(const struct server_plan *plan)
{
    const char *command[WORDS_MAX];
    int out[2], err[2];
    assert_true(servers_len < SERVERS_MAX && plan->descriptors_len <= DESCRIPTORS_MAX);
    struct server *server = calloc(1, sizeof *server);
    assert_non_null(server);
    make_command(plan, command);
    char **environment = make_environment(plan);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(err, O_CLOEXEC), 0);
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid == 0)
        become(plan, command, environment, (const int[]){out[1], err[1]});
    server->pidfd = portable_pidfd(server->pid);
    servers[servers_len++] = server;
    close(out[1]);
    close(err[1]);
    free(environment);
    watch(server, (const int[]){out[0], err[0]});
    return server;
}

void server_await_listening(struct server *server)
{
    static const char words[] = "listening on ";
    char line[SERVER_LINE_SIZE];
    server_await_line(server, ERR, words, line);
    const char *at = strstr(line, words) + sizeof words - 1;
    size_t size = strcspn(at, "\"");
    assert_true(size < sizeof server->address);
    memcpy(server->address, at, size);
    server->address[size] = '\0';
}

bool server_durable(void)
{
    return getenv("TEST_DURABLE") != NULL;
}

struct server *server_start_with(const char *const *arguments)
{
    const char *all[WORDS_MAX] = {"-l", "127.0.0.1:0"};
    size_t used = 2;
    for (size_t i = 0; arguments[i] != NULL; i++) {
        assert_true(used + 1 < WORDS_MAX);
        all[used++] = arguments[i];
    }
    /* The same tests for a server that keeps its jobs on disk. */
    char data[POSTGRES_URL_SIZE + 16] = "JOBD_DATA=";
    const char *environment[] = {data, NULL};
    bool durable = server_durable();
    if (durable && getenv("TEST_LEDGER") != NULL)
        postgres_fresh(data + strlen(data));
    else if (durable)
        snprintf(data, sizeof data, "JOBD_DATA=%s/data-%zu", temporary_directory(), servers_len);
    struct server *server = server_spawn(
        &(struct server_plan){.arguments = all, .environment = durable ? environment : NULL});
    server_await_listening(server);
    return server;
}

const char *server_address(const struct server *server)
{
    return server->address;
}

pid_t server_pid(const struct server *server)
{
    return server->pid;
}

pid_t server_child(const struct server *server)
{
    char path[64];
    long child = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", server->pid, server->pid);
    FILE *children = fopen(path, "re");
    assert_non_null(children);
    assert_int_equal(fscanf(children, "%ld", &child), 1);
    fclose(children);
    return (pid_t)child;
}

/* ---- end */

void server_signal(struct server *server, int number)
{
    assert_false(server->waited_for);
    assert_int_equal(kill(server->pid, number), 0);
}

void server_suspend(struct server *server)
{
    int status = 0;
    server_signal(server, SIGSTOP);
    assert_int_equal(waitpid(server->pid, &status, WUNTRACED), server->pid);
    assert_true(WIFSTOPPED(status));
}

static bool wait_for_end(struct server *server, int timeout_ms)
{
    struct pollfd polls = {.fd = server->pidfd, .events = POLLIN};
    int status;
    if (server->waited_for)
        return true;
    if (poll(&polls, 1, timeout_ms) != 1 || waitpid(server->pid, &status, 0) != server->pid)
        return false;
    server->waited_for = true;
    server->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return true;
}

/* All output has been read once the reader is over; a grandchild may hold the pipe for longer. */
static bool wait_for_output(struct server *server)
{
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    pthread_mutex_lock(&server->lock);
    while (!server->over && wait_for_growth(server, deadline_ms))
        ;
    bool over = server->over;
    pthread_mutex_unlock(&server->lock);
    return over;
}

int server_wait(struct server *server)
{
    if (!wait_for_end(server, PATIENCE_MS) || !wait_for_output(server))
        fail_msg("the server does not end; standard error:\n%s", server_output(server, ERR));
    return server->code;
}

int64_t server_cpu_ms(const struct server *server)
{
    char path[64], text[1024];
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)server->pid);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    const char *at = strrchr(text, ')');
    assert_non_null(at);
    assert_int_equal(
        sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system), 2);
    return (int64_t)(user + system) * 1000 / sysconf(_SC_CLK_TCK);
}

bool server_runs(struct server *server)
{
    return !wait_for_end(server, 0);
}

static void release(struct server *server)
{
    pthread_join(server->reader, NULL);
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->grown);
    for (int i = 0; i < 2; i++)
        free(server->texts[i].bytes);
    close(server->bell[0]);
    close(server->bell[1]);
    close(server->pidfd);
    free(server);
}

/* How a server ends tells whether it is well: a sanitizer reports leaks only then. */
static bool end_well(struct server *server)
{
    bool good = true;
    if (!wait_for_end(server, 0)) {
        kill(server->pid, SIGTERM);
        good = wait_for_end(server, PATIENCE_MS);
        if (!good) {
            print_error("a server had to be killed\n");
            kill(server->pid, SIGKILL);
            wait_for_end(server, PATIENCE_MS);
        } else if (server->code != 0 && server->code != 1) {
            print_error("a server ended with %d\n", server->code);
            good = false;
        }
    }
    if (!wait_for_output(server)) {
        print_error("a server's output does not end\n");
        return false;
    }
    const char *said = server->texts[ERR].bytes;
    if (said != NULL && (strstr(said, "Sanitizer") != NULL || strstr(said, "runtime error:"))) {
        print_error("%s\n", said);
        good = false;
    }
    release(server);
    return good;
}

void server_kill(struct server *server)
{
    server_signal(server, SIGKILL);
    assert_int_equal(server_wait(server), 128 + SIGKILL);
}

void server_forget(struct server *server)
{
    size_t i = 0;
    while (servers[i] != server)
        i++;
    servers[i] = servers[--servers_len];
    if (!end_well(server))
        fail_msg("a server did not end well");
}

int server_run(const char *const *arguments, const char *const *environment, char **out, char **err)
{
    struct server *server =
        server_spawn(&(struct server_plan){.arguments = arguments, .environment = environment});
    int code = server_wait(server);
    *out = server_output(server, OUT);
    *err = server_output(server, ERR);
    server_forget(server);
    return code;
}

int server_health(const char *address)
{
    char *out, *err;
    const char *const arguments[] = {"--health", "-l", address, NULL};
    int code = server_run(arguments, NULL, &out, &err);
    assert_string_equal(out, "");
    assert_int_equal(code == 0, err[0] == '\0');
    free(out);
    free(err);
    return code;
}

int server_stop_all(void **state)
{
    char why[DESCRIBED_WHY_SIZE];
    bool good = true;
    (void)state;
    while (servers_len > 0)
        good = end_well(servers[--servers_len]) && good;
    temporary_remove_all();
    if (!described_well(why)) {
        fprintf(stderr, "%s\n", why);
        good = false;
    }
    return good ? 0 : -1;
}
