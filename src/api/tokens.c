/* SPDX-License-Identifier: MIT */
#include "api/tokens.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/secret.h"
#include "base/text.h"

enum {
    TOKEN_SHORT = 16, /* fewer characters can be guessed */
    LINE_SIZE = 512,
    TOKENS_MAX = 1000 /* each is looked at for every request */
};

struct file_place {
    const char *path;
    unsigned line; /* 0: the file as a whole */
    struct problem *problem;
};

static bool wrong(const struct file_place *place, const char *what)
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

const char *scope_name(enum scope scope)
{
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++)
        if (scopes[i].scope == scope)
            return scopes[i].name;
    return "any"; /* everybody has the other */
}

static bool read_scope(char *word, struct token *token)
{
    char *colon = strchr(word, ':');
    if (colon != NULL) {
        size_t size = strlen(colon + 1);
        if (size == 0 || size > JOBD_QUEUE_NAME_MAX || strcmp(colon + 1, "*") == 0)
            return false;
        memcpy(token->queue, colon + 1, size + 1);
        *colon = '\0';
    }
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++) {
        if (strcmp(word, scopes[i].name) == 0) {
            token->scope = scopes[i].scope;
            return true;
        }
    }
    return false;
}

/* What may stand in an Authorization field: RFC 6750's b64token. */
static bool read_token(const char *word, struct token *token)
{
    size_t size = strlen(word);
    size_t body = strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "-._~+/");
    if (body == 0 || body + strspn(word + body, "=") != size || size > TOKEN_MAX)
        return false;
    token->size = size;
    memcpy(token->bytes, word, size);
    return true;
}

/* An empty line or a comment leaves the scope open. */
static bool read_line(const struct file_place *place, char *line, struct token *token)
{
    static const char blanks[] = " \t\r\n";
    char *rest = NULL;
    char *scope = strtok_r(line, blanks, &rest);
    if (scope == NULL || *scope == '#')
        return true;
    char *word = strtok_r(NULL, blanks, &rest);
    if (word == NULL || strtok_r(NULL, blanks, &rest) != NULL)
        return wrong(place, "a line is a scope and a token");
    if (!read_scope(scope, token))
        return wrong(place, "no such scope; allowed are read, read+data, put, work and admin, and "
                            "each with a queue's name behind a colon");
    if (!read_token(word, token))
        return wrong(place, "not a token; allowed are 1 to 256 letters, digits and -._~+/, and = "
                            "at the end");
    return true;
}

/* The next line without its end; false at the end of the file, or when something is wrong: then
 * *good is false too. A byte 0 would cut a token, and what is left could be guessed. */
static bool next_line(struct file_place *place, FILE *in, char line[LINE_SIZE], bool *good)
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

static bool read_lines(struct file_place *place, FILE *in, struct tokens *tokens)
{
    char line[LINE_SIZE];
    bool good = true;
    while (good && next_line(place, in, line, &good)) {
        struct token token = {.scope = SCOPE_OPEN, .line = place->line};
        good = read_line(place, behind_bom(line, place->line), &token);
        if (good && token.scope != SCOPE_OPEN && tokens->len == TOKENS_MAX)
            good = wrong(place, "more than 1000 tokens");
        else if (good && token.scope != SCOPE_OPEN)
            tokens->of[tokens->len++] = token;
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

struct tokens *tokens_read(const char *path, struct problem *problem)
{
    struct file_place place = {.path = path, .problem = problem};
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
    tokens->path = path;
    tokens->mode = (unsigned)status.st_mode;
    return tokens;
}

bool tokens_check(const struct tokens *tokens,
                  bool (*declared)(const void *context, const char *queue), const void *context,
                  struct problem *problem)
{
    for (size_t i = 0; i < tokens->len; i++) {
        const struct token *token = &tokens->of[i];
        char shown[JOBD_QUEUE_NAME_MAX + 8];
        if (token->queue[0] != '\0' && !declared(context, token->queue))
            return problem_set(problem, "%s:%u: %s:%s: there is no such queue", tokens->path,
                               token->line, scope_name(token->scope),
                               text_printable(token->queue, shown, sizeof shown));
    }
    return true;
}

void tokens_warn(const struct tokens *tokens)
{
    const char *exposed = secret_exposed(tokens->mode);
    if (exposed != NULL)
        log_warn("%s: others can %s the tokens: its mode is %03o", tokens->path, exposed,
                 tokens->mode & 0777);
    for (size_t i = 0; i < tokens->len; i++)
        if (tokens->of[i].size < TOKEN_SHORT)
            log_warn("%s:%u: the token has fewer than %d characters: it can be guessed",
                     tokens->path, tokens->of[i].line, TOKEN_SHORT);
}
