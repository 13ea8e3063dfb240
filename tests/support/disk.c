/* SPDX-License-Identifier: MIT */
#include "support/disk.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/temporary.h"

static char folder[128], image[128];

static int run(const char *format, ...)
{
    char command[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    return system(command);
}

const char *disk_folder(void)
{
    return folder;
}

static bool mount_image(void)
{
    return run("mount -o loop %s %s 2>/dev/null", image, folder) == 0;
}

/* Mounts made from here on are seen by this thread and its children alone. */
static bool leave_namespace(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

bool disk_make(void)
{
    snprintf(folder, sizeof folder, "%s/disk", temporary_directory());
    snprintf(image, sizeof image, "%s/image", temporary_directory());
    if (geteuid() == 0 && leave_namespace() && mkdir(folder, 0700) == 0 &&
        run("truncate -s 256M %s && mkfs.ext4 -q -F %s 2>/dev/null", image, image) == 0 &&
        mount_image())
        return true;
    fprintf(stderr, "no root, or no loop devices: left out\n");
    return false;
}

void disk_cut_power(void)
{
    const unsigned ext4_shutdown = 0x8004587d, without_flushing = 2;
    unsigned how = without_flushing;
    int fd = open(folder, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ioctl(fd, ext4_shutdown, &how), 0);
    close(fd);
    disk_unmount();
    assert_true(mount_image());
}

void disk_unmount(void)
{
    assert_int_equal(run("umount %s", folder), 0);
}
