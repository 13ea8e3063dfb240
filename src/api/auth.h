/* SPDX-License-Identifier: MIT */
/* Who may do what, by the tokens in use. They are compared in constant time. */
#pragma once

#include "api/tokens.h"

enum auth_verdict {
    AUTH_GOOD,
    AUTH_UNKNOWN,  /* there is no such token */
    AUTH_FORBIDDEN /* its scope does not reach that far */
};

struct auth;

/* Reads the file of tokens, as tokens_read() does. The path is borrowed until auth_free(). False
 * when the file is wrong: `problem` says how. */
bool auth_open(struct auth **auth, const char *path, struct problem *problem);
/* Reads the file again; the caller passes the result to auth_replace() or tokens_free(). NULL when
 * the file is wrong, as above. Reads a file: blocks. */
struct tokens *auth_read(const struct auth *auth, struct problem *problem);
/* The tokens in use, borrowed until the next auth_replace(). */
const struct tokens *auth_tokens(struct auth *auth);
/* From now on requests are judged by these, which it takes; the former ones are freed. */
void auth_replace(struct auth *auth, struct tokens *tokens);
/* tokens_warn() for the tokens in use. Only in the thread that replaces them. */
void auth_warn(struct auth *auth);
/* Takes NULL. */
void auth_free(struct auth *auth);

/* May the bearer of this token do what needs `scope`? `queue` is the one it concerns; "*": some one
 * queue, so a token for any queue is enough; NULL: all of them, so a token for one queue is not.
 * Any thread; blocks for no longer than auth_replace() takes to swap two pointers. */
enum auth_verdict authorize_token(struct auth *auth, const char *token, size_t size,
                                  enum scope scope, const char *queue);

/* The most that the token lets its bearer do: the highest scope of its lines, those for all queues
 * before those for one. `queue` gets the name of that one, "" for all. SCOPE_OPEN when the token is
 * not known. */
enum scope auth_grant(struct auth *auth, const char *token, size_t size,
                      char queue[JOBD_QUEUE_NAME_MAX + 1]);
