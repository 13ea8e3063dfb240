/* SPDX-License-Identifier: MIT */
/* A thread for each worker (take, run, finish, again) and one for the timer.
 *
 * There are as many workers as a queue may ever have, and a thread for those that it has now:
 *
 *     IDLE ── start, resize ──> WORKING <── resize ──> LEAVING ── its job has ended ──> GONE
 *      ^                                                                                  │
 *      └─────────────────────────────────── joined ───────────────────────────────────────┘
 *
 * A queue that is gone lets its threads go, which then are GONE as well.
 *
 * One that leaves but waits for a job may go on waiting for a moment: the engine gives no more jobs
 * than the queue has workers, whoever asks. */
#include "jobd/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/event.h"
#include "base/thread.h"
#include "jobd/live.h"
#include "run/pool_share.h"
#include "run/report.h"
#include "run/wait_sync.h"

enum { STORE_REST_US = 200000 };

enum presence { IDLE, WORKING, LEAVING, GONE };

/* Which attempt: its number comes again, after a retry or when one went back uncounted. */
struct attempt {
    uint64_t id;
    uint32_t number;
    int64_t started_us;
};

struct worker {
    struct wait_sync sync;
    struct report report; /* where queues are shared; and what its job has */
    struct jobd_kept kept;
    struct jobd_pool *pool; /* NULL: it has never had a thread, nothing of it is made */
    const struct crew *crew;
    uint32_t queue;
    pthread_t thread; /* unless it is idle */
    int stop_event;   /* set with the condition */
    /* By sync.lock. */
    enum presence presence GUARDED;
    bool runs GUARDED; /* this attempt: */
    struct attempt run GUARDED;
    struct attempt stop GUARDED; /* was told to stop */
};

struct timer {
    struct mutex lock;
    struct condition changed;
    bool poked GUARDED_BY(lock), over GUARDED_BY(lock);
    pthread_t thread;
};

/* What runs the jobs of a queue. */
struct crew {
    struct jobd_runner runner;
    struct worker *workers; /* as many as there may ever be: */
    uint32_t max;
    uint32_t wanted; /* threads */
};

struct jobd_pool {
    struct jobd *jobd;
    struct crew *crews; /* of each queue, by its index; there may come more, up to crews_max */
    uint32_t crews_max;
    struct timer timer;
    bool timer_made, timer_started;
    atomic_bool stops;
};

static _Thread_local struct worker *this_worker;

/* ---- timer */

static void poke(void *context)
{
    struct jobd_pool *pool = context;
    struct timer *timer = &pool->timer;
    mutex_lock(&timer->lock);
    timer->poked = true;
    condition_signal(&timer->changed);
    mutex_unlock(&timer->lock);
}

static bool timer_wait_locked(struct timer *timer, int64_t until_us) REQUIRES(timer->lock)
{
    struct timespec until = clock_monotonic(until_us);
    while (!timer->poked && !timer->over) {
        if (until_us == JOBD_NEVER)
            condition_wait(&timer->changed, &timer->lock);
        else if (!condition_wait_until(&timer->changed, &timer->lock, &until))
            break;
    }
    timer->poked = false;
    return !timer->over;
}

static void *timer_main(void *context)
{
    struct jobd_pool *pool = context;
    bool go_on;
    do {
        int64_t next_us = jobd_shared(pool->jobd) ? jobd_tick_waiters(pool->jobd, clock_now_us())
                                                  : jobd_tick(pool->jobd, clock_now_us());
        mutex_lock(&pool->timer.lock);
        go_on = timer_wait_locked(&pool->timer, next_us);
        mutex_unlock(&pool->timer.lock);
    } while (go_on);
    return NULL;
}

/* ---- workers */

static struct attempt attempt_of(const struct jobd_task *task)
{
    return (struct attempt){task->id, task->attempt, task->started_us};
}

static bool same_attempt(const struct attempt *one, const struct attempt *other)
{
    return one->id == other->id && one->number == other->number &&
           one->started_us == other->started_us;
}

static void stop(struct jobd_waiter *waiter, const struct jobd_task *task)
{
    struct worker *worker = container_of(waiter, struct worker, sync.waiter);
    const struct attempt attempt = attempt_of(task);
    mutex_lock(&worker->sync.lock);
    if (worker->runs && !same_attempt(&worker->run, &attempt)) {
        mutex_unlock(&worker->sync.lock); /* that one has ended meanwhile */
        return;
    }
    worker->stop = attempt;
    condition_signal(&worker->sync.changed);
    event_set(worker->stop_event);
    mutex_unlock(&worker->sync.lock);
}

static bool stopping_locked(const struct worker *worker) REQUIRES(worker->sync.lock)
{
    const struct attempt now = attempt_of(&worker->sync.waiter.task);
    return same_attempt(&worker->stop, &now);
}

/* From here on a stop that was meant for an earlier attempt must have no effect. */
static void begin_attempt(struct worker *worker)
{
    mutex_lock(&worker->sync.lock);
    worker->runs = true;
    worker->run = attempt_of(&worker->sync.waiter.task);
    if (!stopping_locked(worker))
        event_clear(worker->stop_event);
    mutex_unlock(&worker->sync.lock);
}

bool jobd_stopping(void)
{
    struct worker *worker = this_worker;
    if (worker == NULL)
        return false;
    mutex_lock(&worker->sync.lock);
    bool stopping = stopping_locked(worker);
    mutex_unlock(&worker->sync.lock);
    return stopping;
}

bool jobd_sleep(int64_t us)
{
    struct worker *worker = this_worker;
    verify(worker != NULL);
    struct timespec until = clock_monotonic(clock_after_us(us));
    mutex_lock(&worker->sync.lock);
    bool stopping = stopping_locked(worker);
    while (us > 0 && !stopping &&
           condition_wait_until(&worker->sync.changed, &worker->sync.lock, &until))
        stopping = stopping_locked(worker);
    mutex_unlock(&worker->sync.lock);
    return !stopping;
}

int jobd_stop_descriptor(void)
{
    return this_worker != NULL ? this_worker->stop_event : -1;
}

void jobd_show(struct jobd_blob *output, size_t bytes, bool truncated)
{
    struct worker *worker = this_worker;
    if (worker != NULL)
        jobd_show_output(worker->pool->jobd, &worker->sync.waiter.task, output, bytes, truncated);
}

int64_t jobd_now_us(void)
{
    return clock_now_us();
}

static void end_attempt(struct worker *worker)
{
    mutex_lock(&worker->sync.lock);
    worker->runs = false;
    mutex_unlock(&worker->sync.lock);
}

/* The store failed, so a job could not be started; it would fail for the next one too, so waits for
 * a moment. */
static void rest(struct worker *worker)
{
    struct timespec until = clock_monotonic(clock_after_us(STORE_REST_US));
    mutex_lock(&worker->sync.lock);
    while (condition_wait_until(&worker->sync.changed, &worker->sync.lock, &until))
        ;
    mutex_unlock(&worker->sync.lock);
}

/* Moves the worker from `from` to `to`. False: it was not there. */
static bool move(struct worker *worker, enum presence from, enum presence to)
{
    mutex_lock(&worker->sync.lock);
    bool moves = worker->presence == from;
    if (moves)
        worker->presence = to;
    mutex_unlock(&worker->sync.lock);
    return moves;
}

/* It has no thread, and none has to be joined. */
static bool is_idle(struct worker *worker)
{
    mutex_lock(&worker->sync.lock);
    bool idle = worker->presence == IDLE;
    mutex_unlock(&worker->sync.lock);
    return idle;
}

/* JOBD_CLOSED when the pool stops while the store fails, so that trying again is of no use. */
static enum jobd_result take(struct worker *worker)
{
    struct jobd *jobd = worker->pool->jobd;
    enum jobd_result result;
    if (jobd_shared(jobd)) {
        jobd_kept_release(&worker->kept);
        result = report_and_take(&worker->report);
        bool in_vain = result == JOBD_STORE_FAILED && atomic_load(&worker->pool->stops);
        return in_vain ? JOBD_CLOSED : result;
    }
    result = jobd_take(jobd, worker->queue, &worker->sync.waiter, clock_now_us());
    return result == JOBD_PENDING ? wait_sync_until(&worker->sync, jobd, JOBD_NEVER) : result;
}

/* Its queue was gone. Is it there again? Whoever brought it back has either counted this thread, or
 * waits for its end. */
static bool comes_back(struct worker *worker)
{
    (void)move(worker, WORKING, GONE);
    return jobd_queue_gives(worker->pool->jobd, worker->queue) && move(worker, GONE, WORKING);
}

static void *worker_main(void *context)
{
    struct worker *worker = context;
    struct jobd *jobd = worker->pool->jobd;
    const struct jobd_runner *runner = &worker->crew->runner;
    this_worker = worker;
    worker->report = (struct report){.jobd = jobd, .sync = &worker->sync, .queue = worker->queue};
    if (jobd_shared(jobd))
        worker->sync.waiter.kept = &worker->kept;
    while (worker->report.is_due || !move(worker, LEAVING, GONE)) {
        enum jobd_result result = take(worker);
        if (result == JOBD_TIMEOUT) /* sent home: perhaps not this one */
            continue;
        if (result == JOBD_STORE_FAILED) {
            rest(worker);
            continue;
        }
        if (result == JOBD_UNDECLARED && comes_back(worker))
            continue;
        if (result != JOBD_OK)
            break;
        const struct jobd_task *task = &worker->sync.waiter.task;
        struct jobd_outcome outcome = {.state = JOBD_DONE};
        begin_attempt(worker);
        runner->run(task, &outcome, runner->context);
        end_attempt(worker);
        report_fit(jobd, &outcome);
        if (jobd_shared(jobd))
            report_keep(&worker->report, task, &outcome);
        else
            jobd_finish(jobd, task, &outcome, clock_now_us());
    }
    report_forget(&worker->report);
    jobd_kept_release(&worker->kept);
    (void)move(worker, WORKING, GONE); /* there are no jobs any more */
    (void)move(worker, LEAVING, GONE);
    return NULL;
}

/* ---- the process's own pool */

static _Atomic(struct jobd_pool *) process_pool;

void pool_share(struct jobd_pool *pool)
{
    struct jobd_pool *none = NULL;
    atomic_compare_exchange_strong(&process_pool, &none, pool);
}

void pool_unshare(struct jobd_pool *pool)
{
    struct jobd_pool *expected = pool;
    atomic_compare_exchange_strong(&process_pool, &expected, NULL);
}

struct jobd_pool *pool_shared(void)
{
    return atomic_load(&process_pool);
}

/* ---- the pool */

static int timer_init(struct timer *timer)
{
    int error = mutex_init(&timer->lock);
    if (error != 0)
        return error;
    error = condition_init(&timer->changed);
    if (error != 0)
        mutex_release(&timer->lock);
    return error;
}

static int worker_init(struct worker *worker, struct jobd_pool *pool, const struct crew *crew,
                       uint32_t queue)
{
    worker->stop_event = event_new();
    if (worker->stop_event < 0)
        return worker->stop_event;
    int error = wait_sync_init(&worker->sync);
    if (error != 0) {
        close(worker->stop_event);
        return error;
    }
    worker->sync.waiter.stop = stop;
    worker->sync.waiter.uncounted = true;
    worker->pool = pool;
    worker->crew = crew;
    worker->queue = queue;
    return 0;
}

static uint32_t workers_max(const struct jobd_queue_config *queue)
{
    return queue->workers > queue->workers_max ? queue->workers : queue->workers_max;
}

static int crew_init(struct crew *crew, const struct jobd_queue_config *queue,
                     const struct jobd_runner *runner)
{
    const uint32_t max = workers_max(queue);
    *crew = (struct crew){.runner = *runner, .max = max, .wanted = queue->workers};
    crew->workers = calloc(max > 0 ? max : 1, sizeof *crew->workers);
    return crew->workers != NULL ? 0 : -ENOMEM;
}

/* None of its threads runs. */
static void crew_release(struct crew *crew)
{
    for (uint32_t i = 0; crew->workers != NULL && i < crew->max; i++)
        if (crew->workers[i].pool != NULL) {
            close(crew->workers[i].stop_event);
            wait_sync_release(&crew->workers[i].sync);
        }
    free(crew->workers);
    *crew = (struct crew){.workers = NULL};
}

int jobd_pool_new(struct jobd_pool **pool, const struct jobd_config *config,
                  const struct jobd_runner *runners)
{
    if (config->on_earlier_deadline.call != NULL || config->queues_len == 0)
        return -EINVAL;
    struct jobd_pool *new = calloc(1, sizeof *new);
    if (new == NULL)
        return -ENOMEM;
    struct jobd_config own = *config;
    own.on_earlier_deadline = (struct jobd_hook){.call = poke, .context = new};
    int error = jobd_new(&new->jobd, &own);
    if (error != 0)
        goto fail;
    new->crews_max = config->queues_len + config->spare_queues;
    new->crews = calloc(new->crews_max, sizeof *new->crews);
    error = new->crews != NULL ? timer_init(&new->timer) : -ENOMEM;
    if (error != 0)
        goto fail;
    new->timer_made = true;
    for (uint32_t i = 0; i < config->queues_len && error == 0; i++)
        error = crew_init(&new->crews[i], &config->queues[i], &runners[i]);
    if (error != 0)
        goto fail;
    *pool = new;
    return 0;
fail:
    jobd_pool_free(new);
    return error;
}

static void worker_join(struct worker *worker)
{
    verify(pthread_join(worker->thread, NULL) == 0);
    mutex_lock(&worker->sync.lock);
    worker->presence = IDLE;
    mutex_unlock(&worker->sync.lock);
}

/* 0 or -errno; then it is idle. */
static int worker_start(struct worker *worker)
{
    verify(move(worker, IDLE, WORKING));
    int error = thread_start(&worker->thread, worker_main, worker);
    if (error != 0)
        verify(move(worker, WORKING, IDLE));
    return error;
}

/* Lets superfluous threads go, and joins those that have gone. Returns how many stay. */
static uint32_t keep_threads(struct worker *first, struct worker *end, uint32_t wanted)
{
    uint32_t threads = 0;
    for (struct worker *worker = first; worker < end; worker++) {
        if (worker->pool == NULL)
            continue;
        if (move(worker, GONE, IDLE))
            worker_join(worker);
        if (move(worker, WORKING, threads < wanted ? WORKING : LEAVING))
            threads += threads < wanted;
    }
    return threads;
}

/* Makes the threads as many as are wanted: keeps those that were about to go, and starts the rest.
 * On error, -errno, there are fewer. */
static int set_threads(struct jobd_pool *pool, uint32_t queue, uint32_t wanted)
{
    struct crew *crew = &pool->crews[jobd_queue_index(queue)];
    struct worker *first = crew->workers, *end = crew->workers + crew->max;
    uint32_t threads = keep_threads(first, end, wanted);
    int error = 0;
    for (struct worker *worker = first; worker < end && threads < wanted; worker++)
        threads += worker->pool != NULL && move(worker, LEAVING, WORKING);
    for (struct worker *worker = first; worker < end && threads < wanted && error == 0; worker++) {
        if (worker->pool == NULL)
            error = worker_init(worker, pool, crew, queue);
        if (error == 0 && move(worker, GONE, IDLE)) /* since just now */
            worker_join(worker);
        if (error != 0 || !is_idle(worker))
            continue;
        error = worker_start(worker);
        threads++;
    }
    return error;
}

int jobd_pool_start(struct jobd_pool *pool)
{
    int error = thread_start(&pool->timer.thread, timer_main, pool);
    pool->timer_started = error == 0;
    for (uint32_t i = 0; i < pool->crews_max && error == 0; i++)
        error = set_threads(pool, i, pool->crews[i].wanted);
    return error;
}

int jobd_pool_resize(struct jobd_pool *pool, uint32_t queue, uint32_t capacity, uint32_t workers)
{
    struct crew *crew = &pool->crews[jobd_queue_index(queue)];
    verify(jobd_queue_index(queue) < pool->crews_max && pool->timer_started);
    if (workers > crew->max)
        return -EINVAL;
    int error = set_threads(pool, queue, workers);
    if (error == 0)
        error = jobd_queue_resize(pool->jobd, queue, capacity, workers, clock_now_us());
    if (error == 0)
        crew->wanted = workers;
    else
        (void)set_threads(pool, queue, crew->wanted); /* as it was */
    return error;
}

/* ---- queues that come and go */

/* Those of a queue that is gone, which end at once: no job is left. */
static void join_all(struct crew *crew)
{
    for (uint32_t i = 0; crew->workers != NULL && i < crew->max; i++)
        if (crew->workers[i].pool != NULL && !is_idle(&crew->workers[i]))
            worker_join(&crew->workers[i]);
}

int jobd_pool_add(struct jobd_pool *pool, const struct jobd_queue_config *config,
                  const struct jobd_runner *runner, uint32_t *queue)
{
    struct crew crew;
    verify(pool->timer_started);
    int result = crew_init(&crew, config, runner);
    if (result == 0)
        result = jobd_queue_add(pool->jobd, config, clock_now_us(), queue);
    if (result != 0)
        crew_release(&crew);
    if (result < 0)
        return result;
    struct crew *its = &pool->crews[jobd_queue_index(*queue)];
    if (result == 0) {
        join_all(its);
        crew_release(its);
        *its = crew;
    }
    its->wanted = config->workers;
    int error = set_threads(pool, *queue, its->wanted);
    if (error != 0) {
        jobd_queue_retire(pool->jobd, *queue, clock_now_us());
        return error;
    }
    return result;
}

void jobd_pool_retire(struct jobd_pool *pool, uint32_t queue)
{
    jobd_queue_retire(pool->jobd, queue, clock_now_us());
}

struct jobd *jobd_pool_jobd(struct jobd_pool *pool)
{
    return pool->jobd;
}

bool jobd_pool_drain(struct jobd_pool *pool, int64_t wait_us)
{
    struct wait_sync sync;
    if (wait_sync_init(&sync) != 0)
        return false;
    sync.waiter.uncounted = true;
    jobd_close(pool->jobd);
    enum jobd_result result = jobd_await_idle(pool->jobd, &sync.waiter);
    if (result == JOBD_PENDING)
        result = wait_sync_until(&sync, pool->jobd, clock_after_us(wait_us));
    wait_sync_release(&sync);
    return result == JOBD_OK;
}

static void timer_join(struct timer *timer)
{
    mutex_lock(&timer->lock);
    timer->over = true;
    condition_signal(&timer->changed);
    mutex_unlock(&timer->lock);
    verify(pthread_join(timer->thread, NULL) == 0);
}

void jobd_pool_stop(struct jobd_pool *pool)
{
    if (pool->timer_started) {
        atomic_store(&pool->stops, true);
        jobd_close(pool->jobd);
        jobd_cancel_all(pool->jobd, clock_now_us());
        jobd_stop_takers(pool->jobd);
    }
    for (uint32_t i = 0; pool->crews != NULL && i < pool->crews_max; i++)
        join_all(&pool->crews[i]);
    if (pool->timer_started)
        timer_join(&pool->timer);
    pool->timer_started = false;
}

void jobd_pool_free(struct jobd_pool *pool)
{
    if (pool == NULL)
        return;
    pool_unshare(pool);
    jobd_pool_stop(pool);
    for (uint32_t i = 0; pool->crews != NULL && i < pool->crews_max; i++)
        crew_release(&pool->crews[i]);
    if (pool->timer_made) {
        condition_release(&pool->timer.changed);
        mutex_release(&pool->timer.lock);
    }
    jobd_free(pool->jobd);
    free(pool->crews);
    free(pool);
}
