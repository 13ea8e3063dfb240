/* SPDX-License-Identifier: MIT */
/* What a test needs beside what `make deps` installs. All of it is for the test's own thread. */
#pragma once

#include <stdbool.h>

/* Whether the shell finds it; may block as long as a shell takes to start. */
bool command_is_there(const char *command);
/* Skips the test, with a line that names it, where it is not. */
void need_command(const char *command);
