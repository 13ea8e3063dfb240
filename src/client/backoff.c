/* SPDX-License-Identifier: MIT */
#include "client/backoff.h"

#include <errno.h>
#include <poll.h>

#include "base/clock.h"
#include "base/random.h"

#define FIRST_US (CLOCK_SECOND_US / 10)
#define MOST_US  (15 * CLOCK_SECOND_US)

int64_t backoff_next(struct backoff *backoff, int64_t least_us)
{
    uint32_t chance;
    int64_t us = backoff->next_us > 0 ? backoff->next_us : FIRST_US;
    backoff->next_us = us * 2 < MOST_US ? us * 2 : MOST_US;
    random_bytes(&chance, sizeof chance);
    us = us / 2 + us / 2 * (int64_t)(chance % 1024) / 1024;
    return us > least_us ? us : least_us;
}

bool backoff_wait(int64_t us, int stop_fd)
{
    int64_t until_us = clock_after_us(us);
    struct pollfd stop = {.fd = stop_fd, .events = POLLIN};
    int left_ms, ready = 0;
    while ((left_ms = clock_ms_until(until_us)) != 0 && ready <= 0)
        ready = poll(&stop, 1, left_ms);
    return ready <= 0;
}
