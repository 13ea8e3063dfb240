/* SPDX-License-Identifier: MIT */
#include "run/command_check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "base/utf8.h"

enum { HEAD_SIZE = 256, SHOWN_SIZE = 160 };

#define USUAL_PATH "/bin:/usr/bin"

static bool wrong(struct problem *problem, const char *path, const char *why)
{
    char shown[SHOWN_SIZE];
    return problem_set(problem, "%s: %s", text_printable(path, shown, sizeof shown), why);
}

/* 0, or the errno that starting it would give. */
static int refusal(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return errno;
    if (S_ISDIR(status.st_mode))
        return EISDIR;
    if (!S_ISREG(status.st_mode))
        return EACCES;
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

/* The directory in front of a relative path. False when that is too long. */
static bool seen_from(const struct exec_place *place, const char *path, char out[PATH_MAX])
{
    bool moves = path[0] != '/' && place->directory != NULL;
    return snprintf(out, PATH_MAX, "%s%s%s", moves ? place->directory : "", moves ? "/" : "",
                    path) < PATH_MAX;
}

static const char *path_of(const struct exec_place *place)
{
    static const char name[] = "PATH=";
    char *const *entry = place->environment;
    for (; entry != NULL && *entry != NULL; entry++)
        if (strncmp(*entry, name, strlen(name)) == 0)
            return *entry + strlen(name);
    const char *path = getenv("PATH");
    return path != NULL ? path : USUAL_PATH;
}

/* As execvp(3) goes through PATH. 0 and where it is, or errno. */
static int find_in_path(const char *name, const struct exec_place *place, char found[PATH_MAX])
{
    const char *at = path_of(place);
    int error = ENOENT;
    for (;;) {
        size_t length = strcspn(at, ":");
        char whole[PATH_MAX];
        int size =
            snprintf(whole, PATH_MAX, "%.*s%s%s", (int)length, at, length > 0 ? "/" : "./", name);
        int refused =
            size < PATH_MAX && seen_from(place, whole, found) ? refusal(found) : ENAMETOOLONG;
        if (refused == 0)
            return 0;
        if (refused == EACCES)
            error = EACCES;
        if (at[length] == '\0')
            return error;
        at += length + 1;
    }
}

/* What stands behind #!, up to a blank; "" when there is nothing. */
static void read_interpreter(char *head, char **interpreter)
{
    char *line = head + strlen("#!");
    line += strspn(line, " \t");
    line[strcspn(line, " \t\n")] = '\0';
    *interpreter = line;
}

/* A script names what runs it; a text that does not cannot be started. */
static bool check_script(const char *path, struct problem *problem)
{
    char head[HEAD_SIZE] = "", why[2 * SHOWN_SIZE], shown[SHOWN_SIZE], *interpreter;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t size = fd >= 0 ? read(fd, head, sizeof head - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (size < 0)
        return true; /* to start it, it need not be read */
    if (size == 0)
        return wrong(problem, path, "is empty");
    if (strncmp(head, "#!", 2) != 0)
        return !utf8_valid((const unsigned char *)head, (size_t)size) ||
               wrong(problem, path, "is a text whose first line does not begin with #!");
    read_interpreter(head, &interpreter);
    int error = refusal(interpreter);
    if (error == 0)
        return true;
    snprintf(why, sizeof why, "its interpreter %s: %s",
             text_printable(interpreter, shown, sizeof shown), strerror(error));
    return wrong(problem, path, why);
}

bool command_check(char *const *command, const struct exec_place *place, struct problem *problem)
{
    char found[PATH_MAX] = "";
    const char *name = command[0];
    int error = ENOENT;
    if (strchr(name, '/') != NULL)
        error = seen_from(place, name, found) ? refusal(found) : ENAMETOOLONG;
    else if (*name != '\0')
        error = find_in_path(name, place, found);
    if (error == ENOENT && strchr(command[0], '/') == NULL)
        return wrong(problem, command[0], "there is no such command in PATH");
    return error == 0 ? check_script(found, problem) : wrong(problem, command[0], strerror(error));
}
