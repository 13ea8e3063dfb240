/* SPDX-License-Identifier: MIT */
/* The jobd elsewhere: one server, or any of several that share their jobs. Each thread asks it with
 * a client of its own. When a server does not answer one of them, all clients turn to the next. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"
#include "run/http_client.h"

enum { REMOTES_MAX = 16 };

/* All of it is borrowed until remote_free(). */
struct remote_config {
    char *const *urls; /* http://, https:// or unix:PATH; NULL at the end, REMOTES_MAX at most */
    const char *ca;    /* see struct http_target */
    const char *token_file; /* one token; NULL: none is sent */
};

struct remote;

/* Reads the token, and connects to nothing yet. False: `problem` says what is wrong. */
bool remote_open(struct remote **remote, const struct remote_config *config,
                 struct problem *problem);
/* No client may be left. Takes NULL. */
void remote_free(struct remote *remote);
/* Reads the token again; on false the former one stays. Any thread; blocks on the file. */
bool remote_reload(struct remote *remote, struct problem *problem);

/* For people: the URLs with blanks between them. Borrowed. */
const char *remote_name(const struct remote *remote);

struct remote_client;

/* For one thread at a time. Keeps at most keep_bytes of an answer's body. NULL when memory is
 * short. */
struct remote_client *remote_client_new(struct remote *remote, size_t keep_bytes);
void remote_client_free(struct remote_client *client); /* takes NULL */
/* Before its first request: see http_client_use_get() and http_client_hear_out(). */
void remote_client_use_get(struct remote_client *client);
void remote_client_hear_out(struct remote_client *client, int64_t us);

struct remote_request {
    const char *path;          /* with its query */
    struct jobd_blob *payload; /* NULL: none; with its type */
    int64_t timeout_us;
    int stop_fd; /* readable: stop; -1: none */
};

enum remote_end {
    REMOTE_ANSWERED, /* answer->status says what */
    REMOTE_AWAY,     /* none answers, or all say that they cannot at the moment: try again later */
    REMOTE_STOPPED
};

/* Asks the servers one after the other, each once, until one answers. A request that got no answer
 * may have been carried out. On a 401 the token is read again; if it is another one now, the same
 * server is asked once more. When all are away, or one is back, that is logged once. *answer is
 * valid until the
 * client's next request; with REMOTE_AWAY it is that of the server asked last. Blocks. */
enum remote_end remote_ask(struct remote_client *client, const struct remote_request *request,
                           struct http_answer *answer);

/* See http_client_answer_field(). */
bool remote_field(struct remote_client *client, const char *name, char *out, size_t size);

/* What an answer that is not wanted says, for people: `503 Service Unavailable: draining`. It has
 * no bytes that would control a terminal. */
enum { REMOTE_SAID_SIZE = 320 };
void remote_said(const struct http_answer *answer, char said[REMOTE_SAID_SIZE]);
