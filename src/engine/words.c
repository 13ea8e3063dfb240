/* SPDX-License-Identifier: MIT */
#include "engine/words.h"

#include <string.h>

#include "engine/texts.h"

/* In front of the texts: where each begins. */
struct index {
    uint32_t at[JOBD_TEXTS];
};

size_t words_weight(const char *const texts[JOBD_TEXTS])
{
    size_t size = texts_size(texts, JOBD_TEXTS);
    return size > 0 ? sizeof(struct index) + size : 0;
}

bool words_new(const char *const texts[JOBD_TEXTS], struct jobd_blob **words)
{
    struct index index = {.at = {0}};
    size_t size = words_weight(texts);
    *words = size > 0 ? jobd_blob_new(size, NULL) : NULL;
    if (*words == NULL)
        return size == 0;
    texts_write(*words, sizeof index, texts, JOBD_TEXTS, index.at);
    memcpy((*words)->bytes, &index, sizeof index);
    return true;
}

const char *jobd_text(const struct jobd_blob *words, enum jobd_text text)
{
    struct index index;
    if (words == NULL)
        return "";
    memcpy(&index, words->bytes, sizeof index);
    return texts_at(words, index.at[text]);
}
