/* SPDX-License-Identifier: MIT */
/* The kinds of options that are limits. */
#include "server/option_types.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"

enum { COUNT_MAX = 10000000, LEAST_US = 1000 };

static bool same_rate(const struct rate_terms *one, const struct rate_terms *other)
{
    return one->starts == other->starts && one->per_us == other->per_us;
}

static bool rate_of(const char *text, struct rate_terms *rate)
{
    char first[8];
    const char *slash = strchr(text, '/');
    if (slash == NULL || (size_t)(slash - text) >= sizeof first)
        return false;
    snprintf(first, sizeof first, "%.*s", (int)(slash - text), text);
    return text_to_number(first, JOBD_STARTS_MAX, &rate->starts) && rate->starts > 0 &&
           text_to_duration(slash + 1, &rate->per_us) && rate->per_us >= LEAST_US &&
           rate->per_us <= JOBD_STARTS_PER_US_MAX;
}

static bool parse_rate(const struct option_spec *spec, const char *text, void *value)
{
    struct rate_terms read;
    (void)spec;
    if (!rate_of(text, &read))
        return false;
    *(struct rate_terms *)value = read;
    return true;
}

static bool is_same_rate(const void *value, const void *other)
{
    return same_rate(value, other);
}

const struct option_type type_rate = {
    .size = sizeof(struct rate_terms),
    .json = JSON_STRING,
    .in_json = "a string like \"50/1s\"",
    .parse = parse_rate,
    .same = is_same_rate,
    .expected = "a number of starts from 1 to 1000000 and a time from 1ms to 30d, like 50/1s"};

/* ---- of each key */

/* A whole number, which must not have been given before. */
static bool read_count(const cJSON *item, uint64_t *count)
{
    if (*count != 0 || !cJSON_IsNumber(item) || !(item->valuedouble >= 1) ||
        item->valuedouble > (double)COUNT_MAX)
        return false;
    *count = (uint64_t)item->valuedouble;
    return (double)*count == item->valuedouble;
}

static bool read_member(const cJSON *item, struct key_terms *terms)
{
    if (strcmp(item->string, "running") == 0)
        return read_count(item, &terms->running);
    if (strcmp(item->string, "waiting") == 0)
        return read_count(item, &terms->waiting);
    return strcmp(item->string, "rate") == 0 && terms->rate.starts == 0 && cJSON_IsString(item) &&
           rate_of(item->valuestring, &terms->rate);
}

static bool parse_key_terms(const struct option_spec *spec, const char *text, void *value)
{
    struct key_terms terms = {.given = true};
    cJSON *object = cJSON_Parse(text);
    bool good = cJSON_IsObject(object);
    const cJSON *item;
    (void)spec;
    cJSON_ArrayForEach(item, object) good = good && read_member(item, &terms);
    cJSON_Delete(object);
    if (good)
        *(struct key_terms *)value = terms;
    return good;
}

static bool same_key_terms(const void *value, const void *other)
{
    const struct key_terms *one = value, *two = other;
    return one->given == two->given && one->running == two->running &&
           one->waiting == two->waiting && same_rate(&one->rate, &two->rate);
}

const struct option_type type_key_terms = {
    .size = sizeof(struct key_terms),
    .json = JSON_PAIRS,
    .in_json = "an object",
    .parse = parse_key_terms,
    .same = same_key_terms,
    .expected = "an object of running and waiting, whole numbers from 1 to 10000000, and rate, "
                "a string like 50/1s; each may be left out"};
