/* SPDX-License-Identifier: MIT */
/* How often something may begin: a token bucket.
 *
 * It holds at most as many tokens as its rate says, and as many come back evenly in the rate's
 * time: "50/1s" is a bucket of 50, one more every 20 ms. A start takes one. Who has been idle may
 * begin 50 at once, and goes on at 50 a second. Numbers are whole: nothing is lost by rounding. A
 * clock that goes back adds nothing. No lock of its own. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct token_rate {
    uint32_t tokens; /* at most TOKEN_RATE_MAX; 0: no limit, and the bucket is not looked at */
    int64_t per_us;  /* above 0, at most TOKEN_PERIOD_MAX_US */
};

enum { TOKEN_RATE_MAX = 1000000 };
#define TOKEN_PERIOD_MAX_US (INT64_C(30) * 86400 * 1000000)

struct token_bucket {
    uint64_t level; /* a token is per_us of it; so one microsecond brings `tokens` of it */
    int64_t at_us;  /* as of then */
};

void token_bucket_fill(struct token_bucket *bucket, struct token_rate rate, int64_t now_us);
/* Is there a token? */
bool token_bucket_has(const struct token_bucket *bucket, struct token_rate rate, int64_t now_us);
bool token_bucket_is_full(const struct token_bucket *bucket, struct token_rate rate,
                          int64_t now_us);
/* Takes a token; a bucket that has less than one is then empty. */
void token_bucket_take(struct token_bucket *bucket, struct token_rate rate, int64_t now_us);
/* The first moment, now or later, by which this many starts are possible, if each is made as soon
 * as it can be; INT64_MAX: too far away to say. */
int64_t token_bucket_when(const struct token_bucket *bucket, struct token_rate rate, int64_t now_us,
                          uint64_t starts);
/* The first moment at which it is full, if nothing is taken. */
int64_t token_bucket_full_at(const struct token_bucket *bucket, struct token_rate rate,
                             int64_t now_us);
