/* SPDX-License-Identifier: MIT */
/* Callbacks: who may be told of the end of a job, and the `callback` runner, whose attempts tell
 * it.
 *
 * An attempt is a POST of the source's JSON to the URL that the delivery has (post.h says with
 * which fields and how long it may take). 2xx: it is delivered. 410 (Gone), a URL that is not
 * allowed any more, a source that is forgotten: failed for good. Any other answer, or none, is a
 * failed attempt, as long as the queue's attempts last. A source that was retried meanwhile is not
 * told of: its next end has a delivery of its own. */
#pragma once

#include <stdbool.h>

#include "jobd/pool.h"
#include "run/webhook_sign.h"

#define CALLBACKS_QUEUE "callbacks" /* in which deliveries wait */

struct runner_config;
struct callbacks;

enum callback_body {
    CALLBACK_BODY,  /* *body is set */
    CALLBACK_GONE,  /* the source is forgotten */
    CALLBACK_LIVES, /* it has not ended: it was retried */
    CALLBACK_NO_MEMORY
};

/* Makes *body, what the delivery with this id tells: a reference, the caller's. In a worker's
 * thread. */
typedef enum callback_body callback_render(void *context, uint64_t delivery,
                                           struct jobd_blob **body);

/* What can be exchanged while callbacks are delivered: prefixes and key. */
struct callbacks_terms;

/* Nobody may be told of anything yet. 0 or -errno. */
JOBD_MUST_READ int callbacks_new(struct callbacks **callbacks);
/* No runner uses it any more. Takes NULL. */
void callbacks_free(struct callbacks *callbacks);
/* What makes the bodies; before the first attempt. */
void callbacks_set_render(struct callbacks *callbacks, callback_render *render, void *context);

/* URLs that begin with one of these (url_prefix.h), NULL at the end, or NULL: none; and the key to
 * sign with, NULL: none. Copies. NULL when memory is short. */
struct callbacks_terms *callbacks_terms_new(char *const *prefixes, const struct webhook_key *key);
/* Takes NULL. */
void callbacks_terms_free(struct callbacks_terms *terms);
/* These terms count from now on; they are taken. NULL: nobody may be told of anything. Any
 * thread. */
void callbacks_change(struct callbacks *callbacks, struct callbacks_terms *terms);

enum callback_allowed {
    CALLBACK_ALLOWED,
    CALLBACK_REFUSED, /* no prefix allows it, or it is no URL */
    CALLBACK_OFF      /* there are no prefixes */
};

/* May a callback go to this URL now? Any thread. */
enum callback_allowed callbacks_allow(struct callbacks *callbacks, const char *url);

/* The kind of runner, for runner.c. */
JOBD_MUST_READ int callback_new(void **work, const struct runner_config *config);
void callback_free(void *work);
void callback_run(const struct jobd_task *task, struct jobd_outcome *outcome, void *work);
