/* SPDX-License-Identifier: MIT */
/* verify(): a condition that holds in every correct run, checked in release builds too. A broken
 * invariant ends the process with its place, before it can spread into somebody's jobs. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#define verify(condition)                                                                          \
    ((condition) ? (void)0 : verify_failed(#condition, __FILE__, __LINE__, __func__))

_Noreturn static inline void verify_failed(const char *condition, const char *file, int line,
                                           const char *function)
{
    fprintf(stderr, "%s:%d: %s: broken invariant: %s\n", file, line, function, condition);
    abort();
}
