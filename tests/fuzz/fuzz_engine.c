/* SPDX-License-Identifier: MIT */
#include "fuzz/fuzz.h"

#include <limits.h>

#include "engine/model/model.h"

void fuzz_engine(const uint8_t *bytes, size_t size)
{
    struct chance chance = {.bytes = bytes, .left = size};
    model_drive(&chance, UINT_MAX);
}
