/* SPDX-License-Identifier: MIT */
/* What the workers of a queue do its jobs with: a command, a web service, or the pretend work. It
 * can be exchanged while jobs run: an attempt goes on with what it began with. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "jobd/pool.h"

struct runner;
struct tool;

/* All borrowed, and copied; but the queue's name must stay. The first that is there counts. */
struct runner_config {
    const char *queue;
    char *const *command; /* NULL at the end; or NULL */
    const char *url;      /* of a web service, or NULL */
    int64_t sleep_us;
    int64_t kill_after_us; /* from TERM to KILL of a command */
    size_t output_max_bytes;
};

/* 0 and *runner, or -errno. */
JOBD_MUST_READ int runner_new(struct runner **runner, const struct runner_config *config);
/* No attempt runs any more. Takes NULL. */
void runner_free(struct runner *runner);

/* What attempts are made with. 0 and *tool, or -errno. */
JOBD_MUST_READ int tool_new(struct tool **tool, const struct runner_config *config);
/* No attempt uses it. Takes NULL. */
void tool_free(struct tool *tool);
/* For attempts that begin from now on; it is taken. */
void runner_change(struct runner *runner, struct tool *tool);

/* A jobd_run; `context` is the struct runner. In any number of threads at a time. */
void runner_run(const struct jobd_task *task, struct jobd_outcome *outcome, void *context);
