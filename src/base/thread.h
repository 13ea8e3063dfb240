/* SPDX-License-Identifier: MIT */
/* A thread of jobd's own: it blocks all signals, which are for whoever owns the process. */
#pragma once

#include <pthread.h>
#include <signal.h>

#include "base/verify.h"

/* 0 or -errno. The caller's own mask is as before. */
__attribute__((warn_unused_result)) static inline int
thread_start(pthread_t *thread, void *(*body)(void *context), void *context)
{
    sigset_t all, before;
    sigfillset(&all);
    verify(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    int error = pthread_create(thread, NULL, body, context);
    verify(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    return -error;
}
