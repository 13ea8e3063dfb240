/* SPDX-License-Identifier: MIT */
/* An event that poll() and epoll can wait for: an eventfd, readable once it was set, until it is
 * cleared. Any thread; setting never blocks. */
#pragma once

#include <errno.h>
#include <poll.h>
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

/* poll(2) for a loop that goes on whatever it says. It fails when there is no memory, or when the
 * limit on open files is below `len`: no reason to end, nor to spin, so it rests for a tenth of a
 * second. -1 when it failed, or a signal came; no event is set then. */
static inline int event_poll(struct pollfd *fds, nfds_t len, int timeout_ms)
{
    enum { REST_MS = 100 };
    int ready = poll(fds, len, timeout_ms);
    if (ready < 0 && errno != EINTR)
        (void)poll(NULL, 0, REST_MS);
    for (nfds_t i = 0; ready < 0 && i < len; i++)
        fds[i].revents = 0;
    return ready;
}
