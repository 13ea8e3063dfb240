/* SPDX-License-Identifier: MIT */
#include "server/forgotten.h"

#include "base/clock.h"
#include "base/log.h"
#include "server/server.h"

#define SAY_EVERY_US (60 * CLOCK_SECOND_US)

static uint64_t count(struct jobd *jobd)
{
    uint64_t jobs = 0;
    for (uint32_t i = 0; i < jobd_queues_len(jobd); i++) {
        struct jobd_stats stats;
        jobd_stats(jobd, i, clock_now_us(), &stats);
        jobs += stats.forgotten_early;
    }
    return jobs;
}

static void say(struct server *server)
{
    uint64_t all = count(server->jobd), said = atomic_exchange(&server->forgotten_said, all);
    if (all > said)
        log_warn("--memory is used up: %llu ended jobs were forgotten before --keep asks for it; "
                 "raise --memory, or lower --keep",
                 (unsigned long long)(all - said));
}

void forgotten_note(void *context)
{
    struct server *server = context;
    int64_t now_us = clock_now_us(), say_us = atomic_load(&server->forgotten_say_us);
    if (server->jobd != NULL && now_us >= say_us && /* one of several threads */
        atomic_compare_exchange_strong(&server->forgotten_say_us, &say_us, now_us + SAY_EVERY_US))
        say(server);
}

void forgotten_conclude(struct server *server)
{
    say(server);
}
