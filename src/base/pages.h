/* SPDX-License-Identifier: MIT */
/* Zeroed memory for large arrays that may stay empty: a page costs nothing until it is touched.
 * calloc() may clear what it takes from the heap, and so touch all of it. */
#pragma once

#include <stddef.h>

/* Room for `count` items of `size` bytes; NULL when memory is short. */
void *pages_new(size_t count, size_t size);
/* `count` and `size` as for pages_new(). Takes NULL. */
void pages_free(void *memory, size_t count, size_t size);
