/* SPDX-License-Identifier: MIT */
/* Can this command be started, as far as can be seen without doing so? */
#pragma once

#include <stdbool.h>

#include "base/problem.h"
#include "run/exec.h"

/* `command`: words, NULL at the end. Looks where a runner would: in the PATH that it would have, or
 * at the path itself from its directory, and at the interpreter that a script names; with our own
 * rights, whoever it runs as. False: `problem` says which file and why. Blocks on the file system.
 */
bool command_check(char *const *command, const struct exec_place *place, struct problem *problem);
