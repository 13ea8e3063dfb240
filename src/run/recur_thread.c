/* SPDX-License-Identifier: MIT */
/* The thread of schedules: waits for the next instant by the wall clock, and notices when it is
 * set. */
#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/event.h"
#include "base/thread.h"
#include "base/verify.h"
#include "run/recur.h"
#include "run/recur_inside.h"

/* Far away the kernel's numbers end; nothing is lost by looking once a day. */
#define FAR_US (INT64_C(86400) * CLOCK_SECOND_US)
/* How far the wall clock that we go by may be from the system's. */
#define ROUND_US 1000
/* While there are schedules the clock is looked at as often: the kernel's timer does not know one
 * that this process sees set to another time, as by faketime(1). */
#define LOOK_US CLOCK_SECOND_US
/* The wall and the monotonic clock move apart by this much only when the former is set. */
#define STEP_US (CLOCK_SECOND_US / 2)
/* When to try again after a turn that was lost. */
#define AGAIN_US (CLOCK_SECOND_US / 4)

static int64_t read_us(clockid_t clock)
{
    struct timespec now;
    verify(clock_gettime(clock, &now) == 0);
    return now.tv_sec * CLOCK_SECOND_US + now.tv_nsec / 1000;
}

static int64_t system_us(void)
{
    return read_us(CLOCK_REALTIME);
}

/* How far the wall clock is ahead of the monotonic one: that changes when it is set. */
static int64_t apart_us(void)
{
    return system_us() - read_us(CLOCK_MONOTONIC);
}

/* How far the system's wall clock is ahead of ours, which is the database's where queues are
 * shared. */
static int64_t ahead_us(const struct recur *recur)
{
    return jobd_shared(recur->jobd) ? system_us() - clock_now_us() : 0;
}

/* The timer has gone off. True: because the clock was set. */
static bool timer_was_set(const struct recur *recur)
{
    uint64_t expired;
    bool is_none = read(recur->timer, &expired, sizeof expired) < 0;
    verify(!is_none || errno == EAGAIN || errno == ECANCELED || errno == EINTR);
    return is_none && errno == ECANCELED;
}

/* Until the clock shows this, or somebody wakes us, or may have. True: it was set. */
static bool watch(const struct recur *recur, int64_t at_us, bool ends)
{
    const int64_t before_us = apart_us();
    struct pollfd fds[] = {{.fd = recur->timer, .events = POLLIN},
                           {.fd = recur->event, .events = POLLIN}};
    int64_t left_us;
    while ((left_us = at_us - system_us()) > 0) {
        int64_t us = left_us < LOOK_US ? left_us : LOOK_US;
        int ready = event_poll(fds, 2, ends ? (int)((us + 999) / 1000) : -1);
        int64_t step_us = apart_us() - before_us;
        if (step_us > STEP_US || step_us < -STEP_US)
            return true;
        if (ready > 0 && fds[0].revents != 0 && timer_was_set(recur))
            return true;
        if (ready > 0 && fds[0].revents != 0)
            fds[0].fd = -1; /* too early, as the clock shows it */
        if (ready < 0 || fds[1].revents != 0)
            break; /* what cannot be waited for is looked at */
    }
    return false;
}

/* Until the wall clock shows this, or is set, or a schedule has changed. True: it was set. */
static bool wait_until(struct recur *recur, int64_t wall_us)
{
    int64_t far_us = recur->wall_us + FAR_US;
    int64_t at_us = (wall_us < far_us ? wall_us : far_us) + ROUND_US + ahead_us(recur);
    if (at_us < 1)
        at_us = 1; /* no time would stop it */
    const struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(at_us / CLOCK_SECOND_US),
                     .tv_nsec = (long)(at_us % CLOCK_SECOND_US * 1000)}};
    int code =
        timerfd_settime(recur->timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &when, NULL);
    verify(code == 0 || errno == ECANCELED);
    bool was_set = code != 0 || watch(recur, at_us, wall_us != JOBD_NEVER);
    was_set |= timer_was_set(recur);
    event_clear(recur->event);
    return was_set;
}

struct jobd_moment recur_moment(void)
{
    int64_t now_us = clock_now_us();
    return (struct jobd_moment){now_us, clock_wall_us(now_us)};
}

/* ---- in turns */

static enum jobd_result run(struct jobd_turn *turn)
{
    struct recur *recur = turn->context;
    const struct jobd_moment moment = recur_moment();
    if (!atomic_load(&recur->over))
        recur->next_us = recur_tick(recur, recur->jobd, &moment);
    return JOBD_OK;
}

static void over(struct jobd_turn *turn, enum jobd_result result)
{
    struct recur *recur = turn->context;
    wait_sync_end(&recur->sync, result);
}

/* Takes a turn only when an instant has come, or the clock was set: how far, only the turn
 * tells. */
static int64_t tick_in_turn(struct recur *recur, const struct jobd_moment *moment, bool was_set)
{
    int64_t next_us = recur_look(recur, recur->jobd, moment);
    if (next_us > moment->wall_us && !was_set)
        return next_us;
    recur->turn = (struct jobd_turn){.run = run, .over = over, .context = recur};
    jobd_enter(recur->jobd, &recur->turn);
    return wait_sync_until(&recur->sync, recur->jobd, JOBD_NEVER) == JOBD_OK
               ? recur->next_us
               : clock_now_us() + AGAIN_US;
}

static void *recur_main(void *context)
{
    struct recur *recur = context;
    bool was_set = false;
    while (!atomic_load(&recur->over)) {
        const struct jobd_moment moment = recur_moment();
        int64_t next_us = jobd_shared(recur->jobd) ? tick_in_turn(recur, &moment, was_set)
                                                   : recur_tick(recur, recur->jobd, &moment);
        if (next_us > moment.wall_us && !atomic_load(&recur->over))
            was_set = wait_until(recur, next_us);
    }
    return NULL;
}

int recur_start(struct recur *recur, struct jobd *jobd)
{
    recur->jobd = jobd;
    int error = wait_sync_init(&recur->sync);
    if (error != 0)
        return error;
    recur->timer = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    error = recur->timer >= 0 ? thread_start(&recur->thread, recur_main, recur) : -errno;
    recur->started = error == 0;
    if (error != 0)
        wait_sync_release(&recur->sync);
    return error;
}

void recur_end(struct recur *recur)
{
    atomic_store(&recur->over, true);
    recur_wake(recur);
}

void recur_stop(struct recur *recur)
{
    if (recur->started) {
        recur_end(recur);
        verify(pthread_join(recur->thread, NULL) == 0);
        wait_sync_release(&recur->sync);
    }
    recur->started = false;
    if (recur->timer >= 0)
        close(recur->timer);
    recur->timer = -1;
}
