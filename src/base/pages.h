/* SPDX-License-Identifier: MIT */
/* Zeroed memory for arrays that may stay empty: a page costs nothing until it is touched. calloc()
 * clears what it takes from the heap, and so touches all of it. */
#pragma once

#include <stddef.h>

/* Room for `count` items of `size` bytes; NULL when memory is short. */
void *pages_new(size_t count, size_t size);
/* With the same numbers. Takes NULL. */
void pages_free(void *memory, size_t count, size_t size);
