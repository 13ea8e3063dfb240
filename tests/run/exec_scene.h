/* SPDX-License-Identifier: MIT */
/* Attempts of commands, one after the other, in the test's own thread; and a way to see that nobody
 * of one is left. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "run/exec.h"

enum { OUTPUT_MAX = 1 << 20, SECOND_US = 1000000 };

#define SHELL(script) ((const char *const[]){"/bin/sh", "-c", script, NULL})

/* Of the last attempt. */
extern struct jobd_outcome outcome;

/* Attempt 2 of job 17. */
void exec_once(const struct exec_config *config, struct jobd_blob *payload, int64_t timeout_us,
               int stop_fd);
/* With OUTPUT_MAX, and KILL a tenth of a second after TERM. */
void run_with(const char *const *command, struct jobd_blob *payload, int64_t timeout_us);
void run(const char *const *command);
void assert_bytes(const struct jobd_blob *blob, const char *text);
bool error_has(const char *text);

/* Before and after a test: no child is left, dead or alive, and no descriptor open. */
int nothing_stays(void **state);

/* A pipe with a name: whoever opened it for writing holds it, and so does all that it starts. */
struct holders {
    char path[64];
    int fd;
};

void holders_begin(struct holders *holders);
/* Runs a script, which is told to stop when it, or what it started, has written a byte there; KILL
 * comes so long after TERM. */
void run_told(struct holders *holders, const char *script, int64_t kill_after_us);
/* Somebody has opened it, and nobody of them is left, already now. */
void holders_end(struct holders *holders);
