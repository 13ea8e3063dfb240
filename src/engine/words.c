/* SPDX-License-Identifier: MIT */
#include "engine/words.h"

#include <string.h>

/* In front of the texts, each with its NUL: where it begins; 0: there is none. */
struct index {
    uint32_t at[JOBD_TEXTS];
};

static size_t size_of(const char *text)
{
    return text != NULL && text[0] != '\0' ? strlen(text) + 1 : 0;
}

size_t words_weight(const char *const texts[JOBD_TEXTS])
{
    size_t size = 0;
    for (unsigned i = 0; i < JOBD_TEXTS; i++)
        size += size_of(texts[i]);
    return size > 0 ? sizeof(struct index) + size : 0;
}

bool words_new(const char *const texts[JOBD_TEXTS], struct jobd_blob **words)
{
    size_t size = words_weight(texts), used = sizeof(struct index);
    struct index index = {{0}};
    *words = NULL;
    if (size == 0)
        return true;
    struct jobd_blob *blob = jobd_blob_new(size, NULL);
    if (blob == NULL)
        return false;
    for (unsigned i = 0; i < JOBD_TEXTS; i++) {
        size_t bytes = size_of(texts[i]);
        if (bytes == 0)
            continue;
        index.at[i] = (uint32_t)used;
        memcpy(blob->bytes + used, texts[i], bytes);
        used += bytes;
    }
    memcpy(blob->bytes, &index, sizeof index);
    *words = blob;
    return true;
}

const char *jobd_text(const struct jobd_blob *words, enum jobd_text text)
{
    struct index index;
    if (words == NULL)
        return "";
    memcpy(&index, words->bytes, sizeof index);
    return index.at[text] != 0 ? (const char *)words->bytes + index.at[text] : "";
}
