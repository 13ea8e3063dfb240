/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

/* A moment at which something is due; embedded in what is. Private to jobd. */
struct jobd_due {
    int64_t at_us;
    uint32_t place; /* 1-based index in the heap of moments; 0: not in it */
};
