/* SPDX-License-Identifier: MIT */
#include "run/sleep.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/event.h"
#include "base/log.h"
#include "base/text.h"
#include "run/runner.h"

enum { LOOK_EVERY_MS = 100 };

int sleep_new(void **work, const struct runner_config *config)
{
    int64_t *us = malloc(sizeof *us);
    if (us == NULL)
        return -ENOMEM;
    memcpy(us, config->argument, sizeof *us);
    *work = us;
    return 0;
}

/* Waits until a line can be written; without blocking in write(2), so that a stop is heard though
 * the reader does not read. False when told to stop. */
static bool await_reader(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    while (event_poll(&out, 1, LOOK_EVERY_MS) <= 0)
        if (jobd_stopping())
            return false;
    return true;
}

/* One write a line: lines of several workers do not mix, and nothing waits in a buffer. */
static bool say_done(uint64_t id)
{
    char digits[TEXT_NUMBER_SIZE], line[sizeof "done job \n" + sizeof digits];
    const char *end = stpcpy(stpcpy(stpcpy(line, "done job "), text_number(id, digits)), "\n");
    const char *at = line;
    while (at < end) {
        ssize_t written = write(STDOUT_FILENO, at, (size_t)(end - at));
        if (written < 0 && (errno == EINTR || (errno == EAGAIN && await_reader())))
            continue;
        if (written < 0)
            return false;
        at += written;
    }
    return true;
}

void sleep_run(const struct jobd_task *task, struct jobd_outcome *outcome, void *context)
{
    static atomic_flag complained = ATOMIC_FLAG_INIT;
    const int64_t *sleep_us = context;
    bool too_long = task->timeout_us > 0 && task->timeout_us < *sleep_us;
    if (!jobd_sleep(too_long ? task->timeout_us : *sleep_us) || (!too_long && !await_reader())) {
        outcome->state = JOBD_CANCELLED;
    } else if (too_long) {
        outcome->state = JOBD_FAILED;
        outcome->error = jobd_blob_text("timed out");
    } else if (!say_done(task->id)) {
        if (!atomic_flag_test_and_set(&complained))
            log_error("standard output: %s; jobs fail", strerror(errno));
        outcome->state = JOBD_FAILED;
    }
}
