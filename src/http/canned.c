/* SPDX-License-Identifier: MIT */
#include "http/canned.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/headers.h"
#include "base/text.h"
#include "base/verify.h"

enum { LINGER_MS = 1000, ANSWER_SIZE = 320, DATE_SIZE = sizeof "Sun, 06 Nov 1994 08:49:37 GMT" };

void reject_init(struct rejects *rejects)
{
    for (int i = 0; i < REJECTED_MAX; i++)
        rejects->rejected[i].fd = -1;
}

/* As in a Date field (RFC 9110, section 5.6.7). */
static void date(char out[DATE_SIZE])
{
    time_t now = (time_t)(clock_now_us() / CLOCK_SECOND_US);
    struct tm utc;
    verify(gmtime_r(&now, &utc) != NULL &&
           strftime(out, DATE_SIZE, "%a, %d %b %Y %H:%M:%S GMT", &utc) == DATE_SIZE - 1);
}

static bool answer(int fd, const char *status, const char *field, const char *line)
{
    char text[ANSWER_SIZE], now[DATE_SIZE];
    date(now);
    int size = snprintf(text, sizeof text,
                        "HTTP/1.1 %s\r\nDate: %s\r\nContent-Type: " TYPE_TEXT "\r\n"
                        "Content-Length: %zu\r\n%sConnection: close\r\n\r\n%s",
                        status, now, strlen(line), field, line);
    verify(size > 0 && (size_t)size < sizeof text);
    return send(fd, text, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT) == size;
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
    if (!answer(fd, "503 Service Unavailable", "Retry-After: 1\r\n", line) ||
        shutdown(fd, SHUT_WR) != 0 || !hear_out(rejects, epoll, topic, fd))
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

void reject_too_slow(int fd)
{
    (void)answer(fd, "408 Request Timeout", "", "the request did not come in time\n");
}

void reject_unreadable(int fd)
{
    (void)answer(fd, "400 Bad Request", "", "a line between two chunks is too long\n");
}

void reject_bad_length(int fd)
{
    (void)answer(fd, "400 Bad Request", "", HEADERS_BAD_LENGTH "\n");
}

void canned_too_large(int fd)
{
    (void)answer(fd, "431 Request Header Fields Too Large", "",
                 "the header is larger than 4096 bytes; each field counts as 64 more\n");
}
