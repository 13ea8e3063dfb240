/* SPDX-License-Identifier: MIT */
/* What the pages of one other web site may do: those of --cors-origin, by the CORS protocol (Fetch
 * standard, section 3.2). All other sites get nothing said, and their browsers keep them out. */
#pragma once

#include <stdbool.h>

#include "http/headers.h"

enum { CORS_ORIGIN_MAX = 200 };

/* Is `text` an origin, http:// or https:// with a host and perhaps a port, as browsers write it? */
bool cors_origin_valid(const char *text);

/* Does the request come from a page of `origin`? NULL is nobody's. */
bool cors_allows(const struct headers *headers, const char *origin);

/* Gives `add` each field of the reply to such a request; `allow`, not empty in the answer to
 * OPTIONS, says the methods. False as soon as `add` does. */
typedef bool cors_add(void *context, const char *name, const char *value);
bool cors_fields(const char *origin, const char *allow, cors_add *add, void *context);
