/* SPDX-License-Identifier: MIT */
/* The exec runner: what a command gets, what becomes of it, and that nothing of it stays. */
#include <dirent.h>
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
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "run/exec_scene.h"

/* ---- what it gets, what it gives */

static void payload_in_output_out(void **state)
{
    struct jobd_blob *payload = jobd_blob_new(OUTPUT_MAX, "application/x");
    (void)state;
    assert_non_null(payload);
    for (size_t i = 0; i < payload->size; i++)
        payload->bytes[i] = (unsigned char)(i * 7 + i / 256);
    run_with((const char *const[]){"cat", NULL}, payload, 0);
    assert_int_equal(outcome.state, JOBD_DONE);
    assert_non_null(outcome.output);
    assert_int_equal(outcome.output->size, payload->size);
    assert_memory_equal(outcome.output->bytes, payload->bytes, payload->size);
    assert_string_equal(outcome.output->type, "");
    assert_false(outcome.output_truncated);
    jobd_blob_unref(payload);
}

static void text_is_called_text(void **state)
{
    (void)state;
    run(SHELL("printf 'gr\\303\\274n'; echo quiet >&2"));
    assert_bytes(outcome.output, "gr\303\274n");
    assert_string_equal(outcome.output->type, "text/plain; charset=utf-8");
    assert_bytes(outcome.error, "quiet");
    assert_true(outcome.exited);
    assert_int_equal(outcome.exit_code, 0);
    run(SHELL("printf 'gr\\374n'"));
    assert_string_equal(outcome.output->type, "");
}

static void what_the_environment_says(void **state)
{
    struct jobd_blob *payload = jobd_blob_new(0, "text/x");
    (void)state;
    assert_int_equal(setenv("JOBD_TOKEN_FILE", "/secret", 1), 0);
    assert_int_equal(setenv("JOBD_DATA", "postgres://jobd:secret@host/jobd", 1), 0);
    assert_int_equal(setenv("LISTEN_FDS", "1", 1), 0);
    assert_int_equal(setenv("TRACEPARENT", "another", 1), 0);
    assert_int_equal(setenv("USUAL", "stays", 1), 0);
    run_with(SHELL("env | grep -E '^(JOBD_|LISTEN_|TRACEPARENT|USUAL)' | sort"), payload, 0);
    assert_bytes(outcome.output, "JOBD_ATTEMPT=2\nJOBD_CONTENT_TYPE=text/x\nJOBD_ID=17\n"
                                 "JOBD_QUEUE=q\nTRACEPARENT=00-aa-bb-01\nUSUAL=stays\n");
    jobd_blob_unref(payload);
}

static void it_inherits_three_descriptors(void **state)
{
    (void)state;
    int leaks = open("/dev/null", O_RDONLY); /* on purpose without O_CLOEXEC */
    /* ls opens the directory itself. */
    run((const char *const[]){"ls", "/proc/self/fd", NULL});
    assert_bytes(outcome.output, "0\n1\n2\n3\n");
    close(leaks);
    run(SHELL("read -r line </proc/$$/stat; set -- $line; test \"$5\" = $$ && echo leads"));
    assert_bytes(outcome.output, "leads\n");
    run(SHELL("kill -PIPE $$"));
    assert_true(error_has("killed by signal 13 (PIPE)"));
}

/* ---- how it ends */

static void codes_and_signals(void **state)
{
    (void)state;
    run(SHELL("echo half; echo why >&2; exit 3"));
    assert_int_equal(outcome.state, JOBD_FAILED);
    assert_true(outcome.exited);
    assert_int_equal(outcome.exit_code, 3);
    assert_false(outcome.for_good);
    assert_bytes(outcome.output, "half\n");
    assert_bytes(outcome.error, "why");
    run(SHELL("kill -9 $$"));
    assert_int_equal(outcome.state, JOBD_FAILED);
    assert_false(outcome.exited);
    assert_bytes(outcome.error, "killed by signal 9 (KILL)");
}

static void what_cannot_be_started(void **state)
{
    (void)state;
    run((const char *const[]){"/no/such/command", NULL});
    assert_int_equal(outcome.state, JOBD_FAILED);
    assert_bytes(outcome.error, "/no/such/command: No such file or directory");
    run((const char *const[]){"/etc/passwd", NULL});
    assert_bytes(outcome.error, "/etc/passwd: Permission denied");
}

static void the_end_of_standard_error(void **state)
{
    (void)state;
    run(SHELL("i=0; while [ $i -lt 2000 ]; do echo line $i >&2; i=$((i+1)); done; exit 1"));
    assert_non_null(outcome.error);
    assert_in_range(outcome.error->size, EXEC_ERROR_BYTES - 8, EXEC_ERROR_BYTES);
    assert_true(error_has("line 1999"));
    assert_false(error_has("line 100\n"));
}

/* Also of one that has ended well. */
static void standard_error_is_kept(void **state)
{
    (void)state;
    run(SHELL("echo out; echo warned >&2"));
    assert_int_equal(outcome.state, JOBD_DONE);
    assert_bytes(outcome.output, "out\n");
    assert_bytes(outcome.error, "warned");
    run(SHELL("echo out"));
    assert_int_equal(outcome.state, JOBD_DONE);
    assert_null(outcome.error);
}

static void output_is_bounded(void **state)
{
    const struct exec_config config = {.command =
                                           SHELL("head -c 104857600 /dev/zero; echo end >&2"),
                                       .queue = "q",
                                       .output_max_bytes = 1000,
                                       .kill_after_us = SECOND_US};
    (void)state;
    exec_once(&config, NULL, 0, -1);
    assert_int_equal(outcome.state, JOBD_DONE);
    assert_int_equal(outcome.output->size, 1000);
    assert_true(outcome.output_truncated);
}

/* ---- commands that misbehave */

static void input_that_is_not_read(void **state)
{
    struct jobd_blob *payload = jobd_blob_new(OUTPUT_MAX, NULL);
    (void)state;
    assert_non_null(payload);
    memset(payload->bytes, 'x', payload->size);
    run_with(SHELL("exec <&-; echo closed"), payload, 0);
    assert_int_equal(outcome.state, JOBD_DONE);
    run_with(SHELL("head -c 10"), payload, 0);
    assert_bytes(outcome.output, "xxxxxxxxxx");
    run_with(SHELL("echo never"), payload, 0);
    assert_bytes(outcome.output, "never\n");
    jobd_blob_unref(payload);
}

static void too_late(void **state)
{
    (void)state;
    int64_t before_us = clock_now_us();
    run_with(SHELL("echo begun; echo slow >&2; sleep 600"), NULL, SECOND_US / 20);
    assert_int_equal(outcome.state, JOBD_FAILED);
    assert_bytes(outcome.error, "timed out after 50 ms: slow");
    assert_bytes(outcome.output, "begun\n");
    assert_in_range(clock_now_us() - before_us, SECOND_US / 20, 10 * SECOND_US);
}

static void who_ignores_term_is_killed(void **state)
{
    (void)state;
    run_with(SHELL("trap '' TERM; while :; do sleep 1; done"), NULL, SECOND_US / 20);
    assert_int_equal(outcome.state, JOBD_FAILED);
    assert_true(error_has("timed out"));
}

static void who_is_told_to_stop(void **state)
{
    const struct exec_config config = {.command =
                                           SHELL("trap 'echo bye >&2; exit 0' TERM; sleep 600 & "
                                                 "wait"),
                                       .queue = "q",
                                       .output_max_bytes = 1000,
                                       .kill_after_us = 10 * SECOND_US};
    int stop = eventfd(1, EFD_CLOEXEC);
    (void)state;
    exec_once(&config, NULL, 0, stop);
    assert_int_equal(outcome.state, JOBD_CANCELLED);
    close(stop);
}

/* It ends at once, and what it left behind is killed: the lock that it held is free. */
static void nothing_goes_on_in_the_background(void **state)
{
    char path[] = "/tmp/jobd-test-XXXXXX", script[128];
    int file = mkostemp(path, O_CLOEXEC);
    (void)state;
    assert_true(file >= 0);
    snprintf(script, sizeof script,
             "flock %s sleep 600 & until ! flock -n %s true; do :; done; echo left", path, path);
    run(SHELL(script));
    assert_bytes(outcome.output, "left\n");
    assert_int_equal(flock(file, LOCK_EX), 0); /* waits until whoever has it is gone */
    close(file);
    unlink(path);
}

/* ---- many */

enum { THREADS = 4, RUNS = 40 };

static void *run_many(void *context)
{
    const struct exec_config config = {.command = SHELL("cat; exit 5"),
                                       .queue = "q",
                                       .output_max_bytes = 100,
                                       .kill_after_us = SECOND_US};
    size_t *good = context;
    for (int i = 0; i < RUNS; i++) {
        char text[24];
        snprintf(text, sizeof text, "%p %d", context, i);
        struct jobd_blob *payload = jobd_blob_text(text);
        const struct jobd_task task = {.id = 1, .attempt = 1, .payload = payload, .key = ""};
        struct jobd_outcome end = {.state = JOBD_DONE};
        exec_attempt(&task, &end, &config, -1);
        *good += payload != NULL && end.exit_code == 5 && end.output != NULL &&
                 end.output->size == payload->size &&
                 memcmp(end.output->bytes, payload->bytes, payload->size) == 0;
        jobd_blob_unref(payload);
        jobd_blob_unref(end.output);
        jobd_blob_unref(end.error);
    }
    return NULL;
}

static void several_at_a_time(void **state)
{
    pthread_t threads[THREADS];
    size_t good[THREADS] = {0};
    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_many, &good[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(good[i], RUNS);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, nothing_stays, nothing_stays)
    const struct CMUnitTest tests[] = {
        TEST(payload_in_output_out),
        TEST(text_is_called_text),
        TEST(what_the_environment_says),
        TEST(it_inherits_three_descriptors),
        TEST(codes_and_signals),
        TEST(what_cannot_be_started),
        TEST(the_end_of_standard_error),
        TEST(standard_error_is_kept),
        TEST(output_is_bounded),
        TEST(input_that_is_not_read),
        TEST(too_late),
        TEST(who_ignores_term_is_killed),
        TEST(who_is_told_to_stop),
        TEST(nothing_goes_on_in_the_background),
        TEST(several_at_a_time),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
