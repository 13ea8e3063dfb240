/* SPDX-License-Identifier: MIT */
#include "engine/texts.h"

#include <string.h>

static size_t size_of(const char *text)
{
    return text != NULL && text[0] != '\0' ? strlen(text) + 1 : 0;
}

size_t texts_size(const char *const *texts, unsigned len)
{
    size_t size = 0;
    for (unsigned i = 0; i < len; i++)
        size += size_of(texts[i]);
    return size;
}

void texts_write(struct jobd_blob *blob, size_t used, const char *const *texts, unsigned len,
                 uint32_t *at)
{
    for (unsigned i = 0; i < len; i++) {
        size_t size = size_of(texts[i]);
        at[i] = size > 0 ? (uint32_t)used : 0;
        if (size > 0)
            memcpy(blob->bytes + used, texts[i], size);
        used += size;
    }
}

const char *texts_at(const struct jobd_blob *blob, uint32_t at)
{
    return at != 0 ? (const char *)blob->bytes + at : "";
}
