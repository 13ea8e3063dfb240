/* SPDX-License-Identifier: MIT */
/* When there will be room in a full queue: what Retry-After says.
 *
 * A place is left by a job that is taken, and a local worker takes one as soon as it has ended one.
 * So where jobs run for about equally long, the takes to come are the ends of the attempts that
 * run, in the order in which these began. Three workers, jobs of 10 s that began 7, 5 and 2 s ago;
 * one more place is wanted, or five:
 *
 *     takes in   3 s   5 s   8 s  |  13 s  15 s  18 s  |  23 s ...
 *     the        1st   2nd   3rd     4th   5th   6th
 *                three attempts      their successors: a round later
 *
 * the first place is free in 3 s, the fifth in 15 s. Idle workers take at once. An attempt that
 * runs for much longer than the others is stuck, and is left out. Where jobs differ, or leases have
 * them, or a group is at its limit, the measured rate of takes is used (base/rate.h). No job is
 * expected to begin before its bucket has a token for it, and no more to run at a time than may.
 * Places that delayed jobs hold are free when these are due. */
#pragma once

#include <stdint.h>

#include "engine/groups.h"
#include "engine/queue.h"

/* Microseconds until so many places, at least 1, should be free. */
int64_t room_in_us(const struct queue *queue, int64_t now_us, uint64_t places);
/* The same for jobs of a group, NULL when there is none yet, of which so many may wait;
 * JOBD_UNKNOWN_US when these can never. */
int64_t group_room_in_us(const struct queue *queue, const struct group *group, int64_t now_us,
                         uint32_t jobs);
