/* SPDX-License-Identifier: MIT */
/* What a call that does nothing costs, by libjobd and beside it GThreadPool, libuv and OpenMP's
 * tasks, with 1 to 8 threads that make calls: calls a second when one thread asks for many at once,
 * and how long it takes from asking for one to its end when nothing else is asked for. All that has
 * a result, or an end, is waited for.
 *
 *     calls THREADS [CALLS [ROUNDS]]
 *
 * Lines: who, threads, calls a second, and the median and p99 of one alone in microseconds. A
 * process is for one number of threads, as libuv has that of its first call. */
#include <glib.h>
#include <omp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <uv.h>

#include "base/lock.h"
#include "jobd/call.h"
#include "jobd/group.h"

enum { ALONE = 20000, ROUNDS_MAX = 99 };

static void must(int good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "calls: %s\n", what);
    exit(1);
}

static double now_ns(void)
{
    struct timespec now;
    must(clock_gettime(CLOCK_MONOTONIC, &now) == 0, "no clock");
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* ---- ends, for those who do not wait themselves */

static struct mutex lock;
static struct condition changed;
static _Atomic unsigned left;

static void one_less(void)
{
    if (atomic_fetch_sub(&left, 1) > 1)
        return;
    mutex_lock(&lock);
    condition_signal(&changed);
    mutex_unlock(&lock);
}

static void await_all(void) LOCK_ATTRIBUTE(no_thread_safety_analysis)
{
    mutex_lock(&lock);
    while (atomic_load(&left) > 0)
        condition_wait(&changed, &lock);
    mutex_unlock(&lock);
}

/* ---- those that are compared: `calls` calls by so many threads, all of which have ended at its
 * return */

struct peer {
    const char *name;
    void (*open)(unsigned threads, unsigned calls);
    void (*make)(unsigned calls);
    void (*close)(void);
};

static struct jobd_pool *pool;
static struct jobd_group *group;

static void jobd_nothing(void *argument)
{
    (void)argument;
    one_less();
}

static void *group_nothing(void *argument)
{
    return argument;
}

static void jobd_open(unsigned threads, unsigned calls)
{
    must(jobd_call_open(&pool, calls, threads) == 0, "no pool");
    must(jobd_group_new(&group, pool, calls) == 0, "no group");
}

static void jobd_make(unsigned calls)
{
    atomic_store(&left, calls);
    for (unsigned i = 0; i < calls; i++)
        must(jobd_call(pool, jobd_nothing, NULL, 0) == JOBD_OK, "full");
    await_all();
}

static void group_make(unsigned calls)
{
    struct jobd_end end;
    for (unsigned i = 0; i < calls; i++)
        must(jobd_group_call(group, group_nothing, NULL, 0, NULL) == JOBD_OK, "full");
    while (jobd_group_next(group, JOBD_NEVER, &end) == JOBD_OK)
        ;
}

static void jobd_close_both(void)
{
    jobd_group_free(group);
    jobd_pool_free(pool);
}

static GThreadPool *glib;

static void glib_nothing(void *argument, void *context)
{
    (void)argument;
    (void)context;
    one_less();
}

static void glib_open(unsigned threads, unsigned calls)
{
    (void)calls;
    glib = g_thread_pool_new(glib_nothing, NULL, (int)threads, TRUE, NULL);
    must(glib != NULL, "no GThreadPool");
}

static void glib_make(unsigned calls)
{
    atomic_store(&left, calls);
    for (unsigned i = 0; i < calls; i++)
        must(g_thread_pool_push(glib, glib, NULL), "no call");
    await_all();
}

static void glib_close(void)
{
    g_thread_pool_free(glib, FALSE, TRUE);
}

/* Its threads are the process's: as many as UV_THREADPOOL_SIZE said at the first call. */
static uv_loop_t loop;
static uv_work_t *works;

static void uv_nothing(uv_work_t *work)
{
    (void)work;
}

static void uv_open(unsigned threads, unsigned calls)
{
    (void)threads;
    works = calloc(calls, sizeof *works);
    must(works != NULL && uv_loop_init(&loop) == 0, "no loop");
}

static void uv_make(unsigned calls)
{
    for (unsigned i = 0; i < calls; i++)
        must(uv_queue_work(&loop, &works[i], uv_nothing, NULL) == 0, "no call");
    must(uv_run(&loop, UV_RUN_DEFAULT) == 0, "not all have ended");
}

static void uv_close_all(void)
{
    must(uv_loop_close(&loop) == 0, "not all have ended");
    free(works);
}

static unsigned omp_threads;

static void omp_open(unsigned threads, unsigned calls)
{
    (void)calls;
    omp_threads = threads;
}

/* The one that asks makes calls too, so there is one more. */
static void omp_make(unsigned calls)
{
    atomic_store(&left, calls);
#pragma omp parallel num_threads(omp_threads + 1)
#pragma omp single
    {
        for (unsigned i = 0; i < calls; i++) {
#pragma omp task
            atomic_fetch_sub(&left, 1);
        }
#pragma omp taskwait
    }
}

static void omp_close(void)
{
}

static const struct peer peers[] = {
    {"jobd_call", jobd_open, jobd_make, jobd_close_both},
    {"jobd_group_call", jobd_open, group_make, jobd_close_both},
    {"GThreadPool", glib_open, glib_make, glib_close},
    {"libuv", uv_open, uv_make, uv_close_all},
    {"OpenMP", omp_open, omp_make, omp_close},
};

/* ---- measuring */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(double *values, unsigned len, double share)
{
    qsort(values, len, sizeof *values, by_size);
    return values[(unsigned)((double)(len - 1) * share)];
}

static void measure(const struct peer *peer, unsigned threads, unsigned calls, unsigned rounds)
{
    static double alone_ns[ALONE], per_s[ROUNDS_MAX];
    peer->open(threads, calls);
    peer->make(calls); /* warm */
    for (unsigned round = 0; round < rounds; round++) {
        double begun = now_ns();
        peer->make(calls);
        per_s[round] = calls / (now_ns() - begun) * 1e9;
    }
    for (unsigned i = 0; i < ALONE; i++) {
        double begun = now_ns();
        peer->make(1);
        alone_ns[i] = now_ns() - begun;
    }
    peer->close();
    printf("%s\t%u\t%.0f\t%.1f\t%.1f\n", peer->name, threads, percentile(per_s, rounds, 0.5),
           percentile(alone_ns, ALONE, 0.5) / 1e3, percentile(alone_ns, ALONE, 0.99) / 1e3);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    unsigned threads = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    unsigned calls = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 200000;
    unsigned rounds = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 5;
    char size[16];
    must(calls > 0 && rounds > 0 && rounds <= ROUNDS_MAX && threads > 0,
         "THREADS [CALLS [ROUNDS]]");
    snprintf(size, sizeof size, "%u", threads);
    must(setenv("UV_THREADPOOL_SIZE", size, 1) == 0, "out of memory");
    must(mutex_init(&lock) == 0 && condition_init(&changed) == 0, "no lock");
    for (size_t i = 0; i < sizeof peers / sizeof *peers; i++)
        measure(&peers[i], threads, calls, rounds);
    return 0;
}
