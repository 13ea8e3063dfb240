/* SPDX-License-Identifier: MIT */
#include "base/pages.h"

#include <sys/mman.h>

#include "base/verify.h"

void *pages_new(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes == 0)
        return NULL;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

void pages_free(void *memory, size_t count, size_t size)
{
    if (memory != NULL)
        verify(munmap(memory, count * size) == 0);
}
