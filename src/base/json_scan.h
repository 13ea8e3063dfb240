/* SPDX-License-Identifier: MIT */
/* What only the text of JSON says, and no tree: the lines that keys stand on, strings that have a
 * NUL, how a string is written. `text` must have been parsed without an error. */
#pragma once

#include <stddef.h>

#include "base/json.h"

/* The line of the character at `at` in `text`, counted from 1. */
unsigned json_line_at(const char *text, const char *at);

/* The line on which `item`'s key stands. `root` is `text` parsed. */
unsigned json_line(const char *text, const cJSON *root, const cJSON *item);

/* cJSON cuts a string at \u0000. Where in `text` the first key stands that has one, itself or in
 * its value, and its *size; NULL when there is none. */
const char *json_cut_key(const char *text, size_t *size);

/* The letter that stands for this character behind a backslash: n for a line feed; 0: none does. */
char json_escape_letter(char c);

/* The string as JSON, without quotes, in printable ASCII alone; cut where it does not fit into
 * `size`, which is at least 7. Bytes that are not ASCII are taken for ISO 8859-1. Returns `out`. */
char *json_escape(const char *string, char *out, size_t size);
