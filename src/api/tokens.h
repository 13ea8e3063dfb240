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
 * A token may stand in several lines. Tokens are never shown. */
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
    char queue[JOBD_QUEUE_NAME_MAX + 1]; /* "": all */
    unsigned line;                       /* of the file */
    size_t size;
    unsigned char bytes[TOKEN_MAX]; /* zeros behind them */
};

/* What the file says. */
struct tokens {
    const char *path; /* borrowed */
    unsigned mode;    /* the file's */
    size_t len;
    struct token of[];
};

/* As the file says it. */
const char *scope_name(enum scope scope);

/* For tokens_free(). NULL when the file is wrong: one line in `problem` names file, line and what
 * is allowed, but no token. */
struct tokens *tokens_read(const char *path, struct problem *problem);
/* Does each queue that a scope names exist? `declared` says so; else `problem` names the line. */
bool tokens_check(const struct tokens *tokens,
                  bool (*declared)(const void *context, const char *queue), const void *context,
                  struct problem *problem);
/* Logs what is allowed and risky: a file that all can read, tokens that can be guessed. */
void tokens_warn(const struct tokens *tokens);
/* Overwrites them. Takes NULL. */
void tokens_free(struct tokens *tokens);
