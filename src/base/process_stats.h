/* SPDX-License-Identifier: MIT */
/* What the system knows of this process. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct process_stats {
    int64_t cpu_us;   /* in user and system mode, of all threads, those that have ended included */
    int64_t start_us; /* since 1970, as the wall clock stood when it was first asked for */
    uint64_t virtual_bytes, resident_bytes;
    uint32_t threads;
    uint64_t fds_max; /* descriptors that may be open */
    uint64_t fds;     /* descriptors that are open */
    bool fds_known;   /* some kernels hide it from a process without core dumps */
};

/* False when /proc cannot be read. Any thread; reads /proc, which waits for no disk. */
bool process_stats(struct process_stats *stats);
