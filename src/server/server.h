/* SPDX-License-Identifier: MIT */
/* The process's parts, which server.c opens, and shutdown.c brings to their end. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "api/api.h"
#include "jobd/queue.h"
#include "api/auth.h"
#include "api/pass_headers.h"
#include "base/line_writer.h"
#include "http/http.h"
#include "http/listen.h"
#include "http/tls.h"
#include "ledger/ledger.h"
#include "ledger/turns.h"
#include "jobd/pool.h"
#include "run/callbacks.h"
#include "run/recur.h"
#include "run/runner.h"
#include "server/failure_log.h"
#include "server/options.h"
#include "server/queue_room.h"
#include "server/schedules_watch.h"
#include "server/signals.h"
#include "store/store.h"

enum {
    EXIT_LOST = 1, /* work was lost, or something failed */
    EXIT_WRONG = 2 /* the user's mistake; nothing was started */
};

/* A waiter that poll() can wait for. */
struct idle_event {
    struct jobd_waiter waiter;
    int fd;
};

struct server {
    int argc;
    char **argv;
    struct options options;
    uint32_t connections_max; /* as many as the limit on open files allows */
    struct listeners listeners;
    struct runner **runners;  /* a queue's, by its index */
    struct queue_room *rooms; /* likewise */
    uint32_t queues_max;      /* of both */
    struct store *store;      /* NULL: memory only, or a database elsewhere, */
    struct ledger *ledger;    /* which several processes share; NULL: no such */
    struct turns *turns;      /* likewise */
    struct pass_headers *pass_headers;
    struct callbacks *callbacks;
    struct auth *auth;              /* NULL: everybody may come in */
    struct tls *tls;                /* NULL: in clear */
    struct line_writer *access_log; /* NULL: none */
    struct failure_log failures;
    struct live *live;
    struct recur *recur; /* the plans of schedules */
    struct schedules_watch schedules_watch;
    struct jobd_pool *pool;
    struct jobd *jobd;
    struct http *http;
    struct api api;
    struct signals signals;
    struct idle_event idle;
    uint64_t lost;                    /* jobs that were not finished in the grace */
    _Atomic uint64_t forgotten_said;  /* jobs, in the log */
    _Atomic int64_t forgotten_say_us; /* not before then again */
};

/* Opens everything, serves until a signal, and closes everything: the exit status. A mistake of the
 * user is one line on standard error. `server` must have its arguments and options. Blocks. In the
 * main thread. */
int server_main(struct server *server);
/* --check: are the options good, and the files that they name? Starts nothing. The exit status. */
int server_check(const struct options *options);
