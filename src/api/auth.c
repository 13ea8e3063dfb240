/* SPDX-License-Identifier: MIT */
#include "api/auth.h"

#include <stdlib.h>
#include <string.h>

#include "base/lock.h"

struct auth {
    const char *path;
    struct mutex lock;
    struct tokens *tokens GUARDED_BY(lock);
};

bool auth_open(struct auth **auth, const char *path, struct problem *problem)
{
    struct tokens *tokens = tokens_read(path, problem);
    struct auth *new = tokens != NULL ? calloc(1, sizeof *new) : NULL;
    if (new != NULL && mutex_init(&new->lock) == 0) {
        new->path = path;
        mutex_lock(&new->lock);
        new->tokens = tokens;
        mutex_unlock(&new->lock);
        *auth = new;
        return true;
    }
    if (tokens != NULL)
        (void)problem_set(problem, "%s: out of memory", path);
    tokens_free(tokens);
    free(new);
    return false;
}

struct tokens *auth_read(const struct auth *auth, struct problem *problem)
{
    return tokens_read(auth->path, problem);
}

const struct tokens *auth_tokens(struct auth *auth)
{
    mutex_lock(&auth->lock);
    const struct tokens *tokens = auth->tokens;
    mutex_unlock(&auth->lock);
    return tokens;
}

void auth_replace(struct auth *auth, struct tokens *tokens)
{
    mutex_lock(&auth->lock);
    struct tokens *former = auth->tokens;
    auth->tokens = tokens;
    mutex_unlock(&auth->lock);
    tokens_free(former);
}

void auth_warn(struct auth *auth)
{
    tokens_warn(auth_tokens(auth));
}

void auth_free(struct auth *auth)
{
    if (auth == NULL)
        return;
    mutex_lock(&auth->lock);
    tokens_free(auth->tokens);
    mutex_unlock(&auth->lock);
    mutex_release(&auth->lock);
    free(auth);
}

/* ---- a token */

/* The time it takes says nothing of the bytes. */
static bool same_token(const struct token *token, const unsigned char shown[TOKEN_MAX], size_t size)
{
    unsigned different = token->size != size;
    for (size_t i = 0; i < TOKEN_MAX; i++)
        different |= token->bytes[i] ^ shown[i];
    return different == 0;
}

static bool reaches(const struct token *token, enum scope scope, const char *queue)
{
    bool there = token->queue[0] == '\0' ||
                 (queue != NULL && (strcmp(queue, "*") == 0 || strcmp(queue, token->queue) == 0));
    bool reads = scope == SCOPE_READ || (scope == SCOPE_DATA && token->scope != SCOPE_READ);
    return there && (reads || token->scope == scope || token->scope == SCOPE_ADMIN);
}

enum auth_verdict authorize_token(struct auth *auth, const char *token, size_t size,
                                  enum scope scope, const char *queue)
{
    unsigned char shown[TOKEN_MAX] = {0};
    bool known = false, good = false;
    if (scope == SCOPE_OPEN)
        return AUTH_GOOD;
    if (size == 0 || size > TOKEN_MAX)
        return AUTH_UNKNOWN;
    memcpy(shown, token, size);
    mutex_lock(&auth->lock);
    for (size_t i = 0; i < auth->tokens->len; i++) { /* all of them, also behind the right one */
        bool same = same_token(&auth->tokens->of[i], shown, size);
        known |= same;
        good |= same && reaches(&auth->tokens->of[i], scope, queue);
    }
    mutex_unlock(&auth->lock);
    return good ? AUTH_GOOD : known ? AUTH_FORBIDDEN : AUTH_UNKNOWN;
}

/* More than what was found before? */
static bool says_more(const struct token *token, const struct token *found)
{
    bool all = token->queue[0] == '\0', found_all = found->queue[0] == '\0';
    return found->scope == SCOPE_OPEN || (all && !found_all) ||
           (all == found_all && token->scope > found->scope);
}

enum scope auth_grant(struct auth *auth, const char *token, size_t size,
                      char queue[JOBD_QUEUE_NAME_MAX + 1])
{
    unsigned char shown[TOKEN_MAX] = {0};
    static const struct token none;
    const struct token *found = &none;
    queue[0] = '\0';
    if (token == NULL || size == 0 || size > TOKEN_MAX)
        return SCOPE_OPEN;
    memcpy(shown, token, size);
    mutex_lock(&auth->lock);
    for (size_t i = 0; i < auth->tokens->len; i++)
        if (same_token(&auth->tokens->of[i], shown, size) && says_more(&auth->tokens->of[i], found))
            found = &auth->tokens->of[i];
    enum scope scope = found->scope;
    memcpy(queue, found->queue, sizeof found->queue);
    mutex_unlock(&auth->lock);
    return scope;
}
