/* SPDX-License-Identifier: MIT */
/* Content that is the same for every client and outlives the server, such as files that are built
 * into the program. A client that says which version it has does not get it again (RFC 9110,
 * sections 8.8.3 and 13.1.2). */
#pragma once

#include <stddef.h>

#include "http/request.h"

enum { ETAG_SIZE = sizeof "\"0123456789abcdef\"" };

struct content {
    const char *type; /* of the media; it and the bytes outlive the server */
    const void *bytes;
    size_t size;
    char etag[ETAG_SIZE]; /* of these very bytes, by content_init() */
};

/* `type`, `bytes` and `size` are filled in. Reads all of it: once, at the start. */
void content_init(struct content *content);

/* The answer to a GET or HEAD: 200 with the content, or 304 without when the client has it. Adds
 * ETag; other fields, as Cache-Control, are the caller's and go with either. */
void reply_content(struct reply *reply, const struct request *request,
                   const struct content *content);

/* Does the list of an If-None-Match field have this entity tag? Compared weakly. */
bool etag_listed(const char *list, const char *etag);
