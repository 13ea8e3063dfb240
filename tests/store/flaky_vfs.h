/* SPDX-License-Identifier: MIT */
/* A disk for SQLite that fails when it is told to: a VFS over the usual one, which tells unsynced.h
 * what it does. For one thread's
 * database at a time, but the plan may be changed by another. */
#pragma once

#include <stdbool.h>

enum flaw {
    FLAW_NONE,
    FLAW_WRITE, /* the nth write fails, with an I/O error */
    FLAW_SYNC,  /* the nth sync fails, though the bytes are there */
    FLAW_TEAR,  /* half of the nth write gets there; then the disk is dead */
    FLAW_DEAD,  /* from the nth write on nothing works */
    FLAW_FULL,  /* from the nth write on there is no space, for files to grow */
    FLAW_BLIND  /* syncs say that they have worked, and do nothing */
};

/* Becomes SQLite's default. */
void flaky_install(void);
/* The next write or sync is the first. */
void flaky_plan(enum flaw flaw, unsigned nth);
/* It has come to pass. */
bool flaky_struck(void);
unsigned flaky_writes(void);
unsigned flaky_syncs(void);
