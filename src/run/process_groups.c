/* SPDX-License-Identifier: MIT */
#include "run/process_groups.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"

static LIST_HEAD(, group) running = LIST_HEAD_INITIALIZER(running);
static struct mutex lock = {PTHREAD_MUTEX_INITIALIZER};
static struct condition started;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static unsigned starting GUARDED_BY(lock);
static bool over GUARDED_BY(lock);

static void set_up(void)
{
    verify(condition_init(&started) == 0); /* not by its initializer: that one's clock may jump */
}

/* A worker that went on would tell how the command ended, and it has not ended by itself. */
static void block_forever_if(bool ends)
{
    while (ends)
        (void)pause();
}

void process_groups_begin(void)
{
    verify(pthread_once(&once, set_up) == 0);
    mutex_lock(&lock);
    bool ends = over;
    if (!ends)
        starting++;
    mutex_unlock(&lock);
    block_forever_if(ends);
}

static void begun_locked(void) REQUIRES(lock)
{
    starting--;
    condition_signal(&started);
}

void process_groups_add(struct group *group, pid_t id)
{
    group->id = id;
    mutex_lock(&lock);
    LIST_INSERT_HEAD(&running, group, entry);
    if (over)
        (void)kill(-id, SIGKILL);
    begun_locked();
    mutex_unlock(&lock);
}

void process_groups_give_up(void)
{
    mutex_lock(&lock);
    begun_locked();
    mutex_unlock(&lock);
}

void process_groups_remove(struct group *group)
{
    mutex_lock(&lock);
    LIST_REMOVE(group, entry);
    bool ends = over;
    mutex_unlock(&lock);
    block_forever_if(ends);
}

void process_groups_kill(void)
{
    const struct timespec until = clock_monotonic(clock_after_us(CLOCK_SECOND_US));
    const struct group *group;
    verify(pthread_once(&once, set_up) == 0);
    mutex_lock(&lock);
    over = true;
    LIST_FOREACH(group, &running, entry)
    (void)kill(-group->id, SIGKILL);
    while (starting > 0 && condition_wait_until(&started, &lock, &until))
        ;
    mutex_unlock(&lock);
}
