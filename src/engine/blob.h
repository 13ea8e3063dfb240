/* SPDX-License-Identifier: MIT */
/* What the engine needs to know of a payload beyond the public header. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "jobd/queue.h"

/* Bytes a blob counts for; 0 for NULL. */
size_t blob_weight(const struct jobd_blob *blob);

/* Gives a reference back without freeing: true when it was the last, and blob_free() is due. */
bool blob_unref_last(struct jobd_blob *blob);
void blob_free(struct jobd_blob *blob);
/* Which is freed next, of those that are to be: in place of its bytes, which nobody sees any
 * more. */
struct jobd_blob **blob_next(struct jobd_blob *blob);

/* Its first `size` bytes and its type. Takes the blob and returns it, perhaps moved; while others
 * have a reference it keeps the memory that it had. Nobody else may look at its size. */
struct jobd_blob *blob_cut(struct jobd_blob *blob, size_t size);
