/* SPDX-License-Identifier: MIT */
/* A file system that can be cut from its disk, as when the power fails: an ext4 in a file.
 *
 * Making one gives the calling thread a mount namespace of its own, which its children share. So no
 * process elsewhere keeps a copy of the mount, which would keep the file system as it was when it
 * was cut; and nothing stays mounted when the test dies. For the test's own thread. */
#pragma once

#include <stdbool.h>

/* An empty one, mounted at <temporary directory>/disk. False without root or loop devices; it has
 * said so then. */
bool disk_make(void);
/* Where it is mounted. */
const char *disk_folder(void);
/* What the disk does not have yet is lost; what it has is there again when this returns. Nobody may
 * have a file of it open. */
void disk_cut_power(void);
/* At the end of the test. */
void disk_unmount(void);
