/* SPDX-License-Identifier: MIT */
/* Preloaded into a server: allocations and system calls that fail, and a wall clock that jumps.
 *
 * What a kernel cannot do is not done: libmicrohttpd waits for edges, so a recv() or send() that
 * says EAGAIN or does less than it could, while the socket is ready, would wait for ever. Nor does
 * a write to an eventfd, always of 8 bytes, fail before it is full. */
#include "support/failing.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static struct failing idle, *failing = &idle;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv(FAILING_FILE);
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof *failing, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED)
        failing = map;
    unsetenv("LD_PRELOAD"); /* the commands it starts are left alone */
}

/* ---- allocations */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void __libc_free(void *block);

static bool chance(uint32_t permille)
{
    static _Atomic uint32_t state = 1;
    uint32_t next = atomic_fetch_add(&state, 1) * 2654435761U;
    next = (next ^ next >> 15) * 2246822519U;
    return (next ^ next >> 13) % 1000 < permille;
}

static bool out_of_memory(void)
{
    bool now = atomic_load(&failing->turn) > 0 && atomic_fetch_sub(&failing->turn, 1) == 1;
    uint32_t permille = atomic_load(&failing->permille);
    if (!now && (permille == 0 || !chance(permille)))
        return false;
    atomic_fetch_add(&failing->allocations_failed, 1);
    errno = ENOMEM;
    return true;
}

static void *counted(void *block)
{
    if (block != NULL)
        atomic_fetch_add(&failing->live, 1);
    return block;
}

EXPORT void *malloc(size_t size)
{
    return out_of_memory() ? NULL : counted(__libc_malloc(size));
}

EXPORT void *calloc(size_t count, size_t size)
{
    return out_of_memory() ? NULL : counted(__libc_calloc(count, size));
}

EXPORT void *realloc(void *block, size_t size)
{
    if (out_of_memory())
        return NULL;
    void *grown = __libc_realloc(block, size);
    return block == NULL ? counted(grown) : grown;
}

EXPORT void free(void *block)
{
    if (block != NULL)
        atomic_fetch_sub(&failing->live, 1);
    __libc_free(block);
}

/* ---- system calls */

/* Every so many calls one fails, each time for the next of the reasons. */
static bool fails(const int *reasons, unsigned len)
{
    uint32_t every = atomic_load(&failing->every);
    if (every == 0 || atomic_fetch_add(&failing->calls, 1) % every != every - 1)
        return false;
    errno = reasons[atomic_fetch_add(&failing->calls_failed, 1) % len];
    return true;
}

#define FAILS(...)                                                                                 \
    fails((const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

#define REAL(name, result, ...)                                                                    \
    static result (*real)(__VA_ARGS__);                                                            \
    if (real == NULL)                                                                              \
    *(void **)&real = dlsym(RTLD_NEXT, #name)

EXPORT int accept4(int fd, __SOCKADDR_ARG from, socklen_t *size, int flags)
{
    REAL(accept4, int, int, __SOCKADDR_ARG, socklen_t *, int);
    if (FAILS(EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED, EAGAIN, EPROTO, EPERM))
        return -1;
    return real(fd, from, size, flags);
}

EXPORT ssize_t recv(int fd, void *bytes, size_t size, int flags)
{
    REAL(recv, ssize_t, int, void *, size_t, int);
    return FAILS(ENOMEM, ENOBUFS, ECONNRESET, ETIMEDOUT) ? -1 : real(fd, bytes, size, flags);
}

/* What libmicrohttpd and GnuTLS read by: jobd has a recv() of its own in front of it. */
EXPORT ssize_t recvfrom(int fd, void *bytes, size_t size, int flags, __SOCKADDR_ARG from,
                        socklen_t *from_size)
{
    REAL(recvfrom, ssize_t, int, void *, size_t, int, __SOCKADDR_ARG, socklen_t *);
    return FAILS(ENOMEM, ENOBUFS, ECONNRESET, ETIMEDOUT)
               ? -1
               : real(fd, bytes, size, flags, from, from_size);
}

EXPORT ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
    REAL(send, ssize_t, int, const void *, size_t, int);
    return FAILS(ENOMEM, ENOBUFS, EPIPE, ECONNRESET) ? -1 : real(fd, bytes, size, flags);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    REAL(sendmsg, ssize_t, int, const struct msghdr *, int);
    return FAILS(ENOMEM, ENOBUFS, EPIPE, ECONNRESET) ? -1 : real(fd, message, flags);
}

EXPORT int epoll_wait(int fd, struct epoll_event *events, int most, int wait_ms)
{
    REAL(epoll_wait, int, int, struct epoll_event *, int, int);
    return FAILS(EINTR) ? -1 : real(fd, events, most, wait_ms);
}

EXPORT int epoll_ctl(int fd, int operation, int of, struct epoll_event *event)
{
    REAL(epoll_ctl, int, int, int, int, struct epoll_event *);
    if (operation == EPOLL_CTL_ADD && FAILS(ENOMEM, ENOSPC))
        return -1;
    return real(fd, operation, of, event);
}

EXPORT ssize_t read(int fd, void *bytes, size_t size)
{
    REAL(read, ssize_t, int, void *, size_t);
    return FAILS(EINTR) ? -1 : real(fd, bytes, size);
}

EXPORT ssize_t write(int fd, const void *bytes, size_t size)
{
    REAL(write, ssize_t, int, const void *, size_t);
    if (size == sizeof(uint64_t))
        return real(fd, bytes, size);
    if (FAILS(EINTR, 0)) {
        if (errno != 0)
            return -1;
        size = size > 1 ? size / 2 : size;
    }
    return real(fd, bytes, size);
}

EXPORT int setsockopt(int fd, int level, int option, const void *value, socklen_t size)
{
    REAL(setsockopt, int, int, int, int, const void *, socklen_t);
    int result = real(fd, level, option, value, size);
    if (result == 0 && level == IPPROTO_TCP && option == TCP_QUICKACK)
        atomic_fetch_add(&failing->acknowledged, 1);
    return result;
}

/* ---- the clock */

EXPORT int clock_gettime(clockid_t clock, struct timespec *now)
{
    REAL(clock_gettime, int, clockid_t, struct timespec *);
    int result = real(clock, now);
    if (result == 0 && clock == CLOCK_REALTIME)
        now->tv_sec += (time_t)atomic_load(&failing->wall_ahead_s);
    return result;
}

EXPORT time_t time(time_t *place)
{
    struct timespec now = {0, 0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (place != NULL)
        *place = now.tv_sec;
    return now.tv_sec;
}
