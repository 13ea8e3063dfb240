/* SPDX-License-Identifier: MIT */
#include "base/json_walk.h"

#include <stdio.h>
#include <string.h>

#include "base/chars.h"
#include "base/text.h"

enum { DEPTH_MAX = 100 };

/* What is read, and how far; `at` may be `end`. */
struct walk {
    const char *at, *end;
};

static void skip_blanks(struct walk *walk)
{
    while (walk->at < walk->end && strchr(" \t\r\n", *walk->at) != NULL && *walk->at != '\0')
        walk->at++;
}

static bool skip(struct walk *walk, char c)
{
    bool there = walk->at < walk->end && *walk->at == c;
    walk->at += there;
    return there;
}

static bool skip_digits(struct walk *walk)
{
    const char *from = walk->at;
    while (walk->at < walk->end && char_is_digit(*walk->at))
        walk->at++;
    return walk->at > from;
}

static bool skip_number(struct walk *walk)
{
    (void)skip(walk, '-');
    if (!skip(walk, '0') && !skip_digits(walk))
        return false;
    if (skip(walk, '.') && !skip_digits(walk))
        return false;
    if (!skip(walk, 'e') && !skip(walk, 'E'))
        return true;
    if (!skip(walk, '+'))
        (void)skip(walk, '-');
    return skip_digits(walk);
}

static bool skip_word(struct walk *walk, const char *word)
{
    size_t size = strlen(word);
    bool there = (size_t)(walk->end - walk->at) >= size && memcmp(walk->at, word, size) == 0;
    walk->at += there ? size : 0;
    return there;
}

static bool skip_escape(struct walk *walk)
{
    if (walk->at >= walk->end || strchr("\"\\/bfnrtu", *walk->at) == NULL || *walk->at == '\0')
        return false;
    if (*walk->at++ != 'u')
        return true;
    for (int i = 0; i < 4; i++, walk->at++)
        if (walk->at >= walk->end || char_hex(*walk->at) < 0)
            return false;
    return true;
}

static bool skip_string(struct walk *walk)
{
    if (!skip(walk, '"'))
        return false;
    while (walk->at < walk->end && *walk->at != '"') {
        if ((unsigned char)*walk->at < ' ')
            return false;
        if (*walk->at++ == '\\' && !skip_escape(walk))
            return false;
    }
    return skip(walk, '"');
}

static bool skip_scalar(struct walk *walk)
{
    if (walk->at >= walk->end)
        return false;
    if (*walk->at == '"')
        return skip_string(walk);
    return skip_word(walk, "true") || skip_word(walk, "false") || skip_word(walk, "null") ||
           skip_number(walk);
}

/* The name of a member and its colon. */
static bool skip_name(struct walk *walk)
{
    skip_blanks(walk);
    if (!skip_string(walk))
        return false;
    skip_blanks(walk);
    return skip(walk, ':');
}

/* After a value: reads the ends of the objects and arrays that it was the last of, and what stands
 * before the next value. */
static bool skip_ends(struct walk *walk, const char *closers, int *depth)
{
    skip_blanks(walk);
    while (*depth > 0 && skip(walk, closers[*depth - 1])) {
        --*depth;
        skip_blanks(walk);
    }
    if (*depth == 0)
        return true;
    return skip(walk, ',') && (closers[*depth - 1] == ']' || skip_name(walk));
}

/* Goes into an object or array. True: it is not empty, and its first value comes next. */
static bool enter(struct walk *walk, char closers[DEPTH_MAX], int *depth, bool *good)
{
    char closer = walk->at < walk->end && *walk->at == '{'   ? '}'
                  : walk->at < walk->end && *walk->at == '[' ? ']'
                                                             : '\0';
    if (closer == '\0') {
        *good = skip_scalar(walk);
        return false;
    }
    walk->at++;
    skip_blanks(walk);
    *good = *depth < DEPTH_MAX;
    if (skip(walk, closer))
        return false;
    *good = *good && (closer == ']' || skip_name(walk));
    if (*good)
        closers[(*depth)++] = closer;
    return *good;
}

static bool skip_value(struct walk *walk)
{
    char closers[DEPTH_MAX];
    int depth = 0;
    bool good = true;
    do {
        skip_blanks(walk);
        if (!enter(walk, closers, &depth, &good) && good)
            good = skip_ends(walk, closers, &depth);
    } while (good && depth > 0);
    return good;
}

static bool is_one(const char *text, size_t size, char opener)
{
    struct walk walk = {text, text + size};
    skip_blanks(&walk);
    bool one = walk.at < walk.end && *walk.at == opener && skip_value(&walk);
    skip_blanks(&walk);
    return one && walk.at == walk.end;
}

bool json_is_object(const char *text, size_t size)
{
    return is_one(text, size, '{');
}

bool json_is_array(const char *text, size_t size)
{
    return is_one(text, size, '[');
}

static struct json_token token(const char *from, const struct walk *walk)
{
    const char *end = walk->at;
    while (end > from && strchr(" \t\r\n", end[-1]) != NULL)
        end--;
    return (struct json_token){from, (size_t)(end - from)};
}

static struct json_token next_value(struct walk *walk)
{
    skip_blanks(walk);
    const char *from = walk->at;
    (void)skip_value(walk);
    return token(from, walk);
}

/* In front of a member or an item; false when there is none any more. */
static bool begin(struct walk *walk, char opener)
{
    skip_blanks(walk);
    if (!skip(walk, opener))
        (void)skip(walk, ',');
    skip_blanks(walk);
    return walk->at < walk->end && *walk->at != '}' && *walk->at != ']';
}

bool json_next_member(const char *object, size_t size, size_t *at, struct json_token *name,
                      struct json_token *value)
{
    struct walk walk = {object + *at, object + size};
    if (!begin(&walk, *at == 0 ? '{' : ','))
        return false;
    const char *from = walk.at;
    (void)skip_string(&walk);
    *name = token(from, &walk);
    skip_blanks(&walk);
    (void)skip(&walk, ':');
    *value = next_value(&walk);
    *at = (size_t)(walk.at - object);
    return true;
}

bool json_next_item(const struct json_token *array, size_t *at, struct json_token *item)
{
    struct walk walk = {array->text + *at, array->text + array->size};
    if (!begin(&walk, *at == 0 ? '[' : ','))
        return false;
    *item = next_value(&walk);
    *at = (size_t)(walk.at - array->text);
    return true;
}

/* ---- strings */

static uint32_t read_hex(const char *digits)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++)
        value = value * 16 + (uint32_t)char_hex(digits[i]);
    return value;
}

static size_t put_utf8(uint32_t c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t bytes = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = bytes; i-- > 1; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(leads[bytes] | c);
    return bytes;
}

/* A \uNNNN, or two of them; `*at` stands behind the u. False: half a pair. */
static bool read_unicode(const char **at, const char *end, uint32_t *c)
{
    *c = read_hex(*at);
    *at += 4;
    if (*c < 0xd800 || *c > 0xdfff)
        return true;
    if (*c > 0xdbff || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u')
        return false;
    uint32_t low = read_hex(*at + 2);
    *at += 6;
    *c = 0x10000 + ((*c - 0xd800) << 10) + (low - 0xdc00);
    return low >= 0xdc00 && low <= 0xdfff;
}

bool json_decode(const struct json_token *string, char *out, size_t *size)
{
    static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";
    const char *at = string->text + 1, *end = string->text + string->size - 1;
    size_t used = 0;
    while (at < end) {
        if (*at != '\\') {
            out[used++] = *at++;
            continue;
        }
        const char *letter = strchr(letters, at[1]);
        uint32_t c = (unsigned char)(letter != NULL ? meant[letter - letters] : at[1]);
        bool unicode = at[1] == 'u';
        at += 2;
        if (unicode && !read_unicode(&at, end, &c))
            return false;
        used += put_utf8(c, out + used);
    }
    *size = used;
    return true;
}

bool json_read_number(const struct json_token *value, uint64_t max, uint64_t *number)
{
    char digits[24];
    if (value->size >= sizeof digits)
        return false;
    snprintf(digits, sizeof digits, "%.*s", (int)value->size, value->text);
    return text_to_number(digits, max, number);
}
