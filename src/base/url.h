/* SPDX-License-Identifier: MIT */
/* URLs of web services, and addresses of unix sockets. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* http:// or https:// and a host in printable ASCII, without user, password or fragment. */
bool url_ok(const char *url);

/* The host as libcurl connects to it, an IPv6 address in brackets, and the port, which is its
 * scheme's own where the URL names none. False when it is not a URL, names a user, or one of the
 * texts does not fit. */
bool url_authority(const char *url, char *host, size_t host_size, char *port, size_t port_size);

/* The path in `unix:PATH`, the address of a socket; NULL: it is none. */
const char *url_unix_path(const char *address);

/* Is it an origin as browsers send it: a URL that url_ok() would accept, whether or not TLS is
 * built in, without path and query, and with a port only when it is not its scheme's own? */
bool origin_ok(const char *origin);
