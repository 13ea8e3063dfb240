/* SPDX-License-Identifier: MIT */
/* The endpoints: each turns a request into a call of the heart, and its answer into a reply. */
#pragma once

#include "http.h"
#include "jobd/queue.h"
#include "request.h"
#include "store.h"

struct api;

/* 0 and *api, or -errno. All are borrowed until api_free(); `store` NULL: nothing is written down.
 */
__attribute__((warn_unused_result)) int api_new(struct api **api, struct jobd *jobd,
                                                struct http *http, struct store *store,
                                                size_t output_max_bytes);
void api_free(struct api *api);

/* Serves one request; `context` is the api. Any thread; does not block. */
enum step api_serve(struct request *request, struct reply *reply, start_wait **start,
                    void *context);
