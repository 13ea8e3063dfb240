/* SPDX-License-Identifier: MIT */
/* Opens what the options ask for and starts the floors from below; what has begun is closed at the
 * end. */
#include "server/server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/callback_body.h"
#include "api/history.h"
#include "api/live.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/problem.h"
#include "base/secret.h"
#include "base/text.h"
#include "run/exec_output.h"
#include "server/alike.h"
#include "server/callback_terms.h"
#include "server/forgotten.h"
#include "server/descriptors.h"
#include "server/option_types.h"
#include "server/option_variables.h"
#include "server/queue_config.h"
#include "server/queue_runner.h"
#include "server/reload.h"
#include "server/sandbox.h"
#include "server/shutdown.h"
#include "server/surroundings.h"

/* Ids count microseconds from here at the start of a server, so that they go on rising when one
 * that remembers nothing is started again: fewer than a million jobs a second came in between. They
 * begin anew every 142 years, far below JOBD_ID_MAX, whatever the clock says. */
#define IDS_SINCE_US INT64_C(1767225600000000) /* 2026-01-01T00:00:00Z */
#define IDS_TURN     (INT64_C(1) << 52)

/* At the end: for the last lines of the access log, if nobody reads it. */
#define ACCESS_LOG_US CLOCK_SECOND_US

/* ---- the floors, from below */

/* The clock may have been put back since the last start; a store knows. */
static uint64_t first_id(struct store *store)
{
    int64_t id = clock_now_us() - IDS_SINCE_US;
    uint64_t by_clock = id > 0 ? (uint64_t)(id % IDS_TURN) + 1 : 1;
    uint64_t by_store = store != NULL ? store_first_id(store) : 1;
    return by_clock > by_store ? by_clock : by_store;
}

static uint32_t waiting_on_disk(const struct server *server, const struct queue_options *queue)
{
    if (server->store == NULL)
        return 0;
    uint64_t jobs = store_waiting(server->store, queue->name);
    if (queue->callbacks)
        jobs += store_promised(server->store);
    return jobs < UINT32_MAX ? (uint32_t)jobs : UINT32_MAX;
}

/* 0 or -errno. */
static int new_queue(struct server *server, uint32_t index, struct jobd_queue_config *config,
                     struct jobd_runner *runner)
{
    const struct queue_options *queue = &server->options.queues[index];
    struct queue_runner runs;
    struct problem problem;
    server->rooms[index] = queue_room_of(queue);
    *config = queue_config(queue, &server->rooms[index]);
    config->restored = waiting_on_disk(server, queue);
    if (!queue_runner_open(&runs, &server->options, queue, &problem)) {
        log_error("%s", problem.text); /* it was good a moment ago */
        return -EAGAIN;
    }
    queue_runner_set_callbacks(&runs, server->callbacks);
    int error = runner_new(&server->runners[index], &runs.config);
    queue_runner_close(&runs);
    *runner = (struct jobd_runner){.run = runner_run, .context = server->runners[index]};
    return error;
}

/* Adds the queues that are on disk but not declared, after those that are. Returns how many there
 * are. */
static uint32_t add_undeclared(const struct server *server, struct jobd_queue_config *queues)
{
    const struct options *options = &server->options;
    uint32_t len = options->queues_len;
    uint32_t on_disk = server->store != NULL ? store_queues_len(server->store) : 0;
    for (uint32_t i = 0; i < on_disk && len < UINT16_MAX; i++) {
        uint32_t jobs, declared = 0;
        const char *name = store_queue(server->store, i, &jobs);
        size_t length = strlen(name);
        while (declared < options->queues_len && strcmp(options->queues[declared].name, name) != 0)
            declared++;
        if (declared == options->queues_len && length > 0 && length <= JOBD_QUEUE_NAME_MAX)
            queues[len++] = (struct jobd_queue_config){
                .name = name, .undeclared = true, .attempts = 1, .restored = jobs};
    }
    return len;
}

/* Other servers that share the queues may allow more. */
static uint32_t restored_schedules(const struct server *server)
{
    if (server->turns != NULL)
        return CONFIG_SCHEDULES_MAX;
    return server->store != NULL ? store_schedules(server->store) : 0;
}

/* Makes the engine and its threads, and sets in its configuration whom it tells of what. 0 or
 * -errno. */
static int open_pool(struct server *server, const struct jobd_queue_config *queues, uint32_t len,
                     const struct jobd_runner *runners)
{
    const struct options *options = &server->options;
    struct jobd_schedule_config schedules = {
        .max = (uint32_t)options->schedules_max,
        .restored = restored_schedules(server),
    };
    struct jobd_config config = {
        .queues = queues,
        .queues_len = len,
        .keep = (uint32_t)options->keep,
        .keep_for_us = options->keep_for_us,
        .memory_bytes = (size_t)options->memory_bytes,
        .waiters_max = server->connections_max,
        .leases_max = (uint32_t)options->leases_max,
        .first_id = first_id(server->store),
        .on_forgotten_early = {.call = forgotten_note, .context = server},
        .on_journal_ready = {.call = server->store != NULL ? store_wake : NULL,
                             .context = server->store},
        .schedules = &schedules,
        .turns = server->turns != NULL ? turns_of(server->turns) : NULL,
    };
    queue_room_spare(&config);
    int error = recur_new(&server->recur, &schedules);
    if (error == 0)
        error = failure_log_init(&server->failures, &config);
    if (error == 0)
        error = live_new(&server->live, (uint32_t)options->streams_max, &config);
    return error == 0 ? jobd_pool_new(&server->pool, &config, runners) : error;
}

static int new_pool(struct server *server)
{
    const struct options *options = &server->options;
    size_t most = options->queues_len;
    if (server->store != NULL)
        most += store_queues_len(server->store);
    struct jobd_queue_config *queues = calloc(most, sizeof *queues);
    struct jobd_runner *runners = calloc(most, sizeof *runners);
    server->queues_max = UINT16_MAX;
    server->runners = calloc(server->queues_max, sizeof(struct runner *));
    server->rooms = calloc(server->queues_max, sizeof *server->rooms);
    bool good =
        queues != NULL && runners != NULL && server->runners != NULL && server->rooms != NULL;
    int error = good ? 0 : -ENOMEM;
    for (uint32_t i = 0; i < options->queues_len && error == 0; i++)
        error = new_queue(server, i, &queues[i], &runners[i]);
    if (error == 0)
        error = open_pool(server, queues, add_undeclared(server, queues), runners);
    free(queues);
    free(runners);
    return error;
}

static int init_api(struct server *server)
{
    server->pass_headers = pass_headers_new(server->queues_max);
    if (server->pass_headers == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < server->options.queues_len; i++)
        pass_headers_set(server->pass_headers, i, server->options.queues[i].pass_headers);
    server->api = (struct api){.jobd = server->jobd,
                               .http = server->http,
                               .store = server->store,
                               .turns = server->turns,
                               .auth = server->auth,
                               .pass_headers = server->pass_headers,
                               .callbacks = server->callbacks,
                               .output_max_bytes = (size_t)server->options.output_max_bytes,
                               .memory_max_bytes = (size_t)server->options.memory_bytes,
                               .page = server->options.page == 0,
                               .live = server->live,
                               .started_us = clock_now_us(),
                               .reload = {.good_us = clock_wall_us(clock_now_us())}};
    callbacks_set_render(server->callbacks, callback_body, &server->api);
    int error = history_new(&server->api.history, server->jobd);
    if (error == 0)
        error = live_start(server->live, &server->api);
    return error == 0 ? api_init(&server->api) : error;
}

static int new_http(struct server *server)
{
    const struct options *options = &server->options;
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
        .access_log = server->access_log,
        .access_json = options->log_format == LOG_JSON,
        .cors_origin = options->cors_origin,
        .proxies = &options->proxies,
    };
    return http_new(&server->http, &config);
}

/* Other servers have files, too. */
static int watch_schedules(struct server *server)
{
    if (server->turns == NULL)
        return 0;
    recur_watch(server->recur, schedules_watch_see, &server->schedules_watch);
    return schedules_watch_init(&server->schedules_watch, &server->options.schedules);
}

static bool start(struct server *server, struct problem *problem)
{
    exec_output_limit((size_t)server->options.memory_bytes);
    int error = new_pool(server);
    if (error != 0)
        goto fail;
    server->jobd = jobd_pool_jobd(server->pool);
    if (server->store != NULL && !store_load(server->store, server->jobd, clock_now_us(), problem))
        return false;
    if (server->turns != NULL && !turns_load(server->turns, server->jobd, problem))
        return false;
    if ((error = failure_log_start(&server->failures, server->jobd)) != 0 ||
        (error = new_http(server)) != 0 || (error = init_api(server)) != 0)
        goto fail;
    if (server->store != NULL && (error = store_start(server->store, server->jobd)) != 0)
        goto fail;
    if (server->turns != NULL && (error = turns_start(server->turns)) != 0)
        goto fail;
    if (server->access_log != NULL && (error = line_writer_start(server->access_log)) != 0)
        goto fail;
    if (!config_schedules_apply(&server->options.schedules, server->jobd) && server->turns != NULL)
        return problem_set(problem, "start: the schedules are not those of the configuration");
    if ((error = watch_schedules(server)) != 0 || (error = jobd_pool_start(server->pool)) != 0 ||
        (error = recur_start(server->recur, server->jobd)) != 0 ||
        (error = http_start(server->http, api_serve, api_authorize, &server->api)) != 0)
        goto fail;
    return true;
fail:
    return problem_set(problem, "start: %s", strerror(-error));
}

/* ---- what they need of the system */

static bool open_signals(struct server *server, struct problem *problem)
{
    int error = shutdown_prepare(&server->idle);
    if (error == 0)
        error = signals_open(&server->signals);
    return error == 0 || problem_set(problem, "signals: %s", strerror(-error));
}

/* Is it settled who may come in: by tokens, or everybody by --open? */
static bool guarded(const struct options *options)
{
    return options->open || options->token_file != NULL;
}

static bool open_auth(const struct options *options, struct auth **auth, struct problem *problem)
{
    if (options->token_file == NULL)
        return true;
    return (auth_open(auth, options->token_file, problem) &&
            tokens_check(auth_tokens(*auth), options_has_queue, options, problem)) ||
           problem_at(problem, option_place(&options->places, "token-file"));
}

/* Where the option stands whose file tls_open() complains about. */
static const char *tls_place(const struct options *options, const struct problem *problem)
{
    size_t length = strlen(options->tls_key);
    bool key = strncmp(problem->text, options->tls_key, length) == 0 &&
               problem->text[length] == ':' &&
               strcmp(options->tls_key, options->tls_certificate) != 0;
    return option_place(&options->places, key ? "tls-key" : "tls-cert");
}

static bool open_tls(const struct options *options, struct tls **tls, struct problem *problem)
{
    if (options->tls_certificate == NULL)
        return true;
    if (!http_has_tls())
        return problem_set(problem, "%s: TLS is not built in",
                           option_place(&options->places, "tls-cert"));
    return tls_open(tls, options->tls_certificate, options->tls_key, options->header_us, problem) ||
           problem_at(problem, tls_place(options, problem));
}

static bool open_callbacks(struct server *server, struct problem *problem)
{
    struct callbacks_terms *terms = callback_terms_read(&server->options, problem);
    if (terms == NULL)
        return false;
    int error = callbacks_new(&server->callbacks);
    if (error == 0)
        callbacks_change(server->callbacks, terms);
    else
        callbacks_terms_free(terms);
    return error == 0 || problem_set(problem, "callbacks: %s", strerror(-error));
}

static bool check_callbacks(const struct options *options, struct problem *problem)
{
    struct callbacks_terms *terms = callback_terms_read(options, problem);
    callbacks_terms_free(terms);
    return terms != NULL;
}

static bool check_runners(const struct options *options, struct problem *problem)
{
    bool good = true;
    for (uint32_t i = 0; i < options->queues_len && good; i++)
        good = queue_runner_check(options, &options->queues[i], problem);
    return good;
}

/* The ledger says that this process can do nothing useful any more. */
static void end_for_good(void *context, const char *why)
{
    struct server *server = context;
    log_error("%s: %s", ledger_name(server->ledger), why);
    end_at_once(server, ": it can do nothing more");
}

/* For the database; or until a signal ends the server before it has begun. */
static bool rest(void *context, int64_t for_us)
{
    struct server *server = context;
    const int64_t until_us = clock_now_us() + for_us;
    int number;
    do
        number = signals_wait(&server->signals, -1, until_us);
    while (number == SIGHUP || number == SIGUSR1);
    if (number == 0)
        return true;
    char name[SIGNALS_NAME_SIZE];
    signals_name(number, name);
    log_info("%s: ends before it has begun", name);
    return false;
}

/* From here on the clock is that of the database; so this comes before anybody keeps a time. */
static bool open_ledger(struct server *server, struct problem *problem)
{
    enum { WAIT_MS = 30000 };
    const struct options *options = &server->options;
    char host[256] = "jobd";
    (void)gethostname(host, sizeof host - 1);
    const struct ledger_options ledger = {.url = options->data,
                                          .node = options->node != NULL ? options->node : host,
                                          .sync = options->sync == STORE_SYNC_COMMIT,
                                          .rest = rest,
                                          .context = server};
    if (options->sync == STORE_SYNC_SECOND)
        return problem_set(problem, "with --sync 1s no database can be used: commit or off");
    server->ledger = ledger_open(&ledger, WAIT_MS, problem);
    if (server->ledger == NULL)
        return false;
    clock_follow(ledger_now_us(server->ledger), true);
    alike_tell(server->ledger, options);
    server->turns = turns_new(&(struct turns_config){.ops = &ledger_ops,
                                                     .ledger = server->ledger,
                                                     .node = ledger_node(server->ledger),
                                                     .name = ledger_name(server->ledger),
                                                     .on_end = end_for_good,
                                                     .context = server});
    return server->turns != NULL || problem_set(problem, "out of memory");
}

static bool open_store(struct server *server, struct problem *problem)
{
    const struct options *options = &server->options;
    if (options->data != NULL && ledger_is_url(options->data))
        return open_ledger(server, problem) ||
               problem_at(problem, option_place(&options->places, "data"));
    if (options->data != NULL)
        server->store = store_open(options->data, (enum store_sync)options->sync, problem);
    return options->data == NULL || server->store != NULL ||
           problem_at(problem, option_place(&options->places, "data"));
}

static bool open_access_log(struct server *server, struct problem *problem)
{
    const struct options *options = &server->options;
    if (options->access_log == NULL)
        return true;
    int error = line_writer_open(&server->access_log, options->access_log);
    return error == 0 ||
           problem_set(problem, "%s: %s: %s", option_place(&options->places, "access-log"),
                       options->access_log, strerror(-error));
}

static enum listen_result open_listeners(struct server *server, struct problem *problem)
{
    const struct options *options = &server->options;
    struct listeners *listeners = &server->listeners;
    listeners->socket_mode = (mode_t)options->socket_mode;
    enum listen_result result = listen_open(listeners, options->listen, guarded(options), problem);
    if (result != LISTEN_OK)
        (void)problem_at(problem, listeners->handed_over
                                      ? "LISTEN_FDS"
                                      : option_place(&options->places, "listen"));
    return result;
}

/* 0, or the exit status. */
static int open_all(struct server *server, struct problem *problem)
{
    const struct options *options = &server->options;
    if (!open_signals(server, problem) ||
        !descriptors_fit(options, &server->connections_max, problem))
        return EXIT_LOST;
    if (!open_auth(options, &server->auth, problem) || !open_tls(options, &server->tls, problem) ||
        !check_runners(options, problem) || !open_callbacks(server, problem) ||
        !open_access_log(server, problem))
        return EXIT_WRONG;
    switch (open_listeners(server, problem)) {
    case LISTEN_WRONG:
        return EXIT_WRONG;
    case LISTEN_REFUSED:
        return EXIT_LOST;
    case LISTEN_OK:
        break;
    }
    return open_store(server, problem) ? 0 : EXIT_LOST;
}

/* What has been opened, in any order, up to where it failed. */
static void close_all(struct server *server)
{
    http_free(server->http);
    live_stop(server->live);
    pass_headers_free(server->pass_headers);
    history_free(server->api.history);
    line_writer_close(server->access_log, ACCESS_LOG_US);
    failure_log_stop(&server->failures);
    if (server->recur != NULL)
        recur_stop(server->recur);
    jobd_pool_free(server->pool);
    live_free(server->live);
    recur_free(server->recur); /* which told it */
    schedules_watch_release(&server->schedules_watch);
    failure_log_release(&server->failures);
    for (uint32_t i = 0; server->runners != NULL && i < server->queues_max; i++)
        runner_free(server->runners[i]);
    free(server->runners);
    callbacks_free(server->callbacks);
    free(server->rooms);
    store_free(server->store);
    turns_free(server->turns);
    ledger_free(server->ledger);
    auth_free(server->auth);
    tls_free(server->tls);
    listen_close(&server->listeners);
    if (server->idle.fd >= 0)
        close(server->idle.fd);
    signals_close(&server->signals);
}

/* Warns of what is allowed but risky. Only when nothing is wrong, so that the message about a
 * mistake is the only line. */
static void warn(const struct options *options, struct auth *auth, struct tls *tls)
{
    struct variable_reader reader = {.command = NULL};
    reader.specs = options_table(&reader.len);
    variables_warn(&reader);
    if (auth != NULL)
        auth_warn(auth);
    if (tls != NULL)
        tls_warn(tls);
    surroundings_warn_runners(options);
    if (options->callback_secret != NULL)
        secret_warn(options->callback_secret);
}

/* Everything that needs rights is open by now, and no thread runs yet. */
static bool give_up_rights(const struct server *server, struct problem *problem)
{
    const struct options *options = &server->options;
    const char **files = options_files(options);
    if (files == NULL)
        return problem_set(problem, "start: out of memory");
    struct sandbox sandbox = {
        .secrets = options_any(OF_SERVER, options, OPTION_SECRET) ||
                   (options->data != NULL && ledger_is_url(options->data)),
        .files = files,
        .database = server->store != NULL ? store_path(server->store) : NULL,
        .log = options->access_log != NULL && strcmp(options->access_log, "-") != 0
                   ? options->access_log
                   : NULL,
        .socket = listen_own_file(&server->listeners),
    };
    for (uint32_t i = 0; i < options->queues_len; i++) {
        const struct queue_options *queue = &options->queues[i];
        sandbox.commands |= options_any(OF_QUEUE, queue, OPTION_PROGRAM);
        sandbox.secrets |= options_any(OF_QUEUE, queue, OPTION_SECRET);
        sandbox.connects |= queue->socket != NULL;
    }
    sandbox_enter(&sandbox);
    free(files);
    return true;
}

/* ---- the process */

static int run(struct server *server)
{
    const struct options *options = &server->options;
    struct problem problem = {""};
    if (server->connections_max < options->connections_max)
        log_warn("the limit on open files allows %u connections, not %llu",
                 (unsigned)server->connections_max, (unsigned long long)options->connections_max);
    warn(options, server->auth, server->tls);
    if (give_up_rights(server, &problem) && start(server, &problem))
        return serve_until_signal(server);
    log_error("%s", problem.text);
    return EXIT_LOST;
}

int server_main(struct server *server)
{
    const struct options *options = &server->options;
    struct problem problem = {""};
    server->signals = (struct signals){-1, -1};
    server->idle.fd = -1;
    log_setup((enum log_format)options->log_format, (enum log_level)options->log_level);
    int code = open_all(server, &problem);
    if (code == 0)
        code = run(server);
    else
        fprintf(stderr, "jobd: %s\n", problem.text);
    close_all(server);
    return code;
}

int server_check(const struct options *options)
{
    struct auth *auth = NULL;
    struct tls *tls = NULL;
    struct problem problem = {""};
    bool good = open_auth(options, &auth, &problem) && open_tls(options, &tls, &problem) &&
                check_callbacks(options, &problem);
    if (good && listen_check(options->listen, guarded(options), &problem) != LISTEN_OK)
        good = problem_at(&problem, option_place(&options->places, "listen"));
    log_setup((enum log_format)options->log_format, (enum log_level)options->log_level);
    if (good && surroundings_check(options, &problem)) {
        warn(options, auth, tls);
        printf("the configuration is good: %u %s\n", options->queues_len,
               text_plural(options->queues_len, "queue", "queues"));
    } else {
        good = false;
        fprintf(stderr, "jobd: %s\n", problem.text);
    }
    auth_free(auth);
    tls_free(tls);
    return good ? 0 : EXIT_WRONG;
}
