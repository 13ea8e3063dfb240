/* SPDX-License-Identifier: MIT */
/* Random numbers that can be had again: SEED=n in the environment repeats the run that printed n.
 * Or a fuzzer's bytes in place of them. */
#pragma once

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

struct chance {
    uint64_t random;      /* 0: drawn from the bytes */
    const uint8_t *bytes; /* borrowed */
    size_t left;          /* of them */
};

static inline struct chance chance_seeded(uint64_t seed)
{
    return (struct chance){.random = seed * 2 + 1};
}

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
    return chance_seeded(seed);
}

/* No byte is left; all that is drawn is 0. */
static inline bool chance_over(const struct chance *chance)
{
    return chance->random == 0 && chance->left == 0;
}

static inline unsigned chance_byte(struct chance *chance)
{
    if (chance->left == 0)
        return 0;
    chance->left--;
    return *chance->bytes++;
}

/* As few bytes as will do: what stands behind keeps its meaning. */
static inline unsigned chance_below_of_bytes(struct chance *chance, unsigned bound)
{
    unsigned drawn = chance_byte(chance);
    for (unsigned reach = 256; reach < bound && reach <= 1U << 16; reach <<= 8)
        drawn = drawn << 8 | chance_byte(chance);
    return drawn % bound;
}

/* xorshift64*, Marsaglia and Vigna */
static inline unsigned chance_below(struct chance *chance, unsigned bound)
{
    if (chance->random == 0)
        return chance_below_of_bytes(chance, bound);
    chance->random ^= chance->random >> 12;
    chance->random ^= chance->random << 25;
    chance->random ^= chance->random >> 27;
    return (unsigned)((chance->random * UINT64_C(2685821657736338717)) >> 33) % bound;
}
