/* SPDX-License-Identifier: MIT */
/* What the pages of one other web site may do, that of --cors-origin, by the CORS protocol (Fetch
 * standard, section 3.2). Pages of all other sites get no such fields, so browsers keep them
 * out. */
#pragma once

#include <stdbool.h>

#include "http/headers.h"

enum { CORS_ORIGIN_MAX = 200 };

/* Is `text` an origin, http:// or https:// with a host and perhaps a port, as browsers write it? */
bool cors_origin_valid(const char *text);

/* Does the request come from a page of `origin`? With NULL: no. */
bool cors_allows(const struct headers *headers, const char *origin);

/* Calls `add` for each field of the reply to such a request, until it returns false; returns that.
 * `allow` lists the methods in the answer to OPTIONS, and is empty otherwise. */
typedef bool cors_add(void *context, const char *name, const char *value);
bool cors_fields(const char *origin, const char *allow, cors_add *add, void *context);
