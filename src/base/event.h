/* SPDX-License-Identifier: MIT */
/* An event that poll() and epoll can wait for: an eventfd, readable once it was set, until it is
 * cleared. Any thread; setting never blocks. */
#pragma once

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/verify.h"

/* A descriptor, to be closed; or -errno. */
__attribute__((warn_unused_result)) static inline int event_new(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd >= 0 ? fd : -errno;
}

static inline void event_set(int fd)
{
    const uint64_t one = 1;
    verify(write(fd, &one, sizeof one) == sizeof one);
}

static inline void event_clear(int fd)
{
    uint64_t count;
    (void)!read(fd, &count, sizeof count);
}
