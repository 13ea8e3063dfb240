/* SPDX-License-Identifier: MIT */
/* Which addresses of web services are taken, and of sockets. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* http:// or https:// and a host in printable ASCII, without user, password or fragment. */
bool url_ok(const char *url);

/* The host as libcurl connects to it, of IPv6 in brackets, and the port, its scheme's own where it
 * names none. False when it is no URL, names a user, or one of the texts takes as many bytes as
 * there are for it, or more. */
bool url_authority(const char *url, char *host, size_t host_size, char *port, size_t port_size);

/* The path in `unix:PATH`, the address of a socket; NULL: it is none. */
const char *url_unix_path(const char *address);

/* Such a URL, whether or not its scheme is built in, without path and query, and with a port only
 * when it is not its scheme's own. */
bool origin_ok(const char *origin);
