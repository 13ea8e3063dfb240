/* SPDX-License-Identifier: MIT */
#include "http/headers.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/chars.h"
#include "base/text.h"
#include "http/target.h"

enum { TYPE_MAX_BYTES = 255, WAIT_MAX_S = 3600 };

void headers_refuse(struct headers *headers, unsigned status, const char *why)
{
    if (headers->status == 0) {
        headers->status = status;
        headers->why = why;
    }
}

/* Upper or lower case is all the same. */
static bool is(const char *text, size_t size, const char *word)
{
    return size == strlen(word) && strncasecmp(text, word, size) == 0;
}

static bool digits(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!char_is_digit(text[i]))
            return false;
    return size > 0;
}

bool headers_is_token(const char *text, size_t size)
{
    return size > 0 && chars_span(text, size, CHARS_TOKEN) == size;
}

static bool read_length(const char *text, size_t size, uint64_t *length)
{
    uint64_t value = 0;
    if (!digits(text, size))
        return false;
    for (size_t i = 0; i < size; i++) {
        if (value > (UINT64_MAX >> 1) / 10)
            return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    *length = value;
    return true;
}

void headers_begin(struct headers *headers)
{
    *headers = (struct headers){.http_1_0 = false};
}

static struct field trimmed(const char *text, size_t size)
{
    while (size > 0 && char_is_blank(*text)) {
        text++;
        size--;
    }
    while (size > 0 && char_is_blank(text[size - 1]))
        size--;
    return (struct field){text, size};
}

/* Cuts the piece up to `separator` off the front, which within quotes is none (RFC 9110, section
 * 5.6.4). */
static struct field cut(struct field *rest, char separator)
{
    bool quoted = false;
    size_t size = 0;
    for (; size < rest->size && (quoted || rest->text[size] != separator); size++)
        if (rest->text[size] == '"')
            quoted = !quoted;
        else if (quoted && rest->text[size] == '\\' && size + 1 < rest->size)
            size++;
    struct field piece = trimmed(rest->text, size);
    size_t used = size < rest->size ? size + 1 : size;
    rest->text += used;
    rest->size -= used;
    return piece;
}

static void content_length(struct headers *headers, struct field field)
{
    uint64_t length;
    if (!read_length(field.text, field.size, &length))
        headers_refuse(headers, 400, HEADERS_BAD_LENGTH);
    else if (headers->lengths++ > 0)
        headers_refuse(headers, 400, "more than one Content-Length");
    else
        headers->length = length;
}

/* chunked must be the last coding (RFC 9112, section 6.3, rule 4), or nobody could tell where the
 * body ends. */
static bool chunked_not_last(struct field list)
{
    bool seen = false;
    while (list.size > 0) {
        if (seen)
            return true;
        struct field coding = cut(&list, ',');
        seen = is(coding.text, coding.size, "chunked");
    }
    return false;
}

static void transfer_encoding(struct headers *headers, struct field field)
{
    if (headers->codings++ > 0)
        headers_refuse(headers, 400, "more than one Transfer-Encoding");
    else if (chunked_not_last(field))
        headers_refuse(headers, 400, "chunked must be the last transfer coding");
    else if (!is(field.text, field.size, "chunked"))
        headers_refuse(headers, 501, "the only Transfer-Encoding is chunked");
    headers->chunked = true;
}

static void host(struct headers *headers, struct field field)
{
    if (headers->hosts++ > 0)
        headers_refuse(headers, 400, "more than one Host");
    else if (!target_is_host(field.text, field.size))
        headers_refuse(headers, 400, "invalid Host");
    headers->host = field;
}

/* Several fields are one list (RFC 9110, section 5.3); of it only counts who names JSON. */
static void accept_field(struct headers *headers, struct field field)
{
    if (!headers_want_json(headers))
        headers->accept = field;
}

static void content_type(struct headers *headers, struct field field)
{
    if (field.size > TYPE_MAX_BYTES)
        headers_refuse(headers, 400, "Content-Type is longer than 255 bytes");
    headers->content_type = field;
}

/* A second one makes a value that is nobody's: what marks a request must not be overruled. */
static void only_one(struct field *field, struct field value)
{
    static const char several[] = "several";
    *field = field->text == NULL ? value : (struct field){several, sizeof several - 1};
}

static void idempotency_key(struct headers *headers, struct field field)
{
    if (headers->keys++ > 0)
        headers_refuse(headers, 400, "more than one Idempotency-Key");
    headers->key = field;
}

static struct field unquoted(struct field field)
{
    bool quoted = field.size >= 2 && field.text[0] == '"' && field.text[field.size - 1] == '"';
    return quoted ? (struct field){field.text + 1, field.size - 2} : field;
}

/* Of several the first counts; what is not understood is ignored (RFC 7240, section 2). */
static void prefer(struct headers *headers, struct field field)
{
    while (field.size > 0) {
        struct field preference = cut(&field, ',');
        struct field word = cut(&preference, ';');
        struct field name = cut(&word, '=');
        char seconds[16];
        if (!is(name.text, name.size, "wait") || headers->wait_s > 0 || word.size >= sizeof seconds)
            continue;
        struct field value = unquoted(trimmed(word.text, word.size));
        memcpy(seconds, value.text, value.size);
        seconds[value.size] = '\0';
        if (text_to_number(seconds, UINT32_MAX, &headers->wait_s) && headers->wait_s > WAIT_MAX_S)
            headers->wait_s = WAIT_MAX_S;
    }
}

static void connection(struct headers *headers, struct field list)
{
    while (list.size > 0) {
        struct field option = cut(&list, ',');
        headers->closes = headers->closes || is(option.text, option.size, "close");
        headers->keeps = headers->keeps || is(option.text, option.size, "keep-alive");
    }
}

static void expect(struct headers *headers, struct field field)
{
    headers->expects = is(field.text, field.size, "100-continue");
}

static void cookie(struct headers *headers, struct field field)
{
    (void)field;
    headers->has_cookies = true;
}

/* ---- the fields that mean something, what most requests have first */

#define READ(name, read)                                                                           \
    {                                                                                              \
        name, sizeof(name) - 1, read, 0                                                            \
    }
#define ONLY_ONE(name, member)                                                                     \
    {                                                                                              \
        name, sizeof(name) - 1, NULL, offsetof(struct headers, member)                             \
    }

static const struct known_field {
    const char *name;
    size_t size;
    void (*read)(struct headers *headers, struct field field); /* NULL: only_one() */
    size_t member;                                             /* a struct field */
} known_fields[] = {
    READ("Host", host),
    READ("Accept", accept_field),
    READ("Content-Length", content_length),
    READ("Content-Type", content_type),
    READ("Transfer-Encoding", transfer_encoding),
    ONLY_ONE("Content-Encoding", content_encoding),
    READ("Idempotency-Key", idempotency_key),
    READ("Prefer", prefer),
    ONLY_ONE("traceparent", trace),
    ONLY_ONE("Authorization", authorization),
    ONLY_ONE("Origin", origin),
    ONLY_ONE("Sec-Fetch-Site", fetch_site),
    ONLY_ONE("If-None-Match", none_match),
    ONLY_ONE("Range", range),
    ONLY_ONE("Last-Event-ID", last_event),
    READ("Connection", connection),
    READ("Expect", expect),
    READ("Cookie", cookie),
};

/* NULL: it is none of them. */
static const struct known_field *known_field(const char *name, size_t size)
{
    for (size_t i = 0; i < sizeof known_fields / sizeof known_fields[0]; i++)
        if (known_fields[i].size == size && strncasecmp(known_fields[i].name, name, size) == 0)
            return &known_fields[i];
    return NULL;
}

void headers_field(struct headers *headers, struct field name, struct field value)
{
    const struct known_field *known = known_field(name.text, name.size);
    headers->fields++;
    if (known != NULL && known->read != NULL)
        known->read(headers, value);
    else if (known != NULL)
        only_one((struct field *)(void *)((char *)headers + known->member), value);
}

const char *headers_target(struct headers *headers, const char *target)
{
    size_t size;
    if (!target_is_whole(target))
        return target;
    const char *authority = target_authority(target, &size);
    headers->host = (struct field){authority, size};
    return authority[size] != '\0' ? authority + size : "/";
}

bool headers_end(struct headers *headers)
{
    if (headers->hosts == 0 && !headers->http_1_0)
        headers_refuse(headers, 400, "missing Host");
    if (headers->chunked && headers->http_1_0)
        headers_refuse(headers, 400, "Transfer-Encoding in HTTP/1.0");
    if (headers->chunked && headers->lengths > 0)
        headers_refuse(headers, 400, "both Content-Length and Transfer-Encoding");
    return headers->status == 0;
}

/* A weight of zero says "not this" (RFC 9110, section 12.4.2). */
static bool refused_by_weight(struct field parameters)
{
    while (parameters.size > 0) {
        struct field weight = cut(&parameters, ';');
        bool zero = weight.size >= 3 && strncasecmp(weight.text, "q=0", 3) == 0;
        for (size_t i = 3; zero && i < weight.size; i++)
            zero = weight.text[i] == '.' || weight.text[i] == '0';
        if (zero)
            return true;
    }
    return false;
}

bool headers_plain_content(const struct headers *headers)
{
    const struct field *coding = &headers->content_encoding;
    return coding->size == 0 || is(coding->text, coding->size, "identity");
}

struct field headers_token(const struct headers *headers)
{
    struct field rest = headers->authorization;
    if (rest.size == 0)
        return (struct field){NULL, 0};
    struct field scheme = cut(&rest, ' ');
    return is(scheme.text, scheme.size, "Bearer") ? trimmed(rest.text, rest.size)
                                                  : (struct field){NULL, 0};
}

void headers_trace(const struct headers *headers, char *out, size_t size)
{
    static const char form[] = "xx-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";
    const struct field *trace = &headers->trace;
    bool sound = trace->size >= sizeof form - 1 && trace->size < size &&
                 (trace->size == sizeof form - 1 || trace->text[sizeof form - 1] == '-');
    for (size_t i = 0; sound && i < trace->size; i++) {
        char c = trace->text[i];
        bool hex = char_is_digit(c) || (c >= 'a' && c <= 'f');
        sound = i < sizeof form - 1 && form[i] == '-' ? c == '-' : hex || c == '-';
        sound = sound && (i >= sizeof form - 1 || form[i] == '-' || hex);
    }
    size_t used = sound && strncmp(trace->text, "ff", 2) != 0 ? trace->size : 0;
    memcpy(out, used > 0 ? trace->text : "", used);
    out[used] = '\0';
}

bool headers_key(const struct headers *headers, char *out, size_t size)
{
    out[0] = '\0';
    if (headers->keys == 0)
        return true;
    struct field key = trimmed(headers->key.text, headers->key.size);
    bool quoted = key.size >= 2 && key.text[0] == '"' && key.text[key.size - 1] == '"';
    size_t used = 0, at = quoted ? 1 : 0, end = quoted ? key.size - 1 : key.size;
    for (; at < end && used + 1 < size; at++) {
        bool escaped = quoted && key.text[at] == '\\' && at + 1 < end;
        char c = key.text[at += escaped];
        bool special = c == '"' || c == '\\';
        if (c < (quoted ? ' ' : '!') || c > '~' || special != escaped)
            return false;
        out[used++] = c;
    }
    out[used] = '\0';
    return at == end && used > 0;
}

/* Of the types, up to NULL, the first that the client names decides. */
static bool accepts(const struct headers *headers, const char *const *types)
{
    struct field rest = headers->accept;
    while (rest.size > 0) {
        struct field range = cut(&rest, ',');
        struct field type = cut(&range, ';');
        for (const char *const *one = types; *one != NULL; one++)
            if (is(type.text, type.size, *one))
                return !refused_by_weight(range);
    }
    return false;
}

bool headers_want_json(const struct headers *headers)
{
    static const char *const types[] = {"application/json", "application/problem+json",
                                        "application/*", NULL};
    return accepts(headers, types);
}

bool headers_accept(const struct headers *headers, const char *type)
{
    return accepts(headers, (const char *const[]){type, NULL});
}

static bool names_loopback(struct field host)
{
    static const char *const names[] = {"localhost", "localhost.", "127.0.0.1", "[::1]"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t length = strlen(names[i]);
        if (host.size < length || strncasecmp(host.text, names[i], length) != 0)
            continue;
        if (host.size == length)
            return true;
        if (host.text[length] == ':' && host.size - length <= sizeof ":65535" - 1 &&
            digits(host.text + length + 1, host.size - length - 1))
            return true;
    }
    return false;
}

bool headers_from_here(const struct headers *headers, bool friend, const char **why)
{
    static const char scheme[] = "http://";
    struct field host = headers->host, origin = headers->origin, site = headers->fetch_site;
    *why = NULL;
    if (host.text == NULL || !names_loopback(host))
        *why = "Host must be localhost, 127.0.0.1 or [::1]; or give --token-file, or use a unix "
               "socket";
    else if (friend)
        return true;
    else if (site.text != NULL && !is(site.text, site.size, "same-origin") &&
             !is(site.text, site.size, "none"))
        *why = "requests from other web sites are refused";
    else if (origin.text != NULL &&
             (origin.size != host.size + sizeof scheme - 1 ||
              strncasecmp(origin.text, scheme, sizeof scheme - 1) != 0 ||
              strncasecmp(origin.text + sizeof scheme - 1, host.text, host.size) != 0))
        *why = "requests from other origins are refused";
    return *why == NULL;
}
