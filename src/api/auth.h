/* SPDX-License-Identifier: MIT */
/* Who may do what, by the tokens that count now. They are compared in constant time. */
#pragma once

#include "api/tokens.h"

enum auth_verdict {
    AUTH_GOOD,
    AUTH_UNKNOWN,  /* there is no such token */
    AUTH_FORBIDDEN /* its scope does not reach that far */
};

struct auth;

/* As tokens_read(); the path is borrowed until auth_free(). False when it is wrong. */
bool auth_open(struct auth **auth, const char *path, struct problem *problem);
/* Reads it again, for auth_replace() or tokens_free(). NULL when it is wrong, as above. */
struct tokens *auth_read(const struct auth *auth, struct problem *problem);
/* Those that count; nobody may replace them meanwhile. */
const struct tokens *auth_tokens(struct auth *auth);
/* Requests are judged by these; they are taken. */
void auth_replace(struct auth *auth, struct tokens *tokens);
/* As tokens_warn(), in the thread that replaces them. */
void auth_warn(struct auth *auth);
/* Takes NULL. */
void auth_free(struct auth *auth);

/* May the bearer of this token do what needs `scope`? `queue`: what it concerns; "*" is any one
 * queue, NULL none in particular, which tokens for one queue do not reach. In any thread; blocks
 * for no longer than a swap. */
enum auth_verdict authorize_token(struct auth *auth, const char *token, size_t size,
                                  enum scope scope, const char *queue);

/* What a token that is known lets its bearer do: the most that one of its lines says, of all queues
 * before that of one; `queue` is which, "" for all. SCOPE_OPEN when it is not known. */
enum scope auth_grant(struct auth *auth, const char *token, size_t size,
                      char queue[JOBD_QUEUE_NAME_MAX + 1]);
