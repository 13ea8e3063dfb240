/* SPDX-License-Identifier: MIT */
/* A server under test: the program itself, in a process of its own, seen from outside.
 *
 * Every wait has a deadline and ends the test when it passes; nothing but let_pass() sleeps for a
 * fixed time. All functions are for the test's own thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "support/temporary.h"

enum {
    PATIENCE_MS = 60000,
    SERVER_ADDRESS_SIZE = 160,
    SERVER_LINE_SIZE = 1024,
    DESCRIPTORS_MAX = 4
};

enum stream { OUT, ERR };

struct server;

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

struct server_plan {
    const char *const *arguments;   /* after the program's name; NULL at the end */
    const char *const *environment; /* additions, NAME=VALUE; NULL at the end, or NULL */
    const char *program;            /* NULL: the jobd that is tested */
    const char *const *wrapper;     /* a command that runs the program; NULL at the end, or NULL */
    const int *descriptors;         /* become the process's, from 3 on */
    unsigned descriptors_len;       /* at most DESCRIPTORS_MAX */
};

/* Starts the process and does not wait. JOBD_* and LISTEN_* are not inherited. Unless the plan says
 * otherwise its grace is 0, so that server_stop_all() is quick. */
struct server *server_spawn(const struct server_plan *plan);

/* Runs the process to its end: the exit code, and all it said in *out and *err, for the caller to
 * free. Either of the two lists may be NULL. */
int server_run(const char *const *arguments, const char *const *environment, char **out,
               char **err);

/* What `jobd --health` says of an address: its exit code. */
int server_health(const char *address);

/* The usual server: any free port of 127.0.0.1 and these arguments, NULL for none; it listens
 * already. */
struct server *server_start_with(const char *const *arguments);
/* Whether such servers keep their jobs on disk: the tests are run a second time so. */
bool server_durable(void);
#define server_start(...) server_start_with(WORDS(__VA_ARGS__))

/* Waits until it listens. */
void server_await_listening(struct server *server);
/* As the server says it: 127.0.0.1:40000, [::1]:40000 or unix:PATH. Once it listens. */
const char *server_address(const struct server *server);
pid_t server_pid(const struct server *server);
/* The process that a wrapper like unshare has started. */
pid_t server_child(const struct server *server);

/* Waits for a line that contains the text, and copies it without its line feed. */
void server_await_line(struct server *server, enum stream stream, const char *text,
                       char line[SERVER_LINE_SIZE]);
/* Waits until that many lines contain the text. */
void server_await_lines(struct server *server, enum stream stream, const char *text, size_t count);
/* How many lines contain the text, up to now. */
size_t server_count_lines(struct server *server, enum stream stream, const char *text);
/* All it has written up to now, for the caller to free. */
char *server_output(struct server *server, enum stream stream);
/* The last whole line up to now. */
void server_last_line(struct server *server, enum stream stream, char line[SERVER_LINE_SIZE]);
/* How often it has said exactly `done job <id>`. */
size_t server_count_done(struct server *server, uint64_t id);

/* Nobody reads its standard output from now on. */
void server_close_output(struct server *server);

void server_signal(struct server *server, int number);
/* Each of its threads stands still when this returns, until it is sent SIGCONT. */
void server_suspend(struct server *server);
/* By SIGKILL; waits for its end. */
void server_kill(struct server *server);
/* Waits for its end and for all its output. The exit code, or 128 + the signal that ended it. */
int server_wait(struct server *server);
bool server_runs(struct server *server);
/* Processor time it has used. */
int64_t server_cpu_ms(const struct server *server);
/* Frees one that has ended, before the test does; for tests that start many. */
void server_forget(struct server *server);

/* The teardown of every test: ends what is left, removes temporary files. Not 0 when one could not
 * be ended with SIGTERM, a sanitizer has complained, or an answer was not as described. */
int server_stop_all(void **state);

/* ---- for waits of any kind */

int64_t now_ms(void);
/* Lets a little time pass between two looks; ends the test when the deadline is over. */
void look_again(int64_t deadline_ms, const char *waiting_for);
/* Only where time itself is what the test is about, as while a process stands still: there is no
 * event to wait for. */
void let_pass(int64_t ms);
