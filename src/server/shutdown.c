/* SPDX-License-Identifier: MIT */
#include "server/shutdown.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "run/process_tree.h"
#include "http/http.h"
#include "jobd/pool.h"
#include "base/log.h"
#include "server/reload.h"
#include "server/server.h"
#include "store/store.h"
#include "base/verify.h"

enum {
    REPLIES_MS = 2000,  /* at the end: for replies under way */
    STOPPING_MS = 2000, /* after the grace, and --kill-after: for runners told to stop */
    STORE_MS = 5000,    /* at the end, for a disk that fails */
    REST_MS = 100       /* after poll() failed */
};

/* ---- signals */

static void idle(struct jobd_waiter *waiter)
{
    const struct idle_event *event = (struct idle_event *)waiter;
    const uint64_t one = 1;
    verify(write(event->fd, &one, sizeof one) == sizeof one);
}

int shutdown_prepare(struct server *server)
{
    static const int heard[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD /* of orphans that become ours */};
    server->signals = -1;
    server->idle =
        (struct idle_event){.waiter = {.deadline_us = JOBD_NEVER, .uncounted = true, .wake = idle},
                            .fd = eventfd(0, EFD_CLOEXEC)};
    if (server->idle.fd < 0)
        return -errno;
    sigset_t set;
    sigemptyset(&set);
    for (unsigned i = 0; i < sizeof heard / sizeof heard[0]; i++)
        sigaddset(&set, heard[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return -errno;
    server->signals = signalfd(-1, &set, SFD_CLOEXEC);
    return server->signals < 0 ? -errno : 0;
}

void shutdown_release(struct server *server)
{
    close(server->idle.fd);
    close(server->signals);
}

static void hear(struct server *server, uint32_t signal, bool drains)
{
    if (signal == SIGHUP && drains)
        log_info("SIGHUP ignored while draining");
    else if (signal == SIGHUP)
        reread(&server->options, server->argc, server->argv, server->jobd, server->runners,
               server->auth, server->tls);
    process_trees_reap();
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

static int to_ms(int64_t us)
{
    int64_t ms = (us + 999) / 1000;
    return ms < INT32_MAX ? (int)ms : INT32_MAX;
}

/* For runners that have been told to stop. */
static int stopping_ms(const struct server *server)
{
    return to_ms(server->options.kill_after_us + STOPPING_MS * INT64_C(1000));
}

_Noreturn static void end_at_once(const struct server *server, const char *how)
{
    struct tally tally = count_jobs(server->jobd);
    process_trees_kill();
    if (server->store != NULL && store_gone(server->store) == NULL)
        log_error("stopped%s: %llu jobs waiting on disk, %llu running jobs will be retried", how,
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
    jobd_stop_takers(server->jobd); /* no worker begins another one */
    if (jobd_await_idle(server->jobd, &server->idle.waiter) == JOBD_OK)
        return;
    if (next_signal(server, server->idle.fd, to_ms(server->options.grace_us)) != 0)
        end_at_once(server, " immediately");
    jobd_cancel_all(server->jobd, clock_now_us());
    if (jobs_here(server) > 0 && next_signal(server, server->idle.fd, stopping_ms(server)) != 0)
        end_at_once(server, " immediately");
    if (jobs_here(server) > 0)
        end_at_once(server, ": some jobs did not stop in time");
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
        end_at_once(server, " immediately");
    tally = count_jobs(server->jobd);
    if (tally.waiting + tally.running == 0)
        return;
    jobd_cancel_all(server->jobd, clock_now_us());
    server->lost = tally.waiting; /* those that run are still counted as such */
    if (next_signal(server, server->idle.fd, stopping_ms(server)) != 0)
        end_at_once(server, " immediately");
    if (count_jobs(server->jobd).running > 0)
        end_at_once(server, ": some jobs did not stop in time");
    server->lost = tally.waiting + tally.running;
}

int serve_until_signal(struct server *server)
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
    const char *gone = server->store != NULL ? store_gone(server->store) : NULL;
    if (gone != NULL) {
        log_error("stopped: %llu jobs lost: %s is gone",
                  (unsigned long long)(tally.waiting + tally.running), gone);
        return EXIT_LOST;
    }
    if (server->lost > 0) {
        log_error("stopped: %llu jobs lost", (unsigned long long)server->lost);
        return EXIT_LOST;
    }
    if (!written) {
        log_error("stopped: some results could not be saved; those jobs will run again");
        return EXIT_LOST;
    }
    log_info("stopped: %llu done, %llu failed, %llu cancelled, 0 lost",
             (unsigned long long)tally.done, (unsigned long long)tally.failed,
             (unsigned long long)tally.cancelled);
    if (server->store != NULL)
        log_info("%llu jobs waiting on disk, %llu leased", (unsigned long long)tally.waiting,
                 (unsigned long long)tally.running);
    return 0;
}
