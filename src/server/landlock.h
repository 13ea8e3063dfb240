/* SPDX-License-Identifier: MIT */
/* Landlock: limits this process to some paths of the file system. From Linux 5.13 on.
 *
 * Files that are open stay open. Links are followed first: what counts is where a file really
 * is. */
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

/* All files in the same directory as this one, and in the directory where its links lead now: so a
 * file that a rename puts there later can be used too. For a file in /, to read, that file alone.
 * 0, or -errno of the former directory. */
int landlock_allow_beside(int set, const char *path, enum landlock_right right);

/* For this thread and those it starts, for good; needs no_new_privs. 0 or -errno. */
int landlock_enter(int set);
