/* SPDX-License-Identifier: MIT */
/* What the options need and the server does not open itself when it starts: commands,
 * directories. */
#pragma once

#include "base/problem.h"
#include "server/options.h"

/* Logs each queue whose command cannot be started, and each secret of one that others can read. */
void surroundings_warn_runners(const struct options *options);
/* Could a server with these options run its jobs, keep its jobs, make its socket? Opens and
 * makes nothing. False: `problem` names the place. Blocks on the file system. */
bool surroundings_check(const struct options *options, struct problem *problem);
