/* SPDX-License-Identifier: MIT */
/* SIGHUP: the settings are read again, and what can change while the server runs does. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct server;

/* Reads all sources again, and the files of tokens and certificate; what counts afterwards is in
 * server->options. All of it is read and made before any of it counts: a mistake is logged and
 * changes nothing. What cannot change is named in the log. The main thread; blocks on the files. */
void reload(struct server *server);
/* What the server serves, in one line, for the service manager. */
void serving_status(const struct server *server, char *out, size_t size);
/* Opens the access log again; when that fails the log says so, and the former file is still used.
 * False when there is no access log, or it is standard error. The main thread; blocks on the
 * file. */
bool reopen_access_log(struct server *server, const char *signal);
