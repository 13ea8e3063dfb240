/* SPDX-License-Identifier: MIT */
/* `jobd work` under test, beside a server. All is for the test's own thread. */
#pragma once

#include <stdint.h>

#include "support/client.h"
#include "support/server.h"

/* A server without workers of its own, with these arguments besides. */
#define start_queue(...) server_start("-w", "0", "-q", "1000", "--backoff", "1ms..2ms", __VA_ARGS__)

/* A worker for this URL whose command is a shell's script; more arguments may be NULL. */
struct server *worker_spawn(const char *url, const char *const *more, const char *script);
/* The same for this server, with a lease of a second. */
struct server *worker_start(const struct server *server, const char *script);
/* http://ADDRESS, or unix:PATH; valid until the next but three. */
const char *worker_url(const struct server *server);

/* SIGTERM, and waits: the exit code. */
int worker_end(struct server *worker);

/* Lets a job in. */
uint64_t put_job(struct client *client, const char *path, const char *payload);
void assert_output(struct client *client, uint64_t id, const char *output);
