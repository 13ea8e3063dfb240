/* SPDX-License-Identifier: MIT */
#include "server/shutdown.h"

#include <signal.h>
#include <unistd.h>

#include "api/history.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/event.h"
#include "base/log.h"
#include "base/text.h"
#include "http/http.h"
#include "jobd/pool.h"
#include "run/process_tree.h"
#include "server/forgotten.h"
#include "server/notify.h"
#include "server/reload.h"
#include "server/server.h"
#include "store/backup.h"
#include "store/store.h"

/* How long the end waits: for replies under way; for runners that were told to stop, after the
 * grace and --kill-after; for a disk that fails. */
#define REPLIES_MS  2000
#define STOPPING_US (2 * CLOCK_SECOND_US)
#define STORE_US    (5 * CLOCK_SECOND_US)

enum { STATUS_SIZE = 256 };

/* For "%llu %s". */
#define JOBS(number) (unsigned long long)(number), text_plural(number, "job", "jobs")

/* ---- waiting */

static void idle(struct jobd_waiter *waiter)
{
    event_set(container_of(waiter, struct idle_event, waiter)->fd);
}

int shutdown_prepare(struct idle_event *event)
{
    *event = (struct idle_event){
        .waiter = {.deadline_us = JOBD_NEVER, .uncounted = true, .wake = idle},
        .fd = event_new(),
    };
    return event->fd < 0 ? event->fd : 0;
}

static void on_usr1(struct server *server)
{
    if (!reopen_access_log(server, "SIGUSR1"))
        log_info("SIGUSR1 ignored");
}

/* One that ends the server; SIGHUP reloads. */
static int next_signal(struct server *server)
{
    for (;;) {
        const int64_t sample_us = history_sample(server->api.history, clock_now_us());
        int number = signals_wait(&server->signals, -1, sample_us);
        if (number == SIGHUP)
            reload(server);
        else if (number == SIGUSR1)
            on_usr1(server);
        else if (number != 0)
            return number;
    }
}

/* True when no job runs any more, or the time is over; false when a signal wants an end at once. */
static bool await_idle(struct server *server, int64_t us)
{
    const int64_t until_us = clock_after_us(us);
    for (;;) {
        int number = signals_wait(&server->signals, server->idle.fd, until_us);
        if (number == SIGUSR1)
            on_usr1(server);
        else if (number == SIGHUP || number == SIGNALS_HANG_UP)
            log_info("SIGHUP ignored while draining"); /* a shell passes on the system's hang-up */
        else
            return number == 0;
    }
}

/* ---- counting */

struct tally {
    uint64_t waiting, running, leased, elsewhere, done, failed, cancelled;
};

static struct tally count_jobs(struct jobd *jobd)
{
    struct tally tally = {0};
    for (uint32_t i = 0; i < jobd_queues_len(jobd); i++) {
        struct jobd_stats stats;
        jobd_stats(jobd, i, clock_now_us(), &stats);
        tally.waiting += stats.waiting;
        tally.running += stats.running;
        tally.leased += stats.leased;
        tally.elsewhere += stats.elsewhere;
        tally.done += stats.done;
        tally.failed += stats.failed;
        tally.cancelled += stats.cancelled;
    }
    return tally;
}

/* Jobs that run in this process. */
static uint64_t jobs_here(const struct server *server)
{
    struct tally tally = count_jobs(server->jobd);
    return tally.running - tally.leased - tally.elsewhere;
}

/* ---- drain */

static int64_t stopping_us(const struct server *server)
{
    const struct options *options = &server->options;
    int64_t longest_us = 0;
    for (uint32_t i = 0; i < options->queues_len; i++)
        if (options->queues[i].kill_after_us > longest_us)
            longest_us = options->queues[i].kill_after_us;
    return longest_us + STOPPING_US;
}

_Noreturn void end_at_once(const struct server *server, const char *how)
{
    struct tally tally = count_jobs(server->jobd);
    process_trees_kill();
    if (server->turns != NULL)
        log_error("stopped%s: %llu %s waiting in the database", how, JOBS(tally.waiting));
    else if (server->store != NULL && store_gone(server->store) == NULL)
        log_error("stopped%s: %llu %s waiting on disk, %llu running %s will be retried", how,
                  JOBS(tally.waiting), JOBS(tally.running));
    else
        log_error("stopped%s: %llu %s lost", how,
                  JOBS(tally.waiting + tally.running + server->lost));
    listen_remove_files(&server->listeners);
    _exit(EXIT_LOST);
}

/* Until no job runs here any more; one that does not end in time goes back to the disk. */
static void drain_durable(struct server *server)
{
    jobd_stop_takers(server->jobd); /* no worker begins another one */
    if (jobd_await_idle(server->jobd, &server->idle.waiter) == JOBD_OK)
        return;
    if (!await_idle(server, server->options.grace_us))
        end_at_once(server, " immediately");
    jobd_cancel_all(server->jobd, clock_now_us());
    if (jobs_here(server) > 0 && !await_idle(server, stopping_us(server)))
        end_at_once(server, " immediately");
    if (jobs_here(server) > 0)
        end_at_once(server, ": some jobs did not stop in time");
}

/* Without a store the jobs end with the server: those of paused queues run now, or never. */
static void resume_all(struct jobd *jobd, int64_t now_us)
{
    for (uint32_t i = 0; i < jobd_queues_len(jobd); i++) {
        struct jobd_stats stats;
        jobd_stats(jobd, i, now_us, &stats);
        const uint32_t waiting = stats.waiting;
        if (!stats.paused || waiting == 0)
            continue;
        log_warn("queue %s is paused: resumed, to run its %llu waiting %s before the end",
                 jobd_queue_name(jobd, i), JOBS(waiting));
        (void)jobd_pause(jobd, i, false, NULL, now_us);
    }
}

static uint64_t scheduled_after(struct jobd *jobd, uint32_t queue, int64_t until_us)
{
    enum { PAGE = 64 };
    struct jobd_filter filter = {.queue = queue, .state = JOBD_SCHEDULED};
    struct jobd_info infos[PAGE];
    uint64_t later = 0;
    do {
        size_t len = jobd_list(jobd, &filter, infos, PAGE, &filter.after);
        for (size_t i = 0; i < len; i++)
            later += infos[i].run_at_us > until_us;
    } while (filter.after != 0);
    return later;
}

/* True: there was something to warn of. */
static bool say_lost(const struct jobd *jobd, uint32_t queue, uint64_t jobs, const char *unless)
{
    if (jobs > 0)
        log_warn("queue %s: %llu %s will be lost unless %s in --grace",
                 jobd_queue_name(jobd, queue), JOBS(jobs), unless);
    return jobs > 0;
}

static bool foretell_queue(struct server *server, uint32_t queue, int64_t now_us)
{
    struct jobd *jobd = server->jobd;
    struct jobd_stats stats;
    jobd_stats(jobd, queue, now_us, &stats);
    uint64_t later =
        stats.scheduled > 0 ? scheduled_after(jobd, queue, now_us + server->options.grace_us) : 0;
    if (later > 0)
        log_warn("queue %s: %llu scheduled %s will be lost: due after --grace",
                 jobd_queue_name(jobd, queue), JOBS(later));
    bool has_rate = stats.limits.starts > 0 || stats.group_limits.starts > 0;
    if (stats.workers == 0)
        return say_lost(jobd, queue, stats.queued + stats.leased, "remote workers finish") ||
               later > 0;
    if (stats.held)
        return say_lost(jobd, queue, stats.queued + stats.scheduled - later,
                        "its service is back") ||
               later > 0;
    return say_lost(jobd, queue, has_rate ? stats.held_back : 0, "its rate lets them begin") ||
           later > 0;
}

/* Said at once, while somebody can still do something about it. */
static void foretell(struct server *server, int64_t now_us)
{
    struct jobd *jobd = server->jobd;
    bool some = false;
    for (uint32_t i = 0; i < jobd_queues_len(jobd); i++)
        some |= foretell_queue(server, i, now_us);
    for (uint32_t i = 0; some && i < jobd_queues_len(jobd); i++) {
        struct jobd_stats stats;
        jobd_stats(jobd, i, now_us, &stats);
        (void)say_lost(jobd, i, stats.blocked, "those that they wait for end");
    }
}

/* Until all jobs have ended, or the grace is over and what is left has been told to stop; then
 * nothing runs any more. A second signal, or a job that does not stop, ends the process here. */
static void drain(struct server *server)
{
    struct tally tally = count_jobs(server->jobd);
    notify_stopping("draining: %llu waiting, %llu running", (unsigned long long)tally.waiting,
                    (unsigned long long)tally.running);
    if (server->turns != NULL)
        recur_end(server->recur); /* its turn may last until there are none */
    else
        recur_stop(server->recur); /* what comes from here on is for the next start */
    http_drain(server->http);
    jobd_close(server->jobd);
    log_info("draining: %llu waiting, %llu running", (unsigned long long)tally.waiting,
             (unsigned long long)tally.running);          /* now that nothing comes in */
    if (server->store != NULL || server->turns != NULL) { /* what waits, or is leased, stays */
        drain_durable(server);
        return;
    }
    resume_all(server->jobd, clock_now_us());
    foretell(server, clock_now_us());
    if (jobd_await_idle(server->jobd, &server->idle.waiter) == JOBD_OK)
        return;
    if (!await_idle(server, server->options.grace_us))
        end_at_once(server, " immediately");
    tally = count_jobs(server->jobd);
    if (tally.waiting + tally.running == 0)
        return;
    jobd_cancel_all(server->jobd, clock_now_us());
    server->lost = tally.waiting; /* those that run are still counted as such */
    if (!await_idle(server, stopping_us(server)))
        end_at_once(server, " immediately");
    if (count_jobs(server->jobd).running > 0)
        end_at_once(server, ": some jobs did not stop in time");
    server->lost = tally.waiting + tally.running;
}

/* What the last line of the log says, and the exit status. */
static int conclude(const struct server *server, bool written)
{
    struct tally tally = count_jobs(server->jobd);
    const char *gone = server->store != NULL ? store_gone(server->store) : NULL;
    if (gone != NULL)
        log_error("stopped: %llu %s lost: %s is gone", JOBS(tally.waiting + tally.running), gone);
    else if (server->lost > 0)
        log_error("stopped: %llu %s lost", JOBS(server->lost));
    else if (!written)
        log_error("stopped: some results could not be saved; those jobs will run again");
    if (gone != NULL || server->lost > 0 || !written)
        return EXIT_LOST;
    log_info("stopped: %llu done, %llu failed, %llu cancelled, 0 lost",
             (unsigned long long)tally.done, (unsigned long long)tally.failed,
             (unsigned long long)tally.cancelled);
    if (server->store != NULL)
        log_info("%llu %s waiting on disk, %llu leased", JOBS(tally.waiting),
                 (unsigned long long)tally.running);
    if (server->turns != NULL)
        log_info("%llu %s waiting in the database, %llu running", JOBS(tally.waiting),
                 (unsigned long long)tally.running);
    return 0;
}

int serve_until_signal(struct server *server)
{
    for (unsigned i = 0; i < server->listeners.len; i++)
        log_info("listening on %s", server->listeners.of[i].name);
    char name[SIGNALS_NAME_SIZE], status[STATUS_SIZE];
    serving_status(server, status, sizeof status);
    notify_ready(status);
    signals_name(next_signal(server), name);
    log_info("%s", name);
    drain(server);
    jobd_pool_stop(server->pool);
    jobd_stop_waits(server->jobd); /* for what the next start goes on with */
    forgotten_conclude(server);
    if (server->store != NULL)
        store_backup_close(server->store);
    if (!http_stop(server->http, REPLIES_MS))
        end_at_once(server, ", requests were still waiting");
    bool written = (server->store == NULL || store_stop(server->store, STORE_US)) &&
                   (server->turns == NULL || turns_stop(server->turns, STORE_US));
    failure_log_stop(&server->failures); /* before the last line */
    return conclude(server, written);
}
