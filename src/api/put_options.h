/* SPDX-License-Identifier: MIT */
/* What a request says of the job that it puts in, beside the payload. */
#pragma once

#include "api/endpoint.h"
#include "jobd/queue.h"

/* The texts that a put points to. */
struct put_words {
    char key[JOBD_KEY_SIZE];
    char tags[JOBD_TAGS_MAX * JOBD_TAG_SIZE + 1];
};

/* Checks all parameters and fills in what is no text: STEP_START; STEP_REPLY: the first that is
 * wrong has been answered. */
enum step put_options_read(struct call *call, struct jobd_put *put, struct jobd_terms *terms);

/* Fills in the texts, which have been checked: they are the request's, or stand in `words`. The put
 * has these terms then. */
void put_options_words(const struct request *request, struct jobd_put *put,
                       struct jobd_terms *terms, struct put_words *words);
