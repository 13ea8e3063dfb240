/* SPDX-License-Identifier: MIT */
#include "server/option_types.h"

#include <stdio.h>
#include <string.h>

#include "http/cors.h"
#include "base/json.h"
#include "http/listen.h"
#include "server/options.h"
#include "run/post.h"
#include "base/text.h"
#include "run/http_client.h"

#define SECOND UINT64_C(1000000)

void option_allowed(const struct option_spec *spec, char *out, size_t size)
{
    const unsigned long long min = spec->min, max = spec->max;
    switch (spec->kind) {
    case KIND_ADDRESS:
        snprintf(out, size, "HOST:PORT, :PORT, [IPV6]:PORT or unix:PATH");
        break;
    case KIND_PATH:
    case KIND_FILE:
        snprintf(out, size, "a file's name");
        break;
    case KIND_FOLDER:
        snprintf(out, size, "a directory's name");
        break;
    case KIND_NUMBER:
        snprintf(out, size, "a whole number from %llu to %llu", min, max);
        break;
    case KIND_SIZE:
        snprintf(out, size, "bytes, or a size like 64KiB, 10MiB or 1GiB, at most %llu", max);
        break;
    case KIND_DURATION:
        snprintf(out, size, "a duration like 250ms, 30s, 5m, 2h or 7d, from %llums to %llus",
                 min / 1000, max / SECOND);
        break;
    case KIND_SPAN:
        snprintf(out, size, "two durations like 1s..5m, the second not less than the first");
        break;
    case KIND_URL:
        snprintf(out, size, "http://HOST%s, without user, password or fragment",
                 http_client_has_tls() ? " or https://HOST" : "");
        break;
    case KIND_ORIGIN:
        snprintf(out, size, "an origin like https://app.example, in lower case, no path");
        break;
    case KIND_COMMAND:
        snprintf(out, size, "a JSON array of strings, the command and its arguments");
        break;
    case KIND_CHOICE: {
        size_t used = 0;
        for (const char *const *choice = spec->choices; *choice != NULL; choice++)
            used +=
                (size_t)snprintf(out + used, size - used, "%s%s", used > 0 ? ", " : "", *choice);
        break;
    }
    case KIND_FLAG:
    case KIND_ACTION:
        snprintf(out, size, "true or false");
        break;
    }
}

static bool read_choice(const struct option_spec *spec, const char *text, unsigned *choice)
{
    for (unsigned i = 0; spec->choices[i] != NULL; i++) {
        if (strcmp(spec->choices[i], text) == 0) {
            *choice = i;
            return true;
        }
    }
    return false;
}

static bool read_span(const char *text, int64_t max_us, struct span *span)
{
    char first[32];
    const char *dots = strstr(text, "..");
    if (dots == NULL || (size_t)(dots - text) >= sizeof first)
        return false;
    memcpy(first, text, (size_t)(dots - text));
    first[dots - text] = '\0';
    return text_to_duration(first, &span->min_us) && text_to_duration(dots + 2, &span->max_us) &&
           span->min_us <= span->max_us && span->max_us <= max_us;
}

static bool read_flag(const char *text, bool *flag)
{
    bool yes = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    bool no = strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
    *flag = yes;
    return yes || no;
}

bool option_apply(const struct option_spec *spec, void *target, const char *text)
{
    void *place = (char *)target + spec->offset;
    uint64_t *number = place;
    int64_t *us = place;
    switch (spec->kind) {
    case KIND_ADDRESS:
        if (!listen_address_valid(text) || strlen(text) >= sizeof((struct options *)NULL)->listen)
            return false;
        strcpy(place, text);
        return true;
    case KIND_NUMBER:
        return text_to_number(text, spec->max, number) && *number >= spec->min;
    case KIND_SIZE:
        return text_to_size(text, number) && *number >= spec->min && *number <= spec->max;
    case KIND_DURATION:
        return text_to_duration(text, us) && (uint64_t)*us >= spec->min &&
               (uint64_t)*us <= spec->max;
    case KIND_SPAN:
        return read_span(text, (int64_t)spec->max, place);
    case KIND_FILE:
    case KIND_FOLDER:
        return *text != '\0' && (*(char **)place = strdup(text)) != NULL;
    case KIND_URL:
        return post_url_ok(text) && (*(char **)place = strdup(text)) != NULL;
    case KIND_ORIGIN:
        return cors_origin_valid(text) && (*(char **)place = strdup(text)) != NULL;
    case KIND_COMMAND:
        return (*(char ***)place = json_words(text)) != NULL;
    case KIND_CHOICE:
        return read_choice(spec, text, place);
    case KIND_FLAG:
        return read_flag(text, place);
    case KIND_PATH:
    case KIND_ACTION:
        break;
    }
    return true;
}

static bool same_text(const char *text, const char *other)
{
    return text == NULL || other == NULL ? text == other : strcmp(text, other) == 0;
}

static bool same_words(char *const *words, char *const *others)
{
    if (words == NULL || others == NULL)
        return words == others;
    for (; *words != NULL && *others != NULL; words++, others++)
        if (strcmp(*words, *others) != 0)
            return false;
    return *words == *others;
}

bool option_same(const struct option_spec *spec, const void *target, const void *other)
{
    const void *place = (const char *)target + spec->offset;
    const void *against = (const char *)other + spec->offset;
    switch (spec->kind) {
    case KIND_ADDRESS:
        return strcmp(place, against) == 0;
    case KIND_NUMBER:
    case KIND_SIZE:
        return *(const uint64_t *)place == *(const uint64_t *)against;
    case KIND_DURATION:
        return *(const int64_t *)place == *(const int64_t *)against;
    case KIND_SPAN:
        return memcmp(place, against, sizeof(struct span)) == 0;
    case KIND_FILE:
    case KIND_FOLDER:
    case KIND_URL:
    case KIND_ORIGIN:
        return same_text(*(char *const *)place, *(char *const *)against);
    case KIND_COMMAND:
        return same_words(*(char **const *)place, *(char **const *)against);
    case KIND_CHOICE:
        return *(const unsigned *)place == *(const unsigned *)against;
    case KIND_FLAG:
        return *(const bool *)place == *(const bool *)against;
    case KIND_PATH:
    case KIND_ACTION:
        break;
    }
    return true;
}
