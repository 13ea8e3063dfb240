/* SPDX-License-Identifier: MIT */
/* cJSON, and what jobd needs beyond it. No other file includes cJSON.h. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The object as one line, with a line feed at its end, to be freed; NULL when `object` is, or
 * memory is short. */
char *json_text(const cJSON *object);

/* The strings of a JSON array, NULL at the end, in one piece, to be freed. NULL when memory is
 * short, or `text` is anything else than an array of at least one string, the first not empty and
 * none with a NUL. */
char **json_words(const char *text);
/* The members of a JSON object, all of whose values are strings, each as its name, `between` and
 * its value; otherwise as json_words(), but there may be none. No name may have the first character
 * of `between`. */
char **json_pairs(const char *text, const char *between);
/* A JSON array of these strings, which end with NULL; to be freed. NULL when memory is short. */
char *json_from_words(char *const *words);
