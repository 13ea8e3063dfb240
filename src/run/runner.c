/* SPDX-License-Identifier: MIT */
#include "run/runner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lock.h"
#include "run/exec.h"
#include "run/post.h"
#include "run/sleep.h"

/* ---- the kinds */

/* One block: the config, the pointers, the words. */
static int exec_new(void **work, const struct runner_config *config)
{
    char *const *words = *(char *const *const *)config->argument;
    size_t len = 0, bytes = 0;
    for (; words[len] != NULL; len++)
        bytes += strlen(words[len]) + 1;
    struct exec_config *exec = malloc(sizeof *exec + (len + 1) * sizeof *words + bytes);
    if (exec == NULL)
        return -ENOMEM;
    const char **copy = (const char **)(exec + 1);
    char *room = (char *)(copy + len + 1);
    for (size_t i = 0; i < len; i++) {
        copy[i] = room;
        room = stpcpy(room, words[i]) + 1;
    }
    copy[len] = NULL;
    *exec = (struct exec_config){.command = copy,
                                 .queue = config->queue,
                                 .output_max_bytes = config->output_max_bytes,
                                 .kill_after_us = config->kill_after_us};
    *work = exec;
    return 0;
}

static int post_new_work(void **work, const struct runner_config *config)
{
    const struct post_config post = {.url = *(char *const *)config->argument,
                                     .queue = config->queue,
                                     .output_max_bytes = config->output_max_bytes};
    struct post *new;
    int error = post_new(&new, &post);
    if (error == 0)
        *work = new;
    return error;
}

static void post_free_work(void *work)
{
    post_free(work);
}

struct runner_kind {
    const char *name; /* also its option's */
    /* 0 and *work, which attempts share and a thread each may use; or -errno. */
    int (*new)(void **work, const struct runner_config *config);
    void (*free)(void *work);
    jobd_run *run; /* `context` is the work */
};

static const struct runner_kind kinds[] = {
    {"sleep", sleep_new, free, sleep_run},
    {"exec", exec_new, free, exec_run},
    {"post", post_new_work, post_free_work, post_run},
};

/* ---- versions */

/* Lives as long as an attempt uses it. */
struct runner_version {
    const struct runner_kind *kind;
    unsigned users; /* attempts, and the runner; under its lock */
    char queue[JOBD_QUEUE_NAME_MAX + 1];
    void *work;
};

struct runner {
    struct mutex lock;
    struct runner_version *version GUARDED_BY(lock);
};

void runner_version_free(struct runner_version *version)
{
    if (version != NULL)
        version->kind->free(version->work);
    free(version);
}

int runner_version_new(struct runner_version **version, const struct runner_config *config)
{
    const struct runner_kind *kind = kinds, *end = kinds + sizeof kinds / sizeof kinds[0];
    while (kind < end && strcmp(kind->name, config->kind) != 0)
        kind++;
    if (kind == end)
        return -EINVAL;
    struct runner_version *new = calloc(1, sizeof *new);
    if (new == NULL)
        return -ENOMEM;
    *new = (struct runner_version){.kind = kind, .users = 1};
    struct runner_config own = *config;
    snprintf(new->queue, sizeof new->queue, "%s", config->queue);
    own.queue = new->queue; /* it stays as long as the work */
    int error = kind->new (&new->work, &own);
    if (error == 0)
        *version = new;
    else
        free(new);
    return error;
}

static struct runner_version *runner_acquire(struct runner *runner)
{
    mutex_lock(&runner->lock);
    struct runner_version *version = runner->version;
    version->users++;
    mutex_unlock(&runner->lock);
    return version;
}

static void runner_release(struct runner *runner, struct runner_version *version)
{
    mutex_lock(&runner->lock);
    bool last = --version->users == 0;
    mutex_unlock(&runner->lock);
    if (last)
        runner_version_free(version);
}

/* ---- runners */

int runner_new(struct runner **runner, const struct runner_config *config)
{
    struct runner_version *version = NULL;
    struct runner *new = calloc(1, sizeof *new);
    int error = new != NULL ? runner_version_new(&version, config) : -ENOMEM;
    if (error == 0)
        error = mutex_init(&new->lock);
    if (error != 0)
        goto fail;
    mutex_lock(&new->lock);
    new->version = version;
    mutex_unlock(&new->lock);
    *runner = new;
    return 0;
fail:
    runner_version_free(version);
    free(new);
    return error;
}

void runner_free(struct runner *runner)
{
    if (runner == NULL)
        return;
    mutex_lock(&runner->lock);
    struct runner_version *version = runner->version;
    mutex_unlock(&runner->lock);
    runner_version_free(version);
    mutex_release(&runner->lock);
    free(runner);
}

void runner_change(struct runner *runner, struct runner_version *version)
{
    mutex_lock(&runner->lock);
    struct runner_version *former = runner->version;
    runner->version = version;
    mutex_unlock(&runner->lock);
    runner_release(runner, former);
}

void runner_adopt(struct runner *runner, struct runner **other)
{
    mutex_lock(&(*other)->lock);
    struct runner_version *version = (*other)->version;
    mutex_unlock(&(*other)->lock);
    runner_change(runner, version);
    mutex_release(&(*other)->lock);
    free(*other);
    *other = NULL;
}

void runner_run(const struct jobd_task *task, struct jobd_outcome *outcome, void *context)
{
    struct runner *runner = context;
    struct runner_version *version = runner_acquire(runner);
    version->kind->run(task, outcome, version->work);
    runner_release(runner, version);
}
