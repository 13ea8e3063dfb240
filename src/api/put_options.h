/* SPDX-License-Identifier: MIT */
/* The parameters of a request that puts a job in. */
#pragma once

#include "api/endpoint.h"
#include "jobd/queue.h"

enum {
    PUT_PATH_SIZE = sizeof "/batches/9007199254740991",
    PUT_AFTER_SIZE = sizeof JOBD_AFTER_WHATEVER + JOBD_PARENTS_MAX * PUT_PATH_SIZE
};

/* Room for the texts that a put points to. It is large, so nobody clears it for each put. */
struct put_words {
    char key[JOBD_KEY_SIZE];
    char after[PUT_AFTER_SIZE];
    char tags[JOBD_TAGS_MAX * JOBD_TAG_SIZE + 1];
};

/* Checks all parameters, and fills in those that are no texts. STEP_REPLY: one is wrong, and the
 * reply says which. */
enum step put_options_read(struct call *call, struct jobd_put *put, struct jobd_terms *terms);

/* The values of `at` and of `expires`; false when they are bad. */
bool put_text_at(const char *text, int64_t *at_us);
bool put_text_expiry(const char *text, struct jobd_terms *terms);
/* Only `delay` and `at`: when the job may run, as in struct jobd_put. */
enum step put_options_start(struct call *call, int64_t *delay_us, int64_t *at_us);
/* Only `expires`: by when it must have begun. */
enum step put_options_expiry(struct call *call, struct jobd_terms *terms);

/* Fills in the texts, which put_options_read() has checked. They are borrowed from the request and
 * from `words`. Makes the put refer to `terms`, unless the request says nothing of its job. */
void put_options_words(const struct request *request, struct jobd_put *put,
                       struct jobd_terms *terms, struct put_words *words);
