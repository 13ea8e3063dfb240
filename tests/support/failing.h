/* SPDX-License-Identifier: MIT */
/* What failing.so, preloaded into a server, does on command, and what it has counted: a test maps
 * the same file. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#define FAILING_FILE "FAILING_FILE" /* the environment variable that names it */

struct failing {
    _Atomic int64_t turn;      /* this allocation from now on fails, once; 0: none */
    _Atomic uint32_t permille; /* so many of a thousand allocations fail */
    _Atomic uint32_t every;    /* this often a call fails; 0: never */
    _Atomic uint32_t calls;    /* made meanwhile */
    _Atomic uint64_t allocations_failed, calls_failed;
    _Atomic uint64_t acknowledged; /* TCP_QUICKACK was set so often */
    _Atomic int64_t live;          /* blocks allocated and not freed */
    _Atomic int64_t wall_ahead_s;  /* what CLOCK_REALTIME is wrong by */
};
