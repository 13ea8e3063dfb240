/* SPDX-License-Identifier: MIT */
#include "http/canned.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/json_scan.h"
#include "http/request.h"
#include "base/verify.h"

enum { DATE_SIZE = sizeof "Sun, 06 Nov 1994 08:49:37 GMT" };

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

bool canned_send(int fd, unsigned status, const char *why)
{
    char text[CANNED_SIZE];
    size_t size = canned_compose(text, status, false, why);
    return send(fd, text, size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size;
}
