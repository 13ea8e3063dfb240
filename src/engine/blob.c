/* SPDX-License-Identifier: MIT */
#include "engine/blob.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/verify.h"

/* A blob that shares its type points to its text. */
struct jobd_type {
    uint32_t references;
    char text[];
};

/* Bits of a blob's references, which count below them: it shares its type; its type is its own,
 * behind its bytes. Else that is none, or a constant. */
static const uint32_t shares_type = UINT32_C(1) << 31, owns_type = UINT32_C(1) << 30;
static const uint32_t count_mask = (UINT32_C(1) << 30) - 1;

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

/* ---- types that need no copy */

#define USUAL(text)                                                                                \
    {                                                                                              \
        (text), sizeof(text)                                                                       \
    }

/* What curl says by itself, above all. */
static const struct {
    const char *text;
    size_t size;
} usual_types[] = {USUAL("application/x-www-form-urlencoded"), USUAL("application/json"),
                   USUAL("application/octet-stream"), USUAL(TYPE_TEXT), USUAL("text/plain")};

/* Of so many bytes with its end. NULL: it is none of them. */
static const char *usual_type(const char *type, size_t size)
{
    for (size_t i = 0; i < sizeof usual_types / sizeof usual_types[0]; i++)
        if (usual_types[i].size == size && memcmp(usual_types[i].text, type, size) == 0)
            return usual_types[i].text;
    return NULL;
}

/* ---- blobs */

/* At least for blob_next(). */
static size_t room_for(size_t bytes)
{
    size_t least = sizeof(struct jobd_blob *);
    return sizeof(struct jobd_blob) + (bytes > least ? bytes : least);
}

struct jobd_blob *jobd_blob_new(size_t size, const char *type)
{
    size_t type_size = type != NULL && type[0] != '\0' ? strlen(type) + 1 : 0;
    const char *usual = type_size > 0 ? usual_type(type, type_size) : "";
    if (usual != NULL)
        type_size = 0;
    if (size > UINT32_MAX || type_size > UINT32_MAX - size)
        return NULL;
    struct jobd_blob *blob = malloc(room_for(size + type_size));
    if (blob == NULL)
        return NULL;
    blob->size = (uint32_t)size;
    blob->type = usual;
    blob->references = 1;
    if (usual == NULL) {
        blob->type = memcpy(blob->bytes + size, type, type_size);
        blob->references |= owns_type;
    }
    return blob;
}

struct jobd_blob *blob_cut(struct jobd_blob *blob, size_t size)
{
    uint32_t references = __atomic_load_n(&blob->references, __ATOMIC_ACQUIRE);
    bool own_type = (references & owns_type) != 0;
    size_t type_size = own_type ? strlen(blob->type) + 1 : 0;
    if (size >= blob->size)
        return blob;
    if ((references & count_mask) > 1) {
        blob->size = (uint32_t)size;
        return blob;
    }
    if (own_type)
        memmove(blob->bytes + size, blob->type, type_size);
    struct jobd_blob *smaller = realloc(blob, room_for(size + type_size));
    if (smaller != NULL)
        blob = smaller;
    blob->size = (uint32_t)size;
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
    blob->references |= shares_type;
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
    __atomic_add_fetch(&blob->references, 1, __ATOMIC_RELAXED);
    return blob;
}

size_t blob_weight(const struct jobd_blob *blob)
{
    return blob != NULL ? blob->size + strlen(blob->type) : 0;
}

bool blob_unref_last(struct jobd_blob *blob)
{
    uint32_t left = __atomic_sub_fetch(&blob->references, 1, __ATOMIC_ACQ_REL) & count_mask;
    verify(left != count_mask);
    return left == 0;
}

void blob_free(struct jobd_blob *blob)
{
    if ((blob->references & shares_type) != 0)
        jobd_type_unref(type_of(blob));
    free(blob);
}

struct jobd_blob **blob_next(struct jobd_blob *blob)
{
    return (struct jobd_blob **)(void *)blob->bytes;
}

void jobd_blob_unref(struct jobd_blob *blob)
{
    if (blob != NULL && blob_unref_last(blob))
        blob_free(blob);
}
