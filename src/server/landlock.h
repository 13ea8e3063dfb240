/* SPDX-License-Identifier: MIT */
/* Landlock: of the file system the paths named here, and nothing else. From Linux 5.13 on.
 *
 * Files that are open stay so. Links are followed first: what counts is where a file really is. */
#pragma once

enum landlock_right {
    LANDLOCK_READ,   /* files and directories */
    LANDLOCK_CHANGE, /* read, write, make and remove files */
    LANDLOCK_APPEND, /* write and make files */
    LANDLOCK_REMOVE  /* files */
};

/* A set of rules, a descriptor; -errno: the kernel has none. */
int landlock_new(void);

/* This file, or all beneath this directory. 0 or -errno. */
int landlock_allow(int set, const char *path, enum landlock_right right);

/* All that stands in the same directory as this file, and where its links lead now: what a rename
 * puts there later is meant too. To read a file in / means that file alone. 0, or -errno of the
 * first.
 */
int landlock_allow_beside(int set, const char *path, enum landlock_right right);

/* For this thread and those it starts, for good; needs no_new_privs. 0 or -errno. */
int landlock_enter(int set);
