/* SPDX-License-Identifier: MIT */
/* cJSON, and what jobd needs beyond it. The one place that includes it. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

/* A whole number, exact up to 2^63 (cJSON's own numbers are doubles). */
bool json_add_int(cJSON *object, const char *name, int64_t value);

/* RFC 3339. */
bool json_add_time(cJSON *object, const char *name, int64_t us);

/* The object in one line with a line feed, to be freed; NULL when memory is short. */
char *json_text(const cJSON *object);

/* The line of `text`, counted from 1, on which `item`'s key stands. `root` is `text` parsed. */
unsigned json_line(const char *text, const cJSON *root, const cJSON *item);

/* The line of the character at `at` in `text`. */
unsigned json_line_at(const char *text, const char *at);
