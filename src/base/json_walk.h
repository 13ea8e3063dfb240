/* SPDX-License-Identifier: MIT */
/* JSON read in place, without a tree and without an allocation: the memory it takes does not depend
 * on what a client sends, and a value can be kept as its text, digit by digit. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A value as it stands, blanks around it left out. */
struct json_token {
    const char *text;
    size_t size;
};

/* Is it one object by RFC 8259, at most 100 deep, and nothing else? UTF-8 is not checked. */
bool json_is_object(const char *text, size_t size);
/* The same for an array. */
bool json_is_array(const char *text, size_t size);

/* The next member of an object that json_is_object() has accepted; *at is 0 before the first.
 * False: there are no more. The name is a string with its quotes. */
bool json_next_member(const char *object, size_t size, size_t *at, struct json_token *name,
                      struct json_token *value);
/* The next item of an array, in the same way. */
bool json_next_item(const struct json_token *array, size_t *at, struct json_token *item);

/* The bytes that a string stands for, at most string->size - 2 of them, and their *size; no NUL is
 * added. False when it has half a surrogate pair, which is no character. */
bool json_decode(const struct json_token *string, char *out, size_t *size);
/* A number that has digits only, up to `max`; false when it is not. */
bool json_read_number(const struct json_token *value, uint64_t max, uint64_t *number);
