/* SPDX-License-Identifier: MIT */
/* Who may do what: a file of bearer tokens (RFC 6750), each with a scope.
 *
 *     # comment
 *     admin     8f1cf4...   all
 *     put       52ad09...   puts jobs, and reads
 *     work:mail 771a3e...   takes jobs of one queue, and reads what concerns it
 *
 * A token may stand in several lines. Tokens are compared in constant time and never shown. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { KEYS_ERROR_SIZE = 512 };

enum scope {
    SCOPE_OPEN, /* for everybody, also without a token */
    SCOPE_READ, /* every token has it */
    SCOPE_PUT,
    SCOPE_WORK,
    SCOPE_ADMIN
};

enum verdict {
    VERDICT_GOOD,
    VERDICT_UNKNOWN, /* there is no such token */
    VERDICT_SMALL    /* its scope does not reach that far */
};

struct keys;
struct tokens; /* what the file says */

/* Reads the file; it is borrowed as long as the keys live. False, with one line in `error` that
 * names file, line and what is allowed, but no token. */
bool keys_open(struct keys **keys, const char *path, char error[KEYS_ERROR_SIZE]);
/* Reads it again, for keys_replace() or tokens_free(). NULL when it is wrong, as above. */
struct tokens *keys_read(const struct keys *keys, char error[KEYS_ERROR_SIZE]);
/* These count from now on; they are taken. */
void keys_replace(struct keys *keys, struct tokens *tokens);
/* Takes NULL. */
void tokens_free(struct tokens *tokens);
/* Logs what is allowed and risky: a file that others can read, tokens that can be guessed. In the
 * thread that replaces them. */
void keys_warn(struct keys *keys);
/* Takes NULL. */
void keys_free(struct keys *keys);

/* May whoever shows this token do what needs `scope`? `queue`: what it concerns; "*" is any one
 * queue, NULL none in particular, which tokens for one queue do not reach. In any thread; blocks
 * for no longer than a swap. */
enum verdict keys_judge(struct keys *keys, const char *token, size_t size, enum scope scope,
                        const char *queue);
