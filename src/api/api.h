/* SPDX-License-Identifier: MIT */
/* The endpoints: each turns a request into a call of the engine, and its answer into a reply. */
#pragma once

#include "http/http.h"
#include "jobd/queue.h"
#include "api/auth.h"
#include "http/request.h"
#include "store/store.h"

struct api;

/* All borrowed until api_free(). */
struct api_config {
    struct jobd *jobd;
    struct http *http;
    struct store *store; /* NULL: nothing is written down */
    struct auth *auth;   /* NULL: everybody may do all */
    size_t output_max_bytes;
};

/* 0 and *api, or -errno. */
__attribute__((warn_unused_result)) int api_new(struct api **api, const struct api_config *config);
void api_free(struct api *api);

/* Serves one request; `context` is the api. Any thread; does not block. */
enum step api_serve(struct request *request, struct reply *reply, start_wait **start,
                    void *context);
/* Whether its token, where one is needed, lets it in, before its body has come. Any thread. */
bool api_admits(struct request *request, struct reply *reply, void *context);
