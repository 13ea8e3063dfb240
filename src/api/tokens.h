/* SPDX-License-Identifier: MIT */
/* A file of bearer tokens (RFC 6750), each with a scope.
 *
 *     # comment
 *     admin     8f1cf4...   all
 *     put       52ad09...   puts jobs, and reads
 *     work:mail 771a3e...   takes jobs of one queue, and reads what concerns it
 *     read      c02b1d...   looks, but sees no payload and no output
 *     read+data 5e9a70...   sees them too
 *
 * A token may stand in several lines. No message, log or answer ever shows one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/problem.h"
#include "base/secret.h"
#include "jobd/queue.h"

enum scope {
    SCOPE_OPEN, /* for everybody, also without a token */
    SCOPE_READ, /* every token has it */
    SCOPE_DATA, /* payloads and outputs: every token but those of scope `read` */
    SCOPE_PUT,
    SCOPE_WORK,
    SCOPE_ADMIN
};

struct token {
    enum scope scope;
    char queue[JOBD_QUEUE_NAME_MAX + 1]; /* the one it is for; "": all */
    unsigned line;                       /* its number in the file */
    size_t size;
    unsigned char bytes[TOKEN_MAX]; /* zeros behind them */
};

/* The whole file. */
struct tokens {
    const char *path; /* borrowed */
    unsigned mode;    /* the file's */
    size_t len;
    struct token of[];
};

/* The word for it in the file. */
const char *scope_name(enum scope scope);

/* Reads the file: blocks. The caller passes the result to tokens_free(). NULL when the file is
 * wrong: `problem` names file, line and what is allowed, but no token. */
struct tokens *tokens_read(const char *path, struct problem *problem);
/* Does each queue that the file names exist, as `declared` says? False: `problem` names the
 * line. */
bool tokens_check(const struct tokens *tokens,
                  bool (*declared)(const void *context, const char *queue), const void *context,
                  struct problem *problem);
/* Logs warnings about what is allowed but risky: a file that everybody can read, tokens that can be
 * guessed. */
void tokens_warn(const struct tokens *tokens);
/* Overwrites them with zeros, and frees them. Takes NULL. */
void tokens_free(struct tokens *tokens);
