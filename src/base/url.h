/* SPDX-License-Identifier: MIT */
/* Which addresses of web services are taken. */
#pragma once

#include <stdbool.h>

/* http:// or https:// and a host in printable ASCII, without user, password or fragment. */
bool url_ok(const char *url);

/* Such a URL, whether or not its scheme is built in, without path and query, and with a port only
 * when it is not its scheme's own. */
bool origin_ok(const char *origin);
