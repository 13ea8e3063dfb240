/* SPDX-License-Identifier: MIT */
/* Requests of each kind, one after the other, of a server in which something fails; what is
 * answered does not matter. */
#pragma once

#include "support/server.h"

/* Jobs, and looking at them. */
void ask_local(const struct server *server);
/* Some are taken as well. */
void ask_remote(const struct server *server);
/* What belongs together, comes again, and is told of; nobody is there to be told. */
void ask_plans(const struct server *server);
