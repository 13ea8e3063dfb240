/* SPDX-License-Identifier: MIT */
/* What the text of an option means, and which texts are allowed, by the option's kind. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kind {
    KIND_ADDRESS,
    KIND_PATH,
    KIND_FILE,
    KIND_FOLDER,
    KIND_NUMBER,
    KIND_SIZE,
    KIND_DURATION,
    KIND_SPAN,
    KIND_URL,
    KIND_ORIGIN,
    KIND_COMMAND,
    KIND_CHOICE,
    KIND_FLAG,
    KIND_ACTION
};

enum target { OF_SERVER, OF_QUEUE };

struct option_spec {
    const char *name;
    char letter;       /* 0: none */
    const char *takes; /* for the help; NULL: no value */
    const char *standard;
    enum kind kind;
    enum target target;
    size_t offset; /* in struct options or struct queue_options */
    uint64_t min, max;
    const char *const *choices;
    const char *help;
};

/* Writes the value at the option's place in `target`, a struct options or queue_options; false when
 * the text is not allowed, or memory is short. */
bool option_apply(const struct option_spec *spec, void *target, const char *text);

/* What is allowed, for an error line; never more than 160 bytes. */
void option_allowed(const struct option_spec *spec, char *out, size_t size);

/* The same value in both? */
bool option_same(const struct option_spec *spec, const void *target, const void *other);
