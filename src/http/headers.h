/* SPDX-License-Identifier: MIT */
/* The header fields of one request: what jobd reads of them, and whether they can be trusted.
 *
 * A request whose framing or target two servers could read differently is refused before it is
 * acted on (RFC 9112, sections 2.2, 3.2, 5.1, 6.1 and 6.3), whatever the HTTP library let pass. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Points into the request; size 0 and text NULL when absent. */
struct field {
    const char *text;
    size_t size;
};

struct headers {
    bool http_1_0;
    bool bodiless; /* the method is HEAD: no answer has a body */
    struct field host, origin, fetch_site, accept, content_type, content_encoding, trace, key;
    struct field authorization, none_match;
    struct field range, last_event;
    unsigned fields, hosts, lengths, codings, keys;
    uint64_t wait_s; /* Prefer: wait (RFC 7240, section 4.3); 0: none */
    uint64_t length; /* of the body, by Content-Length */
    bool chunked, closes, keeps, expects, has_cookies;
    unsigned status; /* 0: sound; else what to refuse it with */
    const char *why; /* one line without a line feed */
};

#define HEADERS_BAD_LENGTH "Content-Length is not a number, or one too large to count"

/* Refuses the request, unless it is refused already: the first reason counts. */
void headers_refuse(struct headers *headers, unsigned status, const char *why);

/* Is it a token (RFC 9110, section 5.6.2), such as the name of a field? */
bool headers_is_token(const char *text, size_t size);

/* Begins a request, of HTTP/1.1 unless http_1_0 is set afterwards. Then headers_field() is called
 * for each field, whose name must be a token and whose value must have no control character, and
 * then headers_end(). */
void headers_begin(struct headers *headers);
void headers_field(struct headers *headers, struct field name, struct field value);
/* The path in a sound target. If that is a whole URI its authority replaces Host. After the
 * fields. */
const char *headers_target(struct headers *headers, const char *target);
/* True when the request is sound; else headers->status and headers->why say what is wrong. */
bool headers_end(struct headers *headers);

/* Has the body no Content-Encoding? */
bool headers_plain_content(const struct headers *headers);

/* Copies the traceparent field (W3C Trace Context) to `out`; "" when there is none, more than one,
 * or one that is malformed: the standard says to ignore those. */
void headers_trace(const struct headers *headers, char *out, size_t size);

/* Copies the Idempotency-Key field (draft-ietf-httpapi-idempotency-key-header, section 2) to `out`,
 * without its quotes, which are optional here; "" when there is none. False when it is malformed or
 * does not fit. */
bool headers_key(const struct headers *headers, char *out, size_t size);

/* The token of `Authorization: Bearer` (RFC 6750, section 2.1); size 0 when there is none. */
struct field headers_token(const struct headers *headers);

/* Does the Accept field name JSON? A wildcard is not enough. */
bool headers_want_json(const struct headers *headers);
/* Does the Accept field name this type? A wildcard is not enough. */
bool headers_accept(const struct headers *headers, const char *type);

/* May a request pass to a server that trusts all of its own machine? Its Host must name the
 * loopback exactly, and no browser may have marked it as coming from another site (Fetch Metadata,
 * RFC 6454), unless that is a `friend`, the site of --cors-origin. Else *why says what is wrong. */
bool headers_from_here(const struct headers *headers, bool friend, const char **why);
