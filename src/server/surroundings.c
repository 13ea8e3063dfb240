/* SPDX-License-Identifier: MIT */
#include "server/surroundings.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/url.h"
#include "ledger/ledger.h"
#include "run/command_check.h"
#include "server/option_types.h"
#include "server/queue_runner.h"
#include "store/store.h"

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

/* A directory that is not there yet will be made: then the one around it must be writable. */
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

/* A log that is there must be writable; one that is not will be made, as above. */
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
