/* SPDX-License-Identifier: MIT */
/* The engine driven at random. A failure prints its seed; SEED=n in the environment runs that one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/model/model.h"

enum { STEPS = 3000, RUNS = 60 };

static void test_agrees_with_model(void **state)
{
    (void)state;
    const char *one = getenv("SEED");
    uint64_t first_seed = one != NULL ? strtoull(one, NULL, 10) : 1;
    uint64_t last_seed = one != NULL ? first_seed : RUNS;
    for (uint64_t seed = first_seed; seed <= last_seed; seed++) {
        /* Said before, as a broken invariant ends the process. */
        fprintf(stderr, "\rseed %llu ", (unsigned long long)seed);
        struct chance chance = chance_seeded(seed);
        model_drive(&chance, STEPS);
    }
    fputc('\n', stderr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_agrees_with_model)};
    return cmocka_run_group_tests_name("engine, at random", tests, NULL, NULL);
}
