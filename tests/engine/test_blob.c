/* SPDX-License-Identifier: MIT */
/* Blobs of any size, with a type of their own, a shared one, a usual one, or none: cut, shared, and
 * freed one after the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/blob.h"

enum { SIZES = 70, KINDS = 4 };

static const char *const texts[KINDS] = {"", "text/x", "text/of-many", "application/json"};

static struct jobd_blob *new_blob(size_t size, unsigned kind, struct jobd_type *shared)
{
    struct jobd_blob *blob =
        kind == 2 ? jobd_blob_new_typed(size, shared) : jobd_blob_new(size, texts[kind]);
    assert_non_null(blob);
    assert_int_equal((uintptr_t)blob->bytes % 16, 0);
    for (size_t i = 0; i < size; i++)
        blob->bytes[i] = (unsigned char)i;
    return blob;
}

static void look(const struct jobd_blob *blob, size_t size, unsigned kind)
{
    assert_int_equal(blob->size, size);
    assert_string_equal(blob->type, texts[kind]);
    assert_int_equal(blob_weight(blob), size + strlen(texts[kind]));
    for (size_t i = 0; i < size; i++)
        assert_int_equal(blob->bytes[i], (unsigned char)i);
}

static void a_cut_blob_keeps_its_type(void **state)
{
    struct jobd_type *shared = jobd_type_new(texts[2]);
    (void)state;
    for (size_t size = 0; size < SIZES; size++)
        for (unsigned kind = 0; kind < KINDS; kind++) {
            struct jobd_blob *blob = new_blob(size, kind, shared);
            look(blob, size, kind);
            struct jobd_blob *other = jobd_blob_ref(blob);
            blob = blob_cut(blob, size / 2);
            assert_ptr_equal(blob, other); /* another has it: it stays where it is */
            look(blob, size / 2, kind);
            jobd_blob_unref(other);
            blob = blob_cut(blob, size / 3);
            look(blob, size / 3, kind);
            jobd_blob_unref(blob);
        }
    jobd_type_unref(shared);
}

/* The type outlives who made it, and goes with the last blob. */
static void those_to_be_freed_are_linked(void **state)
{
    struct jobd_type *shared = jobd_type_new(texts[2]);
    struct jobd_blob *first = NULL;
    unsigned freed = 0;
    (void)state;
    for (size_t size = 0; size < SIZES; size++)
        for (unsigned kind = 0; kind < KINDS; kind++) {
            struct jobd_blob *blob = new_blob(size, kind, shared);
            assert_ptr_equal(jobd_blob_ref(blob), blob);
            assert_false(blob_unref_last(blob));
            assert_true(blob_unref_last(blob));
            *blob_next(blob) = first;
            first = blob;
        }
    jobd_type_unref(shared);
    while (first != NULL) {
        struct jobd_blob *blob = first;
        first = *blob_next(blob);
        blob_free(blob);
        freed++;
    }
    assert_int_equal(freed, SIZES * KINDS);
}

static void too_large_a_blob_is_none(void **state)
{
    (void)state;
    assert_null(jobd_blob_new(SIZE_MAX, NULL));
    assert_null(jobd_blob_new(SIZE_MAX / 2 + 1, "text/x"));
#if SIZE_MAX > UINT32_MAX
    assert_null(jobd_blob_new((size_t)UINT32_MAX + 1, NULL));
    assert_null(jobd_blob_new(UINT32_MAX, "text/x"));
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_blob_keeps_its_type),
        cmocka_unit_test(those_to_be_freed_are_linked),
        cmocka_unit_test(too_large_a_blob_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
