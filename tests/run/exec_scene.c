/* SPDX-License-Identifier: MIT */
#include "run/exec_scene.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/event.h"
#include "support/server.h"

struct jobd_outcome outcome;

static void forget(void)
{
    jobd_blob_unref(outcome.output);
    jobd_blob_unref(outcome.error);
    outcome = (struct jobd_outcome){.state = JOBD_DONE};
}

void exec_once(const struct exec_config *config, struct jobd_blob *payload, int64_t timeout_us,
               int stop_fd)
{
    const struct jobd_task task = {.id = 17,
                                   .attempt = 2,
                                   .payload = payload,
                                   .timeout_us = timeout_us,
                                   .key = "",
                                   .trace = "00-aa-bb-01"};
    forget();
    exec_attempt(&task, &outcome, config, stop_fd);
}

void run_with(const char *const *command, struct jobd_blob *payload, int64_t timeout_us)
{
    const struct exec_config config = {.command = command,
                                       .queue = "q",
                                       .output_max_bytes = OUTPUT_MAX,
                                       .kill_after_us = SECOND_US / 10};
    exec_once(&config, payload, timeout_us, -1);
}

void run(const char *const *command)
{
    run_with(command, NULL, 0);
}

void assert_bytes(const struct jobd_blob *blob, const char *text)
{
    assert_non_null(blob);
    assert_int_equal(blob->size, strlen(text));
    assert_memory_equal(blob->bytes, text, blob->size);
}

bool error_has(const char *text)
{
    return outcome.error != NULL &&
           memmem(outcome.error->bytes, outcome.error->size, text, strlen(text)) != NULL;
}

static unsigned open_files(void)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

int nothing_stays(void **state)
{
    static unsigned usual;
    (void)state;
    forget();
    if (usual == 0)
        usual = open_files();
    assert_int_equal(open_files(), usual);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    return 0;
}

void holders_begin(struct holders *holders)
{
    snprintf(holders->path, sizeof holders->path, "/tmp/jobd-test-%d-holders", (int)getpid());
    (void)unlink(holders->path);
    assert_int_equal(mkfifo(holders->path, 0600), 0);
    holders->fd = open(holders->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(holders->fd >= 0);
}

static void drain(const struct holders *holders)
{
    char bytes[256];
    while (read(holders->fd, bytes, sizeof bytes) > 0)
        ;
}

void holders_end(struct holders *holders)
{
    drain(holders);
    struct pollfd held = {.fd = holders->fd, .events = POLLIN};
    assert_int_equal(poll(&held, 1, 0), 1);
    assert_int_equal(held.revents, POLLHUP);
    close(holders->fd);
    unlink(holders->path);
}

struct told {
    int ready, stop;
};

static void *tell_when_ready(void *context)
{
    const struct told *told = context;
    char byte;
    for (int64_t deadline_ms = now_ms() + PATIENCE_MS; read(told->ready, &byte, 1) != 1;)
        if (now_ms() > deadline_ms)
            break;
        else
            let_pass(1);
    event_set(told->stop);
    return NULL;
}

void run_told(struct holders *holders, const char *script, int64_t kill_after_us)
{
    const struct exec_config config = {.command = SHELL(script),
                                       .queue = "q",
                                       .output_max_bytes = OUTPUT_MAX,
                                       .kill_after_us = kill_after_us};
    struct told told = {.ready = holders->fd, .stop = event_new()};
    pthread_t thread;
    drain(holders); /* of the run before */
    assert_true(told.stop >= 0);
    assert_int_equal(pthread_create(&thread, NULL, tell_when_ready, &told), 0);
    exec_once(&config, NULL, 0, told.stop);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(outcome.state, JOBD_CANCELLED);
    close(told.stop);
}
