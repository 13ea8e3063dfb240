/* SPDX-License-Identifier: MIT */
#include "base/token_bucket.h"

static uint64_t size_of(struct token_rate rate)
{
    return rate.tokens * (uint64_t)rate.per_us;
}

static uint64_t level_at(const struct token_bucket *bucket, struct token_rate rate, int64_t now_us)
{
    const uint64_t size = size_of(rate);
    int64_t passed_us = now_us > bucket->at_us ? now_us - bucket->at_us : 0;
    if (passed_us >= rate.per_us)
        return size;
    uint64_t level = bucket->level + (uint64_t)passed_us * rate.tokens;
    return level < size ? level : size;
}

/* When so much more has come. */
static int64_t later_by(int64_t now_us, struct token_rate rate, uint64_t missing)
{
    uint64_t us = missing / rate.tokens + (missing % rate.tokens != 0);
    return us < (uint64_t)(INT64_MAX - now_us) ? now_us + (int64_t)us : INT64_MAX;
}

void token_bucket_fill(struct token_bucket *bucket, struct token_rate rate, int64_t now_us)
{
    *bucket = (struct token_bucket){.level = size_of(rate), .at_us = now_us};
}

bool token_bucket_has(const struct token_bucket *bucket, struct token_rate rate, int64_t now_us)
{
    return rate.tokens == 0 || level_at(bucket, rate, now_us) >= (uint64_t)rate.per_us;
}

bool token_bucket_is_full(const struct token_bucket *bucket, struct token_rate rate, int64_t now_us)
{
    return rate.tokens == 0 || level_at(bucket, rate, now_us) == size_of(rate);
}

void token_bucket_take(struct token_bucket *bucket, struct token_rate rate, int64_t now_us)
{
    if (rate.tokens == 0)
        return;
    uint64_t level = level_at(bucket, rate, now_us), token = (uint64_t)rate.per_us;
    bucket->level = level > token ? level - token : 0;
    if (now_us > bucket->at_us)
        bucket->at_us = now_us;
}

int64_t token_bucket_when(const struct token_bucket *bucket, struct token_rate rate, int64_t now_us,
                          uint64_t starts)
{
    if (rate.tokens == 0)
        return now_us;
    const uint64_t level = level_at(bucket, rate, now_us), token = (uint64_t)rate.per_us;
    if (starts > UINT64_MAX / token)
        return INT64_MAX;
    uint64_t needed = starts * token;
    return needed > level ? later_by(now_us, rate, needed - level) : now_us;
}

int64_t token_bucket_full_at(const struct token_bucket *bucket, struct token_rate rate,
                             int64_t now_us)
{
    return rate.tokens > 0 ? token_bucket_when(bucket, rate, now_us, rate.tokens) : now_us;
}
