/* SPDX-License-Identifier: MIT */
#include "server/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef LANDLOCK_ACCESS_FS_TRUNCATE /* headers before 6.2 */
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

#define OF_FIRST_ABI ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1) /* it and all below */
#define OF_A_FILE                                                                                  \
    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)

/* What this kernel can forbid. */
static uint64_t handled(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1)
        return 0;
    return OF_FIRST_ABI | (abi >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0) |
           (abi >= 3 ? LANDLOCK_ACCESS_FS_TRUNCATE : 0);
}

int landlock_new(void)
{
    const struct landlock_ruleset_attr all = {.handled_access_fs = handled()};
    if (all.handled_access_fs == 0)
        return -ENOSYS;
    int set = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0); /* O_CLOEXEC */
    return set >= 0 ? set : -errno;
}

int landlock_allow(int set, const char *path, enum landlock_right right)
{
    static const uint64_t rights[] = {
        [LANDLOCK_READ] = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
        [LANDLOCK_CHANGE] = OF_A_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                            LANDLOCK_ACCESS_FS_REMOVE_FILE,
        [LANDLOCK_APPEND] = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG,
        [LANDLOCK_REMOVE] = LANDLOCK_ACCESS_FS_REMOVE_FILE,
    };
    struct landlock_path_beneath_attr rule = {.allowed_access = rights[right] & handled()};
    struct stat status;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int error = fstat(fd, &status) == 0 ? 0 : -errno;
    if (error == 0 && !S_ISDIR(status.st_mode))
        rule.allowed_access &= OF_A_FILE;
    rule.parent_fd = fd;
    if (error == 0 &&
        syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
        error = -errno;
    close(fd);
    return error;
}

/* Allows the directory that the file is in, since it may be replaced there; but / would be
 * everything, so for a file in it the file alone. */
static int allow_around(int set, const char *path, enum landlock_right right)
{
    char copy[PATH_MAX];
    if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy)
        return -ENAMETOOLONG;
    const char *directory = dirname(copy);
    bool all = strcmp(directory, "/") == 0 && right == LANDLOCK_READ;
    return landlock_allow(set, all ? path : directory, right);
}

/* For a link whose target is not there yet: allows the nearest directory on its way that is, but
 * not /. */
static void allow_where_it_leads(int set, const char *path, enum landlock_right right)
{
    char copy[PATH_MAX], target[PATH_MAX] = "", whole[2 * PATH_MAX];
    if (readlink(path, target, sizeof target - 1) < 0)
        return;
    snprintf(copy, sizeof copy, "%s", path);
    snprintf(whole, sizeof whole, "%s%s%s", target[0] != '/' ? dirname(copy) : "",
             target[0] != '/' ? "/" : "", target);
    const char *at;
    do
        at = dirname(whole);
    while (strlen(at) > 1 && landlock_allow(set, at, right) == -ENOENT);
}

int landlock_allow_beside(int set, const char *path, enum landlock_right right)
{
    char real[PATH_MAX];
    int error = allow_around(set, path, right);
    if (error == 0 && realpath(path, real) != NULL)
        error = allow_around(set, real, right);
    else if (error == 0)
        allow_where_it_leads(set, path, right);
    return error;
}

int landlock_enter(int set)
{
    return syscall(SYS_landlock_restrict_self, set, 0) == 0 ? 0 : -errno;
}
