/* SPDX-License-Identifier: MIT */
#include "store/ballast.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

bool ballast_hold(const char *path, uint64_t spare_bytes)
{
    struct statvfs disk;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool held = posix_fallocate(fd, 0, BALLAST_BYTES) == 0 && fstatvfs(fd, &disk) == 0 &&
                (uint64_t)disk.f_bavail * disk.f_frsize >= spare_bytes;
    close(fd);
    if (!held)
        (void)unlink(path);
    return held;
}

bool ballast_release(const char *path)
{
    return unlink(path) == 0;
}
