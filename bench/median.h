/* SPDX-License-Identifier: MIT */
/* Of figures, one a round. */
#pragma once

#include <stdlib.h>

static inline int median_compare(const void *left, const void *right)
{
    const double *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

/* The list, which is not empty, is sorted by it. */
static inline double median(double *list, unsigned len)
{
    qsort(list, len, sizeof *list, median_compare);
    return list[len / 2];
}
