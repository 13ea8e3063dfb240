/* SPDX-License-Identifier: MIT */
/* SIGHUP: the settings are read again, and what can change while the server runs does. */
#pragma once

#include "jobd/queue.h"
#include "server/options.h"

struct server;

/* A queue's settings as the engine takes them. */
void queue_terms(const struct queue_options *queue, struct jobd_queue_config *config);

/* Reads all sources again, and the files of tokens and certificate; what counts afterwards is in
 * server->options. All of it is read and made before any of it counts: a mistake is logged and
 * changes nothing. What cannot change is named in the log. The main thread; blocks on the files. */
void reload(struct server *server);
