/* SPDX-License-Identifier: MIT */
#include "client/client_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "client/remote.h"
#include "client/server_url.h"
#include "jobd/lease.h"
#include "server/option_line.h"

#define FIELD(field)                                                                               \
    .target = OF_SERVER, .offset = offsetof(struct client_options, field),                         \
    .size = sizeof(((struct client_options *)NULL)->field)

#define SECOND UINT64_C(1000000)
#define DAY    (86400 * SECOND)
#define GIB    (UINT64_C(1) << 30)

/* ---- kinds of values that the server does not have */

/* Adds to a list that grows: the option may be given several times, and its variable may hold
 * several URLs with blanks between them. */
static bool add_url(char ***list, const char *url)
{
    size_t len = 0;
    while (*list != NULL && (*list)[len] != NULL)
        len++;
    char **grown = len < REMOTES_MAX ? realloc(*list, (len + 2) * sizeof *grown) : NULL;
    if (grown == NULL)
        return false;
    *list = grown;
    grown[len] = strdup(url);
    grown[len + 1] = NULL;
    return grown[len] != NULL;
}

static void release_urls(void *value)
{
    char **list = *(char ***)value;
    for (size_t i = 0; list != NULL && list[i] != NULL; i++)
        free(list[i]);
    free(list);
}

static bool parse_urls(const struct option_spec *spec, const char *text, void *value)
{
    char *copy = strdup(text), *rest = copy;
    bool good = copy != NULL && *copy != '\0';
    (void)spec;
    for (char *word; good && (word = strsep(&rest, " ")) != NULL;)
        good = *word == '\0' || (server_url_ok(word) && add_url(value, word));
    free(copy);
    return good;
}

static void expect_urls(const struct option_spec *spec, char *out, size_t size)
{
    (void)spec;
    snprintf(out, size, "http://HOST:PORT%s or unix:PATH, at most %d of them",
             http_client_has_tls() ? ", https://HOST:PORT" : "", REMOTES_MAX);
}

static const struct option_type type_urls = {
    .size = sizeof(char **), .parse = parse_urls, .release = release_urls, .expect = expect_urls};

static bool parse_word(const struct option_spec *spec, const char *text, void *value)
{
    return spec->type->valid(text) && (*(char **)value = strdup(text)) != NULL;
}

static void release_word(void *value)
{
    free(*(char **)value);
}

static bool queues_ok(const char *names)
{
    char *copy = strdup(names), *rest = copy;
    size_t len = 0;
    bool good = copy != NULL;
    for (char *name; good && (name = strsep(&rest, ",")) != NULL; len++)
        good = text_is_name(name);
    free(copy);
    return good && len <= JOBD_CHOICE_MAX;
}

static const struct option_type type_queues = {
    .size = sizeof(char *),
    .parse = parse_word,
    .release = release_word,
    .valid = queues_ok,
    .expected = "1 to 16 names of queues with commas between them"};

static bool worker_ok(const char *name)
{
    return text_is_word(name, JOBD_WORKER_SIZE);
}

static const struct option_type type_worker = {.size = sizeof(char *),
                                               .parse = parse_word,
                                               .release = release_word,
                                               .valid = worker_ok,
                                               .expected = "1 to 64 visible ASCII characters"};

/* ---- the tables */

/* What both have. */
#define URL                                                                                        \
    {                                                                                              \
        "url",                                                                                     \
            .letter = 'u', .type = &type_urls, FIELD(urls), .flags = OPTION_VARIABLE,              \
            .argument = "URL", .default_value = "http://127.0.0.1:8080", .heading = "The server",  \
            .help =                                                                                \
                "the server: http://HOST:PORT, https://HOST:PORT or unix:PATH; may be repeated",   \
            .more = "The server, as http://HOST:PORT, https://HOST:PORT or unix:PATH; a URL may "  \
                    "have a path, for a server behind a proxy. May be given several times, for "   \
                    "servers that share their jobs: when one does not answer the next is asked. "  \
                    "In the variable they are separated by blanks."                                \
    }
#define TOKEN_FILE                                                                                 \
    {                                                                                              \
        "token-file", .type = &type_file, FIELD(token_file),                                       \
                      .flags = OPTION_SECRET | OPTION_VARIABLE | OPTION_NOT_EMPTY,                 \
                      .argument = "FILE", .unset = "no token",                                     \
                      .help = "send the token in this file",                                       \
                      .more = "Send the token that this file holds, and nothing else. It is read " \
                              "again on SIGHUP, "                                                  \
                              "and when the server no longer knows the token."                     \
    }
#define CA                                                                                         \
    {                                                                                              \
        "ca", .type = &type_file, FIELD(ca), .flags = OPTION_VARIABLE, .argument = "FILE",         \
              .unset = "those of the system", .help = "certificates to trust for https, in PEM",   \
              .more = "The certificates that https servers are checked with, in PEM."              \
    }
#define HELP_ROW                                                                                   \
    {                                                                                              \
        "help", .letter = 'h', .type = &type_action, .action = ACTION_HELP,                        \
                .help = "print this help and exit",                                                \
                .more = "Print a summary of the options and exit."                                 \
    }

static const struct option_spec work_table[] = {
    URL,
    TOKEN_FILE,
    CA,
    {"queue", .letter = 'q', .type = &type_queues, FIELD(queues), .argument = "NAMES",
     .unset = "default", .heading = "Work",
     .help = "take jobs of these queues, a,b,c: the first that has one",
     .more = "Take jobs of these queues, at most 16 names separated by commas, each job from the "
             "first one that has any."},
    {"workers", .letter = 'n', .type = &type_number, FIELD(workers), .min = 1,
     .max = CLIENT_WORKERS_MAX, .argument = "N", .default_value = "1",
     .help = "how many commands run at a time",
     .more = "How many commands run at a time, at most 256."},
    {"worker", .type = &type_worker, FIELD(worker), .flags = OPTION_VARIABLE, .argument = "NAME",
     .unset = "the host's name", .help = "its name, for the server to show",
     .more = "What the server calls this worker where it shows who has a job."},
    {"lease", .type = &type_duration, FIELD(lease_us), .min = SECOND, .max = 7 * DAY,
     .argument = "TIME", .default_value = "60s",
     .help = "how soon a job runs elsewhere when this worker has died",
     .more = "How long the server waits to hear from this worker before it gives the job to "
             "another one. While the command runs the lease is extended."},
    {"kill-after", .type = &type_duration, FIELD(kill_after_us), .max = DAY, .argument = "TIME",
     .default_value = "5s", .help = "from SIGTERM to SIGKILL, for a command that is to stop",
     .more = "How long a command that is told to stop, and all that it started, has from SIGTERM "
             "to SIGKILL."},
    {"output-limit", .type = &type_size, FIELD(output_max_bytes), .min = 1, .max = GIB,
     .argument = "SIZE", .default_value = "64KiB", .help = "bytes of a job's output to send",
     .more = "Bytes of the output of a job to send; the rest is dropped. The server keeps no more "
             "than its own --output-limit."},
    {"exec", .type = &type_command, FIELD(command),
     .help = "run this command for each job, the payload on its standard input",
     .more = "Run this command for each job, as the server does."},
    {"log-format", .type = &type_choice, FIELD(log_format), .choices = log_format_names,
     .argument = "FORMAT", .default_value = "text", .heading = "Other",
     .help = "format of the log: text or json"},
    {"log-level", .type = &type_choice, FIELD(log_level), .choices = log_level_names,
     .argument = "LEVEL", .default_value = "info",
     .help = "what to log: error, warn, info or debug"},
    HELP_ROW,
};

static const struct option_spec top_table[] = {
    URL,
    TOKEN_FILE,
    CA,
    {"every", .type = &type_duration, FIELD(every_us), .min = SECOND / 10, .max = DAY,
     .argument = "TIME", .default_value = "1s", .heading = "Other",
     .help = "time between two updates"},
    HELP_ROW,
};

static const struct client_command work = {
    .name = "work",
    .synopsis = "[options] -- command [argument...]",
    .about = "Take jobs of a jobd elsewhere and run the command for each of them.\n",
    .specs = work_table,
    .len = sizeof work_table / sizeof work_table[0],
};

static const struct client_command top = {
    .name = "top",
    .synopsis = "[options]",
    .about = "Show the queues of a jobd in a terminal, kept up to date; else print them once.\n",
    .specs = top_table,
    .len = sizeof top_table / sizeof top_table[0],
};

const struct client_command *const client_commands[] = {&work, &top, NULL};

/* ---- reading */

enum { ROWS_MAX = 32 };

struct reading {
    struct client_options *options;
    const struct client_command *command;
    struct problem *problem;
    bool given[ROWS_MAX];
};

static bool take(void *context, size_t option, const char *place, const char *value)
{
    struct reading *reading = context;
    const struct option_spec *spec = &reading->command->specs[option];
    if (spec->type == &type_action) {
        reading->options->help = true;
        return true;
    }
    if (reading->given[option] && spec->type != &type_urls)
        return problem_set(reading->problem, "%s: is given twice", place);
    reading->given[option] = true;
    return option_line_apply(spec, reading->options, place, value, reading->problem);
}

static bool take_variables(struct reading *reading)
{
    char name[OPTION_VARIABLE_SIZE];
    for (size_t i = 0; i < reading->command->len; i++) {
        const struct option_spec *spec = &reading->command->specs[i];
        option_variable(spec, name);
        const char *text = (spec->flags & OPTION_VARIABLE) != 0 ? getenv(name) : NULL;
        if (text == NULL || reading->given[i])
            continue;
        if (*text == '\0' && (spec->flags & OPTION_NOT_EMPTY) != 0)
            return problem_set(reading->problem, "%s: is empty; unset it, for %s", name,
                               spec->unset);
        if (*text != '\0' && !take(reading, i, name, text))
            return false;
    }
    return true;
}

static bool take_defaults(struct reading *reading)
{
    for (size_t i = 0; i < reading->command->len; i++) {
        const struct option_spec *spec = &reading->command->specs[i];
        if (!reading->given[i] && spec->default_value != NULL &&
            !take(reading, i, spec->name, spec->default_value))
            return false;
        if (!reading->given[i] && spec->type == &type_command)
            return problem_set(reading->problem, "needs a command, behind --; see jobd %s --help",
                               reading->command->name);
    }
    return true;
}

void client_options_release(const struct client_command *command, struct client_options *options)
{
    for (size_t i = 0; i < command->len; i++)
        if (command->specs[i].type->release != NULL)
            command->specs[i].type->release(option_value(&command->specs[i], options));
    *options = (struct client_options){.help = false};
}

bool client_options_read(struct client_options *options, const struct client_command *command,
                         char **words, struct problem *problem)
{
    char help[32];
    struct reading reading = {.options = options, .command = command, .problem = problem};
    const struct option_line line = {.specs = command->specs,
                                     .len = command->len,
                                     .help = help,
                                     .take = take,
                                     .context = &reading,
                                     .problem = problem};
    snprintf(help, sizeof help, "jobd %s --help", command->name);
    *options = (struct client_options){.help = false};
    bool good = option_line_read(&line, words) &&
                (options->help || (take_variables(&reading) && take_defaults(&reading)));
    if (!good)
        client_options_release(command, options);
    return good;
}
