/* SPDX-License-Identifier: MIT */
/* The jobd elsewhere: one, or any of several that share their jobs. Whoever asks does so over a
 * line of his own; that one of them does not answer is found once for all lines, which then ask the
 * next. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"
#include "run/http_client.h"

enum { REMOTES_MAX = 16 };

/* All borrowed as long as it is open. */
struct remote_config {
    char *const *urls; /* http://, https:// or unix:PATH; NULL at the end, REMOTES_MAX at most */
    const char *ca;    /* see struct http_target */
    const char *token_file; /* one token; NULL: none is sent */
};

struct remote;

/* Reads the token, and connects to nothing yet. False: `problem` says what is wrong. */
bool remote_open(struct remote **remote, const struct remote_config *config,
                 struct problem *problem);
/* No line may be left. Takes NULL. */
void remote_free(struct remote *remote);
/* Reads the token again; with false the one of before stays. Any thread. */
bool remote_reload(struct remote *remote, struct problem *problem);

/* For people: the URLs with blanks between them. Borrowed. */
const char *remote_name(const struct remote *remote);

struct remote_line;

/* For one thread at a time; GETs in place of POSTs where `gets`. Keeps so much of an answer's body.
 * NULL when memory is short. */
struct remote_line *remote_line_new(struct remote *remote, size_t keep_bytes, bool gets);
void remote_line_free(struct remote_line *line); /* takes NULL */
/* See http_client_hear_out(). */
void remote_line_hear_out(struct remote_line *line, int64_t us);

struct remote_request {
    const char *path;          /* with its query */
    struct jobd_blob *payload; /* NULL: none; with its type */
    const char *accept;        /* a media type; NULL: any */
    int64_t timeout_us;
    int stop_fd; /* readable: stop; -1: none */
};

enum remote_end {
    REMOTE_ANSWERED, /* answer->status says what */
    REMOTE_AWAY,     /* none answers, or all say that they cannot at the moment: try again later */
    REMOTE_STOPPED
};

/* Asks one after the other, each once, until one answers. A request that got no answer may have
 * been carried out. With a 401 the token is read again, and asked with where it is another one.
 * That all are away, or that one is back, is logged when it changes. The answer is valid until the
 * line's next request; with REMOTE_AWAY it is the last one's. Blocks. */
enum remote_end remote_ask(struct remote_line *line, const struct remote_request *request,
                           struct http_answer *answer);

/* See http_client_answer_field(). */
bool remote_field(struct remote_line *line, const char *name, char *out, size_t size);

/* What an answer that is no good says, for people: `503 Service Unavailable: draining`. Nothing in
 * it steers a terminal. */
enum { REMOTE_SAID_SIZE = 320 };
void remote_said(const struct http_answer *answer, char said[REMOTE_SAID_SIZE]);
