/* SPDX-License-Identifier: MIT */
#include "store/ballast.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/files.h"

/* What is no file of ours loses its name here, and is not written to. */
static int open_own(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (fd >= 0 && files_is_plain(fd))
        return fd;
    if (fd >= 0)
        close(fd);
    (void)unlink(path);
    return open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

bool ballast_hold(const char *path, uint64_t spare_bytes)
{
    struct statvfs disk;
    int fd = open_own(path);
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
