/* SPDX-License-Identifier: MIT */
/* The thread of schedules: waits for the next instant by the wall clock, and sees when that is set.
 */
#include <errno.h>
#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/event.h"
#include "base/thread.h"
#include "base/verify.h"
#include "run/recur.h"
#include "run/recur_inside.h"

/* Far away the kernel's numbers end; nothing is lost by looking once a day. */
#define FAR_US (INT64_C(86400) * CLOCK_SECOND_US)
/* The wall clock that we go by is as near to the system's as that. */
#define ROUND_US 1000

/* Until the wall clock shows this, or is set, or a schedule has changed. */
static void wait_until(struct recur *recur, int64_t wall_us)
{
    int64_t far_us = recur->wall_us + FAR_US;
    int64_t at_us = (wall_us < far_us ? wall_us : far_us) + ROUND_US;
    uint64_t expired;
    if (at_us < 1)
        at_us = 1; /* no time would stop it */
    const struct itimerspec when = {
        .it_value = {.tv_sec = at_us / CLOCK_SECOND_US, .tv_nsec = at_us % CLOCK_SECOND_US * 1000}};
    struct pollfd fds[] = {{.fd = recur->timer, .events = POLLIN},
                           {.fd = recur->event, .events = POLLIN}};
    int code =
        timerfd_settime(recur->timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &when, NULL);
    verify(code == 0 || errno == ECANCELED);
    if (code == 0 && poll(fds, 2, -1) < 0) /* else it was set just now */
        verify(errno == EINTR);
    if (read(recur->timer, &expired, sizeof expired) < 0)
        verify(errno == EAGAIN || errno == ECANCELED || errno == EINTR);
    event_clear(recur->event);
}

static void *recur_main(void *context)
{
    struct recur *recur = context;
    while (!atomic_load(&recur->over)) {
        int64_t now_us = clock_now_us();
        const struct jobd_moment moment = {now_us, clock_wall_us(now_us)};
        int64_t next_us = recur_tick(recur, recur->jobd, &moment);
        if (next_us > moment.wall_us && !atomic_load(&recur->over))
            wait_until(recur, next_us);
    }
    return NULL;
}

int recur_start(struct recur *recur, struct jobd *jobd)
{
    recur->jobd = jobd;
    recur->timer = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (recur->timer < 0)
        return -errno;
    int error = thread_start(&recur->thread, recur_main, recur);
    recur->started = error == 0;
    return error;
}

void recur_stop(struct recur *recur)
{
    if (recur->started) {
        atomic_store(&recur->over, true);
        recur_wake(recur);
        verify(pthread_join(recur->thread, NULL) == 0);
    }
    recur->started = false;
    if (recur->timer >= 0)
        close(recur->timer);
    recur->timer = -1;
}
