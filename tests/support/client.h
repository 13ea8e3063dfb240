/* SPDX-License-Identifier: MIT */
/* Two clients: a polite one that speaks HTTP through libcurl, and a rude one that sends bytes.
 *
 * The polite one keeps its connection. What a function returns stays valid until the client's next
 * request. The functions of the polite client assert nothing, so threads may use them, each its own
 * client; client_new() and the assertions are for the test's own thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "support/server.h"

/* ---- polite */

struct client;

struct answer {
    long status;      /* 0: no answer, `body` says why */
    const char *head; /* the status line and the header fields */
    const char *body; /* with a NUL behind it */
    size_t size;
    long connects; /* new connections that were made for it */
};

struct client *client_new(const struct server *server);
/* Over TLS, trusting this certificate alone. */
struct client *client_new_tls(const struct server *server, const char *certificate);
void client_free(struct client *client);

/* Any method. `fields` is NULL or header lines, NULL at the end; `body` may be NULL. */
const struct answer *client_send(struct client *client, const char *method, const char *path,
                                 const char *const *fields, const char *body);
const struct answer *client_get(struct client *client, const char *path);
const struct answer *client_get_json(struct client *client, const char *path);
const struct answer *client_post(struct client *client, const char *path);

#define FIELDS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* The value of a header field, "" when it is not there. */
const char *answer_field(const struct answer *answer, const char *name, char room[256]);
/* The id in its Location field, 0 when there is none. */
uint64_t answer_job(const struct answer *answer);

/* ---- polite, with assertions */

/* Asserts a JSON body; the tree lives until the client's next JSON. */
const cJSON *client_json(struct client *client, const char *path);
double json_number(const cJSON *object, const char *name);
const char *json_string(const cJSON *object, const char *name);
/* GET /jobs/<id>, which must be there. */
const cJSON *client_job(struct client *client, uint64_t id);
/* POSTs to the path, which must be let in; the job's id. */
uint64_t client_put(struct client *client, const char *path);
void client_await_state(struct client *client, uint64_t id, const char *state);
void client_await_forgotten(struct client *client, uint64_t id);
/* The value of the one line of /metrics that begins with these words. */
double client_metric(struct client *client, const char *words);
void client_await_metric(struct client *client, const char *words, double value);
void client_await_at_least(struct client *client, const char *words, double value);
/* Asserts status and, where not NULL, the whole body. */
void assert_answer(const struct answer *answer, long status, const char *body);
void assert_field(const struct answer *answer, const char *name, const char *value);

/* ---- rude */

enum { RAW_SIZE = 64 * 1024 };

/* What came: the text ends with a NUL. */
struct raw {
    size_t size;
    bool closed; /* the server has ended the connection, orderly */
    bool reset;  /* or not */
    char text[RAW_SIZE];
};

/* A connection whose reads give up after PATIENCE_MS. */
int raw_connect(const struct server *server);
/* The same with the path of a unix socket. */
int raw_connect_unix(const char *path);
/* False when the server does not take all any more. */
bool raw_send_bytes(int fd, const char *bytes, size_t size);
bool raw_send(int fd, const char *text);
/* Reads until the server closes; asserts that it does. */
void raw_read_until_close(int fd, struct raw *raw);
/* Reads until the text came, or the connection ended. */
void raw_read_until(int fd, struct raw *raw, const char *text);
/* Reads one answer: a header and a body of its Content-Length. */
void raw_read_answer(int fd, struct raw *raw);
/* The status of the answer that begins here, 0 when none does. */
int raw_status(const char *text);
/* Connects, sends, reads until the server closes, closes; the status. */
int raw_ask_bytes(const struct server *server, const char *bytes, size_t size, struct raw *raw);
int raw_ask(const struct server *server, const char *text, struct raw *raw);
/* `before`, `count` times `filler`, `after`; for the caller to free. */
char *raw_filled(const char *before, char filler, size_t count, const char *after);
