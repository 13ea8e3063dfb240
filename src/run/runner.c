/* SPDX-License-Identifier: MIT */
#include "run/runner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "run/exec.h"
#include "base/lock.h"
#include "run/post.h"
#include "run/sleep.h"

/* One setting of it, which lives as long as an attempt uses it. */
struct tool {
    unsigned users; /* attempts, and the runner; under its lock */
    char **command; /* one block, or NULL */
    struct exec_config exec;
    struct post *post; /* or NULL */
    int64_t sleep_us;
};

struct runner {
    struct mutex lock;
    struct tool *tool GUARDED_BY(lock);
};

static char **copy_words(char *const *words)
{
    size_t len = 0, bytes = 0;
    for (; words[len] != NULL; len++)
        bytes += strlen(words[len]) + 1;
    char **copy = malloc((len + 1) * sizeof *copy + bytes);
    if (copy == NULL)
        return NULL;
    char *room = (char *)(copy + len + 1);
    for (size_t i = 0; i < len; i++) {
        copy[i] = room;
        room = stpcpy(room, words[i]) + 1;
    }
    copy[len] = NULL;
    return copy;
}

void tool_free(struct tool *tool)
{
    if (tool == NULL)
        return;
    post_free(tool->post);
    free(tool->command);
    free(tool);
}

int tool_new(struct tool **tool, const struct runner_config *config)
{
    struct tool *new = calloc(1, sizeof *new);
    if (new == NULL)
        return -ENOMEM;
    int error = 0;
    new->users = 1;
    new->sleep_us = config->sleep_us;
    if (config->command != NULL) {
        new->command = copy_words(config->command);
        new->exec = (struct exec_config){.command = (const char *const *)new->command,
                                         .queue = config->queue,
                                         .output_max_bytes = config->output_max_bytes,
                                         .kill_after_us = config->kill_after_us};
        error = new->command != NULL ? 0 : -ENOMEM;
    } else if (config->url != NULL) {
        const struct post_config post = {.url = config->url,
                                         .queue = config->queue,
                                         .output_max_bytes = config->output_max_bytes};
        error = post_new(&new->post, &post);
    }
    if (error == 0)
        *tool = new;
    else
        tool_free(new);
    return error;
}

static struct tool *pick_up(struct runner *runner)
{
    mutex_lock(&runner->lock);
    struct tool *tool = runner->tool;
    tool->users++;
    mutex_unlock(&runner->lock);
    return tool;
}

static void put_down(struct runner *runner, struct tool *tool)
{
    mutex_lock(&runner->lock);
    bool last = --tool->users == 0;
    mutex_unlock(&runner->lock);
    if (last)
        tool_free(tool);
}

int runner_new(struct runner **runner, const struct runner_config *config)
{
    struct runner *new = calloc(1, sizeof *new);
    if (new == NULL)
        return -ENOMEM;
    int error = mutex_init(&new->lock);
    if (error != 0) {
        free(new);
        return error;
    }
    mutex_lock(&new->lock);
    error = tool_new(&new->tool, config);
    mutex_unlock(&new->lock);
    if (error == 0) {
        *runner = new;
        return 0;
    }
    mutex_release(&new->lock);
    free(new);
    return error;
}

void runner_free(struct runner *runner)
{
    if (runner == NULL)
        return;
    mutex_lock(&runner->lock);
    struct tool *tool = runner->tool;
    mutex_unlock(&runner->lock);
    tool_free(tool);
    mutex_release(&runner->lock);
    free(runner);
}

void runner_change(struct runner *runner, struct tool *tool)
{
    mutex_lock(&runner->lock);
    struct tool *former = runner->tool;
    runner->tool = tool;
    mutex_unlock(&runner->lock);
    put_down(runner, former);
}

void runner_run(const struct jobd_task *task, struct jobd_outcome *outcome, void *context)
{
    struct runner *runner = context;
    struct tool *tool = pick_up(runner);
    if (tool->command != NULL)
        exec_run(task, outcome, &tool->exec);
    else if (tool->post != NULL)
        post_run(task, outcome, tool->post);
    else
        sleep_run(task, outcome, &tool->sleep_us);
    put_down(runner, tool);
}
