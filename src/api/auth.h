/* SPDX-License-Identifier: MIT */
/* Who may do what: a file of bearer tokens (RFC 6750), each with a scope.
 *
 *     # comment
 *     admin     8f1cf4...   all
 *     put       52ad09...   puts jobs, and reads
 *     work:mail 771a3e...   takes jobs of one queue, and reads what concerns it
 *     read      c02b1d...   looks, but sees no payload and no output
 *     read+data 5e9a70...   sees them too
 *
 * A token may stand in several lines. Tokens are compared in constant time and never shown. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/problem.h"

enum scope {
    SCOPE_OPEN, /* for everybody, also without a token */
    SCOPE_READ, /* every token has it */
    SCOPE_DATA, /* payloads and outputs: every token but those of scope `read` */
    SCOPE_PUT,
    SCOPE_WORK,
    SCOPE_ADMIN
};

enum verdict {
    VERDICT_GOOD,
    VERDICT_UNKNOWN,  /* there is no such token */
    VERDICT_FORBIDDEN /* its scope does not reach that far */
};

/* As the file says it. */
const char *auth_scope_name(enum scope scope);

struct auth;
struct tokens; /* what the file says */

/* Reads the file; it is borrowed until auth_free(). False, with one line in `problem` that
 * names file, line and what is allowed, but no token. */
bool auth_open(struct auth **auth, const char *path, struct problem *problem);
/* Reads it again, for auth_replace() or tokens_free(). NULL when it is wrong, as above. */
struct tokens *auth_read(const struct auth *auth, struct problem *problem);
/* Does each queue that a scope names exist? `declared` says so; else `problem` names the line. */
bool tokens_check(const struct tokens *tokens, const struct auth *auth,
                  bool (*declared)(const void *context, const char *queue), const void *context,
                  struct problem *problem);
/* Those that count; nobody may replace them meanwhile. */
const struct tokens *auth_tokens(struct auth *auth);
/* Requests are judged by these; they are taken. */
void auth_replace(struct auth *auth, struct tokens *tokens);
/* Takes NULL. */
void tokens_free(struct tokens *tokens);
/* Logs what is allowed and risky: a file that all can read, tokens that can be guessed. In the
 * thread that replaces them. */
void auth_warn(struct auth *auth);
/* Takes NULL. */
void auth_free(struct auth *auth);

/* May the bearer of this token do what needs `scope`? `queue`: what it concerns; "*" is any one
 * queue, NULL none in particular, which tokens for one queue do not reach. In any thread; blocks
 * for no longer than a swap. */
enum verdict auth_judge(struct auth *auth, const char *token, size_t size, enum scope scope,
                        const char *queue);
