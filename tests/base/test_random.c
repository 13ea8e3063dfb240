/* SPDX-License-Identifier: MIT */
/* Unguessable bytes: none is given out twice, in no thread; and what they look like as text. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

enum { THREADS = 4, DRAWS = 2000, DIGITS_SIZE = 33 };

static char drawn[THREADS * DRAWS][DIGITS_SIZE];

static void *draw(void *context)
{
    char(*of)[DIGITS_SIZE] = context;
    for (size_t i = 0; i < DRAWS; i++)
        random_hex(of[i], DIGITS_SIZE);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void none_comes_twice(void **state)
{
    pthread_t threads[THREADS];
    (void)state;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, draw, drawn[i * DRAWS]), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    qsort(drawn, THREADS * DRAWS, sizeof drawn[0], compare);
    for (size_t i = 0; i < THREADS * DRAWS; i++) {
        assert_int_equal(strlen(drawn[i]), DIGITS_SIZE - 1);
        assert_int_equal(strspn(drawn[i], "0123456789abcdef"), DIGITS_SIZE - 1);
        assert_true(i == 0 || strcmp(drawn[i - 1], drawn[i]) != 0);
    }
}

/* Whatever is asked for, in one piece: no byte of the room is left as it was, as far as chance can
 * tell, and none behind it is touched. */
static void each_size_is_filled(void **state)
{
    (void)state;
    for (size_t size = 0; size <= RANDOM_MAX_BYTES; size++) {
        unsigned char bytes[RANDOM_MAX_BYTES + 1], seen[RANDOM_MAX_BYTES] = {0};
        for (int round = 0; round < 8; round++) {
            memset(bytes, 0, sizeof bytes);
            random_bytes(bytes, size);
            for (size_t i = 0; i < size; i++)
                seen[i] |= bytes[i];
            for (size_t i = size; i < sizeof bytes; i++)
                assert_int_equal(bytes[i], 0);
        }
        for (size_t i = 0; i < size; i++)
            assert_int_not_equal(seen[i], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_comes_twice),
        cmocka_unit_test(each_size_is_filled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
