/* SPDX-License-Identifier: MIT */
/* The engine's one lock: 1 to 8 threads that put, take and end jobs and do nothing else, and what
 * follows from it for a server whose threads have requests to read and answers to write as well.
 *
 *     lock [MILLISECONDS [ROUNDS [REQUEST_US]]]
 *
 * Each thread puts a job of 100 bytes, takes one with a lease, and ends it: three verbs, each of
 * which takes the lock. First as it is: verbs a second, and processor time of one. Then with a
 * clock around the lock: how long it was held for a verb, and which part of the threads' time they
 * waited for it. A clock takes time too: what it takes by itself is subtracted. Who lost its core
 * while it held the lock says nothing of the lock, and is left out. The process is
 * linked with pthread_mutex_lock() and pthread_mutex_unlock() wrapped; the other locks of the
 * engine are not taken here. Figures are medians of the rounds.
 *
 * REQUEST_US is what a whole request costs a core, its verb included. The reckoning is that of a
 * closed queue: so many threads, each of which works on a request, then needs the lock for as long
 * as a verb holds it when two threads want it. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "median.h"
#include "jobd/lease.h"
#include "jobd/queue.h"

#define SECOND_NS 1e9
#define LOST_NS   20000 /* whoever holds it for longer was not running */

enum { THREADS = 8, ROUNDS_MAX = 99, BYTES = 100, BEFOREHAND = 10000, VERBS = 3 };

struct figure {
    double verbs_per_s, cpu_ns, held_ns, waited_share;
};

static struct jobd *jobd;
static atomic_bool over;
static bool watched; /* set while no thread runs */
static _Thread_local double held_ns, waited_ns, since_ns;
static double clock_cost_ns;

static void must(int good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "lock: %s\n", what);
    exit(1);
}

static double clock_ns(clockid_t which)
{
    struct timespec now;
    must(clock_gettime(which, &now) == 0, "no clock");
    return (double)now.tv_sec * SECOND_NS + (double)now.tv_nsec;
}

/* ---- the lock, watched */

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (!watched)
        return __real_pthread_mutex_lock(mutex);
    if (pthread_mutex_trylock(mutex) != 0) {
        double from_ns = clock_ns(CLOCK_MONOTONIC);
        int error = __real_pthread_mutex_lock(mutex);
        since_ns = clock_ns(CLOCK_MONOTONIC);
        waited_ns += since_ns - from_ns;
        return error;
    }
    since_ns = clock_ns(CLOCK_MONOTONIC);
    return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    if (watched) {
        double held = clock_ns(CLOCK_MONOTONIC) - since_ns - clock_cost_ns;
        held_ns += held < LOST_NS ? held : 0;
    }
    return __real_pthread_mutex_unlock(mutex);
}

static void measure_clock(void)
{
    enum { TRIES = 1000, TIMES = 100 };
    clock_cost_ns = SECOND_NS;
    for (int try = 0; try < TRIES; try++) {
        double from_ns = clock_ns(CLOCK_MONOTONIC);
        for (int i = 0; i < TIMES; i++)
            clock_ns(CLOCK_MONOTONIC);
        double cost_ns = (clock_ns(CLOCK_MONOTONIC) - from_ns) / (double)TIMES;
        clock_cost_ns = cost_ns < clock_cost_ns ? cost_ns : clock_cost_ns;
    }
}

/* ---- jobs */

static void on_wake(struct jobd_waiter *waiter)
{
    (void)waiter;
}

static void open_engine(void)
{
    const struct jobd_queue_config queue = {.name = "q", .capacity = 1000000, .workers = 1};
    const struct jobd_config config = {.queues = &queue,
                                       .queues_len = 1,
                                       .memory_bytes = (size_t)1 << 30,
                                       .leases_max = 1000,
                                       .waiters_max = 4,
                                       .first_id = 1};
    must(jobd_new(&jobd, &config) == 0, "out of memory");
}

static void put(int64_t now_us)
{
    struct jobd_put put = {.priority = JOBD_PRIORITY_DEFAULT};
    struct jobd_receipt receipt;
    put.payload = jobd_blob_new(BYTES, NULL);
    must(put.payload != NULL, "out of memory");
    memset(put.payload->bytes, 'x', BYTES);
    must(jobd_put(jobd, &put, NULL, now_us, &receipt) == JOBD_OK, "not let in");
}

static void take_and_end(unsigned long number, int64_t now_us)
{
    const struct jobd_outcome done = {.state = JOBD_DONE};
    struct jobd_waiter worker = {
        .deadline_us = JOBD_NEVER, .wake = on_wake, .at_once = true, .lease_us = 60000000};
    snprintf(worker.token, sizeof worker.token, "%032lx", number);
    must(jobd_take(jobd, 0, &worker, now_us) == JOBD_OK, "nothing to take");
    jobd_blob_unref(worker.task.payload);
    must(jobd_lease_finish(jobd, worker.token, &done, NULL, now_us) == JOBD_OK, "no such lease");
}

/* ---- threads */

struct worker {
    pthread_t thread;
    unsigned long number, lives;
    double cpu_ns, held_ns, waited_ns;
};

static void *work(void *context)
{
    struct worker *worker = context;
    double from_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    held_ns = waited_ns = 0;
    while (!over) {
        int64_t now_us = (int64_t)(clock_ns(CLOCK_MONOTONIC) / 1000);
        put(now_us);
        take_and_end((worker->number << 40) + worker->lives++, now_us);
    }
    worker->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - from_ns;
    worker->held_ns = held_ns;
    worker->waited_ns = waited_ns;
    return NULL;
}

static void sleep_ms(unsigned ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

/* Tokens are not used twice: `turn` is the number of this call. */
static struct figure run(unsigned threads, unsigned ms, bool with_clock, unsigned turn)
{
    struct worker workers[THREADS] = {{0}};
    struct figure figure = {0};
    double lives = 0, cpu = 0, held = 0, waited = 0, from_ns = clock_ns(CLOCK_MONOTONIC);
    over = false;
    watched = with_clock;
    for (unsigned i = 0; i < threads; i++) {
        workers[i].number = (unsigned long)turn * THREADS + i;
        must(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0, "no thread");
    }
    sleep_ms(ms);
    over = true;
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        lives += (double)workers[i].lives;
        cpu += workers[i].cpu_ns;
        held += workers[i].held_ns;
        waited += workers[i].waited_ns;
    }
    double took_ns = clock_ns(CLOCK_MONOTONIC) - from_ns;
    figure.verbs_per_s = lives * (double)VERBS / took_ns * SECOND_NS;
    figure.cpu_ns = cpu / lives / (double)VERBS;
    figure.held_ns = held / lives / (double)VERBS;
    figure.waited_share = waited / (took_ns * threads);
    watched = false;
    return figure;
}

static struct figure measure(unsigned threads, unsigned ms, unsigned rounds)
{
    static unsigned turn;
    double verbs[ROUNDS_MAX], cpu[ROUNDS_MAX], held[ROUNDS_MAX], waited[ROUNDS_MAX];
    for (unsigned i = 0; i < rounds; i++) {
        struct figure plain = run(threads, ms, false, ++turn);
        struct figure clocked = run(threads, ms, true, ++turn);
        verbs[i] = plain.verbs_per_s;
        cpu[i] = plain.cpu_ns;
        held[i] = clocked.held_ns;
        waited[i] = clocked.waited_share;
    }
    return (struct figure){median(verbs, rounds), median(cpu, rounds), median(held, rounds),
                           median(waited, rounds)};
}

/* Verbs a second of so many threads, and which part of the time the lock is held: by mean value
 * analysis of a closed queue with one station. */
static double reckon(unsigned threads, double outside_ns, double held, double *used)
{
    double queue = 0, per_ns = 0;
    for (unsigned i = 1; i <= threads; i++) {
        double at_lock_ns = held * (1 + queue);
        per_ns = i / (outside_ns + at_lock_ns);
        queue = per_ns * at_lock_ns;
    }
    *used = per_ns * held;
    return per_ns * SECOND_NS;
}

static void print_reckoned(double request_us, double held)
{
    static const unsigned threads[] = {1, 2, 4, 8, 16, 32, 64};
    printf("\nreckoned: a request takes %.1f us of a core, its verb holds the lock for %.0f ns: at "
           "most %.0f verbs/s\n",
           request_us, held, SECOND_NS / held);
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        double used, rate = reckon(threads[i], request_us * 1000 - held, held, &used);
        printf("%2u threads  %8.0f requests/s  %5.2f of what that many would do without a lock  "
               "lock held %2.0f %% of the time\n",
               threads[i], rate, rate * request_us / 1e6 / threads[i], used * 100);
    }
}

int main(int argc, char **argv)
{
    unsigned ms = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 300;
    unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 5;
    double request_us = argc > 3 ? strtod(argv[3], NULL) : 10;
    double held = 0;
    must(ms > 0 && rounds > 0 && rounds <= ROUNDS_MAX && request_us > 1, "bad argument");
    measure_clock();
    open_engine();
    for (unsigned i = 0; i < BEFOREHAND; i++)
        put(1);
    for (unsigned threads = 1; threads <= THREADS; threads++) {
        struct figure figure = measure(threads, ms, rounds);
        printf(
            "%u threads  %8.0f verbs/s  %5.0f ns of a core a verb  lock held %4.0f ns  %2.0f %% of "
            "the threads' time spent waiting for it\n",
            threads, figure.verbs_per_s, figure.cpu_ns, figure.held_ns, figure.waited_share * 100);
        held = threads == 2 ? figure.held_ns : held;
    }
    print_reckoned(request_us, held);
    return 0;
}
