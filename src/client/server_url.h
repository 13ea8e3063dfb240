/* SPDX-License-Identifier: MIT */
/* The address of a jobd, as users give it to a client: http://HOST:PORT, or https:// where TLS is
 * built in, perhaps with the path at which a proxy has it; or unix:PATH, as for --listen. */
#pragma once

#include <stdbool.h>

/* Is it one? */
bool server_url_ok(const char *server);

/* The URL of this path at that server, to be freed; NULL when memory is short. *socket points into
 * `server`, at the path of its unix socket; NULL: it has none. */
char *server_url_make(const char *server, const char *path, const char **socket);
