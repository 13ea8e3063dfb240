/* SPDX-License-Identifier: MIT */
#include "reread.h"

#include <stdio.h>
#include <string.h>

#include "log.h"
#include "sandbox.h"

enum { NAMES_SIZE = 256 };

/* Names of options, with commas. */
struct names {
    char text[NAMES_SIZE];
    size_t used;
};

struct differences {
    struct names live, fixed;
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

/* What is live changes hands: `fresh` is released with what counted before. The name stays where it
 * is, as workers may be reading it. */
static void exchange(struct queue_options *queue, struct queue_options *fresh)
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

/* False when memory is short: then nothing is changed. */
static bool change_queue(const struct options *options, const struct queue_options *queue,
                         const struct queue_options *fresh, struct jobd *jobd,
                         struct runner *runner)
{
    struct jobd_queue_config terms = {.name = queue->name};
    struct runner_config config;
    queue_terms(fresh, &terms);
    queue_runner(options, fresh, &config);
    config.queue = queue->name; /* that of `fresh` goes */
    int error = runner_change(runner, &config);
    if (error == 0)
        error = jobd_queue_change(jobd, jobd_queue_named(jobd, queue->name), &terms);
    if (error != 0)
        log_error("SIGHUP: queue %s: %s: it stays as it was", queue->name, strerror(-error));
    return error == 0;
}

static void reread_queue(struct options *options, uint32_t index, struct queue_options *fresh,
                         struct jobd *jobd, struct runner *runner)
{
    struct queue_options *queue = &options->queues[index];
    struct differences differences = {0};
    options_compare_queues(queue, fresh, note, &differences);
    if (differences.fixed.used > 0)
        log_warn("SIGHUP: queue %s: %s cannot change while the server runs", queue->name,
                 differences.fixed.text);
    if (differences.live.used == 0 || !change_queue(options, queue, fresh, jobd, runner))
        return;
    exchange(queue, fresh);
    log_info("SIGHUP: queue %s: changed: %s", queue->name, differences.live.text);
}

static void reread_files(struct keys *keys, struct tls *tls)
{
    char keys_error[KEYS_ERROR_SIZE], tls_error[TLS_ERROR_SIZE];
    if (keys != NULL && !keys_reread(keys, keys_error))
        log_error("SIGHUP: %s: the tokens stay as they were", keys_error);
    if (tls != NULL && !tls_reread(tls, tls_error))
        log_error("SIGHUP: %s: the certificate stays as it was", tls_error);
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

void reread(struct options *options, int argc, char **argv, struct jobd *jobd,
            struct runner *const *runners, struct keys *keys, struct tls *tls)
{
    struct options fresh;
    struct differences differences = {0};
    if (!options_read(&fresh, argc, argv)) {
        log_error("SIGHUP: a setting is wrong: nothing is changed");
        return;
    }
    if (wants_commands_in_vain(options, &fresh)) {
        options_release(&fresh);
        return;
    }
    reread_files(keys, tls);
    options_compare(options, &fresh, note, &differences);
    if (differences.fixed.used > 0)
        log_warn("SIGHUP: %s cannot change while the server runs", differences.fixed.text);
    for (uint32_t i = 0; i < fresh.queues_len; i++)
        if (find(options, fresh.queues[i].name) == NULL)
            log_warn("SIGHUP: queue %s: a new one needs a start", fresh.queues[i].name);
    for (uint32_t i = 0; i < options->queues_len; i++) {
        struct queue_options *queue = find(&fresh, options->queues[i].name);
        if (queue != NULL)
            reread_queue(options, i, queue, jobd, runners[i]);
        else
            log_warn("SIGHUP: queue %s: is not declared any more, and goes with the next start",
                     options->queues[i].name);
    }
    log_info("SIGHUP: the settings have been read again");
    options_release(&fresh);
}
