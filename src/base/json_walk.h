/* SPDX-License-Identifier: MIT */
/* JSON read where it stands, without a tree: what it takes does not depend on what a client sends,
 * and a value can be kept as its text, digit by digit. No allocation. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A value as it stands, blanks around it left out. */
struct json_token {
    const char *text;
    size_t size;
};

/* One object by RFC 8259, at most 100 deep, and nothing else? UTF-8 is not looked at. */
bool json_is_object(const char *text, size_t size);
/* The same of an array. */
bool json_is_array(const char *text, size_t size);

/* The next member of such an object: starts with *at 0; false when there is none any more. The name
 * is a string with its quotes. */
bool json_next_member(const char *object, size_t size, size_t *at, struct json_token *name,
                      struct json_token *value);
/* The next item of an array in the same way. */
bool json_next_item(const struct json_token *array, size_t *at, struct json_token *item);

/* What a string says, in at most token->size - 2 bytes, without a NUL: how many; false when it has
 * half a surrogate pair, which is no character. */
bool json_decode(const struct json_token *string, char *out, size_t *size);
/* A number of digits alone, up to max; false when it is none. */
bool json_read_number(const struct json_token *value, uint64_t max, uint64_t *number);
