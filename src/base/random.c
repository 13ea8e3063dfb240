/* SPDX-License-Identifier: MIT */
#include "base/random.h"

#include <string.h>
#include <sys/random.h>

#include "base/verify.h"

void random_bytes(void *bytes, size_t size)
{
    /* As many as getrandom() gives whole for sure. */
    static _Thread_local unsigned char ahead[RANDOM_MAX_BYTES];
    static _Thread_local size_t left;
    verify(size <= sizeof ahead);
    if (size > left) {
        verify(getrandom(ahead, sizeof ahead, 0) == sizeof ahead);
        left = sizeof ahead;
    }
    left -= size;
    memcpy(bytes, ahead + left, size);
    memset(ahead + left, 0, size); /* given out once */
}

void random_hex(char *text, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[RANDOM_MAX_BYTES];
    size_t len = size / 2;
    verify(size % 2 == 1 && len <= sizeof bytes);
    random_bytes(bytes, len);
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[bytes[i] / 16];
        text[2 * i + 1] = digits[bytes[i] % 16];
    }
    text[size - 1] = '\0';
}
