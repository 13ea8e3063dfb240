/* SPDX-License-Identifier: MIT */
#include "store/files.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

static bool is_plain(const struct stat *file)
{
    return S_ISREG(file->st_mode) && file->st_nlink == 1;
}

bool files_is_plain(int fd)
{
    struct stat file;
    return fstat(fd, &file) == 0 && is_plain(&file);
}

bool files_check(const char *path, uid_t owner, struct problem *problem)
{
    struct stat file;
    if (lstat(path, &file) != 0)
        return errno == ENOENT || problem_set(problem, "%s: %s", path, strerror(errno));
    if (S_ISLNK(file.st_mode))
        return problem_set(problem, "%s: it is a symbolic link, not a file of jobd: remove it",
                           path);
    if (!S_ISREG(file.st_mode))
        return problem_set(problem, "%s: it is no plain file: remove it", path);
    if (!is_plain(&file))
        return problem_set(problem,
                           "%s: it has %llu names (hard links), so that another file would be "
                           "written to: remove it, or put a copy in its place",
                           path, (unsigned long long)file.st_nlink);
    if (file.st_uid != geteuid() && file.st_uid != owner && file.st_uid != 0)
        return problem_set(problem,
                           "%s: it belongs to another user, of number %u: remove it, or "
                           "make it jobd's",
                           path, (unsigned)file.st_uid);
    return true;
}

void files_warn(const char *directory, int folder)
{
    struct stat file;
    if (fstat(folder, &file) != 0)
        return;
    bool group = (file.st_mode & S_IWGRP) != 0 && file.st_gid != getegid();
    if (group || (file.st_mode & S_IWOTH) != 0)
        log_warn("%s: others can write in this directory: its mode is %03o", directory,
                 file.st_mode & 0777U);
}
