/* SPDX-License-Identifier: MIT */
#include "run/runner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lock.h"
#include "base/text.h"
#include "run/callbacks.h"
#include "run/sleep.h"
#include "run/user.h"

/* ---- the kinds */

/* What a command is started with, in copies. */
struct exec_work {
    struct exec_config config; /* first */
    int nice;
    char *directory;
    char **command, **environment;
    struct user *user;
};

static void exec_free(void *work)
{
    struct exec_work *exec = work;
    free(exec->user);
    free(exec->environment);
    free(exec->command);
    free(exec->directory);
    free(exec);
}

/* False when memory is short. */
static bool copy_place(struct exec_work *exec, const struct exec_place *place)
{
    struct exec_place *copy = &exec->config.place;
    if ((place->directory != NULL && (exec->directory = strdup(place->directory)) == NULL) ||
        (place->environment != NULL &&
         (exec->environment = text_words_copy(place->environment)) == NULL) ||
        (place->user != NULL && (exec->user = user_copy(place->user)) == NULL))
        return false;
    *copy = (struct exec_place){
        .directory = exec->directory, .environment = exec->environment, .user = exec->user};
    if (place->nice != NULL) {
        exec->nice = *place->nice;
        copy->nice = &exec->nice;
    }
    return true;
}

static int exec_new(void **work, const struct runner_config *config)
{
    struct exec_work *exec = calloc(1, sizeof *exec);
    if (exec == NULL)
        return -ENOMEM;
    exec->command = text_words_copy(*(char *const *const *)config->argument);
    exec->config = (struct exec_config){.command = (const char *const *)exec->command,
                                        .queue = config->queue,
                                        .output_max_bytes = config->output_max_bytes,
                                        .kill_after_us = config->kill_after_us};
    if (exec->command == NULL || !copy_place(exec, &config->place)) {
        exec_free(exec);
        return -ENOMEM;
    }
    *work = exec;
    return 0;
}

static int post_new_work(void **work, const struct runner_config *config)
{
    const struct post_config post = {.url = *(char *const *)config->argument,
                                     .queue = config->queue,
                                     .output_max_bytes = config->output_max_bytes,
                                     .extras = config->extras};
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
    {"exec", exec_new, exec_free, exec_run},
    {"post", post_new_work, post_free_work, post_run},
    {"callback", callback_new, callback_free, callback_run},
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
