/* SPDX-License-Identifier: MIT */
/* Several texts in one blob, each with its NUL: behind a head, the caller's, that has where each
 * begins; 0: there is none. A text that is NULL or "" is none, and costs nothing. No lock of its
 * own. */
#pragma once

#include "jobd/queue.h"

/* Their bytes, without the head. */
size_t texts_size(const char *const *texts, unsigned len);
/* Writes them into the blob, from byte `used` on, and where they begin into at[]. It has room. */
void texts_write(struct jobd_blob *blob, size_t used, const char *const *texts, unsigned len,
                 uint32_t *at);
/* The one that begins there; "" when there is none. Borrowed from the blob. */
const char *texts_at(const struct jobd_blob *blob, uint32_t at);
