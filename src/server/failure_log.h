/* SPDX-License-Identifier: MIT */
/* Failed jobs in the log, a line each: at most ten a second, the rest is counted. A thread of its
 * own writes them, so that nothing else waits for whoever reads the log. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"

struct jobd;
struct jobd_config;

/* Zeroed before its first use. */
struct failure_log {
    struct mutex lock;
    struct condition changed;
    bool poked GUARDED_BY(lock), over GUARDED_BY(lock);
    bool made, started;
    struct jobd *jobd;
    int64_t *down_since_us; /* of each queue: since its service was said to be down */
    pthread_t thread;
};

/* Has the engine that will be made from `config` tell this log of failures; it must outlive that
 * engine. 0 or -errno. */
__attribute__((warn_unused_result)) int failure_log_init(struct failure_log *log,
                                                         struct jobd_config *config);
/* 0 or -errno. */
__attribute__((warn_unused_result)) int failure_log_start(struct failure_log *log,
                                                          struct jobd *jobd);
/* Writes what there is to write, and ends the thread. The engine may still tell it of failures.
 * Once more does nothing. */
void failure_log_stop(struct failure_log *log);
/* No engine tells it any more. */
void failure_log_release(struct failure_log *log);
