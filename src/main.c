/* SPDX-License-Identifier: MIT */
/* jobd: a job queue that anyone can use with curl. A job's way through the house:
 *
 *     client ──> gate ──> http ──> api ──> heart (ring) ──> worker ──> runner ──> heart ──> client
 *
 *     main.c       options in, start, wait for a signal, drain, exit code
 *     options.c    every option: command line, environment, file, help
 *                  option_values.c, what their texts mean
 *     settings.c   the configuration file
 *     reread.c     SIGHUP
 *     keys.c       tokens: who may do what
 *     tls.c        the certificate
 *     sandbox.c    what is given up: landlock.c files, seccomp.c system calls
 *     probe.c      --health
 *
 *   the face     api.c       the table of endpoints; each a function in
 *                            api_put.c, api_jobs.c, api_work.c, api_queues.c
 *                answer.c    what they share
 *                metrics.c   /metrics
 *                http.c      libmicrohttpd: http_request.c, http_reply.c
 *                headers.c   what a request's header may say
 *                cors.c      pages of another site
 *                gate.c      connections: limits, deadlines, hang-ups
 *                listen.c    the sockets
 *   the hands    pool.c      worker threads and the timer
 *                call.c      function calls as jobs
 *                runner.c    what a queue's jobs are done with:
 *                sleep.c     the pretend work
 *                exec.c      a command
 *                post.c      a request to a web service; web.c, libcurl
 *   the heart    admit.c     who is let in
 *                life.c      a job's states
 *                lease.c     attempts whose holders are elsewhere
 *                wait.c      who waits for what
 *                jobs.c      the records
 *                look.c      reads
 *                heart.c     start and end
 *                journal.c   changes on their way to disk; restore.c, back
 *                cancel.c    cancel, purge, pause
 *   the memory   store.c     the writer; recall.c, the start
 *                database.c  the file; rows.c, a job in it
 *                ballast.c   space for a full disk
 *   the ground   ring, heap, rate, blob, block, clock, lock, log, text, json, words, verify
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api.h"
#include "clock.h"
#include "database.h"
#include "http.h"
#include "jobd/pool.h"
#include "json.h"
#include "listen.h"
#include "log.h"
#include "options.h"
#include "probe.h"
#include "reread.h"
#include "runner.h"
#include "sandbox.h"
#include "store.h"
#include "tls.h"
#include "verify.h"
#include "web.h"

enum {
    EXIT_LOST = 1,            /* work was lost, or something failed */
    EXIT_WRONG = 2,           /* the user's mistake; nothing was started */
    DESCRIPTORS_SPARE = 160,  /* for listeners, loops, and clients that are being sent away */
    DESCRIPTORS_A_WORKER = 8, /* pipes of a command, connections to a web service */
    REPLIES_MS = 2000,        /* at the end: for replies under way */
    STOPPING_MS = 5000,       /* after the grace: for runners told to stop */
    STORE_MS = 5000,          /* at the end, for a disk that fails */
    REST_MS = 100             /* after poll() failed */
};

/* Ids count microseconds from here at the start of a server, so that they go on rising when one
 * that remembers nothing is started again: fewer than a million jobs a second came in between. */
#define IDS_SINCE_US INT64_C(1767225600000000) /* 2026-01-01T00:00:00Z */

/* A waiter that a poll() can wait for. */
struct idle_event {
    struct jobd_waiter waiter; /* first: a waiter is its event */
    int fd;
};

struct server {
    int argc;
    char **argv;
    struct options options;
    uint32_t connections_max; /* as many as the limit on open files allows */
    struct listeners listeners;
    struct runner **runners; /* a queue's, by its index */
    struct store *store;     /* NULL: memory only */
    struct keys *keys;       /* NULL: everybody may come in */
    struct tls *tls;         /* NULL: in clear */
    struct jobd_pool *pool;
    struct jobd *jobd;
    struct http *http;
    struct api *api;
    int signals; /* a signalfd */
    struct idle_event idle;
    uint64_t lost; /* jobs that were not finished in the grace */
};

/* ---- start */

static int failed(const char *what, int error)
{
    log_error("%s: %s", what, strerror(error));
    return EXIT_LOST;
}

/* Signals become readable: those that end it, SIGHUP, and that of children left to process 1. */
static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return -1;
    return signalfd(-1, &set, SFD_CLOEXEC);
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
        fprintf(stderr, "jobd: the limit on open files is %llu: allowed is %llu and more\n",
                (unsigned long long)limit.rlim_cur, (unsigned long long)spare + 1);
        return false;
    }
    uint64_t room = limit.rlim_cur - spare;
    if (options->connections_max > room) {
        log_warn("the limit on open files allows %llu connections, not %llu",
                 (unsigned long long)room, (unsigned long long)options->connections_max);
        *connections_max = (uint32_t)room;
    }
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
            .journal = server->store != NULL ? store_ring : NULL,
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
                                      .keys = server->keys,
                                      .output_max_bytes = (size_t)server->options.output_max_bytes};
    return api_new(&server->api, &config);
}

static int start(struct server *server)
{
    const struct options *options = &server->options;
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
        .tls = server->tls != NULL,
        .keyed = server->keys != NULL,
        .cors_origin = options->cors_origin,
    };
    if ((error = http_new(&server->http, &config)) != 0 || (error = new_api(server)) != 0 ||
        (server->store != NULL && (error = store_start(server->store, server->jobd)) != 0) ||
        (error = jobd_pool_start(server->pool)) != 0)
        return error;
    return http_start(server->http, api_serve, server->api);
}

/* ---- counting */

struct tally {
    uint64_t waiting, running, done, failed, cancelled;
};

static struct tally count_jobs(struct jobd *jobd)
{
    struct tally tally = {0};
    for (uint32_t i = 0; i < jobd_queues_len(jobd); i++) {
        struct jobd_stats stats;
        jobd_stats(jobd, i, clock_now_us(), &stats);
        tally.waiting += stats.queued + stats.scheduled;
        tally.running += stats.running;
        tally.done += stats.done;
        tally.failed += stats.failed;
        tally.cancelled += stats.cancelled;
    }
    return tally;
}

/* Jobs that run in this process. */
static uint64_t jobs_here(const struct server *server)
{
    uint64_t running = 0;
    for (uint32_t i = 0; i < jobd_queues_len(server->jobd); i++) {
        struct jobd_stats stats;
        jobd_stats(server->jobd, i, clock_now_us(), &stats);
        running += stats.running - stats.leased;
    }
    return running;
}

/* ---- drain */

static void idle(struct jobd_waiter *waiter)
{
    const struct idle_event *event = (struct idle_event *)waiter;
    const uint64_t one = 1;
    verify(write(event->fd, &one, sizeof one) == sizeof one);
}

/* As process 1 the children that others left behind become ours, this thread's; those of a worker
 * are its own to wait for. */
static void reap(void)
{
    while (waitpid(-1, NULL, WNOHANG | __WNOTHREAD) > 0)
        ;
}

static void hear(struct server *server, uint32_t signal, bool drains)
{
    if (signal == SIGHUP && drains)
        log_info("SIGHUP: it drains, nothing is read again");
    else if (signal == SIGHUP)
        reread(&server->options, server->argc, server->argv, server->jobd, server->runners,
               server->keys, server->tls);
    reap();
}

/* The next signal that ends the server; 0 when none came within the time (-1: no limit, it does not
 * drain yet), or when `other` (-1: none) became readable first. */
static int next_signal(struct server *server, int other, int timeout_ms)
{
    const int64_t until_ms = clock_now_us() / 1000 + timeout_ms;
    for (;;) {
        struct pollfd polls[] = {{.fd = server->signals, .events = POLLIN},
                                 {.fd = other, .events = POLLIN}};
        int64_t left_ms = timeout_ms < 0 ? -1 : until_ms - clock_now_us() / 1000;
        if (timeout_ms >= 0 && left_ms <= 0)
            return 0;
        /* A limit on open files below 2 is one for poll() too: no reason to end. */
        if (poll(polls, 2, (int)left_ms) < 0 && errno != EINTR)
            (void)poll(NULL, 0, REST_MS);
        struct signalfd_siginfo info;
        if ((polls[0].revents & POLLIN) != 0 &&
            read(server->signals, &info, sizeof info) == sizeof info) {
            if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
                return (int)info.ssi_signo;
            hear(server, info.ssi_signo, timeout_ms >= 0);
        }
        if ((polls[1].revents & POLLIN) != 0)
            return 0;
    }
}

static int to_ms(int64_t us)
{
    int64_t ms = (us + 999) / 1000;
    return ms < INT32_MAX ? (int)ms : INT32_MAX;
}

_Noreturn static void end_at_once(const struct server *server, const char *how)
{
    struct tally tally = count_jobs(server->jobd);
    if (server->store != NULL)
        log_error("stopped%s: %llu jobs wait on disk, %llu that ran go again", how,
                  (unsigned long long)tally.waiting, (unsigned long long)tally.running);
    else
        log_error("stopped%s: %llu jobs lost", how,
                  (unsigned long long)(tally.waiting + tally.running + server->lost));
    listen_remove_files(&server->listeners);
    _exit(EXIT_LOST);
}

/* Until no job runs here any more; one that does not end in time goes back to the disk. */
static void drain_durable(struct server *server)
{
    jobd_dismiss(server->jobd); /* no worker begins another one */
    if (jobd_await_idle(server->jobd, &server->idle.waiter) == JOBD_OK)
        return;
    if (next_signal(server, server->idle.fd, to_ms(server->options.grace_us)) != 0)
        end_at_once(server, " at once");
    jobd_abandon(server->jobd, clock_now_us());
    if (jobs_here(server) > 0 && next_signal(server, server->idle.fd, STOPPING_MS) != 0)
        end_at_once(server, " at once");
    if (jobs_here(server) > 0)
        end_at_once(server, ", not all jobs would");
}

/* Until all jobs have ended, or the grace is over and what is left has been told to stop; then
 * nothing runs any more. A second signal, or a job that does not stop, ends the process here. */
static void drain(struct server *server)
{
    struct tally tally = count_jobs(server->jobd);
    log_info("draining: %llu waiting, %llu running", (unsigned long long)tally.waiting,
             (unsigned long long)tally.running);
    http_drain(server->http);
    jobd_close(server->jobd);
    if (server->store != NULL) { /* what waits, or is leased, stays on disk */
        drain_durable(server);
        return;
    }
    if (jobd_await_idle(server->jobd, &server->idle.waiter) == JOBD_OK)
        return;
    if (next_signal(server, server->idle.fd, to_ms(server->options.grace_us)) != 0)
        end_at_once(server, " at once");
    tally = count_jobs(server->jobd);
    if (tally.waiting + tally.running == 0)
        return;
    jobd_abandon(server->jobd, clock_now_us());
    server->lost = tally.waiting; /* those that run are still counted as such */
    if (next_signal(server, server->idle.fd, STOPPING_MS) != 0)
        end_at_once(server, " at once");
    if (count_jobs(server->jobd).running > 0)
        end_at_once(server, ", not all jobs would");
    server->lost = tally.waiting + tally.running;
}

/* ---- the process */

static int serve_until_signal(struct server *server)
{
    for (unsigned i = 0; i < server->listeners.len; i++)
        log_info("listening on %s", server->listeners.of[i].name);
    int number = next_signal(server, -1, -1);
    log_info("%s", number == SIGINT ? "SIGINT" : "SIGTERM");
    drain(server);
    jobd_pool_stop(server->pool);
    if (!http_stop(server->http, REPLIES_MS))
        end_at_once(server, ", requests were still waiting");
    bool written = server->store == NULL || store_stop(server->store, STORE_MS * INT64_C(1000));
    struct tally tally = count_jobs(server->jobd);
    if (server->lost > 0) {
        log_error("stopped: %llu jobs lost", (unsigned long long)server->lost);
        return EXIT_LOST;
    }
    if (!written) {
        log_error("stopped: not all ends could be written down: those jobs go again");
        return EXIT_LOST;
    }
    log_info("stopped: %llu done, %llu failed, %llu cancelled, none lost",
             (unsigned long long)tally.done, (unsigned long long)tally.failed,
             (unsigned long long)tally.cancelled);
    if (server->store != NULL)
        log_info("%llu jobs wait on disk, %llu are leased", (unsigned long long)tally.waiting,
                 (unsigned long long)tally.running);
    return 0;
}

/* Whoever reaches the port is known, or welcome. */
static bool guarded(const struct options *options)
{
    return options->open || options->token_file != NULL;
}

static bool open_keys(const struct options *options, struct keys **keys)
{
    char error[KEYS_ERROR_SIZE];
    if (options->token_file == NULL || keys_open(keys, options->token_file, error))
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

static int run(struct server *server)
{
    char error[LISTEN_ERROR_SIZE];
    const struct options *options = &server->options;
    log_setup((enum log_format)options->log_format, (enum log_level)options->log_level);
    server->signals = open_signals();
    if (server->signals < 0)
        return failed("signals", errno);
    server->idle =
        (struct idle_event){.waiter = {.deadline_us = JOBD_NEVER, .exempt = true, .wake = idle},
                            .fd = eventfd(0, EFD_CLOEXEC)};
    if (server->idle.fd < 0)
        return failed("eventfd", errno);
    if (!fit_descriptors(&server->options, &server->connections_max))
        return EXIT_LOST;
    if (!open_keys(options, &server->keys) || !open_tls(options, &server->tls))
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
    give_up_rights(server);
    int problem = start(server);
    int code = problem == 0 ? serve_until_signal(server) : failed("start", -problem);
    http_free(server->http);
    api_free(server->api);
    jobd_pool_free(server->pool);
    release_runners(server);
    store_free(server->store);
    keys_free(server->keys);
    tls_free(server->tls);
    listen_close(&server->listeners);
    close(server->idle.fd);
    close(server->signals);
    return code;
}

static int check(const struct options *options)
{
    char error[LISTEN_ERROR_SIZE];
    struct keys *keys = NULL;
    struct tls *tls = NULL;
    bool good = open_keys(options, &keys) && open_tls(options, &tls);
    keys_free(keys);
    tls_free(tls);
    if (!good)
        return EXIT_WRONG;
    if (listen_check(options->listen, guarded(options), error) != LISTEN_OK) {
        fprintf(stderr, "jobd: %s\n", error);
        return EXIT_WRONG;
    }
    printf("the configuration is good: %u queue%s\n", options->queues_len,
           options->queues_len == 1 ? "" : "s");
    return 0;
}

int main(int argc, char **argv)
{
    static struct server server;
    server.argc = argc;
    server.argv = argv;
    if (!options_read(&server.options, argc, argv))
        return EXIT_WRONG;
    int code = 0;
    switch (server.options.action) {
    case ACTION_RUN:
        code = run(&server);
        break;
    case ACTION_CHECK:
        code = check(&server.options);
        break;
    case ACTION_HEALTH:
        code = probe_health(server.options.listen, server.options.tls_certificate != NULL)
                   ? 0
                   : EXIT_LOST;
        break;
    case ACTION_VERSION:
        printf("jobd " JOBD_VERSION " (libmicrohttpd %s, cJSON %s, libcurl %s, SQLite %s, %s)\n",
               http_library(), cJSON_Version(), web_library(), database_library(), tls_library());
        break;
    case ACTION_HELP:
        options_help(stdout);
        break;
    }
    options_release(&server.options);
    return code;
}
