/* SPDX-License-Identifier: MIT */
/* The exec runner and what a command starts: helpers are heard to their end, all get the signal and
 * the time that they were promised, and nobody is left. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "run/exec_scene.h"

enum { PIPE_BYTES = 1 << 20, LONG_US = 600 * SECOND_US };

static struct holders holders;

/* A script in which $9 is held by all that it starts. */
static const char *held(const char *format, const char *more)
{
    static char script[1024];
    int begin = snprintf(script, sizeof script, "exec 9>%s; ", holders.path);
    snprintf(script + begin, sizeof script - (size_t)begin, format, more);
    return script;
}

static int begin(void **state)
{
    int code = nothing_stays(state);
    holders_begin(&holders);
    return code;
}

static int end(void **state)
{
    holders_end(&holders);
    return nothing_stays(state);
}

static void write_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}

/* ---- after its own end */

static void helpers_are_read_to_their_end(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++) {
        const char *script = held("exec > >(sed 's/^/job: /'); seq 5; echo last%s", "");
        run((const char *const[]){"bash", "-c", script, NULL});
        assert_int_equal(outcome.state, JOBD_DONE);
        assert_bytes(outcome.output, "job: 1\njob: 2\njob: 3\njob: 4\njob: 5\njob: last\n");
        assert_false(outcome.output_truncated);
    }
}

static void a_helper_of_its_errors_alone(void **state)
{
    (void)state;
    run((const char *const[]){
        "bash", "-c",
        held("exec 2> >(sleep 0.2; sed 's/^/why: /' >&2); echo %s >&2; exit 3", "this"), NULL});
    assert_int_equal(outcome.exit_code, 3);
    assert_bytes(outcome.error, "why: this");
}

/* Who sleeps holds the pipe and nobody up: after a second it is gone, and the output, of which
 * nobody knows whether more was to come, counts as cut. */
static void a_sleeper_holds_nothing_up(void **state)
{
    static const char *const ways[] = {
        "sleep 600 & echo now",
        "setsid sleep 600 & echo now",
        "nohup sleep 600 2>/dev/null & echo now",
        "(sleep 600 &) ; echo now",
        "setsid -f sh -c 'sleep 600; :'; echo now",
        "setsid -f env -i /bin/sh -c 'trap \"\" TERM; sleep 600; :'; echo now"};
    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        int64_t before_us = clock_now_us();
        run(SHELL(held("%s", ways[i])));
        assert_int_equal(outcome.state, JOBD_DONE);
        assert_bytes(outcome.output, "now\n");
        assert_true(outcome.output_truncated);
        assert_in_range(clock_now_us() - before_us, SECOND_US, 60 * SECOND_US);
    }
}

/* Without its pipes it is not even waited for. */
static void a_daemon_is_killed(void **state)
{
    static const char *const ways[] = {
        "sleep 600 >/dev/null 2>&1 & exit 5",
        "setsid -f sh -c 'setsid -f sleep 600; sleep 600; :' >/dev/null 2>&1 </dev/null; exit 5",
        "env -i setsid -f sleep 600 >/dev/null 2>&1; exit 5",
        "timeout 3600 sh -c 'trap \"\" TERM HUP; sleep 600; :' >/dev/null 2>&1 & exit 5",
        "(trap '' HUP INT TERM; cd /; exec setsid sleep 600 <&- >&- 2>&-) & exit 5",
        ("sleep 600 >/dev/null 2>&1 & until grep -q sleep /proc/$!/comm; do :; done; kill -STOP "
         "$!; "
         "exit 5")};
    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        run(SHELL(held("%s", ways[i])));
        assert_true(outcome.exited);
        assert_int_equal(outcome.exit_code, 5);
        assert_false(outcome.output_truncated);
    }
}

static void a_killed_command_leaves_nobody(void **state)
{
    (void)state;
    run(SHELL(held("%s", "setsid -f sleep 600; sleep 600 & kill -9 $$")));
    assert_bytes(outcome.error, "killed by signal 9 (KILL)");
}

static void what_stood_in_the_pipe_is_kept(void **state)
{
    const struct exec_config config = {.command =
                                           (const char *const[]){"/proc/self/exe", "fill", NULL},
                                       .queue = "q",
                                       .output_max_bytes = 2 * PIPE_BYTES,
                                       .kill_after_us = SECOND_US};
    (void)state;
    for (int i = 0; i < 20; i++) {
        exec_once(&config, NULL, 0, -1);
        assert_int_equal(outcome.output->size, PIPE_BYTES);
        assert_false(outcome.output_truncated);
    }
    run(SHELL(held("%s", "")));
}

static void a_stop_ends_the_wait_for_helpers(void **state)
{
    const struct exec_config config = {.command = SHELL(held("%s", "sleep 600 & echo said")),
                                       .queue = "q",
                                       .output_max_bytes = 100,
                                       .kill_after_us = LONG_US};
    int stop = eventfd(0, EFD_CLOEXEC);
    (void)state;
    exec_once(&config, NULL, 0, stop);
    assert_int_equal(outcome.state, JOBD_DONE);
    assert_bytes(outcome.output, "said\n");
    close(stop);
}

/* ---- time to clean up */

/* Each has a child that needs a moment after TERM, while its parent dies of it at once. */
static void a_wrapper_takes_no_time_from_the_rest(void **state)
{
    static const char worker[] = "'trap \"sleep 0.3; echo cleaned; exit 0\" TERM; echo >&9; "
                                 "while :; do sleep 0.05; done'";
    static const char *const wrappers[] = {
        "sh -c %s; :",           "bash -c %s; :",  "timeout 3600 sh -c %s; :",
        "setsid -w sh -c %s; :", "nohup sh -c %s", "env sh -c %s & wait"};
    (void)state;
    for (size_t i = 0; i < sizeof wrappers / sizeof wrappers[0]; i++) {
        run_told(&holders, held(wrappers[i], worker), LONG_US);
        assert_bytes(outcome.output, "cleaned\n");
    }
}

static void each_is_told_once(void **state)
{
    (void)state;
    run_told(&holders,
             held("%s", "setsid sh -c 'n=0; trap \"n=\\$((n+1)); echo \\$n\" TERM; echo >&9; "
                        "while [ $n = 0 ]; do sleep 0.02; done; sleep 0.3' & wait; sleep 600"),
             LONG_US);
    assert_bytes(outcome.output, "1\n");
}

/* What a handler of TERM starts is not told to end: it may be what cleans up. */
static void a_helper_that_cleans_up(void **state)
{
    (void)state;
    run_told(&holders,
             held("%s", "trap 'timeout 60 sh -c \"sleep 0.3; echo cleaned\"; exit 0' TERM; "
                        "echo >&9; while :; do sleep 0.02; done"),
             LONG_US);
    assert_bytes(outcome.output, "cleaned\n");
}

static void who_stands_still_is_woken(void **state)
{
    (void)state;
    run_told(&holders, held("%s", "trap 'echo woken; exit 0' TERM; echo >&9; kill -STOP $$"),
             LONG_US);
    assert_bytes(outcome.output, "woken\n");
}

/* ---- nobody is left */

static void none_outlives_a_stop(void **state)
{
    static const char *const ways[] = {
        "timeout 3600 sh -c 'trap \"\" TERM; echo >&9; sleep 600; :'; :",
        "setsid sh -c 'trap \"\" TERM; echo >&9; sleep 600; :' & wait; :",
        "setsid -f sh -c 'trap \"\" TERM; setsid -f sleep 600; echo >&9; sleep 600; :'; sleep 600",
        "trap 'setsid -f sleep 600; exit 0' TERM; echo >&9; while :; do sleep 0.02; done",
        "trap '' TERM; while :; do setsid -f sleep 600; sleep 0.005; echo >&9; done",
        "trap '' TERM; sh -c 'kill -STOP $$' & echo >&9; wait; sleep 600",
        "exec >&- 2>&-; trap '' TERM; echo >&9; sleep 600; :",
        "trap '' TERM; env -i setsid -f sleep 600; echo >&9; kill -STOP $$",
    };
    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
        run_told(&holders, held("%s", ways[i]), SECOND_US / 10);
}

/* As su(1) does: without the environment, in a session of its own, and with its parent dead before
 * it. */
static void a_session_is_remembered(void **state)
{
    (void)state;
    run_told(&holders,
             held("%s", "sh -c 'env -i setsid sh -c \"trap : TERM; echo >&9; sleep 600; sleep 600\""
                        " & wait'"),
             SECOND_US / 2);
}

static void a_thousand_are_killed(void **state)
{
    (void)state;
    run_told(&holders,
             held("%s", "trap '' TERM; i=0; while [ $i -lt 1000 ]; do sleep 600 & i=$((i+1)); "
                        "done; echo >&9; wait; :"),
             SECOND_US / 10);
}

/* ---- several commands */

struct beside {
    char script[512], path[64];
    struct jobd_outcome outcome;
};

static void *run_beside(void *context)
{
    struct beside *beside = context;
    const struct exec_config config = {.command = SHELL(beside->script),
                                       .queue = "q",
                                       .output_max_bytes = 100,
                                       .kill_after_us = SECOND_US};
    const struct jobd_task task = {.id = 99, .attempt = 1, .key = ""};
    exec_attempt(&task, &beside->outcome, &config, -1);
    return NULL;
}

/* Orphans of one command live on while others end: with its environment, and without. */
static void orphans_of_others_are_left_alone(void **state)
{
    static const char *const ways[] = {"setsid -f", "setsid -f env -i PATH=/bin"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct beside beside = {.outcome = {.state = JOBD_DONE}};
        pthread_t thread;
        snprintf(beside.path, sizeof beside.path, "/tmp/jobd-test-%d-go", (int)getpid());
        snprintf(beside.script, sizeof beside.script,
                 "exec 9>%s; %s sh -c 'until [ -e %s ]; do sleep 0.01; done; echo late; rm %s; "
                 ">%s.done'; until [ -e %s.done ]; do sleep 0.01; done; rm %s.done",
                 holders.path, ways[i], beside.path, beside.path, beside.path, beside.path,
                 beside.path);
        assert_int_equal(pthread_create(&thread, NULL, run_beside, &beside), 0);
        for (int k = 0; k < 20; k++)
            run(SHELL("setsid -f sleep 600 >/dev/null 2>&1"));
        write_file(beside.path);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(beside.outcome.state, JOBD_DONE);
        assert_bytes(beside.outcome.output, "late\n");
        jobd_blob_unref(beside.outcome.output);
        jobd_blob_unref(beside.outcome.error);
    }
}

/* ---- the program that fills its pipe */

static int fill(void)
{
    char *room = calloc(1, PIPE_BYTES);
    bool good = room != NULL && fcntl(STDOUT_FILENO, F_SETPIPE_SZ, PIPE_BYTES) >= PIPE_BYTES &&
                write(STDOUT_FILENO, room, PIPE_BYTES) == PIPE_BYTES;
    _exit(good ? 0 : 1);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(helpers_are_read_to_their_end),
        TEST(a_helper_of_its_errors_alone),
        TEST(a_sleeper_holds_nothing_up),
        TEST(a_daemon_is_killed),
        TEST(a_killed_command_leaves_nobody),
        TEST(what_stood_in_the_pipe_is_kept),
        TEST(a_stop_ends_the_wait_for_helpers),
        TEST(a_wrapper_takes_no_time_from_the_rest),
        TEST(each_is_told_once),
        TEST(a_helper_that_cleans_up),
        TEST(who_stands_still_is_woken),
        TEST(none_outlives_a_stop),
        TEST(a_session_is_remembered),
        TEST(a_thousand_are_killed),
        TEST(orphans_of_others_are_left_alone),
    };
    if (argc == 2 && strcmp(argv[1], "fill") == 0)
        return fill();
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
