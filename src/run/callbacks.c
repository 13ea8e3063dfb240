/* SPDX-License-Identifier: MIT */
#include "run/callbacks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lock.h"
#include "base/text.h"
#include "base/url_prefix.h"
#include "run/post.h"
#include "run/runner.h"

struct callbacks_terms {
    char **prefixes; /* NULL at the end, or NULL */
    bool signs;
    struct webhook_key key;
};

struct callbacks {
    struct mutex lock;
    struct callbacks_terms *terms GUARDED_BY(lock); /* NULL: nobody is told */
    callback_render *render;
    void *context;
};

/* ---- who may be told */

int callbacks_new(struct callbacks **callbacks)
{
    struct callbacks *new = calloc(1, sizeof *new);
    int error = new != NULL ? mutex_init(&new->lock) : -ENOMEM;
    if (error == 0)
        *callbacks = new;
    else
        free(new);
    return error;
}

void callbacks_free(struct callbacks *callbacks)
{
    if (callbacks == NULL)
        return;
    callbacks_change(callbacks, NULL);
    mutex_release(&callbacks->lock);
    free(callbacks);
}

void callbacks_set_render(struct callbacks *callbacks, callback_render *render, void *context)
{
    callbacks->render = render;
    callbacks->context = context;
}

struct callbacks_terms *callbacks_terms_new(char *const *prefixes, const struct webhook_key *key)
{
    struct callbacks_terms *terms = calloc(1, sizeof *terms);
    if (terms == NULL)
        return NULL;
    terms->signs = key != NULL;
    if (key != NULL)
        terms->key = *key;
    if (prefixes != NULL && (terms->prefixes = text_words_copy(prefixes)) == NULL) {
        callbacks_terms_free(terms);
        return NULL;
    }
    return terms;
}

void callbacks_terms_free(struct callbacks_terms *terms)
{
    if (terms == NULL)
        return;
    explicit_bzero(&terms->key, sizeof terms->key);
    free(terms->prefixes);
    free(terms);
}

void callbacks_change(struct callbacks *callbacks, struct callbacks_terms *terms)
{
    mutex_lock(&callbacks->lock);
    struct callbacks_terms *former = callbacks->terms;
    callbacks->terms = terms;
    mutex_unlock(&callbacks->lock);
    callbacks_terms_free(former);
}

static enum callback_allowed allow_locked(struct callbacks *callbacks, const char *url)
    REQUIRES(callbacks->lock)
{
    const struct callbacks_terms *terms = callbacks->terms;
    char *const *prefix = terms != NULL ? terms->prefixes : NULL;
    if (prefix == NULL || *prefix == NULL)
        return CALLBACK_OFF;
    while (*prefix != NULL && !url_prefix_allows(*prefix, url))
        prefix++;
    return *prefix != NULL && post_url_ok(url) ? CALLBACK_ALLOWED : CALLBACK_REFUSED;
}

enum callback_allowed callbacks_allow(struct callbacks *callbacks, const char *url)
{
    mutex_lock(&callbacks->lock);
    enum callback_allowed allowed = allow_locked(callbacks, url);
    mutex_unlock(&callbacks->lock);
    return allowed;
}

/* ---- the runner */

struct callback_work {
    struct callbacks *callbacks;
    struct post *post;
};

int callback_new(void **work, const struct runner_config *config)
{
    union {
        const void *read;
        struct callbacks *callbacks; /* it has its own lock */
    } as = {.read = config->argument};
    const struct post_config post = {.queue = config->queue,
                                     .output_max_bytes = config->output_max_bytes,
                                     .extras = {.ca = config->extras.ca}};
    struct callback_work *new = calloc(1, sizeof *new);
    int error = new != NULL ? post_new(&new->post, &post) : -ENOMEM;
    if (error != 0) {
        free(new);
        return error;
    }
    new->callbacks = as.callbacks;
    *work = new;
    return 0;
}

void callback_free(void *work)
{
    struct callback_work *callback = work;
    post_free(callback->post);
    free(callback);
}

static void end_with(struct jobd_outcome *outcome, enum jobd_state state, const char *text)
{
    struct jobd_blob *blob = jobd_blob_text(text);
    *outcome = (struct jobd_outcome){.state = state, .for_good = state == JOBD_FAILED};
    *(state == JOBD_FAILED ? &outcome->error : &outcome->output) = blob;
}

/* May it go to this URL, and is it signed, with which key? False: no prefix allows the URL any
 * more. */
static bool address(struct callbacks *callbacks, const char *url, struct webhook_key *key,
                    bool *signs)
{
    mutex_lock(&callbacks->lock);
    bool allowed = allow_locked(callbacks, url) == CALLBACK_ALLOWED;
    *signs = allowed && callbacks->terms->signs;
    if (*signs)
        *key = callbacks->terms->key;
    mutex_unlock(&callbacks->lock);
    return allowed;
}

static void send_it(const struct jobd_task *task, struct jobd_outcome *outcome,
                    const struct callback_work *work, struct post_message *message)
{
    struct callbacks *callbacks = work->callbacks;
    switch (callbacks->render(callbacks->context, task->id, &message->body)) {
    case CALLBACK_BODY:
        post_message(task, message, outcome, work->post, jobd_stop_descriptor());
        jobd_blob_unref(message->body);
        break;
    case CALLBACK_GONE:
        end_with(outcome, JOBD_FAILED, "what it tells of is forgotten");
        break;
    case CALLBACK_LIVES:
        end_with(outcome, JOBD_DONE, "not sent: it was retried, and its next end is told");
        break;
    case CALLBACK_NO_MEMORY:
        end_with(outcome, JOBD_FAILED, "out of memory");
        outcome->for_good = false;
        break;
    }
}

void callback_run(const struct jobd_task *task, struct jobd_outcome *outcome, void *work)
{
    struct callback_work *callback = work;
    struct webhook_key key;
    bool signs;
    struct post_message message = {.url = jobd_text(task->words, JOBD_CALLBACK), .insists = true};
    if (!address(callback->callbacks, message.url, &key, &signs)) {
        end_with(outcome, JOBD_FAILED, "no --callback-allow allows its URL any more");
        return;
    }
    message.key = signs ? &key : NULL;
    send_it(task, outcome, callback, &message);
    if (signs)
        explicit_bzero(&key, sizeof key);
}
