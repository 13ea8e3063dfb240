/* SPDX-License-Identifier: MIT */
/* What the workers of a queue do its jobs with: a kind of runner and its configuration. It can be
 * exchanged while jobs run: an attempt goes on with what it began with.
 *
 * To add a kind: its file, a row in runner.c, and an option of the same name with OPTION_RUNNER. */
#pragma once

#include <stddef.h>

#include "jobd/pool.h"
#include "run/exec.h"
#include "run/post.h"

struct runner;
struct runner_version;

/* All borrowed, and copied. */
struct runner_config {
    const char *queue;
    const char *kind;     /* `sleep`, `exec`, `post`, `callback` */
    const void *argument; /* the value of its option: int64_t *, char ***, char **; of `callback`
                             the struct callbacks, which outlives it */
    size_t output_max_bytes;
    int64_t kill_after_us;     /* from TERM to KILL of a command */
    struct exec_place place;   /* of a command */
    struct post_extras extras; /* of requests */
};

/* 0 and *runner, or -errno: -EINVAL when there is no such kind, or its argument is not valid. */
JOBD_MUST_READ int runner_new(struct runner **runner, const struct runner_config *config);
/* No attempt runs any more. Takes NULL. */
void runner_free(struct runner *runner);

/* One configuration of a runner. 0 and *version, or -errno, as above. */
JOBD_MUST_READ int runner_version_new(struct runner_version **version,
                                      const struct runner_config *config);
/* No attempt uses it. Takes NULL. */
void runner_version_free(struct runner_version *version);
/* Attempts that begin after this use it; it is taken. */
void runner_change(struct runner *runner, struct runner_version *version);

/* The same with the version of another runner, which is freed; *other is then NULL. */
void runner_adopt(struct runner *runner, struct runner **other);

/* A jobd_run; `context` is the struct runner. In any number of threads at a time. */
void runner_run(const struct jobd_task *task, struct jobd_outcome *outcome, void *context);
