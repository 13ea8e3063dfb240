/* SPDX-License-Identifier: MIT */
#include "http/rejects.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/canned.h"

enum { LINGER_MS = 1000 };

void reject_init(struct rejects *rejects)
{
    for (int i = 0; i < REJECTED_MAX; i++)
        rejects->rejected[i].fd = -1;
}

static bool hear_out(struct rejects *rejects, int epoll, uint64_t topic, int fd)
{
    for (uint32_t i = 0; i < REJECTED_MAX; i++) {
        if (rejects->rejected[i].fd >= 0)
            continue;
        struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.u64 = topic | i};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
            return false;
        rejects->rejected[i].fd = fd;
        rejects->rejected[i].until_ms = clock_coarse_ms() + LINGER_MS;
        return true;
    }
    return false;
}

void reject_send(struct rejects *rejects, int epoll, uint64_t topic, int fd, const char *line)
{
    if (!canned_send(fd, 503, line) || shutdown(fd, SHUT_WR) != 0 ||
        !hear_out(rejects, epoll, topic, fd))
        close(fd);
}

static void end(struct rejects *rejects, uint32_t number)
{
    close(rejects->rejected[number].fd);
    rejects->rejected[number].fd = -1;
}

void reject_read(struct rejects *rejects, uint32_t number)
{
    char bin[4096];
    int fd = rejects->rejected[number].fd;
    if (fd < 0)
        return;
    ssize_t size = recv(fd, bin, sizeof bin, MSG_DONTWAIT);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
        end(rejects, number);
}

bool reject_expire(struct rejects *rejects, int64_t now_ms)
{
    bool left = false;
    for (uint32_t i = 0; i < REJECTED_MAX; i++) {
        if (rejects->rejected[i].fd >= 0 && rejects->rejected[i].until_ms <= now_ms)
            end(rejects, i);
        left = left || rejects->rejected[i].fd >= 0;
    }
    return left;
}
