/* SPDX-License-Identifier: MIT */
#include "server/reload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/live.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/problem.h"
#include "base/text.h"
#include "base/verify.h"
#include "jobd/declare.h"
#include "server/alike.h"
#include "server/callback_terms.h"
#include "server/descriptors.h"
#include "server/notify.h"
#include "server/option_sources.h"
#include "server/option_types.h"
#include "server/queue_config.h"
#include "server/queue_runner.h"
#include "server/sandbox.h"
#include "server/server.h"
#include "server/surroundings.h"

enum { NAMES_SIZE = 256 };

/* Names of options, with commas. */
struct names {
    char text[NAMES_SIZE];
    size_t used;
};

struct differences {
    struct names live, fixed;
};

/* All that the reload will exchange, made before anything is exchanged. */
struct changes {
    struct options options;
    struct runner_version **runners; /* of each queue; NULL: nothing of it changes */
    struct runner **added;           /* of each queue of the new options that comes in; else NULL */
    struct queue_options *queues;    /* room for those that are there then */
    struct tokens *tokens;
    struct identity *identity;
    struct callbacks_terms *callbacks;
};

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

/* A server that was started without commands has given up the right to run any. */
static bool may_run(const struct options *fresh, struct problem *problem)
{
    for (uint32_t i = 0; i < fresh->queues_len && !sandbox_allows_commands(); i++) {
        const struct queue_options *queue = &fresh->queues[i];
        if (options_any(OF_QUEUE, queue, OPTION_PROGRAM))
            return problem_set(problem,
                               "queue %s: %s: a server that was started without commands runs "
                               "none; start it again",
                               queue->name, options_runner(queue)->name);
    }
    return true;
}

struct both {
    const struct options *now, *then;
};

/* A token may be for a queue that is new in the file, and also for one that is gone from it. */
static bool either_has_queue(const void *context, const char *queue)
{
    const struct both *both = context;
    return options_has_queue(both->now, queue) || options_has_queue(both->then, queue);
}

static bool read_files(struct changes *changes, const struct server *server,
                       struct problem *problem)
{
    const struct both both = {&server->options, &changes->options};
    if (server->auth != NULL) {
        changes->tokens = auth_read(server->auth, problem);
        if (changes->tokens == NULL ||
            !tokens_check(changes->tokens, either_has_queue, &both, problem))
            return false;
    }
    changes->callbacks = callback_terms_read(&changes->options, problem);
    return changes->callbacks != NULL &&
           (server->tls == NULL || (changes->identity = tls_read(server->tls, problem)) != NULL);
}

static bool make_runners(struct changes *changes, const struct server *server,
                         struct problem *problem)
{
    const struct options *options = &server->options;
    changes->runners = calloc(options->queues_len, sizeof(struct runner_version *));
    int error = changes->runners != NULL ? 0 : -ENOMEM;
    for (uint32_t i = 0; i < options->queues_len && error == 0; i++) {
        const struct queue_options *queue = &options->queues[i];
        const struct queue_options *then = find(&changes->options, queue->name);
        struct differences differences = {0};
        struct queue_runner runner;
        if (then != NULL)
            options_compare(OF_QUEUE, queue, then, note, &differences);
        if (then == NULL || (differences.live.used == 0 && !queue_runner_rereads(then)))
            continue;
        if (!queue_runner_open(&runner, options, then, problem))
            return false;
        queue_runner_set_callbacks(&runner, server->callbacks);
        error = runner_version_new(&changes->runners[i], &runner.config);
        queue_runner_close(&runner);
    }
    return error == 0 || problem_set(problem, "%s", strerror(-error));
}

/* Makes what the queues need that are new. */
static bool make_added(struct changes *changes, const struct server *server,
                       struct problem *problem)
{
    const struct options *options = &server->options, *fresh = &changes->options;
    changes->added = calloc(fresh->queues_len, sizeof(struct runner *));
    changes->queues =
        calloc((size_t)options->queues_len + fresh->queues_len, sizeof *changes->queues);
    int error = changes->added != NULL && changes->queues != NULL ? 0 : -ENOMEM;
    for (uint32_t i = 0; i < fresh->queues_len && error == 0; i++) {
        struct queue_runner runner;
        if (find(options, fresh->queues[i].name) != NULL)
            continue;
        if (!queue_runner_open(&runner, options, &fresh->queues[i], problem))
            return false;
        queue_runner_set_callbacks(&runner, server->callbacks);
        error = runner_new(&changes->added[i], &runner.config);
        queue_runner_close(&runner);
    }
    return error == 0 || problem_set(problem, "%s", strerror(-error));
}

static bool prepare(struct changes *changes, const struct server *server, struct problem *problem)
{
    return options_read(&changes->options, server->argc, server->argv, problem) &&
           may_run(&changes->options, problem) && read_files(changes, server, problem) &&
           make_runners(changes, server, problem) && make_added(changes, server, problem);
}

/* For a file that the sandbox hides, the error of the kernel would mislead. */
static void explain(const struct server *server, struct problem *problem)
{
    const char **files = options_files(&server->options);
    for (const char *const *file = files; file != NULL && *file != NULL; file++)
        if (sandbox_hides(*file)) {
            (void)problem_set(problem,
                              "%s: it is in another directory than at the start, which the sandbox "
                              "does not let jobd read; replace files in the same directory, keep "
                              "them under /etc, or start jobd again",
                              *file);
            break;
        }
    free(files);
}

static void release(struct changes *changes, uint32_t queues_len)
{
    for (uint32_t i = 0; changes->runners != NULL && i < queues_len; i++)
        runner_version_free(changes->runners[i]);
    free(changes->runners);
    for (uint32_t i = 0; changes->added != NULL && i < changes->options.queues_len; i++)
        runner_free(changes->added[i]);
    free(changes->added);
    free(changes->queues);
    tokens_free(changes->tokens);
    identity_free(changes->identity);
    callbacks_terms_free(changes->callbacks);
    options_release(&changes->options);
}

/* ---- from here on nothing can fail */

static uint64_t all_workers(const struct options *options)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < options->queues_len; i++)
        all += options->queues[i].workers;
    return all;
}

/* Changes capacity and workers, as far as there is room; else logs what there is room for. */
static void resize_queue(struct server *server, uint32_t index, const struct queue_options *fresh)
{
    struct queue_options *queue = &server->options.queues[index];
    const uint32_t number = jobd_queue_named(server->jobd, queue->name);
    const struct queue_room *room = &server->rooms[jobd_queue_index(number)];
    const uint64_t capacity = fresh->capacity, workers = fresh->workers;
    const uint64_t all = all_workers(&server->options) - queue->workers + workers;
    if (capacity == queue->capacity && workers == queue->workers)
        return;
    int error = workers <= queue->workers || descriptors_suffice(server->connections_max, all)
                    ? 0
                    : -EMFILE;
    if (error == 0)
        error = jobd_pool_resize(server->pool, number, (uint32_t)capacity, (uint32_t)workers);
    if (error == 0) {
        log_info("SIGHUP: queue %s: changed:%s%s%s", queue->name,
                 capacity != queue->capacity ? " capacity" : "",
                 capacity != queue->capacity && workers != queue->workers ? "," : "",
                 workers != queue->workers ? " workers" : "");
        queue->capacity = capacity;
        queue->workers = workers;
    } else if (error == -EINVAL) {
        log_warn("SIGHUP: queue %s: until the next start there is room for a capacity of %u and %u "
                 "workers",
                 queue->name, room->capacity, room->workers);
    } else {
        log_warn("SIGHUP: queue %s: %llu workers: %s", queue->name, (unsigned long long)workers,
                 strerror(-error));
    }
}

/* Takes the runner's new version; NULL when no option that can be changed live differs, and no file
 * is to be read again. Exchanges those options with `fresh`, so that they are freed with it. */
static void change_queue(struct server *server, uint32_t index, struct queue_options *fresh,
                         struct runner_version *version)
{
    struct queue_options *queue = &server->options.queues[index];
    struct differences differences = {0};
    resize_queue(server, index, fresh);
    options_compare(OF_QUEUE, queue, fresh, note, &differences);
    if (differences.fixed.used > 0)
        log_warn("SIGHUP: queue %s: %s cannot change while the server runs", queue->name,
                 differences.fixed.text);
    if (version == NULL)
        return;
    const uint32_t number = jobd_queue_named(server->jobd, queue->name);
    const struct jobd_queue_config config =
        queue_config(fresh, &server->rooms[jobd_queue_index(number)]);
    int error = jobd_queue_change(server->jobd, number, &config, clock_now_us());
    if (error != 0) {
        runner_version_free(version);
        log_warn("SIGHUP: queue %s: nothing changed: %s", queue->name, strerror(-error));
        return;
    }
    runner_change(server->runners[jobd_queue_index(number)], version);
    options_swap_live(queue, fresh);
    pass_headers_set(server->pass_headers, number, queue->pass_headers);
    if (differences.live.used > 0)
        log_info("SIGHUP: queue %s: changed: %s", queue->name, differences.live.text);
}

/* ---- queues that come and go */

static void say_not_added(const struct queue_options *queue, int error)
{
    const char *why = error == -ENOSPC  ? "there is no room for it before the next start"
                      : error == -EBUSY ? "it has jobs from before the start, and comes with the "
                                          "next"
                      : error == -EINVAL
                          ? "it was smaller before, and cannot grow so much before the next start"
                          : strerror(-error);
    log_warn("SIGHUP: queue %s: new: needs a restart: %s", queue->name, why);
}

/* True: it is there. Takes the runner then. */
static bool add_queue(struct server *server, const struct queue_options *queue,
                      struct runner **fresh)
{
    const struct queue_room room = queue_room_of_added(queue);
    const struct jobd_queue_config config = queue_config(queue, &room);
    const struct jobd_runner runner = {.run = runner_run, .context = *fresh};
    uint32_t number;
    int result =
        queue->workers == 0 || descriptors_suffice(server->connections_max,
                                                   all_workers(&server->options) + queue->workers)
            ? jobd_pool_add(server->pool, &config, &runner, &number)
            : -EMFILE;
    if (result < 0) {
        say_not_added(queue, result);
        return false;
    }
    struct runner **place = &server->runners[jobd_queue_index(number)];
    if (result == 0) { /* no worker of one that was there before is left */
        runner_free(*place);
        *place = *fresh;
        *fresh = NULL;
        server->rooms[jobd_queue_index(number)] = room;
    } else {
        runner_adopt(*place, fresh);
    }
    pass_headers_set(server->pass_headers, number, queue->pass_headers);
    log_info("SIGHUP: queue %s: %s", queue->name, result == 0 ? "new" : "takes jobs again");
    return true;
}

static void retire_queue(struct server *server, const char *name)
{
    struct jobd_stats stats;
    const uint32_t number = jobd_queue_named(server->jobd, name);
    jobd_pool_retire(server->pool, number);
    pass_headers_set(server->pass_headers, number, NULL);
    jobd_stats(server->jobd, number, clock_now_us(), &stats);
    const unsigned long long left = stats.waiting + stats.running;
    if (left == 0)
        log_info("SIGHUP: queue %s: no longer configured: gone", name);
    else
        log_info("SIGHUP: queue %s: no longer configured: takes no more jobs, and goes when its "
                 "%llu %s ended%s",
                 name, left, text_plural(left, "job has", "jobs have"),
                 stats.paused ? "; it is paused" : "");
}

static void change_queues(struct server *server, struct changes *changes)
{
    struct options *options = &server->options, *fresh = &changes->options;
    uint32_t len = 0;
    for (uint32_t i = 0; i < options->queues_len; i++) {
        struct queue_options *queue = &options->queues[i], *then = find(fresh, queue->name);
        if (then != NULL)
            change_queue(server, i, then, changes->runners[i]);
        else
            retire_queue(server, queue->name);
        changes->runners[i] = NULL;
        if (then != NULL)
            changes->queues[len++] = *queue;
        else
            options_release_values(OF_QUEUE, queue);
    }
    for (uint32_t i = 0; i < fresh->queues_len; i++) {
        struct queue_options *queue = &fresh->queues[i];
        if (find(options, queue->name) != NULL || changes->added[i] == NULL ||
            !add_queue(server, queue, &changes->added[i]))
            continue;
        changes->queues[len++] = *queue;
        *queue = (struct queue_options){.name = ""}; /* what it owned is there now */
    }
    free(options->queues);
    options->queues = changes->queues;
    options->queues_len = len;
    changes->queues = NULL;
}

/* All plans are read again, with the time zone files as they are now. */
static void change_schedules(struct server *server, struct changes *changes)
{
    const struct config_schedules former = server->options.schedules;
    if (server->turns != NULL)
        schedules_watch_change(&server->schedules_watch, &changes->options.schedules);
    server->options.schedules = changes->options.schedules;
    changes->options.schedules = former;
    if (server->turns != NULL)
        schedules_watch_change(&server->schedules_watch, &server->options.schedules);
    (void)config_schedules_apply(&server->options.schedules, server->jobd);
    recur_reread(server->recur);
}

static void change_files(struct server *server, struct changes *changes)
{
    if (server->auth != NULL) {
        auth_replace(server->auth, changes->tokens);
        auth_warn(server->auth);
        live_judge_again(server->live);
    }
    if (server->tls != NULL) {
        tls_replace(server->tls, changes->identity);
        tls_warn(server->tls);
    }
    changes->tokens = NULL;
    changes->identity = NULL;
}

/* Before the queue of callbacks comes, or goes: who is let in then is delivered, or was. */
static void change_callbacks(struct server *server, struct changes *changes)
{
    struct options *now = &server->options, *then = &changes->options;
    char **allow = now->callback_allow, *secret = now->callback_secret;
    callbacks_change(server->callbacks, changes->callbacks);
    changes->callbacks = NULL;
    now->callback_allow = then->callback_allow;
    now->callback_secret = then->callback_secret;
    then->callback_allow = allow;
    then->callback_secret = secret;
}

void serving_status(const struct server *server, char *out, size_t size)
{
    const uint32_t queues = server->options.queues_len;
    const struct listeners *listeners = &server->listeners;
    snprintf(out, size, "%u %s, listening on %s%s", queues, text_plural(queues, "queue", "queues"),
             listeners->len > 0 ? listeners->of[0].name : "nothing",
             listeners->len > 1 ? " and more" : "");
}

bool reopen_access_log(struct server *server, const char *signal)
{
    const char *path = server->options.access_log;
    if (server->access_log == NULL || strcmp(path, "-") == 0)
        return false;
    int error = line_writer_reopen(server->access_log);
    if (error == 0)
        log_info("%s: %s is opened again", signal, path);
    else
        log_error("%s: %s: %s: the former file is still used", signal, path, strerror(-error));
    return true;
}

/* For the service manager. */
static void tell_ready(const struct server *server, const struct problem *problem)
{
    char status[sizeof problem->text + 64];
    if (problem->text[0] != '\0')
        snprintf(status, sizeof status, "the settings are as before: %s", problem->text);
    else
        serving_status(server, status, sizeof status);
    notify_ready(status);
}

void reload(struct server *server)
{
    struct differences differences = {0};
    struct changes changes = {.runners = NULL};
    struct problem problem = {""};
    const uint32_t len = server->options.queues_len;
    notify_reloading();
    if (prepare(&changes, server, &problem)) {
        options_compare(OF_SERVER, &server->options, &changes.options, note, &differences);
        if (differences.fixed.used > 0)
            log_warn("SIGHUP: %s cannot change while the server runs", differences.fixed.text);
        change_files(server, &changes);
        change_callbacks(server, &changes);
        change_queues(server, &changes);
        change_schedules(server, &changes);
        if (server->ledger != NULL)
            alike_tell(server->ledger, &server->options);
        surroundings_warn_runners(&server->options);
        log_info("SIGHUP: configuration reloaded");
        atomic_store(&server->api.reload.good_us, clock_wall_us(clock_now_us()));
    } else {
        explain(server, &problem);
        log_error("SIGHUP: %s: nothing is changed", problem.text);
    }
    atomic_store(&server->api.reload.failed, problem.text[0] != '\0');
    release(&changes, len);
    (void)reopen_access_log(server, "SIGHUP");
    tell_ready(server, &problem);
}
