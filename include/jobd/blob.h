/* SPDX-License-Identifier: MIT */
/* Bytes that jobs come with and leave behind, and the memory of those who ask for them. Any thread,
 * no lock. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define JOBD_API       __attribute__((visibility("default")))
#define JOBD_MUST_READ __attribute__((warn_unused_result))

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic" /* C++ has no arrays like `bytes` */
/* Bytes and their media type, shared by counting: whoever keeps one holds a reference. */
struct jobd_blob {
    const char *type; /* "" when not known */
    uint32_t size;
    uint32_t references; /* private */
    unsigned char bytes[] __attribute__((aligned(16)));
};
#pragma GCC diagnostic pop

/* `size` bytes to be filled in before anybody else sees the blob, and a copy of `type` (borrowed,
 * may be NULL). NULL when memory is short, or 4 GiB do not hold them. The caller holds the one
 * reference. */
JOBD_API struct jobd_blob *jobd_blob_new(size_t size, const char *type);
/* A media type that many blobs have, each a reference to the one copy. NULL when memory is short;
 * the caller holds a reference, too. `text` is borrowed. */
struct jobd_type;
JOBD_API struct jobd_type *jobd_type_new(const char *text);
/* Gives the caller's reference back. Takes NULL. */
JOBD_API void jobd_type_unref(struct jobd_type *type);
/* As jobd_blob_new(), with a reference to the type. */
JOBD_API struct jobd_blob *jobd_blob_new_typed(size_t size, struct jobd_type *type);
/* The same as jobd_blob_new() with a text and its type. */
JOBD_API struct jobd_blob *jobd_blob_text(const char *text);
/* Another reference to it, for the caller. */
JOBD_API struct jobd_blob *jobd_blob_ref(struct jobd_blob *blob);
/* Gives a reference back; the last one frees. Takes NULL. */
JOBD_API void jobd_blob_unref(struct jobd_blob *blob);

/* ---- memory of those who ask ----------------------------------------------------------------
 *
 * What somebody brings along, and what is needed to tell him, is counted before it is there. */

/* Bytes that many have at a time: some for all of them, some only for those who empty the queues,
 * so that who fills them cannot take the last, and some for those who say that they do, as anybody
 * can. Whoever is alone in one of these may have more than there is, so that nothing is too large
 * for ever. Any thread, no lock. */
struct jobd_budget {
    size_t common, reserve, claims; /* at most; set before anything is counted */
    size_t common_used, reserve_used, claims_used;
    uint32_t awaited; /* private: takers wait until some is given back */
};

/* What one of them has. Zeroed at first, the first block filled in; for one thread at a time, or
 * the engine. */
struct jobd_account {
    struct jobd_budget *budget; /* borrowed */
    size_t uncounted;           /* up to so many bytes are: they go with whatever it belongs to */
    bool empties;               /* a queue: the reserve is for it too */
    bool claims;                /* that it empties one: so is what is for who says so */

    size_t bytes;                    /* it has, counted or not */
    size_t common, reserve, claimed; /* private: of the counted ones */
};

/* Counts so many bytes more; false, and nothing is changed, when the budget has no room for them.
 */
JOBD_API JOBD_MUST_READ bool jobd_charge(struct jobd_account *account, size_t bytes);
/* Gives back all that the account has beyond so many bytes. True: takers wait for room, and
 * jobd_take_again() is to be called. */
JOBD_API bool jobd_trim(struct jobd_account *account, size_t bytes);

#ifdef __cplusplus
}
#endif
