/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

/* The structure whose `field` is at `pointer`. */
#define container_of(pointer, type, field)                                                         \
    ((type *)(void *)((char *)(pointer)-offsetof(type, field)))
