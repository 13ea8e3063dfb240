/* SPDX-License-Identifier: MIT */
/* The terminal, as a page to draw on: keys come one by one, without an echo, and what stood there
 * before comes back at the end. For one thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* False: standard input or output is none. */
bool terminal_open(void);
/* As it was before; again does nothing. */
void terminal_close(void);
void terminal_size(int *columns, int *rows);
/* A whole page, its lines ended by TERMINAL_LINE_END. */
#define TERMINAL_LINE_END "\033[K\n"
void terminal_draw(const char *text, size_t size);
