/* SPDX-License-Identifier: MIT */
/* Three engines that share their queues through a log in memory, driven at random: turns, in which
 * anything may be asked for; turns that are lost; processes that end and others that begin. */
#pragma once

#include "support/chance.h"

/* So many turns. Ends the process where two engines differ that know the same, or where an
 * invariant is broken. */
void cluster_drive(struct chance *chance, unsigned turns);
