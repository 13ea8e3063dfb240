/* SPDX-License-Identifier: MIT */
#include "http/canned.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json_scan.h"
#include "http/request.h"
#include "base/verify.h"

enum { LINGER_MS = 1000, DATE_SIZE = sizeof "Sun, 06 Nov 1994 08:49:37 GMT" };

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

size_t canned_compose(char out[CANNED_SIZE], unsigned status, bool wants_json, const char *why)
{
    char now[DATE_SIZE], body[CANNED_SIZE / 2], escaped[CANNED_SIZE / 2];
    date(now);
    if (wants_json)
        snprintf(body, sizeof body, "{\"status\":%u,\"title\":\"%s\",\"detail\":\"%s\"}", status,
                 reply_phrase(status), json_escape(why, escaped, sizeof escaped));
    else
        snprintf(body, sizeof body, "%s\n", why);
    int size = snprintf(out, CANNED_SIZE,
                        "HTTP/1.1 %u %s\r\nDate: %s\r\nContent-Type: %s\r\n"
                        "Content-Length: %zu\r\n%sConnection: close\r\n\r\n%s",
                        status, reply_phrase(status), now, wants_json ? TYPE_PROBLEM : TYPE_TEXT,
                        strlen(body), status == 503 ? "Retry-After: 1\r\n" : "", body);
    verify(size > 0 && size < CANNED_SIZE);
    return (size_t)size;
}

static bool answer(int fd, unsigned status, const char *why)
{
    char text[CANNED_SIZE];
    size_t size = canned_compose(text, status, false, why);
    return send(fd, text, size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size;
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
    if (!answer(fd, 503, line) || shutdown(fd, SHUT_WR) != 0 ||
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

void reject_too_slow(int fd)
{
    (void)answer(fd, 408, "the request did not come in time");
}
