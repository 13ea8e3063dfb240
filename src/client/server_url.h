/* SPDX-License-Identifier: MIT */
/* The address of a jobd as clients are given it: http://HOST:PORT, https:// too where TLS is built
 * in, either with the path of a proxy in front of it; or unix:PATH, as for --listen. */
#pragma once

#include <stdbool.h>

/* Is it one? */
bool server_url_ok(const char *server);

/* The URL of this path there, and *socket, which points into `server`; NULL: none. To be freed;
 * NULL when memory is short. */
char *server_url_make(const char *server, const char *path, const char **socket);
