/* SPDX-License-Identifier: MIT */
/* The endpoints: each turns a request into a call of the engine, and what became of it into a
 * reply. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/auth.h"
#include "http/http.h"
#include "http/request.h"
#include "jobd/queue.h"
#include "ledger/turns.h"
#include "store/store.h"

struct live;

enum { BUSY_SHARED = 60 }; /* busy replies made in advance: Retry-After up to a minute */

/* How the last reload of the configuration went; written by whoever reloads. */
struct api_reload {
    atomic_bool failed;
    _Atomic int64_t good_us; /* when the last good one was, or the start; since 1970 */
};

/* What the endpoints work with, all of it borrowed as long as they are called. The caller fills in
 * the first block. */
struct api {
    struct jobd *jobd;
    struct http *http;
    struct store *store;               /* NULL: none, or turns */
    struct turns *turns;               /* NULL: its queues are this process's own */
    struct auth *auth;                 /* NULL: everybody may do all */
    struct pass_headers *pass_headers; /* NULL: no queue keeps any */
    struct callbacks *callbacks;
    size_t output_max_bytes, memory_max_bytes;
    struct history *history;
    struct live *live;
    bool page; /* GET / shows it */
    int64_t started_us;
    struct api_reload reload;

    /* api_init() makes them. */
    const struct shared_reply *busy[BUSY_SHARED + 1]; /* by seconds */
    const struct shared_reply *done;                  /* that of an attempt */
};

/* 0 or -errno. There is nothing to release: what it makes ends with the HTTP server. */
__attribute__((warn_unused_result)) int api_init(struct api *api);

/* Serves one request; `context` is the api. Any thread; does not block. */
bool api_serve(struct request *request, struct reply *reply, void *context);
/* Whether its token, where one is needed, lets it in, before its body has come. Any thread. */
bool api_authorize(struct request *request, struct reply *reply, void *context);
