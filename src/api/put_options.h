/* SPDX-License-Identifier: MIT */
/* What a request says of the job that it puts in, beside the payload. */
#pragma once

#include "api/endpoint.h"
#include "jobd/queue.h"

enum {
    PUT_PATH_SIZE = sizeof "/batches/9007199254740991",
    PUT_AFTER_SIZE = sizeof JOBD_AFTER_WHATEVER + JOBD_PARENTS_MAX * PUT_PATH_SIZE
};

/* The texts that a put points to, as far as it has them: not to be cleared for each. */
struct put_words {
    char key[JOBD_KEY_SIZE];
    char after[PUT_AFTER_SIZE];
    char tags[JOBD_TAGS_MAX * JOBD_TAG_SIZE + 1];
};

/* Checks all parameters and fills in what is no text: STEP_START; STEP_REPLY: the first that is
 * wrong has been answered. */
enum step put_options_read(struct call *call, struct jobd_put *put, struct jobd_terms *terms);

/* The values of `at` and of `expires`; false when they are none. */
bool put_text_at(const char *text, int64_t *at_us);
bool put_text_expiry(const char *text, struct jobd_terms *terms);
/* Of these alone: when it may run, `delay` or `at`, as in struct jobd_put. */
enum step put_options_start(struct call *call, int64_t *delay_us, int64_t *at_us);
/* By when it must have begun, `expires`. */
enum step put_options_expiry(struct call *call, struct jobd_terms *terms);

/* Fills in the texts, which have been checked: they are the request's, or stand in `words`. The put
 * has these terms then; none where the request says nothing of its job. */
void put_options_words(const struct request *request, struct jobd_put *put,
                       struct jobd_terms *terms, struct put_words *words);
