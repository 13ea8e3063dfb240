/* SPDX-License-Identifier: MIT */
#include "engine/blob.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/verify.h"

/* A blob with `shares_type` points to its text. */
struct jobd_type {
    uint32_t references;
    char text[];
};

/* ---- types that are shared */

struct jobd_type *jobd_type_new(const char *text)
{
    size_t size = strlen(text) + 1;
    struct jobd_type *type = malloc(sizeof *type + size);
    if (type == NULL)
        return NULL;
    type->references = 1;
    memcpy(type->text, text, size);
    return type;
}

void jobd_type_unref(struct jobd_type *type)
{
    if (type != NULL && __atomic_sub_fetch(&type->references, 1, __ATOMIC_ACQ_REL) == 0)
        free(type);
}

static struct jobd_type *type_of(const struct jobd_blob *blob)
{
    return (struct jobd_type *)((uintptr_t)blob->type - offsetof(struct jobd_type, text));
}

/* ---- blobs */

struct jobd_blob *jobd_blob_new(size_t size, const char *type)
{
    size_t type_size = type != NULL && type[0] != '\0' ? strlen(type) + 1 : 0;
    if (size > SIZE_MAX / 2 || type_size > SIZE_MAX / 4)
        return NULL;
    struct jobd_blob *blob = malloc(sizeof *blob + size + type_size);
    if (blob == NULL)
        return NULL;
    blob->size = size;
    blob->type = "";
    blob->link.next = NULL;
    blob->link.references = 1;
    blob->link.shares_type = false;
    if (type_size > 0)
        blob->type = memcpy(blob->bytes + size, type, type_size);
    return blob;
}

struct jobd_blob *blob_cut(struct jobd_blob *blob, size_t size)
{
    bool own_type = !blob->link.shares_type && blob->type[0] != '\0';
    size_t type_size = own_type ? strlen(blob->type) + 1 : 0;
    if (size >= blob->size)
        return blob;
    if (__atomic_load_n(&blob->link.references, __ATOMIC_ACQUIRE) > 1) {
        blob->size = size;
        return blob;
    }
    if (own_type)
        memmove(blob->bytes + size, blob->type, type_size);
    struct jobd_blob *smaller = realloc(blob, sizeof *blob + size + type_size);
    if (smaller != NULL)
        blob = smaller;
    blob->size = size;
    if (own_type)
        blob->type = (const char *)blob->bytes + size;
    return blob;
}

struct jobd_blob *jobd_blob_new_typed(size_t size, struct jobd_type *type)
{
    struct jobd_blob *blob = jobd_blob_new(size, NULL);
    if (blob == NULL)
        return NULL;
    __atomic_add_fetch(&type->references, 1, __ATOMIC_RELAXED);
    blob->link.shares_type = true;
    blob->type = type->text;
    return blob;
}

struct jobd_blob *jobd_blob_text(const char *text)
{
    size_t size = strlen(text);
    struct jobd_blob *blob = jobd_blob_new(size, TYPE_TEXT);
    if (blob != NULL)
        memcpy(blob->bytes, text, size);
    return blob;
}

struct jobd_blob *jobd_blob_ref(struct jobd_blob *blob)
{
    __atomic_add_fetch(&blob->link.references, 1, __ATOMIC_RELAXED);
    return blob;
}

size_t blob_weight(const struct jobd_blob *blob)
{
    return blob != NULL ? blob->size + strlen(blob->type) : 0;
}

bool blob_unref_last(struct jobd_blob *blob)
{
    uint32_t left = __atomic_sub_fetch(&blob->link.references, 1, __ATOMIC_ACQ_REL);
    verify(left != UINT32_MAX);
    return left == 0;
}

void blob_free(struct jobd_blob *blob)
{
    if (blob->link.shares_type)
        jobd_type_unref(type_of(blob));
    free(blob);
}

void jobd_blob_unref(struct jobd_blob *blob)
{
    if (blob != NULL && blob_unref_last(blob))
        blob_free(blob);
}
