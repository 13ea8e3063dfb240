/* SPDX-License-Identifier: MIT */
/* A server with failing.so in front of it, which fails on command and counts what it is asked. Not
 * with sanitizers. */
#pragma once

#include <stdint.h>

#include "support/failing.h"
#include "support/server.h"

/* Of the server that was started last; another one has its own. */
extern struct failing *failing;

/* As server_start(), but it may not listen yet: its first calls may fail. At most 13 arguments;
 * its wall clock is wrong by ahead_s from the first moment on. */
struct server *failing_spawn(const char *const *arguments, int64_t ahead_s);
