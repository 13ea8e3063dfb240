/* SPDX-License-Identifier: MIT */
#include "server/callback_terms.h"

#include <string.h>

struct callbacks_terms *callback_terms_read(const struct options *options, struct problem *problem)
{
    struct webhook_key key;
    const char *secret = options->callback_secret;
    if (secret != NULL && !webhook_key_read(&key, secret, problem)) {
        (void)problem_at(problem, option_place(&options->places, "callback-secret"));
        return NULL;
    }
    struct callbacks_terms *terms =
        callbacks_terms_new(options->callback_allow, secret != NULL ? &key : NULL);
    if (terms == NULL)
        (void)problem_set(problem, "callbacks: out of memory");
    if (secret != NULL)
        explicit_bzero(&key, sizeof key);
    return terms;
}
