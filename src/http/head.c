/* SPDX-License-Identifier: MIT */
#include "http/head.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/chars.h"
#include "base/verify.h"
#include "http/target.h"

size_t head_end(const char *text, size_t size, size_t from)
{
    const char *at = text + (from > 3 ? from - 3 : 0), *end = text + size;
    while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        at++;
        if (at < end && *at == '\n')
            return (size_t)(at + 1 - text);
        if (end - at >= 2 && at[0] == '\r' && at[1] == '\n')
            return (size_t)(at + 2 - text);
    }
    return 0;
}

static bool is(struct field field, const char *word)
{
    return field.size == strlen(word) && memcmp(field.text, word, field.size) == 0;
}

static unsigned count_parameters(struct field target)
{
    const char *at = memchr(target.text, '?', target.size), *end = target.text + target.size;
    unsigned count = 0;
    for (; at != NULL; at = memchr(at + 1, '&', (size_t)(end - at - 1)))
        count++;
    return count;
}

/* ---- the request line: its words in turn, each returning where the next one begins, or NULL when
 * it was refused. A header's last byte is a line feed, so that each search has an end. */

static const char *read_method(struct head *head, struct headers *headers, const char *at)
{
    head->method = (struct field){at, chars_count(at, CHARS_TOKEN)};
    const size_t size = head->method.size;
    if (size == 0 || size > METHOD_MAX_BYTES || at[size] != ' ') {
        headers_refuse(headers, 400, HEAD_BAD_LINE);
        return NULL;
    }
    headers->bodiless = is(head->method, "HEAD");
    return at + size + 1;
}

static const char *read_target(struct head *head, struct headers *headers, const char *at)
{
    head->target = (struct field){at, target_count(at)};
    const size_t size = head->target.size;
    if (size > 0 && at[size] == ' ')
        return at + size + 1;
    if (at[size] == ' ' || at[size] == '\r' || at[size] == '\n')
        headers_refuse(headers, 400, HEAD_BAD_LINE);
    else
        headers_refuse(headers, 400,
                       "the request's target has a byte that must be percent-encoded, or a NUL");
    return NULL;
}

static const char *read_version(struct head *head, struct headers *headers, const char *at,
                                const char *end)
{
    enum { SIZE = sizeof "HTTP/1.1" - 1 };
    head->version = (struct field){at, SIZE};
    headers->http_1_0 = end - at > SIZE && memcmp(at, "HTTP/1.0", SIZE) == 0;
    bool sound = end - at > SIZE + 1 && memcmp(at, "HTTP/", 5) == 0 && char_is_digit(at[5]) &&
                 at[6] == '.' && char_is_digit(at[7]) && at[8] == '\r' && at[9] == '\n';
    if (sound && at[5] == '1')
        return at + SIZE + 2;
    if (sound)
        headers_refuse(headers, 505, "the version must be HTTP/1.1 or HTTP/1.0");
    else
        headers_refuse(headers, 400, HEAD_BAD_LINE);
    return NULL;
}

static const char *request_line(struct head *head, struct headers *headers, const char *at,
                                const char *end)
{
    at = read_method(head, headers, at);
    if (at != NULL)
        at = read_target(head, headers, at);
    if (at != NULL)
        at = read_version(head, headers, at, end);
    if (at == NULL)
        return NULL;
    if (is(head->method, "CONNECT"))
        headers_refuse(headers, 501, "CONNECT is for proxies");
    if (is(head->target, "*") && !is(head->method, "OPTIONS"))
        headers_refuse(headers, 400, "the target * is for OPTIONS alone");
    if (!target_host_is_sound(head->target.text, head->target.size))
        headers_refuse(headers, 400, "the target's host is not a host");
    head->parameters = count_parameters(head->target);
    return at;
}

/* ---- fields */

/* Takes the blanks off the value; those behind it are moved in front of it. */
static struct field value_of(char *text, size_t size)
{
    size_t behind = 0;
    while (size > behind && char_is_blank(text[size - 1 - behind]))
        behind++;
    if (behind > 0 && behind < size) {
        memmove(text + behind, text, size - behind);
        memset(text, ' ', behind);
    }
    size_t before = behind;
    while (before < size && char_is_blank(text[before]))
        before++;
    return (struct field){text + before, size - before};
}

/* Reads the field at *at, and goes on to the line behind it; false when it is not sound. */
static bool next_field(char **at, struct field *name, struct field *value)
{
    char *line = *at;
    const size_t colon = chars_count(line, CHARS_TOKEN);
    if (colon == 0 || line[colon] != ':')
        return false;
    const size_t size = chars_count(line + colon + 1, CHARS_TEXT), end = colon + 1 + size;
    if (line[end] != '\r' || line[end + 1] != '\n')
        return false;
    *name = (struct field){line, colon};
    *value = value_of(line + colon + 1, size);
    *at = line + end + 2;
    return true;
}

/* Cuts a line off the front; false when it does not end as it must. */
static bool next_line(struct field *rest, struct headers *headers, struct field *line)
{
    const char *end = memchr(rest->text, '\n', rest->size);
    size_t size = end != NULL ? (size_t)(end - rest->text) : 0;
    if (size == 0 || end[-1] != '\r') {
        headers_refuse(headers, 400, "a line of the header does not end in CR and LF");
        return false;
    }
    *line = (struct field){rest->text, size - 1};
    *rest = (struct field){end + 1, rest->size - size - 1};
    return true;
}

/* It is none. */
static void refuse_field(struct headers *headers, struct field rest)
{
    struct field line;
    if (!next_line(&rest, headers, &line))
        return;
    const char *colon = memchr(line.text, ':', line.size);
    if (char_is_blank(*line.text))
        headers_refuse(headers, 400, "a header field goes on in the next line");
    else if (colon == NULL)
        headers_refuse(headers, 400, "a line of the header has no colon");
    else if (!headers_is_token(line.text, (size_t)(colon - line.text)))
        headers_refuse(headers, 400, "a header field's name is not a token");
    else
        headers_refuse(headers, 400, "a header field has a control character");
}

static bool is_empty_line(const char *line)
{
    return line[0] == '\r' && line[1] == '\n';
}

bool head_read(struct head *head, struct headers *headers, char *text, size_t size)
{
    struct field name, value;
    *head = (struct head){.parameters = 0};
    headers_begin(headers);
    const char *fields = request_line(head, headers, text, text + size);
    if (fields == NULL)
        return false;
    for (char *at = text + (fields - text); headers->status == 0 && !is_empty_line(at);)
        if (next_field(&at, &name, &value))
            headers_field(headers, name, value);
        else
            refuse_field(headers, (struct field){at, size - (size_t)(at - text)});
    return headers_end(headers);
}

void head_each_field(const char *text, size_t size, head_field *each, void *context)
{
    const char *line = memchr(text, '\n', size), *end = text + size;
    for (line = line != NULL ? line + 1 : end; line < end;) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        const char *colon = memchr(line, ':', (size_t)(end - line));
        if (next == NULL || colon == NULL || colon > next)
            return;
        const char *first = colon + 1, *last = next;
        while (first < last && char_is_blank(*first))
            first++;
        while (last > first && (last[-1] == '\r' || char_is_blank(last[-1])))
            last--;
        if (!each(context, (struct field){line, (size_t)(colon - line)},
                  (struct field){first, (size_t)(last - first)}))
            return;
        line = next + 1;
    }
}

size_t head_shorten(const struct head *head, const struct headers *headers, char *out, size_t size)
{
    char length[64] = "";
    if (headers->lengths > 0)
        snprintf(length, sizeof length, "Content-Length: %" PRIu64 "\r\n", headers->length);
    int used = snprintf(out, size, "%.*s %.*s %.*s\r\nHost: localhost\r\n%s%s%s%s\r\n",
                        (int)head->method.size, head->method.text, (int)head->target.size,
                        head->target.text, (int)head->version.size, head->version.text, length,
                        headers->chunked ? "Transfer-Encoding: chunked\r\n" : "",
                        headers->closes  ? "Connection: close\r\n"
                        : headers->keeps ? "Connection: keep-alive\r\n"
                                         : "",
                        headers->expects ? "Expect: 100-continue\r\n" : "");
    verify(used > 0 && (size_t)used < size);
    return (size_t)used;
}
