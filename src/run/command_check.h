/* SPDX-License-Identifier: MIT */
/* Can this command be started, as far as can be seen without doing so? */
#pragma once

#include <stdbool.h>

#include "base/problem.h"

/* `command`: words, NULL at the end. Looks where a runner would: in PATH, or at the path itself
 * from this directory, and at the interpreter that a script names. False: `problem` says which file
 * and why. Blocks on the file system. */
bool command_check(char *const *command, struct problem *problem);
