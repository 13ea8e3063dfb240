/* SPDX-License-Identifier: MIT */
#include "groups.h"

#include <signal.h>

#include "clock.h"
#include "lock.h"

static LIST_HEAD(, group) running = LIST_HEAD_INITIALIZER(running);
static struct mutex lock = {PTHREAD_MUTEX_INITIALIZER};
static struct condition started = {PTHREAD_COND_INITIALIZER};
static unsigned starting GUARDED;
static bool over GUARDED;

bool groups_begin(void)
{
    mutex_lock(&lock);
    bool may = !over;
    if (may)
        starting++;
    mutex_unlock(&lock);
    return may;
}

static void begun_locked(void) REQUIRES(lock)
{
    starting--;
    condition_signal(&started);
}

void groups_add(struct group *group, pid_t id)
{
    group->id = id;
    mutex_lock(&lock);
    LIST_INSERT_HEAD(&running, group, entry);
    if (over)
        (void)kill(-id, SIGKILL);
    begun_locked();
    mutex_unlock(&lock);
}

void groups_give_up(void)
{
    mutex_lock(&lock);
    begun_locked();
    mutex_unlock(&lock);
}

void groups_remove(struct group *group)
{
    mutex_lock(&lock);
    LIST_REMOVE(group, entry);
    mutex_unlock(&lock);
}

void groups_kill(void)
{
    const struct timespec until = clock_monotonic(clock_after_us(CLOCK_SECOND_US));
    const struct group *group;
    mutex_lock(&lock);
    over = true;
    LIST_FOREACH(group, &running, entry)
    (void)kill(-group->id, SIGKILL);
    while (starting > 0 && condition_wait_until(&started, &lock, &until))
        ;
    mutex_unlock(&lock);
}
