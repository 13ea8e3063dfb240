/* SPDX-License-Identifier: MIT */
/* Engines that share their queues know the same, whatever was asked for. A failure prints its seed;
 * SEED=n in the environment runs that one, TURNS=n as many as that, from SEED on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ledger/cluster.h"
#include "support/sanitizers.h"

enum { TURNS = 2000, RUNS = SANITIZERS ? 40 : 500 };

static uint64_t number_in(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void test_know_the_same(void **state)
{
    (void)state;
    bool alone = getenv("SEED") != NULL;
    uint64_t first = number_in("SEED", 1), turns = number_in("TURNS", alone ? TURNS : RUNS * TURNS);
    uint64_t last = first + (turns - 1) / TURNS;
    for (uint64_t seed = first; seed <= last; seed++) {
        fprintf(stderr, "\rseed %llu ", (unsigned long long)seed);
        struct chance chance = chance_seeded(seed);
        cluster_drive(&chance, TURNS);
    }
    fputc('\n', stderr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_know_the_same)};
    return cmocka_run_group_tests_name("shared queues, at random", tests, NULL, NULL);
}
