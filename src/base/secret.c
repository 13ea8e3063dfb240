/* SPDX-License-Identifier: MIT */
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void trim(char *text)
{
    size_t end = strlen(text), begin = 0;
    while (end > 0 && is_blank(text[end - 1]))
        end--;
    while (begin < end && is_blank(text[begin]))
        begin++;
    memmove(text, text + begin, end - begin);
    text[end - begin] = '\0';
}

/* How many bytes, at most `room`; -1 and errno. */
static ssize_t read_file(const char *path, char *bytes, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    size_t used = 0;
    ssize_t got = fd < 0 ? -1 : 1;
    while (got > 0 && used < room) {
        got = read(fd, bytes + used, room - used);
        used += got > 0 ? (size_t)got : 0;
    }
    int error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    return got < 0 ? -1 : (ssize_t)used;
}

bool secret_read(const char *path, char text[SECRET_SIZE], struct problem *problem)
{
    ssize_t size = read_file(path, text, SECRET_SIZE);
    if (size < 0)
        return problem_set(problem, "%s: %s", path, strerror(errno));
    if (size == SECRET_SIZE)
        return problem_set(problem, "%s: is larger than %d bytes", path, SECRET_SIZE - 1);
    text[size] = '\0';
    if (strlen(text) != (size_t)size)
        return problem_set(problem, "%s: has a NUL byte", path);
    trim(text);
    return text[0] != '\0' || problem_set(problem, "%s: is empty", path);
}

void secret_warn(const char *path)
{
    struct stat status;
    const char *exposed = stat(path, &status) == 0 ? secret_exposed(status.st_mode) : NULL;
    if (exposed != NULL)
        log_warn("%s: others can %s the secret: its mode is %03o", path, exposed,
                 (unsigned)status.st_mode & 0777);
}
