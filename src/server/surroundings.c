/* SPDX-License-Identifier: MIT */
#include "server/surroundings.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/chars.h"
#include "base/log.h"
#include "base/text.h"
#include "base/url.h"
#include "ledger/ledger.h"
#include "run/command_check.h"
#include "server/option_types.h"
#include "server/queue_runner.h"
#include "store/store.h"

#define PREFIX "JOBD_"

enum {
    WORD_SIZE = 32, /* of a name without its underscores: those of options are shorter */
    SHORT_WORD = 6, /* fewer letters: one may be wrong, else */
    WRONG_LETTERS = 2
};

/* ---- variables */

/* What Kubernetes and Docker make of a service named jobd. */
static bool is_of_a_service(const char *name, const char *value)
{
    return strstr(name, "_SERVICE_HOST") != NULL || strstr(name, "_SERVICE_PORT") != NULL ||
           strstr(name, "_TCP") != NULL || strstr(name, "_UDP") != NULL ||
           strstr(name, "_SCTP") != NULL || strncmp(value, "tcp://", 6) == 0 ||
           strncmp(value, "udp://", 6) == 0 || strncmp(value, "sctp://", 7) == 0;
}

/* What jobd itself hands to commands, which may start another one. */
static bool is_of_a_command(const char *name)
{
    static const char *const names[] = {"ID", "QUEUE", "ATTEMPT", "CONTENT_TYPE"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name + strlen(PREFIX), names[i]) == 0)
            return true;
    return strncmp(name, PREFIX "HEADER_", strlen(PREFIX "HEADER_")) == 0;
}

/* In capitals, without what parts words. False when it is too long to be an option's. */
static bool squeeze(const char *name, char out[WORD_SIZE])
{
    size_t used = 0;
    for (; *name != '\0' && used < WORD_SIZE - 1; name++)
        if (*name != '_' && *name != '-')
            out[used++] = char_upper(*name);
    out[used] = '\0';
    return *name == '\0' && used > 0;
}

/* Letters to add, to leave out, to change, or to exchange with the next one (optimal string
 * alignment). */
static unsigned distance(const char *one, const char *other)
{
    unsigned rows[3][WORD_SIZE + 1];
    size_t columns = strlen(other);
    for (size_t j = 0; j <= columns; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; one[i - 1] != '\0'; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= columns; j++) {
            unsigned least = above[j - 1] + (one[i - 1] != other[j - 1]);
            if (above[j] + 1 < least)
                least = above[j] + 1;
            if (row[j - 1] + 1 < least)
                least = row[j - 1] + 1;
            if (i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] &&
                before[j - 2] + 1 < least)
                least = before[j - 2] + 1;
            row[j] = least;
        }
    }
    return rows[strlen(one) % 3][columns];
}

/* Does one go on where the other ends, as DATA_DIR, DATADIR and DATA, or LOG and LOG_LEVEL? */
static bool begins_alike(const char *own, const char *its)
{
    static const char *const more[] = {"DIR", "FILE", "PATH", "URL"};
    size_t length = strlen(own) < strlen(its) ? strlen(own) : strlen(its);
    if (strncasecmp(own, its, length) != 0)
        return false;
    bool alike = own[length] == '_' || its[length] == '_';
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
        alike |= strcasecmp(own + length, more[i]) == 0;
    return alike;
}

/* How unlike an option it is; more than WRONG_LETTERS: it is none. */
static unsigned unlikeness(const char *name, const struct option_spec *spec)
{
    char variable[OPTION_VARIABLE_SIZE], word[WORD_SIZE], other[WORD_SIZE];
    option_variable(spec, variable);
    const char *own = name + strlen(PREFIX), *its = variable + strlen(PREFIX);
    if (spec->type == &type_action || !squeeze(own, word) || !squeeze(its, other))
        return WRONG_LETTERS + 1;
    unsigned wrong = distance(word, other);
    if (wrong > (strlen(other) < SHORT_WORD ? 1 : WRONG_LETTERS))
        wrong = WRONG_LETTERS + 1;
    return wrong > WRONG_LETTERS && begins_alike(own, its) ? WRONG_LETTERS : wrong;
}

/* What others call it. */
static const char *usual_name(const char *name)
{
    static const struct {
        const char *name, *option;
    } rows[] = {{"PORT", "listen"},     {"HOST", "listen"},
                {"ADDR", "listen"},     {"BIND", "listen"},
                {"ADDRESS", "listen"},  {"COMMAND", "exec"},
                {"CMD", "exec"},        {"TOKENS", "token-file"},
                {"AUTH", "token-file"}, {"CONCURRENCY", "workers"},
                {"RETRIES", "attempts"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcasecmp(name + strlen(PREFIX), rows[i].name) == 0)
            return rows[i].option;
    return NULL;
}

/* The option that is meant by a variable of this name, NULL: none, or it is one. */
static const struct option_spec *meant(const char *name)
{
    size_t len;
    const struct option_spec *specs = options_table(&len), *nearest = NULL;
    const char *usual = usual_name(name);
    unsigned least = WRONG_LETTERS + 1;
    for (size_t i = 0; i < len; i++) {
        char variable[OPTION_VARIABLE_SIZE];
        if ((specs[i].flags & OPTION_KEY) != 0)
            continue;
        option_variable(&specs[i], variable);
        if (strcmp(name, variable) == 0)
            return NULL;
        unsigned wrong =
            usual != NULL && strcmp(specs[i].name, usual) == 0 ? 0 : unlikeness(name, &specs[i]);
        if (wrong < least) {
            least = wrong;
            nearest = &specs[i];
        }
    }
    return nearest;
}

static void warn_variable(const char *entry)
{
    char name[80], shown[80], variable[OPTION_VARIABLE_SIZE];
    size_t length = strcspn(entry, "=");
    if (strncasecmp(entry, PREFIX, strlen(PREFIX)) != 0 || length >= sizeof name ||
        entry[length] == '\0')
        return;
    snprintf(name, sizeof name, "%.*s", (int)length, entry);
    if (is_of_a_service(name, entry + length + 1) || is_of_a_command(name))
        return;
    const struct option_spec *spec = meant(name);
    if (spec == NULL)
        return;
    option_variable(spec, variable);
    log_warn("%s: there is no such option, it is ignored; is %s meant?",
             text_printable(name, shown, sizeof shown), variable);
}

void surroundings_warn_variables(void)
{
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++)
        warn_variable(*entry);
}

/* ---- runners */

void surroundings_warn_runners(const struct options *options)
{
    for (uint32_t i = 0; i < options->queues_len; i++)
        queue_runner_warn(&options->queues[i]);
}

/* ---- directories */

static bool may_change(const char *directory, struct problem *problem)
{
    struct stat status = {.st_mode = 0};
    int error = stat(directory, &status) == 0 ? 0 : errno;
    if (error == 0 && !S_ISDIR(status.st_mode))
        error = ENOTDIR;
    if (error == 0 && faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) != 0)
        error = errno;
    return error == 0 || problem_set(problem, "%s: %s", directory, strerror(error));
}

static bool may_change_around(const char *path, struct problem *problem)
{
    char copy[PATH_MAX];
    if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy)
        return problem_set(problem, "%s", strerror(ENAMETOOLONG));
    return may_change(dirname(copy), problem);
}

/* A directory that is not there yet is made. */
static bool check_data(const struct options *options, struct problem *problem)
{
    struct stat status = {.st_mode = 0};
    const char *data = options->data;
    if (data == NULL)
        return true;
    if (ledger_is_url(data))
        return options->sync != STORE_SYNC_SECOND ||
               problem_set(problem, "%s: 1s is not for a database: commit or off",
                           option_place(&options->places, "sync"));
    bool good = stat(data, &status) != 0 && errno == ENOENT ? may_change_around(data, problem)
                                                            : may_change(data, problem);
    return good || problem_at(problem, option_place(&options->places, "data"));
}

static bool check_socket(const struct options *options, struct problem *problem)
{
    const char *path = url_unix_path(options->listen);
    return path == NULL || may_change_around(path, problem) ||
           problem_at(problem, option_place(&options->places, "listen"));
}

/* A log that is there must take lines, one that is not is made. */
static bool check_access_log(const struct options *options, struct problem *problem)
{
    const char *log = options->access_log;
    if (log == NULL || strcmp(log, "-") == 0)
        return true;
    if (faccessat(AT_FDCWD, log, W_OK, AT_EACCESS) == 0)
        return true;
    bool good = errno == ENOENT ? may_change_around(log, problem)
                                : problem_set(problem, "%s: %s", log, strerror(errno));
    return good || problem_at(problem, option_place(&options->places, "access-log"));
}

bool surroundings_check(const struct options *options, struct problem *problem)
{
    bool good = check_data(options, problem) && check_socket(options, problem) &&
                check_access_log(options, problem);
    for (uint32_t i = 0; i < options->queues_len && good; i++)
        good = queue_runner_check(options, &options->queues[i], problem) &&
               queue_runner_command_ok(&options->queues[i], problem);
    return good;
}
