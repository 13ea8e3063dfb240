/* SPDX-License-Identifier: MIT */
#include "base/json_scan.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/chars.h"

/* ---- reading */

unsigned json_line_at(const char *text, const char *at)
{
    unsigned line = 1;
    for (; text < at && *text != '\0'; text++)
        line += *text == '\n';
    return line;
}

/* Counts the keys of the tree in the order of the text, up to `item`'s. */
static bool count_keys(const cJSON *tree, const cJSON *item, unsigned *keys)
{
    for (const cJSON *child = tree->child; child != NULL; child = child->next) {
        if (child->string != NULL)
            ++*keys;
        if (child == item || count_keys(child, item, keys))
            return true;
    }
    return false;
}

static const char *after_string(const char *at)
{
    for (at++; *at != '\0' && *at != '"'; at++)
        if (*at == '\\' && at[1] != '\0')
            at++;
    return *at == '"' ? at + 1 : at;
}

/* Is a string a key or a value? What stands behind it says so. */
static bool is_key(const char *behind)
{
    return behind[strspn(behind, " \t\r\n")] == ':';
}

/* The next string, from quote to quote, its end in *end; NULL when there is none. */
static const char *next_string(const char *at, const char **end)
{
    const char *string = strchr(at, '"');
    if (string != NULL)
        *end = after_string(string);
    return string;
}

unsigned json_line(const char *text, const cJSON *root, const cJSON *item)
{
    unsigned keys = 0;
    if (!count_keys(root, item, &keys))
        return 1;
    const char *string, *end = text;
    while ((string = next_string(end, &end)) != NULL)
        if (is_key(end) && --keys == 0)
            return json_line_at(text, string);
    return 1;
}

static bool has_nul(const char *string, const char *end)
{
    for (; string < end; string++)
        if (*string == '\\' && strncmp(++string, "u0000", 5) == 0)
            return true;
    return false;
}

const char *json_cut_key(const char *text, size_t *size)
{
    const char *key = text, *string, *end = text;
    *size = 0;
    while ((string = next_string(end, &end)) != NULL) {
        if (is_key(end)) {
            key = string + 1;
            *size = (size_t)(end - string) - 2;
        }
        if (has_nul(string, end))
            return key;
    }
    return NULL;
}

/* ---- writing */

char json_escape_letter(char c)
{
    static const char special[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *at = c != '\0' ? strchr(special, c) : NULL;
    return at != NULL ? letters[at - special] : '\0';
}

char *json_escape(const char *string, char *out, size_t size)
{
    size_t used = 0;
    for (; *string != '\0' && used + sizeof "\\u0000" <= size; string++) {
        char letter = json_escape_letter(*string);
        if (letter != '\0')
            used += (size_t)snprintf(out + used, size - used, "\\%c", letter);
        else if (char_is_printable(*string))
            out[used++] = *string;
        else
            used += (size_t)snprintf(out + used, size - used, "\\u%04x", (unsigned char)*string);
    }
    out[used] = '\0';
    return out;
}
