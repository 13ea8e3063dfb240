/* SPDX-License-Identifier: MIT */
/* A schedule of every second, and whether each of its instants has happened once. */
#pragma once

#include "support/client.h"

struct ticks {
    const char *queue; /* that only its jobs come into, and that nobody takes from */
    int first;         /* the second of the day that comes first */
    double before;     /* jobs that waited there before */
};

/* Puts /schedules/tick with this query, which names the queue and every=1s. */
struct ticks ticks_begin(struct client *client, const char *query, const char *queue);
/* Pauses it: each second from the first to the last has one job. How many have. */
int ticks_end(struct client *client, const struct ticks *ticks);
