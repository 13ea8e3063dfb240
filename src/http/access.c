/* SPDX-License-Identifier: MIT */
#include "http/access.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/chars.h"
#include "base/clock.h"
#include "base/json_scan.h"
#include "base/text.h"
#include "base/verify.h"
#include "jobd/queue.h"

enum { TOKEN_LENGTH = JOBD_TOKEN_SIZE - 1 };

#define STARS "***"
#define DOTS  "..."

/* ---- what is known */

void access_set_address(struct access *access, const struct sockaddr *address)
{
    union {
        const struct sockaddr *any;
        const struct sockaddr_in *v4;
        const struct sockaddr_in6 *v6;
    } as = {.any = address};
    const char *text = NULL;
    if (address != NULL && address->sa_family == AF_INET)
        text = inet_ntop(AF_INET, &as.v4->sin_addr, access->address, sizeof access->address);
    else if (address != NULL && address->sa_family == AF_INET6)
        text = inet_ntop(AF_INET6, &as.v6->sin6_addr, access->address, sizeof access->address);
    if (text == NULL)
        snprintf(access->address, sizeof access->address, "unix");
}

/* The hexadecimal digits here that could be a token: how many; 0: none. */
static size_t token_at(const char *at, size_t size)
{
    size_t length = 0;
    while (length < size && char_hex(at[length]) >= 0)
        length++;
    return length >= TOKEN_LENGTH ? length : 0;
}

static void set_target(struct access *access, const char *target, size_t size)
{
    const bool of_lease = memmem(target, size, "leases", strlen("leases")) != NULL;
    char *out = access->target, *const end = access->target + sizeof access->target;
    size_t at = 0;
    while (at < size && end - out > (ptrdiff_t)sizeof DOTS) {
        size_t token = of_lease ? token_at(target + at, size - at) : 0;
        if (token > 0)
            out = stpcpy(out, STARS);
        else
            *out++ = target[at] != '\0' ? target[at] : '?';
        at += token > 0 ? token : 1;
    }
    stpcpy(out, at < size ? DOTS : "");
}

/* Bytes up to this one, or all. */
static size_t until(const char *text, size_t size, char mark)
{
    const char *found = memchr(text, mark, size);
    return found != NULL ? (size_t)(found - text) : size;
}

void access_set_request(struct access *access, const char *text, size_t size)
{
    size = until(text, until(text, size, '\n'), '\r');
    const size_t method = until(text, size, ' ');
    size_t target = size - method;
    snprintf(access->method, sizeof access->method, "%.*s", (int)method, text);
    if (target == 0)
        return;
    text += method + 1;
    size -= method + 1;
    const char *version = memrchr(text, ' ', size);
    target = version != NULL ? (size_t)(version - text) : size;
    set_target(access, text, target);
}

/* ---- the line */

/* A word without blanks. */
static const char *word(const char *text, char *out, size_t size)
{
    size_t used = 0;
    for (; *text != '\0' && used + sizeof "\\x00" <= size; text++) {
        if (char_is_printable(*text) && *text != ' ' && *text != '\\')
            out[used++] = *text;
        else
            used += (size_t)snprintf(out + used, size - used, "\\x%02x", (unsigned char)*text);
    }
    out[used] = '\0';
    return used > 0 ? out : "-";
}

static int write_text(const struct access *access, const char *time, char out[ACCESS_LINE_SIZE])
{
    char method[4 * ACCESS_METHOD_SIZE], target[4 * ACCESS_TARGET_SIZE], job[24] = "-";
    if (access->job != 0)
        snprintf(job, sizeof job, "%" PRIu64, access->job);
    return snprintf(out, ACCESS_LINE_SIZE, "%s %s %s %s %u %" PRIu64 " %.3fms %s\n", time,
                    access->address, word(access->method, method, sizeof method),
                    word(access->target, target, sizeof target), access->status, access->bytes,
                    (double)(access->ended_us - access->began_us) / 1000, job);
}

/* `,"name":"text"`, or nothing. */
static size_t member(char *out, size_t size, const char *name, const char *text)
{
    char escaped[6 * ACCESS_TARGET_SIZE];
    if (text[0] == '\0')
        return 0;
    int length =
        snprintf(out, size, ",\"%s\":\"%s\"", name, json_escape(text, escaped, sizeof escaped));
    return length > 0 ? (size_t)length : 0;
}

static int write_json(const struct access *access, const char *time, char out[ACCESS_LINE_SIZE])
{
    char job[32] = "";
    size_t used = (size_t)snprintf(out, ACCESS_LINE_SIZE, "{\"time\":\"%s\",\"address\":\"%s\"",
                                   time, access->address);
    used += member(out + used, ACCESS_LINE_SIZE - used, "method", access->method);
    used += member(out + used, ACCESS_LINE_SIZE - used, "target", access->target);
    if (access->job != 0)
        snprintf(job, sizeof job, ",\"job\":%" PRIu64, access->job);
    used += (size_t)snprintf(out + used, ACCESS_LINE_SIZE - used,
                             ",\"status\":%u,\"bytes\":%" PRIu64 ",\"duration_ms\":%.3f%s}\n",
                             access->status, access->bytes,
                             (double)(access->ended_us - access->began_us) / 1000, job);
    return (int)used;
}

size_t access_line(const struct access *access, bool json, char out[ACCESS_LINE_SIZE])
{
    char time[TEXT_TIME_SIZE];
    text_time(clock_wall_us(access->ended_us), time);
    int length = json ? write_json(access, time, out) : write_text(access, time, out);
    verify(length > 0 && length < ACCESS_LINE_SIZE);
    return (size_t)length;
}
