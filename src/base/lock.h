/* SPDX-License-Identifier: MIT */
/* A mutex and a condition variable that clang's thread-safety analysis understands.
 *
 * What a lock guards is marked GUARDED_BY, and functions that need it held are marked REQUIRES:
 * `make analyze` holds the code to both. An error from a lock is a bug of ours and ends the
 * process. Condition variables measure the monotonic clock.
 *
 * Order, outer first: conn_table.lock or live.lock; then one of jobd.lock, loop.lock, timer.lock,
 * store.lock, auth.lock, mailbox.lock. deadlines.c calls cancel_wait() and look_after() with the
 * first held; live.c wakes streams, asks the engine and judges tokens with the second. With
 * conn_table.lock held mailbox_leave() may wait for a turn's run(): so no run() may need that lock.
 * No other lock is taken under another. */
#pragma once

#include "base/verify.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#ifndef LOCK_NAMES
#define LOCK_NAMES 0
#endif

#ifdef __clang__
#define LOCK_ATTRIBUTE(x) __attribute__((x))
#else
#define LOCK_ATTRIBUTE(x)
#endif
#define CAPABILITY(name) LOCK_ATTRIBUTE(capability(name))
/* Guarded by a lock in the same structure. clang 19 finds that lock, with
 * -fexperimental-late-parse-attributes and LOCK_NAMES; clang 14 only knows that there is one. */
#if LOCK_NAMES
#define GUARDED_BY(lock) LOCK_ATTRIBUTE(guarded_by(&lock))
#else
#define GUARDED_BY(lock) GUARDED
#endif
#define GUARDED       LOCK_ATTRIBUTE(guarded_var) /* by a lock that stands elsewhere */
#define REQUIRES(...) LOCK_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define ACQUIRES(...) LOCK_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define RELEASES(...) LOCK_ATTRIBUTE(release_capability(__VA_ARGS__))
#define EXCLUDES(...) LOCK_ATTRIBUTE(locks_excluded(__VA_ARGS__))

struct CAPABILITY("mutex") mutex {
    pthread_mutex_t os;
};

struct condition {
    pthread_cond_t os;
};

/* 0 or -errno. */
__attribute__((warn_unused_result)) static inline int mutex_init(struct mutex *m)
{
    return -pthread_mutex_init(&m->os, NULL);
}

static inline void mutex_release(struct mutex *m)
{
    verify(pthread_mutex_destroy(&m->os) == 0);
}

static inline void mutex_lock(struct mutex *m) ACQUIRES(m) LOCK_ATTRIBUTE(no_thread_safety_analysis)
{
    verify(pthread_mutex_lock(&m->os) == 0);
}

static inline void mutex_unlock(struct mutex *m) RELEASES(m)
    LOCK_ATTRIBUTE(no_thread_safety_analysis)
{
    verify(pthread_mutex_unlock(&m->os) == 0);
}

/* 0 or -errno. */
__attribute__((warn_unused_result)) static inline int condition_init(struct condition *c)
{
    pthread_condattr_t monotonic;
    int error = pthread_condattr_init(&monotonic);
    if (error != 0)
        return -error;
    error = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    if (error == 0)
        error = pthread_cond_init(&c->os, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return -error;
}

static inline void condition_release(struct condition *c)
{
    verify(pthread_cond_destroy(&c->os) == 0);
}

static inline void condition_signal(struct condition *c)
{
    verify(pthread_cond_signal(&c->os) == 0);
}

static inline void condition_broadcast(struct condition *c)
{
    verify(pthread_cond_broadcast(&c->os) == 0);
}

static inline void condition_wait(struct condition *c, struct mutex *m) REQUIRES(m)
{
    verify(pthread_cond_wait(&c->os, &m->os) == 0);
}

/* Waits until `until` on CLOCK_MONOTONIC at the latest; false when that has passed. */
static inline bool condition_wait_until(struct condition *c, struct mutex *m,
                                        const struct timespec *until) REQUIRES(m)
{
    int error = pthread_cond_timedwait(&c->os, &m->os, until);
    verify(error == 0 || error == ETIMEDOUT);
    return error == 0;
}
