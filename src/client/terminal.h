/* SPDX-License-Identifier: MIT */
/* The terminal as a full screen: keys are read one by one, without an echo, and what was on the
 * screen before is shown again at the end. There is one in a process; for one thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* False: standard input or standard output is not a terminal. */
bool terminal_open(void);
/* Puts the terminal back as it was. Once more does nothing. */
void terminal_close(void);
/* 80 by 24 if the terminal does not say. */
void terminal_size(int *columns, int *rows);
/* Draws a whole screen; each line ends with TERMINAL_LINE_END. */
#define TERMINAL_LINE_END "\033[K\n"
void terminal_draw(const char *text, size_t size);
