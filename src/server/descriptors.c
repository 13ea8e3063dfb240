/* SPDX-License-Identifier: MIT */
#include "server/descriptors.h"

#include <sys/resource.h>

enum {
    DESCRIPTORS_SPARE = 160, /* for listeners, loops, and clients that are being sent away */
    DESCRIPTORS_A_WORKER = 8 /* pipes of a command, connections to a web service */
};

bool descriptors_fit(const struct options *options, uint32_t *connections, struct problem *problem)
{
    struct rlimit limit;
    *connections = (uint32_t)options->connections_max;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return true;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 && getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return true;
    rlim_t spare = DESCRIPTORS_SPARE;
    for (uint32_t i = 0; i < options->queues_len; i++)
        spare += options->queues[i].workers * DESCRIPTORS_A_WORKER;
    if (limit.rlim_cur <= spare)
        return problem_set(problem, "the open-file limit is %llu; at least %llu is needed",
                           (unsigned long long)limit.rlim_cur, (unsigned long long)spare + 1);
    uint64_t room = limit.rlim_cur - spare;
    if (options->connections_max > room)
        *connections = (uint32_t)room;
    return true;
}

bool descriptors_suffice(uint32_t connections, uint64_t workers)
{
    struct rlimit limit;
    uint64_t needed = DESCRIPTORS_SPARE + connections + workers * DESCRIPTORS_A_WORKER;
    return getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed;
}
