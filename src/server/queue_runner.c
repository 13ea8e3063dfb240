/* SPDX-License-Identifier: MIT */
#include "server/queue_runner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "run/command_check.h"
#include "run/http_client.h"
#include "run/passed_fields.h"
#include "run/user.h"
#include "server/option_types.h"

static bool wrong(const struct queue_options *queue, const char *key, struct problem *problem)
{
    char what[PROBLEM_SIZE];
    snprintf(what, sizeof what, "%s", problem->text);
    return problem_set(problem, "%s: queue %s: %s", option_place(&queue->places, key), queue->name,
                       what);
}

/* ---- exec */

static bool check_directory(const char *path, struct problem *problem)
{
    struct stat status = {.st_mode = 0};
    int error = stat(path, &status) == 0 ? 0 : errno;
    if (error == 0 && !S_ISDIR(status.st_mode))
        error = ENOTDIR;
    if (error == 0 && faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) != 0)
        error = errno;
    return error == 0 || problem_set(problem, "%s: %s", path, strerror(error));
}

static bool open_place(struct queue_runner *runner, const struct queue_options *queue,
                       struct problem *problem)
{
    runner->config.place =
        (struct exec_place){.directory = queue->directory,
                            .environment = queue->environment,
                            .nice = queue->nice.given ? &queue->nice.value : NULL};
    if (queue->directory != NULL && !check_directory(queue->directory, problem))
        return wrong(queue, "directory", problem);
    if (queue->nice.given && !user_may_nice(queue->nice.value)) {
        (void)problem_set(problem, "%d needs CAP_SYS_NICE, or a higher limit (ulimit -e)",
                          queue->nice.value);
        return wrong(queue, "nice", problem);
    }
    if (queue->user == NULL)
        return true;
    runner->user = user_find(queue->user, problem);
    runner->config.place.user = runner->user;
    return runner->user != NULL || wrong(queue, "user", problem);
}

/* ---- post */

/* `Name: ` and what the file says, to be freed. */
static char *read_field(const char *field, struct problem *problem)
{
    char text[SECRET_SIZE], *whole = NULL;
    const char *path = option_field_file(field);
    int name = (int)strcspn(field, ":");
    if (!secret_read(path, text, problem))
        return NULL;
    if (!http_client_value_ok(text))
        (void)problem_set(problem,
                          "%s: holds what no field may have: one line, no control "
                          "characters",
                          path);
    else if (asprintf(&whole, "%.*s: %s", name, field, text) < 0)
        whole = NULL;
    explicit_bzero(text, sizeof text);
    return whole;
}

static void free_fields(char **fields)
{
    for (size_t i = 0; fields != NULL && fields[i] != NULL; i++) {
        explicit_bzero(fields[i], strlen(fields[i]));
        free(fields[i]);
    }
    free(fields);
}

static bool read_fields(struct queue_runner *runner, char *const *fields, struct problem *problem)
{
    size_t len = 0;
    while (fields[len] != NULL)
        len++;
    runner->fields = calloc(len + 1, sizeof *runner->fields);
    if (runner->fields == NULL)
        return problem_set(problem, "out of memory");
    for (size_t i = 0; i < len; i++) {
        runner->fields[i] = option_field_file(fields[i]) != NULL ? read_field(fields[i], problem)
                                                                 : strdup(fields[i]);
        if (runner->fields[i] == NULL)
            return problem->text[0] != '\0' ? false : problem_set(problem, "out of memory");
    }
    runner->config.extras.fields = runner->fields;
    return true;
}

/* libcurl reads it at each connection; that it cannot is seen here. */
static bool check_certificates(const char *path, struct problem *problem)
{
    static const char mark[] = "-----BEGIN CERTIFICATE-----";
    FILE *in = fopen(path, "re");
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    if (in == NULL)
        return problem_set(problem, "%s: %s", path, strerror(errno));
    while (!found && getline(&line, &size, in) > 0)
        found = strncmp(line, mark, strlen(mark)) == 0;
    free(line);
    fclose(in);
    return found || problem_set(problem, "%s: has no certificate in PEM", path);
}

/* It may come later: what is there must be one. */
static bool check_socket(const char *path, struct problem *problem)
{
    struct stat status;
    if (strlen(path) > HTTP_SOCKET_MAX)
        return problem_set(problem, "%s: is longer than %d bytes", path, HTTP_SOCKET_MAX);
    return stat(path, &status) != 0 || S_ISSOCK(status.st_mode) ||
           problem_set(problem, "%s: is not a socket", path);
}

static bool open_extras(struct queue_runner *runner, const struct queue_options *queue,
                        struct problem *problem)
{
    struct post_extras *extras = &runner->config.extras;
    *extras = (struct post_extras){.socket = queue->socket, .ca = queue->ca};
    if (queue->headers != NULL && !read_fields(runner, queue->headers, problem))
        return wrong(queue, "headers", problem);
    if (queue->sign != NULL && !webhook_key_read(&runner->key, queue->sign, problem))
        return wrong(queue, "sign", problem);
    if (queue->sign != NULL)
        extras->key = &runner->key;
    if (queue->ca != NULL && !check_certificates(queue->ca, problem))
        return wrong(queue, "ca", problem);
    return queue->socket == NULL || check_socket(queue->socket, problem) ||
           wrong(queue, "unix", problem);
}

/* ---- fields that are passed on */

/* Each is sent once: by the queue itself, or as it came. */
static bool check_passed(const struct queue_options *queue, struct problem *problem)
{
    char *const *name = queue->pass_headers;
    for (; name != NULL && *name != NULL; name++) {
        if (queue->sign != NULL && passed_fields_signs(*name))
            return problem_set(problem, "%s: sign makes it", *name);
        for (char *const *own = queue->headers; own != NULL && *own != NULL; own++)
            if (strcspn(*own, ":") == strlen(*name) && strncasecmp(*own, *name, strlen(*name)) == 0)
                return problem_set(problem, "%s: headers has it", *name);
    }
    return true;
}

/* ---- any */

bool queue_runner_open(struct queue_runner *runner, const struct options *options,
                       const struct queue_options *queue, struct problem *problem)
{
    const struct option_spec *spec = options_runner(queue);
    *runner =
        (struct queue_runner){.config = {.queue = queue->name,
                                         .kind = spec->name,
                                         .argument = option_value(spec, queue),
                                         .output_max_bytes = (size_t)options->output_max_bytes,
                                         .kill_after_us = queue->kill_after_us}};
    if (queue->callbacks) {
        runner->config.kind = "callback";
        runner->config.argument = NULL;
    }
    problem->text[0] = '\0';
    if (open_place(runner, queue, problem) && open_extras(runner, queue, problem) &&
        (check_passed(queue, problem) || wrong(queue, "pass-headers", problem)))
        return true;
    queue_runner_close(runner);
    return false;
}

void queue_runner_set_callbacks(struct queue_runner *runner, struct callbacks *callbacks)
{
    if (strcmp(runner->config.kind, "callback") == 0)
        runner->config.argument = callbacks;
}

void queue_runner_close(struct queue_runner *runner)
{
    free_fields(runner->fields);
    free(runner->user);
    explicit_bzero(runner, sizeof *runner);
}

bool queue_runner_command_ok(const struct queue_options *queue, struct problem *problem)
{
    const struct exec_place place = {.directory = queue->directory,
                                     .environment = queue->environment};
    return queue->command == NULL || command_check(queue->command, &place, problem) ||
           wrong(queue, "exec", problem);
}

bool queue_runner_check(const struct options *options, const struct queue_options *queue,
                        struct problem *problem)
{
    struct queue_runner runner;
    if (!queue_runner_open(&runner, options, queue, problem))
        return false;
    queue_runner_close(&runner);
    return true;
}

void queue_runner_warn(const struct queue_options *queue)
{
    struct problem problem;
    for (char *const *field = queue->headers; field != NULL && *field != NULL; field++)
        if (option_field_file(*field) != NULL)
            secret_warn(option_field_file(*field));
    if (queue->sign != NULL)
        secret_warn(queue->sign);
    if (!queue_runner_command_ok(queue, &problem))
        log_warn("%s: its jobs will fail", problem.text);
}

bool queue_runner_rereads(const struct queue_options *queue)
{
    bool reads = queue->sign != NULL || queue->ca != NULL || queue->user != NULL;
    for (char *const *field = queue->headers; field != NULL && *field != NULL && !reads; field++)
        reads = option_field_file(*field) != NULL;
    return reads;
}
