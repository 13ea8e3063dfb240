/* SPDX-License-Identifier: MIT */
#include "base/url_prefix.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/chars.h"
#include "base/url.h"

/* What is compared. */
struct url {
    bool https;
    char host[URL_PREFIX_MAX + 1], port[8];
    char path[URL_PREFIX_MAX + 2]; /* at least "/" */
    bool has_query;
};

/* ---- bytes */

static bool good_bytes(const char *text)
{
    size_t size = strlen(text);
    if (size == 0 || size > URL_PREFIX_MAX)
        return false;
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text > '~' || strchr("\"#<>\\^`{|}", *text) != NULL)
            return false;
    return true;
}

/* ---- the path */

/* May this byte stand behind a percent sign? */
static bool may_be_encoded(int byte)
{
    return byte >= ' ' && byte != 0x7f && byte != '.' && byte != '/' && byte != '\\' && byte != '%';
}

static bool is_unreserved(int byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= 'a' && byte <= 'z') || byte == '-' || byte == '_' || byte == '~';
}

/* Each path has one spelling: what need not be encoded is not. */
static bool copy_path(const char *from, size_t size, char *to)
{
    static const char digits[] = "0123456789ABCDEF";
    for (const char *end = from + size; from < end; from++) {
        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        int high = end - from > 2 ? char_hex(from[1]) : -1;
        int low = high >= 0 ? char_hex(from[2]) : -1, byte = 16 * high + low;
        if (low < 0 || !may_be_encoded(byte))
            return false;
        from += 2;
        if (is_unreserved(byte)) {
            *to++ = (char)byte;
        } else {
            *to++ = '%';
            *to++ = digits[high];
            *to++ = digits[low];
        }
    }
    *to = '\0';
    return true;
}

/* A segment that some take for . or .., parameters behind it left out. */
static bool is_dots(const char *segment)
{
    size_t dots = strspn(segment, ".");
    return dots > 0 && strchr("/;", segment[dots]) != NULL && dots <= 2;
}

static bool has_dots(const char *path)
{
    for (const char *at = path; at != NULL; at = strchr(at, '/')) {
        at += *at == '/';
        if (is_dots(at))
            return true;
    }
    return false;
}

static bool read_path(struct url *url, const char *from, size_t size)
{
    if (size == 0) {
        from = "/";
        size = 1;
    }
    return copy_path(from, size, url->path) && !has_dots(url->path);
}

/* ---- host and port */

static bool is_address(const char *host, char out[INET6_ADDRSTRLEN])
{
    struct in6_addr six;
    struct in_addr four;
    char inner[INET6_ADDRSTRLEN];
    size_t size = strlen(host);
    if (host[0] == '[') {
        if (size < 3 || size - 2 >= sizeof inner || host[size - 1] != ']')
            return false;
        memcpy(inner, host + 1, size - 2);
        inner[size - 2] = '\0';
        return inet_pton(AF_INET6, inner, &six) == 1 &&
               inet_ntop(AF_INET6, &six, out, INET6_ADDRSTRLEN) != NULL;
    }
    return inet_aton(host, &four) != 0 && inet_ntop(AF_INET, &four, out, INET6_ADDRSTRLEN) != NULL;
}

/* Some take it for the end of an address. */
static bool ends_in_number(const char *host)
{
    const char *dot = strrchr(host, '.'), *last = dot != NULL ? dot + 1 : host;
    return last[strspn(last, "0123456789")] == '\0' || strncmp(last, "0x", 2) == 0;
}

/* Letters, digits, - and _ between single dots. */
static bool is_name(const char *host)
{
    bool begins = true;
    if (ends_in_number(host))
        return false;
    for (; *host != '\0'; host++) {
        bool dot = *host == '.';
        if ((dot && begins) || !(dot || is_unreserved((unsigned char)*host)) || *host == '~')
            return false;
        begins = dot;
    }
    return !begins;
}

static bool read_host(struct url *url, const char *host)
{
    size_t size = strlen(host);
    if (size == 0 || size > URL_PREFIX_MAX)
        return false;
    for (size_t i = 0; i <= size; i++)
        url->host[i] = char_lower(host[i]);
    char address[INET6_ADDRSTRLEN];
    if (is_address(url->host, address)) {
        (void)snprintf(url->host, sizeof url->host, "%s", address);
        return true;
    }
    if (url->host[size - 1] == '.')
        url->host[size - 1] = '\0';
    return is_name(url->host);
}

/* By libcurl, which is who connects. */
static bool read_authority(struct url *url, const char *text)
{
    char host[URL_PREFIX_MAX + 1];
    return url_authority(text, host, sizeof host, url->port, sizeof url->port) &&
           read_host(url, host);
}

/* ---- the whole */

static bool parse(struct url *url, const char *text)
{
    if (!good_bytes(text))
        return false;
    url->https = strncasecmp(text, "https://", 8) == 0;
    if (!url->https && strncasecmp(text, "http://", 7) != 0)
        return false;
    const char *authority = text + (url->https ? 8 : 7);
    const char *path = authority + strcspn(authority, "/?");
    for (const char *at = authority; at < path; at++)
        if (*at == '@' || *at == '%')
            return false;
    size_t size = strcspn(path, "?");
    url->has_query = path[size] == '?';
    return path > authority && read_authority(url, text) && read_path(url, path, size);
}

bool url_prefix_ok(const char *prefix)
{
    struct url url;
    return parse(&url, prefix) && !url.has_query;
}

bool url_prefix_url_ok(const char *text)
{
    struct url url;
    return parse(&url, text);
}

bool url_prefix_allows(const char *prefix, const char *text)
{
    struct url allowed, url;
    if (!parse(&allowed, prefix) || allowed.has_query || !parse(&url, text) ||
        allowed.https != url.https || strcmp(allowed.host, url.host) != 0 ||
        strcmp(allowed.port, url.port) != 0)
        return false;
    size_t size = strlen(allowed.path);
    if (strncmp(allowed.path, url.path, size) != 0)
        return false;
    char next = url.path[size];
    return allowed.path[size - 1] == '/' || next == '\0' || next == '/';
}
