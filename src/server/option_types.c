/* SPDX-License-Identifier: MIT */
#include "server/option_types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/text.h"
#include "base/url_prefix.h"
#include "http/cors.h"
#include "http/listen.h"
#include "http/proxies.h"
#include "ledger/ledger.h"
#include "run/exec_env.h"
#include "run/http_client.h"
#include "run/passed_fields.h"
#include "run/post.h"

#define SECOND UINT64_C(1000000)

/* ---- texts */

static bool parse_text(const struct option_spec *spec, const char *text, void *value)
{
    bool (*valid)(const char *text) = spec->type->valid;
    return *text != '\0' && (valid == NULL || valid(text)) &&
           (*(char **)value = strdup(text)) != NULL;
}

static bool data_valid(const char *text)
{
    struct problem unused;
    return !ledger_is_url(text) || ledger_check(text, &unused);
}

static void expect_url(const struct option_spec *spec, char *out, size_t size)
{
    (void)spec;
    snprintf(out, size, "http://HOST%s, without user, password or fragment",
             http_client_has_tls() ? " or https://HOST" : "");
}

static bool same_text(const void *value, const void *other)
{
    const char *text = *(char *const *)value, *against = *(char *const *)other;
    return text == NULL || against == NULL ? text == against : strcmp(text, against) == 0;
}

static void release_text(void *value)
{
    free(*(char **)value);
}

/* ---- commands */

static bool parse_command(const struct option_spec *spec, const char *text, void *value)
{
    (void)spec;
    return (*(char ***)value = json_words(text)) != NULL;
}

static bool same_command(const void *value, const void *other)
{
    char *const *words = *(char **const *)value, *const *others = *(char **const *)other;
    if (words == NULL || others == NULL)
        return words == others;
    for (; *words != NULL && *others != NULL; words++, others++)
        if (strcmp(*words, *others) != 0)
            return false;
    return *words == *others;
}

static void release_command(void *value)
{
    free(*(char ***)value);
}

/* ---- names */

/* Not those that jobd makes itself, that are about the connection or the body, or that say who the
 * client is to jobd. */
static bool passes(const char *name)
{
    static const char *const refused[] = {"authorization", "host", "proxy-authorization"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (strcasecmp(name, refused[i]) == 0)
            return false;
    return strlen(name) < PASSED_NAME_SIZE && (post_field_ok(name) || passed_fields_signs(name));
}

/* Is it the same to whom it is passed on? Two that only differ in case, or whose variables would be
 * one, are. */
static bool same_name(const char *name, const char *other)
{
    for (; *name != '\0' && *other != '\0'; name++, other++)
        if (exec_env_letter(*name) != exec_env_letter(*other))
            return false;
    return *name == *other;
}

static bool names_ok(char *const *names)
{
    size_t len = 0;
    for (; names[len] != NULL; len++) {
        if (len == PASSED_NAMES_MAX || !passes(names[len]))
            return false;
        for (size_t i = 0; i < len; i++)
            if (same_name(names[i], names[len]))
                return false;
    }
    return true;
}

static bool parse_names(const struct option_spec *spec, const char *text, void *value)
{
    char **names = json_words(text);
    (void)spec;
    if (names != NULL && names_ok(names)) {
        *(char ***)value = names;
        return true;
    }
    free(names);
    return false;
}

/* ---- prefixes of URLs */

enum { PREFIXES_MAX = 100 };

/* In place of the blanks between them. */
static char **split_words(const char *text)
{
    char *copy = strdup(text), *left = copy, *word;
    char *words[PREFIXES_MAX + 2];
    size_t len = 0;
    while (copy != NULL && len <= PREFIXES_MAX && (word = strsep(&left, " \t\n")) != NULL)
        if (*word != '\0')
            words[len++] = word;
    words[len] = NULL;
    char **list = copy != NULL ? text_words_copy(words) : NULL;
    free(copy);
    return list;
}

static bool parse_prefixes(const struct option_spec *spec, const char *text, void *value)
{
    char **words = *text == '[' ? json_words(text) : split_words(text);
    size_t len = 0;
    (void)spec;
    while (words != NULL && words[len] != NULL && len <= PREFIXES_MAX &&
           url_prefix_ok(words[len]) && post_url_ok(words[len]))
        len++;
    if (words != NULL && words[len] == NULL && len > 0 && len <= PREFIXES_MAX) {
        *(char ***)value = words;
        return true;
    }
    free(words);
    return false;
}

static void expect_prefixes(const struct option_spec *spec, char *out, size_t size)
{
    (void)spec;
    snprintf(out, size, "at most %d URLs, http://HOST%s, perhaps with a port and a path, no more",
             PREFIXES_MAX, http_client_has_tls() ? " or https://HOST" : "");
}

/* ---- addresses */

static bool parse_proxies(const struct option_spec *spec, const char *text, void *value)
{
    struct proxies proxies;
    (void)spec;
    if (!proxies_parse(&proxies, text))
        return false;
    memcpy(value, &proxies, sizeof proxies);
    return true;
}

/* ---- pairs */

enum { PAIRS_MAX = 100 };

/* Of a pair that has `between` between name and value. */
static size_t name_length(const char *pair, char between)
{
    const char mark[] = {between, '\0'};
    return strcspn(pair, mark);
}

/* Is each pair right, and no name there twice? Names of fields are the same in any case. */
static bool all_pairs(char *const *pairs, char between, bool (*good)(const char *pair))
{
    size_t len = 0;
    for (; pairs[len] != NULL; len++) {
        size_t length = name_length(pairs[len], between) + 1;
        if (len == PAIRS_MAX || !good(pairs[len]))
            return false;
        for (size_t i = 0; i < len; i++)
            if ((between == ':' ? strncasecmp : strncmp)(pairs[i], pairs[len], length) == 0)
                return false;
    }
    return true;
}

static bool parse_pairs(const char *text, const char *between, bool (*good)(const char *pair),
                        char ***value)
{
    char **pairs = json_pairs(text, between);
    if (pairs != NULL && all_pairs(pairs, between[0], good)) {
        *value = pairs;
        return true;
    }
    free(pairs);
    return false;
}

static bool variable_ok(const char *pair)
{
    char name[256];
    size_t length = name_length(pair, '=');
    snprintf(name, sizeof name, "%.*s", (int)length, pair);
    return length < sizeof name && exec_env_name_ok(name);
}

static bool parse_variables(const struct option_spec *spec, const char *text, void *value)
{
    (void)spec;
    return parse_pairs(text, "=", variable_ok, value);
}

const char *option_field_file(const char *field)
{
    const char *value = field + name_length(field, ':') + strlen(": ");
    return *value == '@' ? value + 1 : NULL;
}

static bool field_ok(const char *pair)
{
    char name[256];
    size_t length = name_length(pair, ':');
    const char *value = pair + length + strlen(": ");
    snprintf(name, sizeof name, "%.*s", (int)length, pair);
    return length < sizeof name && post_field_ok(name) && strcmp(value, "@") != 0 &&
           http_client_value_ok(value);
}

static bool parse_fields(const struct option_spec *spec, const char *text, void *value)
{
    (void)spec;
    return parse_pairs(text, ": ", field_ok, value);
}

/* ---- numbers */

static bool parse_nice(const struct option_spec *spec, const char *text, void *value)
{
    struct niceness *nice = value;
    bool below = *text == '-';
    uint64_t number;
    (void)spec;
    if (!text_to_number(text + below, below ? 20 : 19, &number))
        return false;
    *nice = (struct niceness){.value = below ? -(int)number : (int)number, .given = true};
    return true;
}

static bool same_nice(const void *value, const void *other)
{
    const struct niceness *one = value, *two = other;
    return one->given == two->given && one->value == two->value;
}

static bool within(const struct option_spec *spec, uint64_t number)
{
    return number >= spec->min && number <= spec->max;
}

static bool parse_number(const struct option_spec *spec, const char *text, void *value)
{
    uint64_t *number = value;
    return text_to_number(text, spec->max, number) && within(spec, *number);
}

static void expect_number(const struct option_spec *spec, char *out, size_t size)
{
    snprintf(out, size, "a whole number from %llu to %llu", (unsigned long long)spec->min,
             (unsigned long long)spec->max);
}

static bool parse_size(const struct option_spec *spec, const char *text, void *value)
{
    uint64_t *bytes = value;
    return text_to_size(text, bytes) && within(spec, *bytes);
}

static void expect_size(const struct option_spec *spec, char *out, size_t size)
{
    snprintf(out, size, "bytes, or a size like 64KiB, 10MiB or 1GiB, at most %llu",
             (unsigned long long)spec->max);
}

static bool parse_duration(const struct option_spec *spec, const char *text, void *value)
{
    int64_t *us = value;
    return text_to_duration(text, us) && within(spec, (uint64_t)*us);
}

static void expect_duration(const struct option_spec *spec, char *out, size_t size)
{
    snprintf(out, size, "a duration like 250ms, 30s, 5m, 2h or 7d, from %llums to %llus",
             (unsigned long long)(spec->min / 1000), (unsigned long long)(spec->max / SECOND));
}

static bool parse_span(const struct option_spec *spec, const char *text, void *value)
{
    struct span *span = value;
    char first[32];
    const char *dots = strstr(text, "..");
    if (dots == NULL || (size_t)(dots - text) >= sizeof first)
        return false;
    memcpy(first, text, (size_t)(dots - text));
    first[dots - text] = '\0';
    return text_to_duration(first, &span->min_us) && text_to_duration(dots + 2, &span->max_us) &&
           span->min_us <= span->max_us && (uint64_t)span->max_us <= spec->max;
}

static bool parse_breaker(const struct option_spec *spec, const char *text, void *value)
{
    struct breaker_terms *breaker = value, read;
    char first[8];
    const char *slash = strchr(text, '/');
    if (slash == NULL || (size_t)(slash - text) >= sizeof first)
        return false;
    snprintf(first, sizeof first, "%.*s", (int)(slash - text), text);
    if (!text_to_number(first, 1000, &read.failures) || read.failures == 0 ||
        !text_to_duration(slash + 1, &read.probe_us) || read.probe_us < (int64_t)SECOND / 100 ||
        (uint64_t)read.probe_us > spec->max)
        return false;
    *breaker = read;
    return true;
}

/* ---- words */

static bool parse_choice(const struct option_spec *spec, const char *text, void *value)
{
    unsigned choice = 0;
    while (spec->choices[choice] != NULL && strcmp(spec->choices[choice], text) != 0)
        choice++;
    *(unsigned *)value = choice;
    return spec->choices[choice] != NULL;
}

static void expect_choice(const struct option_spec *spec, char *out, size_t size)
{
    size_t used = 0;
    for (const char *const *choice = spec->choices; *choice != NULL; choice++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", used > 0 ? ", " : "", *choice);
}

/* In octal digits, as chmod(1) takes them; a 0 in front or not. */
static bool parse_mode(const struct option_spec *spec, const char *text, void *value)
{
    size_t length = strlen(text);
    (void)spec;
    if (length < 3 || length > 4 || strspn(text, "01234567") != length ||
        (length == 4 && text[0] != '0'))
        return false;
    *(unsigned *)value = (unsigned)strtoul(text, NULL, 8);
    return *(unsigned *)value != 0;
}

static bool parse_flag(const struct option_spec *spec, const char *text, void *value)
{
    bool yes = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    (void)spec;
    *(bool *)value = yes;
    return yes || strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
}

/* ---- the kinds */

#define TEXT                                                                                       \
    .size = sizeof(char *), .json = JSON_STRING, .in_json = "a string", .parse = parse_text,       \
    .same = same_text, .release = release_text

const struct option_type type_address = {TEXT, .valid = listen_address_valid,
                                         .expected = "HOST:PORT, :PORT, [IPV6]:PORT or unix:PATH"};
const struct option_type type_file = {TEXT, .expected = "a file's name"};
const struct option_type type_name = {TEXT, .expected = "a name"};
const struct option_type type_data = {
    TEXT, .valid = data_valid, .hidden = true,
    .expected = "a directory's name, or postgres://USER@HOST:PORT/DATABASE as libpq has it"};
const struct option_type type_directory = {TEXT, .expected = "a directory's name"};
const struct option_type type_path = {TEXT, .expected = "a socket's name"};
const struct option_type type_user = {TEXT, .expected = "a user's name"};
const struct option_type type_variables = {
    .size = sizeof(char **),
    .json = JSON_PAIRS,
    .in_json = "an object of strings",
    .parse = parse_variables,
    .same = same_command,
    .release = release_command,
    .hidden = true,
    .expected = "an object of at most 100 strings, whose names are letters, digits and _, and none "
                "that jobd sets itself"};
const struct option_type type_fields = {
    .size = sizeof(char **),
    .json = JSON_PAIRS,
    .in_json = "an object of strings",
    .parse = parse_fields,
    .same = same_command,
    .release = release_command,
    .hidden = true,
    .expected = "an object of at most 100 strings, names of fields that jobd does not make itself, "
                "and their values, or @FILE"};
const struct option_type type_names = {
    .size = sizeof(char **),
    .json = JSON_WORDS,
    .in_json = "an array of strings",
    .parse = parse_names,
    .same = same_command,
    .release = release_command,
    .expected = "an array of 1 to 16 names of fields, each once, of at most 64 bytes, not "
                "Authorization, Host nor any that jobd makes itself"};
const struct option_type type_nice = {.size = sizeof(struct niceness),
                                      .json = JSON_NUMBER,
                                      .in_json = "a number",
                                      .parse = parse_nice,
                                      .same = same_nice,
                                      .expected = "a whole number from -20 to 19"};
const struct option_type type_url = {TEXT, .valid = post_url_ok, .expect = expect_url};
const struct option_type type_prefixes = {.size = sizeof(char **),
                                          .json = JSON_STRING | JSON_WORDS,
                                          .in_json = "a string or an array of strings",
                                          .parse = parse_prefixes,
                                          .same = same_command,
                                          .release = release_command,
                                          .expect = expect_prefixes};
const struct option_type type_origin = {
    TEXT, .valid = cors_origin_valid,
    .expected = "an origin like https://app.example, in lower case, no path"};
const struct option_type type_proxies = {
    .size = sizeof(struct proxies),
    .json = JSON_STRING,
    .in_json = "a string",
    .parse = parse_proxies,
    .expected = "at most 16 of ADDRESS, ADDRESS/BITS and unix, with commas between"};
const struct option_type type_command = {
    .size = sizeof(char **),
    .json = JSON_WORDS,
    .in_json = "an array of strings, the command and its arguments",
    .parse = parse_command,
    .same = same_command,
    .release = release_command,
    .expected = "a JSON array of strings, the command and its arguments"};
const struct option_type type_number = {.size = sizeof(uint64_t),
                                        .json = JSON_NUMBER,
                                        .in_json = "a number",
                                        .parse = parse_number,
                                        .expect = expect_number};
const struct option_type type_size = {.size = sizeof(uint64_t),
                                      .json = JSON_NUMBER | JSON_STRING,
                                      .in_json = "a number of bytes or a string like \"64KiB\"",
                                      .parse = parse_size,
                                      .expect = expect_size};
const struct option_type type_duration = {.size = sizeof(int64_t),
                                          .json = JSON_STRING,
                                          .in_json = "a string like \"30s\"",
                                          .parse = parse_duration,
                                          .expect = expect_duration};
const struct option_type type_span = {
    .size = sizeof(struct span),
    .json = JSON_STRING,
    .in_json = "a string like \"1s..5m\"",
    .parse = parse_span,
    .expected = "two durations like 1s..5m, the second not less than the first"};
const struct option_type type_breaker = {
    .size = sizeof(struct breaker_terms),
    .json = JSON_STRING,
    .in_json = "a string like \"5/30s\"",
    .parse = parse_breaker,
    .expected = "a number of failures from 1 to 1000 and a time from 10ms to 1d, like 5/30s"};
const struct option_type type_choice = {.size = sizeof(unsigned),
                                        .json = JSON_STRING,
                                        .in_json = "a string",
                                        .parse = parse_choice,
                                        .expect = expect_choice};
const struct option_type type_mode = {.size = sizeof(unsigned),
                                      .json = JSON_STRING,
                                      .in_json = "a string like \"0660\"",
                                      .parse = parse_mode,
                                      .expected = "a file's mode in octal, like 0660"};
const struct option_type type_flag = {.size = sizeof(bool),
                                      .json = JSON_BOOL,
                                      .in_json = "true or false",
                                      .parse = parse_flag,
                                      .expected = "true or false"};
const struct option_type type_action = {.size = 0};
