/* SPDX-License-Identifier: MIT */
#include "client/remote.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/text.h"
#include "client/server_url.h"

enum {
    FIELD_SIZE = sizeof "Authorization: Bearer " + TOKEN_MAX,
    LOOKUP_MS = 100 /* between two looks whether a name has been looked up */
};

struct remote {
    struct remote_config config;
    char *name;
    unsigned len; /* of config.urls */
    atomic_uint current;
    atomic_bool away;
    struct mutex lock;
    char authorization[FIELD_SIZE] GUARDED_BY(lock); /* a whole field, "": none */
};

struct remote_client {
    struct remote *remote;
    struct http_client *http; /* NULL: to be made anew */
    size_t keep_bytes;
    int64_t hear_us;
    bool uses_get;
    char token[FIELD_SIZE]; /* of the last request, as it was sent */
};

/* ---- the token */

bool remote_reload(struct remote *remote, struct problem *problem)
{
    char text[SECRET_SIZE];
    const char *path = remote->config.token_file;
    if (path == NULL)
        return true;
    bool good = secret_read(path, text, problem);
    if (good && !text_is_word(text, TOKEN_MAX + 1))
        good = problem_set(problem, "%s: expected one token, of at most %d visible characters",
                           path, TOKEN_MAX);
    if (good) {
        mutex_lock(&remote->lock);
        snprintf(remote->authorization, FIELD_SIZE, "Authorization: Bearer %.*s", TOKEN_MAX, text);
        mutex_unlock(&remote->lock);
    }
    explicit_bzero(text, sizeof text);
    return good;
}

static void take_token(struct remote_client *client)
{
    struct remote *remote = client->remote;
    mutex_lock(&remote->lock);
    snprintf(client->token, FIELD_SIZE, "%s", remote->authorization);
    mutex_unlock(&remote->lock);
}

/* Reads the token again: is it another one now? */
static bool token_changed(struct remote_client *client)
{
    struct problem problem;
    char before[FIELD_SIZE];
    snprintf(before, FIELD_SIZE, "%s", client->token);
    bool changed =
        client->remote->config.token_file != NULL && remote_reload(client->remote, &problem);
    take_token(client);
    changed = changed && strcmp(before, client->token) != 0;
    explicit_bzero(before, sizeof before);
    return changed;
}

/* ---- open, close */

static char *join(char *const *words)
{
    size_t size = 1;
    for (char *const *word = words; *word != NULL; word++)
        size += strlen(*word) + 1;
    char *text = malloc(size), *to = text;
    if (text == NULL)
        return NULL;
    *to = '\0';
    for (; *words != NULL; words++)
        to = stpcpy(stpcpy(to, to == text ? "" : " "), *words);
    return text;
}

bool remote_open(struct remote **opened, const struct remote_config *config,
                 struct problem *problem)
{
    struct remote *remote = calloc(1, sizeof *remote);
    if (remote == NULL || (remote->name = join(config->urls)) == NULL) {
        free(remote);
        return problem_set(problem, "out of memory");
    }
    remote->config = *config;
    while (config->urls[remote->len] != NULL)
        remote->len++;
    if (mutex_init(&remote->lock) != 0) {
        free(remote->name);
        free(remote);
        return problem_set(problem, "out of memory");
    }
    if (config->token_file != NULL)
        secret_warn(config->token_file);
    if (!remote_reload(remote, problem)) {
        remote_free(remote);
        return problem_at(problem, "--token-file");
    }
    *opened = remote;
    return true;
}

void remote_free(struct remote *remote)
{
    if (remote == NULL)
        return;
    mutex_lock(&remote->lock);
    explicit_bzero(remote->authorization, sizeof remote->authorization);
    mutex_unlock(&remote->lock);
    mutex_release(&remote->lock);
    free(remote->name);
    free(remote);
}

const char *remote_name(const struct remote *remote)
{
    return remote->name;
}

struct remote_client *remote_client_new(struct remote *remote, size_t keep_bytes)
{
    struct remote_client *client = calloc(1, sizeof *client);
    if (client != NULL)
        *client = (struct remote_client){.remote = remote, .keep_bytes = keep_bytes};
    return client;
}

void remote_client_free(struct remote_client *client)
{
    if (client != NULL && client->http != NULL)
        http_client_free(client->http);
    if (client != NULL)
        explicit_bzero(client->token, sizeof client->token);
    free(client);
}

void remote_client_use_get(struct remote_client *client)
{
    client->uses_get = true;
}

void remote_client_hear_out(struct remote_client *client, int64_t us)
{
    client->hear_us = us;
}

/* ---- a request */

/* Forgets the last request; false when told to stop before that is possible, or memory is short. */
static bool ready(struct remote_client *client, const struct http_target *target, int stop_fd)
{
    struct pollfd stop = {.fd = stop_fd, .events = POLLIN};
    while (client->http != NULL && !http_client_reset(client->http))
        if (poll(&stop, 1, LOOKUP_MS) > 0)
            return false;
    if (client->http != NULL)
        return http_client_aim(client->http, target);
    client->http = http_client_new(target, client->keep_bytes);
    if (client->http == NULL)
        return false;
    http_client_hear_out(client->http, client->hear_us);
    return !client->uses_get || http_client_use_get(client->http);
}

static bool add_fields(struct remote_client *client, const struct remote_request *request)
{
    const struct jobd_blob *payload = request->payload;
    /* The type that libcurl would give a body without one is not its type. */
    bool typed = payload != NULL && payload->type[0] != '\0';
    if (payload != NULL && !typed && !http_client_field_line(client->http, "Content-Type:"))
        return false;
    return (!typed || http_client_field(client->http, "Content-Type", payload->type)) &&
           (client->token[0] == '\0' || http_client_field_line(client->http, client->token));
}

static enum http_end ask_one(struct remote_client *client, unsigned which,
                             const struct remote_request *request, struct http_answer *answer)
{
    struct http_target target = {.ca = client->remote->config.ca};
    char *url = server_url_make(client->remote->config.urls[which], request->path, &target.socket);
    enum http_end end = HTTP_BROKEN;
    *answer = (struct http_answer){.reason = "out of memory", .type = ""};
    target.url = url;
    if (url != NULL && ready(client, &target, request->stop_fd) && add_fields(client, request))
        end = http_client_post(client->http, request->payload, request->timeout_us,
                               request->stop_fd, answer);
    free(url);
    if (end == HTTP_LATE)
        answer->reason = answer->asked ? "no answer in time" : "no connection in time";
    if (end == HTTP_BROKEN && client->http != NULL) {
        answer->reason = "out of memory"; /* the answer goes with the client */
        http_client_free(client->http);
        client->http = NULL;
    }
    return end;
}

static bool stopped(int fd)
{
    struct pollfd look = {.fd = fd, .events = POLLIN};
    return poll(&look, 1, 0) > 0;
}

static bool cannot_now(const struct http_answer *answer)
{
    return answer->status == 0 || answer->status == 502 || answer->status == 503 ||
           answer->status == 504;
}

static void say_away(struct remote *remote, const struct http_answer *answer)
{
    char said[REMOTE_SAID_SIZE];
    if (atomic_exchange(&remote->away, true))
        return;
    remote_said(answer, said);
    log_warn("%s: %s; retrying", remote->name, said);
}

static void say_back(struct remote *remote, unsigned which)
{
    if (atomic_load(&remote->away) && atomic_exchange(&remote->away, false))
        log_info("%s is back", remote->config.urls[which]);
}

enum remote_end remote_ask(struct remote_client *client, const struct remote_request *request,
                           struct http_answer *answer)
{
    struct remote *remote = client->remote;
    bool again = false;
    take_token(client);
    for (unsigned tried = 0; tried < remote->len;) {
        unsigned which = atomic_load(&remote->current);
        enum http_end end = ask_one(client, which, request, answer);
        if (end == HTTP_STOPPED || (cannot_now(answer) && stopped(request->stop_fd)))
            return REMOTE_STOPPED;
        if (!cannot_now(answer) && answer->status == 401 && !again && token_changed(client)) {
            again = true;
            continue;
        }
        if (!cannot_now(answer)) {
            say_back(remote, which);
            return REMOTE_ANSWERED;
        }
        /* Somebody else may have gone on meanwhile. */
        (void)atomic_compare_exchange_strong(&remote->current, &which, (which + 1) % remote->len);
        tried++;
    }
    say_away(remote, answer);
    return REMOTE_AWAY;
}

bool remote_field(struct remote_client *client, const char *name, char *out, size_t size)
{
    return client->http != NULL && http_client_answer_field(client->http, name, out, size);
}

void remote_said(const struct http_answer *answer, char said[REMOTE_SAID_SIZE])
{
    char first[REMOTE_SAID_SIZE], shown[REMOTE_SAID_SIZE / 2];
    int length = (int)strcspn(answer->reason, "\r\n");
    snprintf(first, sizeof first, "%.*s", length, answer->reason);
    text_printable(first, shown, sizeof shown);
    if (answer->status == 0) {
        snprintf(said, REMOTE_SAID_SIZE, "%s", shown);
        return;
    }
    int used = snprintf(said, REMOTE_SAID_SIZE, "%ld %s", answer->status, shown);
    size_t size = 0;
    while (size < answer->size && size < sizeof first - 1 && answer->bytes[size] != '\n' &&
           answer->bytes[size] != '\0')
        size++;
    snprintf(first, sizeof first, "%.*s", (int)size, size > 0 ? answer->bytes : "");
    text_printable(first, shown, sizeof shown);
    if (size > 0)
        snprintf(said + used, REMOTE_SAID_SIZE - (size_t)used, ": %s", shown);
}
