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

/* As execvp(3) goes through PATH. 0 and where it is, or errno. */
static int find_in_path(const char *name, char found[PATH_MAX])
{
    const char *at = getenv("PATH");
    int error = ENOENT;
    if (at == NULL)
        at = USUAL_PATH;
    for (;;) {
        size_t length = strcspn(at, ":");
        int size =
            snprintf(found, PATH_MAX, "%.*s%s%s", (int)length, at, length > 0 ? "/" : "./", name);
        int refused = size < PATH_MAX ? refusal(found) : ENAMETOOLONG;
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
        return !text_is_utf8((const unsigned char *)head, (size_t)size) ||
               wrong(problem, path, "is a text whose first line does not begin with #!");
    read_interpreter(head, &interpreter);
    int error = refusal(interpreter);
    if (error == 0)
        return true;
    snprintf(why, sizeof why, "its interpreter %s: %s",
             text_printable(interpreter, shown, sizeof shown), strerror(error));
    return wrong(problem, path, why);
}

bool command_check(char *const *command, struct problem *problem)
{
    char found[PATH_MAX];
    const char *path = command[0];
    int error;
    if (strchr(path, '/') != NULL) {
        error = refusal(path);
    } else {
        error = *path != '\0' ? find_in_path(path, found) : ENOENT;
        path = found;
    }
    if (error == ENOENT && strchr(command[0], '/') == NULL)
        return wrong(problem, command[0], "there is no such command in PATH");
    return error == 0 ? check_script(path, problem) : wrong(problem, command[0], strerror(error));
}
