/* SPDX-License-Identifier: MIT */
#include "server/reload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/sandbox.h"
#include "base/verify.h"

enum { NAMES_SIZE = 256 };

/* Names of options, with commas. */
struct names {
    char text[NAMES_SIZE];
    size_t used;
};

struct differences {
    struct names live, fixed;
};

/* What shall change hands, made before any of it does. */
struct changes {
    struct tool **tools; /* of each queue; NULL: nothing of it changes */
    struct tokens *tokens;
    struct identity *identity;
};

void queue_terms(const struct queue_options *queue, struct jobd_queue_config *config)
{
    config->attempts = (uint32_t)queue->attempts;
    config->timeout_us = queue->timeout_us;
    config->backoff_min_us = queue->backoff.min_us;
    config->backoff_max_us = queue->backoff.max_us;
}

void queue_runner(const struct options *options, const struct queue_options *queue,
                  struct runner_config *config)
{
    *config = (struct runner_config){.queue = queue->name,
                                     .command = queue->command,
                                     .url = queue->post,
                                     .sleep_us = queue->sleep_us,
                                     .kill_after_us = options->kill_after_us,
                                     .output_max_bytes = (size_t)options->output_max_bytes};
}

static void note(void *context, const char *option, bool live)
{
    struct differences *differences = context;
    struct names *names = live ? &differences->live : &differences->fixed;
    int length = snprintf(names->text + names->used, sizeof names->text - names->used, "%s%s",
                          names->used > 0 ? ", " : "", option);
    if (length > 0 && names->used + (size_t)length < sizeof names->text)
        names->used += (size_t)length;
}

static struct queue_options *find(const struct options *options, const char *name)
{
    for (uint32_t i = 0; i < options->queues_len; i++)
        if (strcmp(options->queues[i].name, name) == 0)
            return &options->queues[i];
    return NULL;
}

/* ---- before anything counts */

static bool make_tools(struct changes *changes, const struct options *options,
                       const struct options *fresh)
{
    changes->tools = calloc(options->queues_len, sizeof(struct tool *));
    int error = changes->tools != NULL ? 0 : -ENOMEM;
    for (uint32_t i = 0; i < options->queues_len && error == 0; i++) {
        const struct queue_options *queue = &options->queues[i];
        const struct queue_options *then = find(fresh, queue->name);
        struct differences differences = {0};
        struct runner_config config;
        if (then != NULL)
            options_compare_queues(queue, then, note, &differences);
        if (differences.live.used == 0)
            continue;
        queue_runner(options, then, &config);
        config.queue = queue->name; /* that of `fresh` goes */
        error = tool_new(&changes->tools[i], &config);
    }
    if (error != 0)
        log_error("SIGHUP: %s: nothing is changed", strerror(-error));
    return error == 0;
}

static bool read_files(struct changes *changes, const struct auth *auth, const struct tls *tls)
{
    char auth_error[AUTH_ERROR_SIZE], tls_error[TLS_ERROR_SIZE];
    if (auth != NULL && (changes->tokens = auth_read(auth, auth_error)) == NULL)
        log_error("SIGHUP: %s: nothing is changed", auth_error);
    else if (tls != NULL && (changes->identity = tls_read(tls, tls_error)) == NULL)
        log_error("SIGHUP: %s: nothing is changed", tls_error);
    else
        return true;
    return false;
}

static void release(struct changes *changes, uint32_t queues_len)
{
    for (uint32_t i = 0; changes->tools != NULL && i < queues_len; i++)
        tool_free(changes->tools[i]);
    free(changes->tools);
    tokens_free(changes->tokens);
    identity_free(changes->identity);
}

/* A server that was started without commands has given up to run any. */
static bool wants_commands_in_vain(const struct options *options, const struct options *fresh)
{
    for (uint32_t i = 0; i < fresh->queues_len && !sandbox_allows_commands(); i++)
        if (fresh->queues[i].command != NULL && find(options, fresh->queues[i].name) != NULL) {
            log_error("SIGHUP: queue %s: exec: a server that was started without commands runs "
                      "none; start it again: nothing is changed",
                      fresh->queues[i].name);
            return true;
        }
    return false;
}

/* ---- from here on nothing can fail */

/* What is live changes hands: `fresh` is released with what counted before. The name stays where it
 * is, as workers may be reading it. */
static void swap(struct queue_options *queue, struct queue_options *fresh)
{
    char *post = queue->post, **command = queue->command;
    queue->sleep_us = fresh->sleep_us;
    queue->attempts = fresh->attempts;
    queue->timeout_us = fresh->timeout_us;
    queue->backoff = fresh->backoff;
    queue->post = fresh->post;
    queue->command = fresh->command;
    fresh->post = post;
    fresh->command = command;
}

/* Takes the tool, NULL when nothing that is live differs. */
static void change_queue(struct queue_options *queue, struct queue_options *fresh,
                         struct jobd *jobd, struct runner *runner, struct tool *tool)
{
    struct differences differences = {0};
    struct jobd_queue_config terms = {.name = queue->name};
    options_compare_queues(queue, fresh, note, &differences);
    if (differences.fixed.used > 0)
        log_warn("SIGHUP: queue %s: %s cannot change while the server runs", queue->name,
                 differences.fixed.text);
    if (tool == NULL)
        return;
    runner_change(runner, tool);
    queue_terms(fresh, &terms);
    verify(jobd_queue_change(jobd, jobd_queue_named(jobd, queue->name), &terms) == 0);
    swap(queue, fresh);
    log_info("SIGHUP: queue %s: changed: %s", queue->name, differences.live.text);
}

static void change_queues(struct options *options, const struct options *fresh, struct jobd *jobd,
                          struct runner *const *runners, struct changes *changes)
{
    for (uint32_t i = 0; i < fresh->queues_len; i++)
        if (find(options, fresh->queues[i].name) == NULL)
            log_warn("SIGHUP: queue %s: new: needs a restart", fresh->queues[i].name);
    for (uint32_t i = 0; i < options->queues_len; i++) {
        struct queue_options *queue = find(fresh, options->queues[i].name);
        if (queue != NULL)
            change_queue(&options->queues[i], queue, jobd, runners[i], changes->tools[i]);
        else
            log_warn("SIGHUP: queue %s: no longer configured; dropped at the next restart",
                     options->queues[i].name);
        changes->tools[i] = NULL;
    }
}

static void change_files(struct auth *auth, struct tls *tls, struct changes *changes)
{
    if (auth != NULL) {
        auth_replace(auth, changes->tokens);
        auth_warn(auth);
    }
    if (tls != NULL) {
        tls_replace(tls, changes->identity);
        tls_warn(tls);
    }
    changes->tokens = NULL;
    changes->identity = NULL;
}

void reread(struct options *options, int argc, char **argv, struct jobd *jobd,
            struct runner *const *runners, struct auth *auth, struct tls *tls)
{
    struct options fresh;
    struct differences differences = {0};
    struct changes changes = {0};
    if (!options_read(&fresh, argc, argv))
        return;
    if (!wants_commands_in_vain(options, &fresh) && read_files(&changes, auth, tls) &&
        make_tools(&changes, options, &fresh)) {
        options_compare(options, &fresh, note, &differences);
        if (differences.fixed.used > 0)
            log_warn("SIGHUP: %s cannot change while the server runs", differences.fixed.text);
        change_files(auth, tls, &changes);
        change_queues(options, &fresh, jobd, runners, &changes);
        log_info("SIGHUP: configuration reloaded");
    }
    release(&changes, options->queues_len);
    options_release(&fresh);
}
