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
