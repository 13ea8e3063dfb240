/* SPDX-License-Identifier: MIT */
/* The `post` runner: an attempt is one POST of the payload to a web service.
 *
 * The request has the payload's type and these fields:
 *
 *     Jobd-Id, Jobd-Attempt, Jobd-Queue   which attempt of which job this is
 *     Idempotency-Key                     the client's, or one of jobd's own; in every attempt the
 *                                         same, in the quotes that the IETF's draft asks for
 *     traceparent                         the client's, if it gave one
 *     those that the job keeps            as they came with its request (passed_fields.h)
 *
 * The answer decides:
 *
 *     2xx                             done; its body is the output
 *     408, 409, 425, 429, 5xx,        a failed attempt; Retry-After is heard, up to a day
 *     403 with a Retry-After,
 *     no connection, no whole answer
 *     within 256 KiB of fields
 *     any other                       failed for good; redirects are not followed
 *
 * It says that the service is down where there is no connection or nothing comes back over it, the
 * time is over, or the status is 502, 503 or 504.
 *
 * With a key it is signed too: webhook-id, which is `jobd-` and the job's id, webhook-timestamp and
 * webhook-signature (webhook_sign.h).
 *
 * A connection is kept for the next attempt. When the service has closed it in the meantime, the
 * request goes out again over a new one, in the same attempt: a service may get an attempt twice,
 * and knows it by its Idempotency-Key.
 *
 * Neither proxies nor anything else are taken from the environment. Certificates are checked with
 * `ca`, or what the system trusts. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "jobd/pool.h"
#include "run/webhook_sign.h"

struct post;

/* What a queue may say beyond the URL; what is NULL is not there. */
struct post_extras {
    char *const *fields; /* `Name: value`, NULL at the end, each good for post_field_ok() */
    const struct webhook_key *key; /* to sign with */
    const char *socket, *ca;       /* see struct http_target */
};

struct post_config {
    const char *url;         /* NULL: each message says where */
    const char *queue;       /* the queue's name */
    size_t output_max_bytes; /* the rest is dropped; past 16 MiB of it the connection is cut */
    struct post_extras extras;
};

/* May a field with this name be sent that jobd does not make itself? Those about the connection and
 * the body, and jobd's own, may not. */
bool post_field_ok(const char *name);

/* Is it http:// or https:// and a host, all in printable ASCII? User names and passwords, which
 * would show in logs, and fragments, which are never sent, are refused. */
bool post_url_ok(const char *url);

/* 0 and *post, or -errno: -EINVAL for a URL that is not ok, -ENOMEM. Copies the config. Sets
 * libcurl up for the whole process, once. */
JOBD_MUST_READ int post_new(struct post **post, const struct post_config *config);

/* Closes the connections. No attempt runs any more. Takes NULL. */
void post_free(struct post *post);

/* A jobd_run; `context` is the struct post. In any number of threads at a time, each of which has
 * its own connection. SIGPIPE must be blocked or ignored.
 *
 * Blocks until the answer is there, the task's timeout is over, there is no connection after 10
 * seconds, or the attempt is told to stop. So without a timeout, a service that is alive and never
 * answers holds the worker until a stop. A stop is heard at any moment, also while a name is being
 * looked up; it cuts the connection, and what the service has begun it may well end. */
void post_run(const struct jobd_task *task, struct jobd_outcome *outcome, void *context);

/* Another message than the payload to the queue's URL. All borrowed. */
struct post_message {
    const char *url;               /* good for post_url_ok() */
    struct jobd_blob *body;        /* with its type; NULL: empty */
    const struct webhook_key *key; /* to sign with; NULL: it is not signed */
    /* Whatever is answered but 2xx, and 410 (Gone), is tried again. */
    bool insists;
};

/* The attempt is a POST of that. */
void post_message(const struct jobd_task *task, const struct post_message *message,
                  struct jobd_outcome *outcome, struct post *post, int stop_fd);

/* As post_run(), with any descriptor that becomes readable to say stop, -1 for none. */
void post_attempt(const struct jobd_task *task, struct jobd_outcome *outcome, struct post *post,
                  int stop_fd);
