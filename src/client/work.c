/* SPDX-License-Identifier: MIT */
#include "client/work.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/chars.h"
#include "base/event.h"
#include "base/log.h"
#include "base/text.h"
#include "base/thread.h"
#include "base/verify.h"
#include "client/client_options.h"
#include "client/worker.h"
#include "jobd/queue.h"
#include "run/command_check.h"
#include "run/process_tree.h"
#include "server/sandbox.h"
#include "server/signals.h"

enum {
    DESCRIPTORS_SPARE = 64,
    DESCRIPTORS_A_WORKER = 16, /* pipes of a command, two connections, events */
    PATH_SIZE = 2048
};

/* ---- what to take */

/* A name as a query has it. */
static void put_escaped(char *to, size_t size, const char *name)
{
    size_t used = 0;
    for (; *name != '\0' && used + 4 < size; name++) {
        bool plain = char_is_alpha(*name) || char_is_digit(*name) || strchr("-._~,", *name) != NULL;
        used +=
            (size_t)snprintf(to + used, size - used, plain ? "%c" : "%%%02X", (unsigned char)*name);
    }
    to[used] = '\0';
}

/* What the server may call us: a name that was given, or the host's. */
static void find_name(const struct client_options *options, char name[JOBD_WORKER_SIZE])
{
    snprintf(name, JOBD_WORKER_SIZE, "%s", options->worker != NULL ? options->worker : "");
    if (options->worker == NULL && gethostname(name, JOBD_WORKER_SIZE - 1) != 0)
        name[0] = '\0';
    name[JOBD_WORKER_SIZE - 1] = '\0';
    if (!text_is_word(name, JOBD_WORKER_SIZE))
        name[0] = '\0';
}

/* NULL when memory is short. */
static char *make_take_path(const struct client_options *options)
{
    char name[JOBD_WORKER_SIZE], worker[3 * JOBD_WORKER_SIZE + 1];
    const char *queues = options->queues != NULL ? options->queues : "default";
    char *path;
    find_name(options, name);
    put_escaped(worker, sizeof worker, name);
    if (asprintf(&path, "/take?wait=%ds&lease=%lldms&queue=%s%s%s", TAKE_WAIT_S,
                 (long long)(options->lease_us / 1000), queues, name[0] != '\0' ? "&worker=" : "",
                 worker) < 0)
        return NULL;
    return path;
}

/* ---- the process */

static void raise_descriptors(uint64_t workers)
{
    struct rlimit limit;
    rlim_t wanted = DESCRIPTORS_SPARE + workers * DESCRIPTORS_A_WORKER;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static unsigned start_workers(struct work *work, pthread_t *threads)
{
    const unsigned wanted = (unsigned)work->options->workers;
    unsigned len = 0;
    int error = 0;
    atomic_store(&work->left, wanted);
    while (len < wanted && error == 0)
        if ((error = thread_start(&threads[len], worker_run, work)) == 0)
            len++;
    if (error != 0) {
        log_error("cannot start a thread: %s", strerror(-error));
        atomic_store(&work->code, EXIT_FAILED);
        work_drain(work);
        if (atomic_fetch_sub(&work->left, wanted - len) == wanted - len)
            event_set(work->over);
    }
    return len;
}

static void reload(struct work *work)
{
    struct problem problem;
    if (remote_reload(work->remote, &problem))
        log_info("reloaded");
    else
        log_error("%s; the token of before stays", problem.text);
}

/* Until the last worker has ended. */
static void attend(struct work *work, const struct signals *signals)
{
    char name[SIGNALS_NAME_SIZE];
    bool draining = false;
    for (int number; (number = signals_wait(signals, work->over, JOBD_NEVER)) != 0;) {
        signals_name(number, name);
        if (number == SIGHUP) {
            reload(work);
        } else if (number == SIGUSR1) {
            log_info("SIGUSR1 ignored");
        } else if (draining) {
            log_warn("%s again: commands are stopped", name);
            process_trees_kill();
            _exit(EXIT_FAILED);
        } else {
            log_info("%s: no more jobs are taken; commands that run are finished", name);
            draining = true;
            work_drain(work);
        }
    }
}

static int serve(struct work *work, const struct signals *signals)
{
    const struct client_options *options = work->options;
    pthread_t *threads = calloc((size_t)options->workers, sizeof *threads);
    if (threads == NULL) {
        log_error("out of memory");
        return EXIT_FAILED;
    }
    log_info("jobd " JOBD_VERSION ": %llu %s for %s", (unsigned long long)options->workers,
             text_plural(options->workers, "worker", "workers"), remote_name(work->remote));
    unsigned len = start_workers(work, threads);
    attend(work, signals);
    for (unsigned i = 0; i < len; i++)
        verify(pthread_join(threads[i], NULL) == 0);
    free(threads);
    log_info("stopped");
    return atomic_load(&work->code);
}

static int wrong(const struct problem *problem, int code)
{
    fprintf(stderr, "jobd work: %s\n", problem->text);
    return code;
}

int work_main(const struct client_options *options)
{
    struct work work = {.options = options, .drain = event_new(), .over = event_new()};
    struct signals signals = {-1, -1};
    struct problem problem = {""};
    const struct remote_config config = {
        .urls = options->urls, .ca = options->ca, .token_file = options->token_file};
    const struct exec_place here = {.directory = NULL};
    int code = EXIT_FAILED;
    if (!command_check(options->command, &here, &problem))
        return wrong(&problem, EXIT_WRONG);
    if (!remote_open(&work.remote, &config, &problem))
        return wrong(&problem, EXIT_WRONG);
    work.take_path = make_take_path(options);
    int error = signals_open(&signals);
    if (error == 0)
        error = work.drain < 0 ? work.drain : work.over < 0 ? work.over : 0;
    if (error == 0 && work.take_path == NULL)
        error = -ENOMEM;
    if (error != 0) {
        (void)problem_set(&problem, "start: %s", strerror(-error));
        (void)wrong(&problem, code);
    } else {
        raise_descriptors(options->workers);
        sandbox_enter(&(struct sandbox){.commands = true, .secrets = options->token_file != NULL});
        code = serve(&work, &signals);
    }
    signals_close(&signals);
    free(work.take_path);
    remote_free(work.remote);
    return code;
}
