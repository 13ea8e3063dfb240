/* SPDX-License-Identifier: MIT */
/* Random numbers that can be had again: SEED=n in the environment repeats the run that printed n.
 */
#pragma once

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

struct chance {
    uint64_t random;
};

static inline struct chance chance_begin(void)
{
    const char *given = getenv("SEED");
    uint64_t seed = 1;
    if (given != NULL)
        seed = strtoull(given, NULL, 10);
    else
        (void)!getrandom(&seed, sizeof seed, 0);
    seed >>= given == NULL ? 32 : 0; /* short enough to be typed */
    /* Said before, as a broken invariant ends the process. */
    fprintf(stderr, "seed %" PRIu64 "\n", seed);
    return (struct chance){seed * 2 + 1};
}

/* xorshift64*, Marsaglia and Vigna */
static inline unsigned chance_below(struct chance *chance, unsigned bound)
{
    chance->random ^= chance->random >> 12;
    chance->random ^= chance->random << 25;
    chance->random ^= chance->random >> 27;
    return (unsigned)((chance->random * UINT64_C(2685821657736338717)) >> 33) % bound;
}
