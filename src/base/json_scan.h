/* SPDX-License-Identifier: MIT */
/* JSON as text, which a parsed tree no longer is: the lines that keys stand on, strings that have a
 * NUL, how a string is written. `text` is JSON that has been parsed. */
#pragma once

#include <stddef.h>

#include "base/json.h"

/* The line of the character at `at` in `text`, counted from 1. */
unsigned json_line_at(const char *text, const char *at);

/* The line on which `item`'s key stands. `root` is `text` parsed. */
unsigned json_line(const char *text, const cJSON *root, const cJSON *item);

/* Where the key stands whose string has a \u0000, at which cJSON cuts it, or that has one itself,
 * and its *size in `text`; NULL when there is none. */
const char *json_cut_key(const char *text, size_t *size);

/* The letter that stands for this character behind a backslash: n for a line feed; 0: none does. */
char json_escape_letter(char c);

/* Bytes that the string takes as JSON, its quotes included. */
size_t json_string_bytes(const char *string);

/* The string as JSON, without quotes, all in printable ASCII; cut when it is longer than `size`, at
 * least 7. What is not ASCII is taken for ISO 8859-1. Returns `out`. */
char *json_escape(const char *string, char *out, size_t size);
