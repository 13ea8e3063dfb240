/* SPDX-License-Identifier: MIT */
/* Opens what the options ask for and starts the floors from below; what has begun is closed at the
 * end. */
#include "server/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "api/api.h"
#include "api/auth.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/http.h"
#include "http/tls.h"
#include "jobd/pool.h"
#include "run/exec_output.h"
#include "run/runner.h"
#include "server/reload.h"
#include "server/sandbox.h"
#include "server/shutdown.h"
#include "store/store.h"

enum {
    DESCRIPTORS_SPARE = 160, /* for listeners, loops, and clients that are being sent away */
    DESCRIPTORS_A_WORKER = 8 /* pipes of a command, connections to a web service */
};

/* Ids count microseconds from here at the start of a server, so that they go on rising when one
 * that remembers nothing is started again: fewer than a million jobs a second came in between. */
#define IDS_SINCE_US INT64_C(1767225600000000) /* 2026-01-01T00:00:00Z */

/* ---- start */

static int failed(const char *what, int error)
{
    log_error("%s: %s", what, strerror(error));
    return EXIT_LOST;
}

/* As many descriptors as allowed; fewer connections when that is not enough. False when it is too
 * few for any. */
static bool fit_descriptors(const struct options *options, uint32_t *connections_max)
{
    *connections_max = (uint32_t)options->connections_max;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return true;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 && getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return true;
    rlim_t spare = DESCRIPTORS_SPARE;
    for (uint32_t i = 0; i < options->queues_len; i++)
        spare += options->queues[i].workers * DESCRIPTORS_A_WORKER;
    if (limit.rlim_cur <= spare) {
        fprintf(stderr, "jobd: the open-file limit is %llu; at least %llu is needed\n",
                (unsigned long long)limit.rlim_cur, (unsigned long long)spare + 1);
        return false;
    }
    uint64_t room = limit.rlim_cur - spare;
    if (options->connections_max > room)
        *connections_max = (uint32_t)room;
    return true;
}

/* The clock may have been put back meanwhile; a store knows. */
static uint64_t first_id(struct store *store)
{
    int64_t id = clock_now_us() - IDS_SINCE_US;
    uint64_t by_clock = id > 0 ? (uint64_t)id : 1;
    uint64_t by_store = store != NULL ? store_first_id(store) : 1;
    return by_clock > by_store ? by_clock : by_store;
}

static uint32_t waiting_on_disk(const struct server *server, const struct queue_options *queue)
{
    return server->store != NULL ? store_waiting(server->store, queue->name) : 0;
}

static void release_runners(struct server *server)
{
    for (uint32_t i = 0; server->runners != NULL && i < server->options.queues_len; i++)
        runner_free(server->runners[i]);
    free(server->runners);
    server->runners = NULL;
}

/* 0 or -errno; release_runners() undoes what has begun. */
static int new_queue(struct server *server, uint32_t index, struct jobd_queue_config *config,
                     struct jobd_runner *runner)
{
    const struct queue_options *queue = &server->options.queues[index];
    struct runner_config runs;
    *config = (struct jobd_queue_config){.name = queue->name,
                                         .capacity = (uint32_t)queue->capacity,
                                         .workers = (uint32_t)queue->workers,
                                         .restored = waiting_on_disk(server, queue)};
    queue_terms(queue, config);
    queue_runner(&server->options, queue, &runs);
    int error = runner_new(&server->runners[index], &runs);
    *runner = (struct jobd_runner){.run = runner_run, .context = server->runners[index]};
    return error;
}

static int new_pool(struct server *server)
{
    const struct options *options = &server->options;
    uint32_t len = options->queues_len;
    struct jobd_queue_config *queues = calloc(len, sizeof *queues);
    struct jobd_runner *runners = calloc(len, sizeof *runners);
    server->runners = calloc(len, sizeof(struct runner *));
    int error = -ENOMEM;
    if (queues != NULL && runners != NULL && server->runners != NULL) {
        error = 0;
        for (uint32_t i = 0; i < len && error == 0; i++)
            error = new_queue(server, i, &queues[i], &runners[i]);
        const struct jobd_config config = {
            .queues = queues,
            .queues_len = len,
            .keep = (uint32_t)options->keep,
            .memory_bytes = (size_t)options->memory_bytes,
            .waiters_max = server->connections_max,
            .leases_max = OPTIONS_LEASES_MAX,
            .first_id = first_id(server->store),
            .journal = server->store != NULL ? store_wake : NULL,
            .journal_context = server->store,
        };
        if (error == 0)
            error = jobd_pool_new(&server->pool, &config, runners);
    }
    free(queues);
    free(runners);
    return error;
}

static int new_api(struct server *server)
{
    const struct api_config config = {.jobd = server->jobd,
                                      .http = server->http,
                                      .store = server->store,
                                      .auth = server->auth,
                                      .output_max_bytes = (size_t)server->options.output_max_bytes};
    return api_new(&server->api, &config);
}

static int start(struct server *server)
{
    const struct options *options = &server->options;
    exec_output_limit((size_t)options->memory_bytes);
    int error = new_pool(server);
    if (error != 0)
        return error;
    server->jobd = jobd_pool_jobd(server->pool);
    char reason[STORE_ERROR_SIZE];
    if (server->store != NULL && !store_load(server->store, server->jobd, clock_now_us(), reason)) {
        log_error("%s", reason);
        return -EIO;
    }
    const struct http_config config = {
        .jobd = server->jobd,
        .listeners = &server->listeners,
        .connections_max = server->connections_max,
        .per_address_max = (uint32_t)options->per_address_max,
        .header_us = options->header_us,
        .idle_us = options->idle_us,
        .body_max_bytes = options->body_max_bytes,
        .memory_bytes = (size_t)options->memory_bytes,
        .tls = server->tls != NULL,
        .has_tokens = server->auth != NULL,
        .cors_origin = options->cors_origin,
    };
    if ((error = http_new(&server->http, &config)) != 0 || (error = new_api(server)) != 0 ||
        (server->store != NULL && (error = store_start(server->store, server->jobd)) != 0) ||
        (error = jobd_pool_start(server->pool)) != 0)
        return error;
    return http_start(server->http, api_serve, api_admits, server->api);
}

/* ---- the process */

/* Whoever reaches the port is known, or welcome. */
static bool guarded(const struct options *options)
{
    return options->open || options->token_file != NULL;
}

static bool open_auth(const struct options *options, struct auth **auth)
{
    char error[AUTH_ERROR_SIZE];
    if (options->token_file == NULL || auth_open(auth, options->token_file, error))
        return true;
    fprintf(stderr, "jobd: %s\n", error);
    return false;
}

static bool open_tls(const struct options *options, struct tls **tls)
{
    char error[TLS_ERROR_SIZE] = "--tls-cert: TLS is not built in";
    if (options->tls_certificate == NULL ||
        (http_has_tls() &&
         tls_open(tls, options->tls_certificate, options->tls_key, options->header_us, error)))
        return true;
    fprintf(stderr, "jobd: %s\n", error);
    return false;
}

/* What is allowed and risky is said once nothing is wrong: a mistake is one line. */
static void warn(struct auth *auth, struct tls *tls)
{
    if (auth != NULL)
        auth_warn(auth);
    if (tls != NULL)
        tls_warn(tls);
}

/* All is open that needs rights, and no thread runs yet. */
static void give_up_rights(const struct server *server)
{
    const struct options *options = &server->options;
    struct sandbox sandbox = {
        .secrets = options->token_file != NULL || options->tls_key != NULL,
        .files = {options->config, options->token_file, options->tls_certificate, options->tls_key},
        .database = server->store != NULL ? store_path(server->store) : NULL,
        .socket = listen_own_file(&server->listeners),
    };
    for (uint32_t i = 0; i < options->queues_len; i++)
        sandbox.commands |= options->queues[i].command != NULL;
    sandbox_enter(&sandbox);
}

int server_main(struct server *server)
{
    char error[LISTEN_ERROR_SIZE];
    const struct options *options = &server->options;
    log_setup((enum log_format)options->log_format, (enum log_level)options->log_level);
    int problem = shutdown_prepare(server);
    if (problem != 0)
        return failed("signals", -problem);
    if (!fit_descriptors(&server->options, &server->connections_max))
        return EXIT_LOST;
    if (!open_auth(options, &server->auth) || !open_tls(options, &server->tls))
        return EXIT_WRONG;
    switch (listen_open(&server->listeners, options->listen, guarded(options), error)) {
    case LISTEN_OK:
        break;
    case LISTEN_WRONG:
        fprintf(stderr, "jobd: %s\n", error);
        return EXIT_WRONG;
    case LISTEN_REFUSED:
        fprintf(stderr, "jobd: %s\n", error);
        return EXIT_LOST;
    }
    if (options->data != NULL) {
        char reason[STORE_ERROR_SIZE];
        server->store = store_open(options->data, (enum store_sync)options->sync, reason);
        if (server->store == NULL) {
            fprintf(stderr, "jobd: %s\n", reason);
            listen_close(&server->listeners);
            return EXIT_LOST;
        }
    }
    if (server->connections_max < options->connections_max)
        log_warn("the limit on open files allows %u connections, not %llu",
                 (unsigned)server->connections_max, (unsigned long long)options->connections_max);
    warn(server->auth, server->tls);
    give_up_rights(server);
    problem = start(server);
    int code = problem == 0 ? serve_until_signal(server) : failed("start", -problem);
    http_free(server->http);
    api_free(server->api);
    jobd_pool_free(server->pool);
    release_runners(server);
    store_free(server->store);
    auth_free(server->auth);
    tls_free(server->tls);
    listen_close(&server->listeners);
    shutdown_release(server);
    return code;
}

int server_check(const struct options *options)
{
    char error[LISTEN_ERROR_SIZE];
    struct auth *auth = NULL;
    struct tls *tls = NULL;
    bool good = open_auth(options, &auth) && open_tls(options, &tls);
    if (good && listen_check(options->listen, guarded(options), error) != LISTEN_OK) {
        fprintf(stderr, "jobd: %s\n", error);
        good = false;
    }
    if (good) {
        warn(auth, tls);
        printf("the configuration is good: %u queue%s\n", options->queues_len,
               options->queues_len == 1 ? "" : "s");
    }
    auth_free(auth);
    tls_free(tls);
    return good ? 0 : EXIT_WRONG;
}
