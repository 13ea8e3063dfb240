/* SPDX-License-Identifier: MIT */
/* A function call as the payload of a job, for the runner of jobd_call_open(). */
#pragma once

#include <stddef.h>

#include "jobd/blob.h"

struct packed_call {
    union {
        void (*function)(void *);
        void *(*returning)(void *);
    };
    void *argument; /* used when `bytes` is 0 */
    size_t bytes;
    void **result; /* where that of returning() goes; NULL: it is function(), which has none */
    unsigned char copy[] __attribute__((aligned(16)));
};

/* A payload of this call, with a copy of the bytes at its argument. NULL: memory is short. */
struct jobd_blob *packed_call_new(const struct packed_call *what);
