/* SPDX-License-Identifier: MIT */
#include "api/auth.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "jobd/queue.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/text.h"

enum {
    TOKEN_MAX = 256,
    TOKEN_SHORT = 16, /* fewer characters can be guessed */
    LINE_SIZE = 512,
    TOKENS_MAX = 1000 /* each is looked at for every request */
};

struct key {
    enum scope scope;
    char queue[JOBD_QUEUE_NAME_MAX + 1]; /* "": all */
    unsigned line;                       /* of the file */
    size_t size;
    unsigned char token[TOKEN_MAX]; /* zeros behind it */
};

struct tokens {
    unsigned mode; /* the file's */
    size_t len;
    struct key of[];
};

struct auth {
    const char *path;
    struct mutex lock;
    struct tokens *tokens GUARDED_BY(lock);
};

/* ---- the file */

struct place {
    const char *path;
    unsigned line; /* 0: the file as a whole */
    struct problem *problem;
};

static bool wrong(const struct place *place, const char *what)
{
    if (place->line > 0)
        return problem_set(place->problem, "%s:%u: %s", place->path, place->line, what);
    return problem_set(place->problem, "%s: %s", place->path, what);
}

static const struct {
    const char *name;
    enum scope scope;
} scopes[] = {{"read", SCOPE_READ},
              {"read+data", SCOPE_DATA},
              {"put", SCOPE_PUT},
              {"work", SCOPE_WORK},
              {"admin", SCOPE_ADMIN}};

const char *auth_scope_name(enum scope scope)
{
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++)
        if (scopes[i].scope == scope)
            return scopes[i].name;
    return "any"; /* everybody has the other */
}

static bool read_scope(char *word, struct key *key)
{
    char *colon = strchr(word, ':');
    if (colon != NULL) {
        size_t size = strlen(colon + 1);
        if (size == 0 || size > JOBD_QUEUE_NAME_MAX || strcmp(colon + 1, "*") == 0)
            return false;
        memcpy(key->queue, colon + 1, size + 1);
        *colon = '\0';
    }
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++) {
        if (strcmp(word, scopes[i].name) == 0) {
            key->scope = scopes[i].scope;
            return true;
        }
    }
    return false;
}

/* What may stand in an Authorization field: RFC 6750's b64token. */
static bool read_token(const char *word, struct key *key)
{
    size_t size = strlen(word);
    size_t body = strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "-._~+/");
    if (body == 0 || body + strspn(word + body, "=") != size || size > TOKEN_MAX)
        return false;
    key->size = size;
    memcpy(key->token, word, size);
    return true;
}

/* An empty line or a comment leaves the scope open. */
static bool read_line(const struct place *place, char *line, struct key *key)
{
    static const char blanks[] = " \t\r\n";
    char *rest = NULL;
    char *scope = strtok_r(line, blanks, &rest);
    if (scope == NULL || *scope == '#')
        return true;
    char *token = strtok_r(NULL, blanks, &rest);
    if (token == NULL || strtok_r(NULL, blanks, &rest) != NULL)
        return wrong(place, "a line is a scope and a token");
    if (!read_scope(scope, key))
        return wrong(place, "no such scope; allowed are read, read+data, put, work and admin, and "
                            "each with a queue's name behind a colon");
    if (!read_token(token, key))
        return wrong(place, "not a token; allowed are 1 to 256 letters, digits and -._~+/, and = "
                            "at the end");
    return true;
}

/* The next line without its end; false at the end of the file, or when something is wrong: then
 * *good is false too. A byte 0 would cut a token, and what is left could be guessed. */
static bool next_line(struct place *place, FILE *in, char line[LINE_SIZE], bool *good)
{
    size_t size = 0;
    int c = getc(in);
    if (c == EOF)
        return false;
    place->line++;
    for (; c != EOF && c != '\n'; c = getc(in)) {
        if (c == '\0' || size == LINE_SIZE - 1) {
            *good = wrong(place, c == '\0' ? "the line has a NUL byte; the file must be plain text"
                                           : "the line is too long");
            return false;
        }
        line[size++] = (char)c;
    }
    line[size] = '\0';
    return true;
}

static char *behind_bom(char *line, unsigned number)
{
    static const char bom[] = "\xef\xbb\xbf";
    return line + (number == 1 && strncmp(line, bom, strlen(bom)) == 0 ? strlen(bom) : 0);
}

static bool read_lines(struct place *place, FILE *in, struct tokens *tokens)
{
    char line[LINE_SIZE];
    bool good = true;
    while (good && next_line(place, in, line, &good)) {
        struct key key = {.scope = SCOPE_OPEN, .line = place->line};
        good = read_line(place, behind_bom(line, place->line), &key);
        if (good && key.scope != SCOPE_OPEN && tokens->len == TOKENS_MAX)
            good = wrong(place, "more than 1000 tokens");
        else if (good && key.scope != SCOPE_OPEN)
            tokens->of[tokens->len++] = key;
    }
    explicit_bzero(line, sizeof line);
    place->line = 0;
    if (good && ferror(in))
        return wrong(place, strerror(errno));
    if (good && tokens->len == 0)
        return wrong(place, "there is no token in it");
    return good;
}

void tokens_free(struct tokens *tokens)
{
    if (tokens != NULL)
        explicit_bzero(tokens, sizeof *tokens + tokens->len * sizeof tokens->of[0]);
    free(tokens);
}

static struct tokens *read_file(const char *path, struct problem *problem)
{
    struct place place = {.path = path, .problem = problem};
    struct stat status;
    FILE *in = fopen(path, "re");
    if (in == NULL || fstat(fileno(in), &status) != 0) {
        (void)wrong(&place, strerror(errno));
        if (in != NULL)
            fclose(in);
        return NULL;
    }
    struct tokens *tokens = calloc(1, sizeof *tokens + TOKENS_MAX * sizeof tokens->of[0]);
    bool good = tokens != NULL ? read_lines(&place, in, tokens) : wrong(&place, "out of memory");
    fclose(in);
    if (!good || tokens == NULL) {
        tokens_free(tokens);
        return NULL;
    }
    tokens->mode = (unsigned)status.st_mode;
    return tokens;
}

bool auth_open(struct auth **auth, const char *path, struct problem *problem)
{
    struct tokens *tokens = read_file(path, problem);
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
    return read_file(auth->path, problem);
}

const struct tokens *auth_tokens(struct auth *auth)
{
    mutex_lock(&auth->lock);
    const struct tokens *tokens = auth->tokens;
    mutex_unlock(&auth->lock);
    return tokens;
}

bool tokens_check(const struct tokens *tokens, const struct auth *auth,
                  bool (*declared)(const void *context, const char *queue), const void *context,
                  struct problem *problem)
{
    for (size_t i = 0; i < tokens->len; i++) {
        const struct key *key = &tokens->of[i];
        char shown[JOBD_QUEUE_NAME_MAX + 8];
        if (key->queue[0] != '\0' && !declared(context, key->queue))
            return problem_set(problem, "%s:%u: %s:%s: there is no such queue", auth->path,
                               key->line, auth_scope_name(key->scope),
                               text_printable(key->queue, shown, sizeof shown));
    }
    return true;
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
    const struct tokens *tokens = auth_tokens(auth);
    const char *exposed = secret_exposed(tokens->mode);
    if (exposed != NULL)
        log_warn("%s: others can %s the tokens: its mode is %03o", auth->path, exposed,
                 tokens->mode & 0777);
    for (size_t i = 0; i < tokens->len; i++)
        if (tokens->of[i].size < TOKEN_SHORT)
            log_warn("%s:%u: the token has fewer than %d characters: it can be guessed", auth->path,
                     tokens->of[i].line, TOKEN_SHORT);
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

/* ---- judging */

/* The time it takes says nothing of the bytes. */
static bool same_token(const struct key *key, const unsigned char shown[TOKEN_MAX], size_t size)
{
    unsigned different = key->size != size;
    for (size_t i = 0; i < TOKEN_MAX; i++)
        different |= key->token[i] ^ shown[i];
    return different == 0;
}

static bool reaches(const struct key *key, enum scope scope, const char *queue)
{
    bool there = key->queue[0] == '\0' ||
                 (queue != NULL && (strcmp(queue, "*") == 0 || strcmp(queue, key->queue) == 0));
    bool reads = scope == SCOPE_READ || (scope == SCOPE_DATA && key->scope != SCOPE_READ);
    return there && (reads || key->scope == scope || key->scope == SCOPE_ADMIN);
}

enum verdict auth_judge(struct auth *auth, const char *token, size_t size, enum scope scope,
                        const char *queue)
{
    unsigned char shown[TOKEN_MAX] = {0};
    bool known = false, good = false;
    if (scope == SCOPE_OPEN)
        return VERDICT_GOOD;
    if (size == 0 || size > TOKEN_MAX)
        return VERDICT_UNKNOWN;
    memcpy(shown, token, size);
    mutex_lock(&auth->lock);
    for (size_t i = 0; i < auth->tokens->len; i++) { /* all of them, also behind the right one */
        bool same = same_token(&auth->tokens->of[i], shown, size);
        known |= same;
        good |= same && reaches(&auth->tokens->of[i], scope, queue);
    }
    mutex_unlock(&auth->lock);
    return good ? VERDICT_GOOD : known ? VERDICT_FORBIDDEN : VERDICT_UNKNOWN;
}
