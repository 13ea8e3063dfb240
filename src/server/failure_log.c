/* SPDX-License-Identifier: MIT */
#include "server/failure_log.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "base/thread.h"
#include "base/verify.h"
#include "jobd/failures.h"
#include "jobd/queue.h"

enum { LINES_A_SECOND = 10, BATCH = 16 };

/* The state of one kind of line. */
struct pace {
    int64_t written_us[LINES_A_SECOND]; /* the last ones */
    unsigned oldest;
    uint64_t rest; /* not written, */
    int64_t rest_since_us;
};

enum kind { ATTEMPTS, JOBS, KINDS };

struct paces {
    struct pace of[KINDS];
};

/* ---- lines */

static bool has_turn(struct pace *pace, int64_t now_us)
{
    if (now_us - pace->written_us[pace->oldest] < CLOCK_SECOND_US)
        return false;
    pace->written_us[pace->oldest] = now_us;
    pace->oldest = (pace->oldest + 1) % LINES_A_SECOND;
    return true;
}

static void count(struct pace *pace, uint64_t number, int64_t now_us)
{
    if (number > 0 && pace->rest == 0)
        pace->rest_since_us = now_us;
    pace->rest += number;
}

static void write_line(const struct jobd *jobd, const struct jobd_failure *failure)
{
    char error[2 * JOBD_FAILURE_SIZE], status[40] = "", by[JOBD_WORKER_SIZE + 8] = "";
    if (failure->exited)
        snprintf(status, sizeof status, "exit status %d: ", failure->exit_code);
    if (failure->worker[0] != '\0')
        snprintf(by, sizeof by, " by %s", failure->worker);
    log_line(failure->final ? LOG_WARN : LOG_DEBUG,
             "queue %s: job %llu %s, attempt %u of %u%s: %s%s",
             jobd_queue_name(jobd, failure->queue), (unsigned long long)failure->id,
             failure->final ? "failed" : "will be tried again", failure->attempt, failure->attempts,
             by, status,
             failure->error[0] != '\0' ? text_printable(failure->error, error, sizeof error)
                                       : "no error was given");
}

/* When the next line about the rest is due, JOBD_NEVER: there is none. */
static int64_t write_rest(struct paces *paces, int64_t now_us, bool all)
{
    static const struct {
        enum log_level level;
        const char *one, *many;
    } lines[KINDS] = {
        [ATTEMPTS] = {LOG_DEBUG, "attempt", "attempts"}, [JOBS] = {LOG_WARN, "job", "jobs"}};
    int64_t next_us = JOBD_NEVER;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct pace *pace = &paces->of[kind];
        if (pace->rest == 0)
            continue;
        int64_t due_us = pace->rest_since_us + CLOCK_SECOND_US;
        if (due_us > now_us && !all) {
            next_us = due_us < next_us ? due_us : next_us;
            continue;
        }
        log_line(lines[kind].level, "%llu more %s failed", (unsigned long long)pace->rest,
                 text_plural(pace->rest, lines[kind].one, lines[kind].many));
        pace->rest = 0;
    }
    return next_us;
}

/* Fetches all that the engine has to report. */
static void write_failures(struct jobd *jobd, struct paces *paces)
{
    struct jobd_failure failures[BATCH];
    uint64_t missed, missed_attempts;
    size_t len;
    do {
        int64_t now_us = clock_now_us();
        len = jobd_failures(jobd, failures, BATCH, &missed, &missed_attempts);
        for (size_t i = 0; i < len; i++) {
            struct pace *pace = &paces->of[failures[i].final ? JOBS : ATTEMPTS];
            if (has_turn(pace, now_us))
                write_line(jobd, &failures[i]);
            else
                count(pace, 1, now_us);
        }
        count(&paces->of[JOBS], missed, now_us);
        count(&paces->of[ATTEMPTS], missed_attempts, now_us);
    } while (len == BATCH);
}

/* A service went away, or is back. `down_since_us` has one for each queue; 0: not known. */
static void write_breakers(struct jobd *jobd, int64_t *down_since_us)
{
    struct jobd_breaker change;
    while (jobd_breaker_change(jobd, &change)) {
        const char *queue = jobd_queue_name(jobd, change.queue);
        char error[2 * JOBD_FAILURE_SIZE];
        int64_t *since_us = &down_since_us[change.queue];
        if (change.open)
            log_line(LOG_WARN,
                     "queue %s: its service is down, %u failed %s in a row: its jobs wait, and one "
                     "tries every %lld ms: %s",
                     queue, change.failures, text_plural(change.failures, "attempt", "attempts"),
                     (long long)change.every_us / 1000,
                     text_printable(change.error, error, sizeof error));
        else
            log_line(LOG_WARN, "queue %s: its service answers again after %lld s", queue,
                     (long long)((change.at_us - *since_us) / CLOCK_SECOND_US));
        *since_us = change.open ? change.at_us : 0;
    }
}

/* ---- the thread */

static void poke(void *context)
{
    struct failure_log *log = context;
    mutex_lock(&log->lock);
    log->poked = true;
    condition_signal(&log->changed);
    mutex_unlock(&log->lock);
}

/* False: it is over. */
static bool wait_locked(struct failure_log *log, int64_t until_us) REQUIRES(log->lock)
{
    struct timespec until = clock_monotonic(until_us);
    while (!log->poked && !log->over) {
        if (until_us == JOBD_NEVER)
            condition_wait(&log->changed, &log->lock);
        else if (!condition_wait_until(&log->changed, &log->lock, &until))
            break;
    }
    log->poked = false;
    return !log->over;
}

static void *run(void *context)
{
    struct failure_log *log = context;
    struct paces paces = {0};
    bool go_on = true;
    int64_t next_us = JOBD_NEVER;
    while (go_on) {
        mutex_lock(&log->lock);
        go_on = wait_locked(log, next_us);
        mutex_unlock(&log->lock);
        write_breakers(log->jobd, log->down_since_us);
        write_failures(log->jobd, &paces);
        next_us = write_rest(&paces, clock_now_us(), !go_on);
    }
    return NULL;
}

/* ---- its life */

int failure_log_init(struct failure_log *log, struct jobd_config *config)
{
    int error = mutex_init(&log->lock);
    if (error != 0)
        return error;
    error = condition_init(&log->changed);
    if (error != 0) {
        mutex_release(&log->lock);
        return error;
    }
    log->made = true;
    config->on_failure = (struct jobd_hook){.call = poke, .context = log};
    config->failed_attempts = log_writes(LOG_DEBUG);
    return 0;
}

int failure_log_start(struct failure_log *log, struct jobd *jobd)
{
    log->jobd = jobd;
    log->down_since_us = calloc(jobd_queues_len(jobd), sizeof *log->down_since_us);
    if (log->down_since_us == NULL)
        return -ENOMEM;
    int error = thread_start(&log->thread, run, log);
    log->started = error == 0;
    return error;
}

void failure_log_stop(struct failure_log *log)
{
    if (!log->started)
        return;
    mutex_lock(&log->lock);
    log->over = true;
    condition_signal(&log->changed);
    mutex_unlock(&log->lock);
    verify(pthread_join(log->thread, NULL) == 0);
    log->started = false;
}

void failure_log_release(struct failure_log *log)
{
    if (!log->made)
        return;
    free(log->down_since_us);
    condition_release(&log->changed);
    mutex_release(&log->lock);
    log->made = false;
}
