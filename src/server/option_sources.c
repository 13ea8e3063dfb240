/* SPDX-License-Identifier: MIT */
/* Every setting of every source is checked, also one that a stronger source overrides; then each
 * option is taken from the strongest that sets it. */
#include "server/option_sources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/verify.h"
#include "ledger/ledger.h"
#include "server/config_file.h"
#include "server/option_line.h"
#include "server/option_types.h"

enum { PLACE_SIZE = 64 };

#define DEFAULT_QUEUE "default"
/* Half of what the engine can count: a reload may want more. */
#define JOBS_MAX (JOBD_RECORDS_MAX / 2)

struct sources {
    const struct option_spec *specs; /* the table */
    size_t len;
    struct settings line, environment;
    struct config_file file;
    enum action action;
    struct problem *problem;
};

static size_t spec_named(const struct sources *sources, const char *name)
{
    size_t i = 0;
    while (i < sources->len && strcmp(sources->specs[i].name, name) != 0)
        i++;
    verify(i < sources->len);
    return i;
}

/* A queue has one runner: of these options, which have no default, at most one counts. */
static bool is_runner(const struct option_spec *spec)
{
    return (spec->flags & OPTION_RUNNER) != 0 && spec->default_value == NULL;
}

/* ---- the command line */

static bool take_option(void *context, size_t option, const char *place, const char *value)
{
    struct sources *sources = context;
    const struct option_spec *spec = &sources->specs[option];
    if ((spec->flags & OPTION_REPEATS) != 0)
        return settings_add(&sources->line, option, place, value, sources->problem);
    if (spec->type != &type_action)
        return settings_set(&sources->line, option, place, value, sources->problem);
    sources->action = spec->action;
    return true;
}

static bool read_line(struct sources *sources, char **words)
{
    const struct option_line line = {.specs = sources->specs,
                                     .len = sources->len,
                                     .help = "jobd --help",
                                     .take = take_option,
                                     .context = sources,
                                     .problem = sources->problem};
    return option_line_read(&line, words);
}

/* ---- environment and file */

static bool read_environment(struct sources *sources)
{
    char name[OPTION_VARIABLE_SIZE];
    for (size_t i = 0; i < sources->len; i++) {
        const struct option_spec *spec = &sources->specs[i];
        option_variable(spec, name);
        const char *text = spec->type != &type_action ? getenv(name) : NULL;
        if (text == NULL || (spec->flags & OPTION_KEY) != 0)
            continue;
        if (*text == '\0' && (spec->flags & OPTION_NOT_EMPTY) != 0)
            return problem_set(sources->problem, "%s: is empty; expected %s; or unset it, for %s",
                               name, spec->type->expected, spec->unset);
        if (*text != '\0' && !settings_set(&sources->environment, i, name, text, sources->problem))
            return false;
    }
    return true;
}

static bool read_file(struct sources *sources)
{
    size_t config = spec_named(sources, "config");
    const struct setting *path = settings_get(&sources->line, config);
    if (path == NULL)
        path = settings_get(&sources->environment, config);
    return path == NULL || path->text[0] == '\0' ||
           config_file_read(&sources->file, path->text, path->place, sources->problem);
}

/* ---- are they right? */

static bool apply(const struct sources *sources, size_t option, void *target, const char *place,
                  const char *text)
{
    return option_line_apply(&sources->specs[option], target, place, text, sources->problem);
}

static bool one_runner(const struct sources *sources, const struct settings *settings)
{
    const struct setting *first = NULL;
    for (size_t i = 0; i < sources->len; i++) {
        const struct setting *setting = settings_get(settings, i);
        if (setting == NULL || !is_runner(&sources->specs[i]))
            continue;
        if (first != NULL)
            return problem_set(sources->problem, "%s: %s is set too; a queue has one runner",
                               first->place, sources->specs[i].name);
        first = setting;
    }
    return true;
}

static bool all_right(const struct sources *sources, const struct settings *settings)
{
    struct options options = {.data = NULL};
    struct queue_options queue = {.post = NULL};
    bool right = true;
    for (size_t i = 0; i < sources->len && right; i++) {
        const struct setting *setting = settings_get(settings, i);
        void *target = sources->specs[i].target == OF_QUEUE ? (void *)&queue : (void *)&options;
        right = setting == NULL || apply(sources, i, target, setting->place, setting->text);
    }
    options_release_values(OF_QUEUE, &queue);
    options_release_values(OF_SERVER, &options);
    return right && one_runner(sources, settings);
}

/* --help works also where something is wrong. */
static bool needs_no_options(enum action action)
{
    return action == ACTION_HELP || action == ACTION_VERSION;
}

static bool read_sources(struct sources *sources, char **words)
{
    if (!read_line(sources, words))
        return false;
    if (needs_no_options(sources->action))
        return true;
    bool right = read_environment(sources) && read_file(sources) &&
                 all_right(sources, &sources->line) && all_right(sources, &sources->environment) &&
                 all_right(sources, &sources->file.top);
    for (size_t i = 0; i < sources->file.queues_len && right; i++)
        right = all_right(sources, &sources->file.queues[i].settings);
    return right;
}

/* ---- which source counts */

enum { RANKS = 5 };

static bool delivers(const struct config_queue *queue)
{
    return queue != NULL && strcmp(queue->name, CALLBACKS_QUEUE) == 0;
}

/* A source, the strongest first; NULL when there is none of this rank. On the command line and in
 * the environment a queue's option means the default queue; the others take it where they say
 * nothing themselves, but for the queue of callbacks. */
static const struct settings *of_rank(const struct sources *sources,
                                      const struct config_queue *queue, unsigned rank)
{
    const struct settings *own = queue != NULL ? &queue->settings : NULL;
    if (delivers(queue))
        return rank == 0 ? own : NULL;
    bool own_first = queue != NULL && strcmp(queue->name, DEFAULT_QUEUE) != 0;
    const struct settings *const ranks[RANKS] = {own_first ? own : NULL, &sources->line,
                                                 &sources->environment, own, &sources->file.top};
    return ranks[rank];
}

static bool sets_runner(const struct sources *sources, const struct settings *settings)
{
    bool sets = false;
    for (size_t i = 0; i < sources->len && !sets; i++)
        sets = is_runner(&sources->specs[i]) && settings_get(settings, i) != NULL;
    return sets;
}

/* The setting that counts, NULL: the default does. */
static const struct setting *strongest(const struct sources *sources, size_t option,
                                       const struct config_queue *queue)
{
    for (unsigned rank = 0; rank < RANKS; rank++) {
        const struct settings *source = of_rank(sources, queue, rank);
        const struct setting *setting = settings_get(source, option);
        if (setting != NULL)
            return setting;
        /* A runner overrides every weaker one, also one of another kind. */
        if (is_runner(&sources->specs[option]) && sets_runner(sources, source))
            return NULL;
    }
    return NULL;
}

/* The defaults of the queue of callbacks: its 140 attempts take at least a day, mostly 25 hours. */
static const struct {
    const char *name, *value; /* NULL: it has none */
} of_callbacks[] = {
    {"capacity", "10000"}, {"workers", "4"},       {"attempts", "140"},
    {"timeout", "30s"},    {"backoff", "5s..15m"}, {"running", NULL},
    {"rate", NULL},        {"keep", NULL},         {"ca", NULL},
};

enum { OF_CALLBACKS = sizeof of_callbacks / sizeof of_callbacks[0] };

static const char *usual_value(const struct option_spec *spec, const struct config_queue *queue)
{
    for (size_t i = 0; i < OF_CALLBACKS && delivers(queue); i++)
        if (strcmp(of_callbacks[i].name, spec->name) == 0 && of_callbacks[i].value != NULL)
            return of_callbacks[i].value;
    return spec->default_value;
}

static bool combine(const struct sources *sources, enum option_target kind, void *target,
                    const struct config_queue *queue)
{
    for (size_t i = 0; i < sources->len; i++) {
        const struct option_spec *spec = &sources->specs[i];
        const struct setting *setting = strongest(sources, i, queue);
        const char *text = setting != NULL ? setting->text : usual_value(spec, queue);
        char usual[PLACE_SIZE];
        snprintf(usual, sizeof usual, "--%s", spec->name);
        const char *place = setting != NULL ? setting->place : usual;
        if (spec->target != kind)
            continue;
        if (!option_set_place(kind, target, i, place))
            return problem_set(sources->problem, "%s: out of memory", place);
        if (text != NULL && !apply(sources, i, target, place, text))
            return false; /* memory is short: all_right() has seen the text */
    }
    return true;
}

/* A key in the queue's own object must be one for its runner; one that it takes over from the top
 * is ignored where it is not. */
static bool fit_runner(const struct sources *sources, struct queue_options *options,
                       const struct config_queue *queue)
{
    const struct settings *own = queue != NULL ? &queue->settings : &sources->file.top;
    for (size_t i = 0; i < sources->len; i++) {
        const struct option_spec *spec = &sources->specs[i];
        const struct setting *setting = settings_get(own, i);
        if (!options_idle(spec, options))
            continue;
        if (setting != NULL)
            return problem_set(sources->problem, "%s: is a key of queues with %s; this one has %s",
                               setting->place, spec->runner, options_runner(options)->name);
        option_unset(spec, options);
    }
    return true;
}

static bool combine_queue(struct options *options, const struct sources *sources,
                          const struct config_queue *queue)
{
    struct queue_options *own = &options->queues[options->queues_len++];
    snprintf(own->name, sizeof own->name, "%s", queue != NULL ? queue->name : DEFAULT_QUEUE);
    own->callbacks = delivers(queue);
    return combine(sources, OF_QUEUE, own, queue) &&
           (own->callbacks || fit_runner(sources, own, queue));
}

/* ---- the queue of callbacks */

/* Queues in a database may hold deliveries of other servers. */
static bool is_shared(const struct options *options)
{
    return options->data != NULL && ledger_is_url(options->data);
}

/* It has its own runner, so neither another one nor the options of one may be given. */
static bool fit_callbacks(const struct options *options, const struct sources *sources,
                          const struct config_queue *queue)
{
    if (options->callback_allow == NULL)
        return problem_set(sources->problem,
                           "%s: is the name of the queue that delivers callbacks, and needs "
                           "--callback-allow",
                           queue->place);
    for (size_t i = 0; i < sources->len; i++) {
        const struct setting *setting = settings_get(&queue->settings, i);
        size_t known = 0;
        while (known < OF_CALLBACKS &&
               strcmp(of_callbacks[known].name, sources->specs[i].name) != 0)
            known++;
        if (setting != NULL && known == OF_CALLBACKS)
            return problem_set(sources->problem,
                               "%s: the queue of callbacks has its own runner; allowed are "
                               "capacity, workers, attempts, timeout, backoff, running, rate, "
                               "keep, ca",
                               setting->place);
    }
    return true;
}

static bool add_callbacks(struct options *options, const struct sources *sources)
{
    char name[] = CALLBACKS_QUEUE;
    const struct config_queue usual = {.name = name}, *queue = &usual;
    for (size_t i = 0; i < sources->file.queues_len; i++)
        if (delivers(&sources->file.queues[i]))
            queue = &sources->file.queues[i];
    if (queue != &usual && !fit_callbacks(options, sources, queue))
        return false;
    const bool calls_back = options->callback_allow != NULL;
    if (!calls_back && !is_shared(options))
        return true;
    if (!combine_queue(options, sources, queue))
        return false;
    struct queue_options *own = &options->queues[options->queues_len - 1];
    if (!calls_back) /* it knows them, and leaves them to the others */
        own->workers = 0;
    return !calls_back || own->workers > 0 ||
           problem_set(sources->problem, "%s: must be at least 1: nobody else delivers callbacks",
                       option_place(&own->places, "workers"));
}

static bool combine_all(struct options *options, const struct sources *sources)
{
    size_t len = sources->file.queues_len;
    options->queues = calloc(len + 2, sizeof *options->queues);
    if (options->queues == NULL)
        return problem_set(sources->problem, "queues: out of memory");
    bool whole = combine(sources, OF_SERVER, options, NULL);
    for (size_t i = 0; i < len && whole; i++)
        if (!delivers(&sources->file.queues[i]))
            whole = combine_queue(options, sources, &sources->file.queues[i]);
    if (whole && options->queues_len == 0)
        whole = combine_queue(options, sources, NULL);
    return whole && add_callbacks(options, sources);
}

/* ---- do they fit together? */

/* So many bytes must fit into --memory. A default is lowered to it; a value that was given is an
 * error. */
static bool fit_memory(const struct options *options, const struct sources *sources,
                       const char *name, uint64_t *bytes, const char *what)
{
    const struct setting *setting = strongest(sources, spec_named(sources, name), NULL);
    const size_t memory = spec_named(sources, "memory");
    const struct setting *limit = strongest(sources, memory, NULL);
    char text[40], room[40];
    if (*bytes <= options->memory_bytes)
        return true;
    if (setting == NULL) {
        *bytes = options->memory_bytes;
        return true;
    }
    return problem_set(
        sources->problem,
        "%s: \"%s\" is more than --memory \"%s\", which holds all %s; allowed is at most %llu, or "
        "a larger --memory",
        setting->place, text_printable(setting->text, text, sizeof text),
        text_printable(limit != NULL ? limit->text : sources->specs[memory].default_value, room,
                       sizeof room),
        what, (unsigned long long)options->memory_bytes);
}

/* All jobs must fit; the message names the option that asks for most of them. */
static bool fit_jobs(const struct options *options, struct problem *problem)
{
    const uint64_t kept = 3 * options->keep * options->queues_len;
    uint64_t waiting = 0, workers = 0, most = kept;
    const char *place = option_place(&options->places, "keep");
    for (uint32_t i = 0; i < options->queues_len; i++) {
        const struct queue_options *queue = &options->queues[i];
        waiting += queue->capacity;
        workers += queue->workers;
        if (queue->capacity > most) {
            most = queue->capacity;
            place = option_place(&queue->places, "capacity");
        }
    }
    uint64_t jobs =
        jobd_records_needed(waiting, workers, options->leases_max, kept, options->data != NULL);
    return jobs < JOBS_MAX ||
           problem_set(problem,
                       "%s: all queues together, with what each remembers, are %llu jobs; allowed "
                       "are fewer than %llu: lower --keep or --capacity",
                       place, (unsigned long long)jobs, (unsigned long long)JOBS_MAX);
}

static bool agree(const struct options *options, struct problem *problem)
{
    const char *given = options->tls_key == NULL ? "tls-cert" : "tls-key";
    if ((options->tls_certificate == NULL) != (options->tls_key == NULL))
        return problem_set(problem, "%s: --tls-cert and --tls-key belong together",
                           option_place(&options->places, given));
    return fit_jobs(options, problem);
}

/* Taken from the file. */
static bool take_schedules(struct options *options, struct sources *sources)
{
    options->schedules = sources->file.schedules;
    sources->file.schedules = (struct config_schedules){.of = NULL};
    if (options->schedules.len > options->schedules_max)
        return problem_set(sources->problem,
                           "%s: the file has %zu schedules; allowed are at most %llu: raise "
                           "--schedules",
                           option_place(&options->places, "schedules"), options->schedules.len,
                           (unsigned long long)options->schedules_max);
    return config_schedules_check(&options->schedules, options_takes_jobs, options_allows_callback,
                                  options, sources->problem);
}

bool options_read(struct options *options, int argc, char **argv, struct problem *problem)
{
    struct sources sources = {.action = ACTION_RUN, .problem = problem};
    sources.specs = options_table(&sources.len);
    *options = (struct options){.action = ACTION_RUN};
    bool good = read_sources(&sources, argc > 0 ? argv + 1 : argv);
    options->action = sources.action;
    if (good && !needs_no_options(options->action))
        good =
            combine_all(options, &sources) &&
            fit_memory(options, &sources, "max-body", &options->body_max_bytes, "payloads") &&
            fit_memory(options, &sources, "output-limit", &options->output_max_bytes, "outputs") &&
            take_schedules(options, &sources) && agree(options, problem);
    settings_release(&sources.line);
    settings_release(&sources.environment);
    config_file_release(&sources.file);
    if (!good)
        options_release(options);
    return good;
}
