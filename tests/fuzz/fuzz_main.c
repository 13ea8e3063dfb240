/* SPDX-License-Identifier: MIT */
/* libFuzzer's entry; FUZZED is one of fuzz.h's functions. */
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    FUZZED(bytes, size);
    return 0;
}
