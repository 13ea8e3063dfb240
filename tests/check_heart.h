/* SPDX-License-Identifier: MIT */
#pragma once

#include "jobd/queue.h"

/* Walks the whole inside of the heart and ends the process where an invariant is broken. Takes the
 * heart's lock. */
void check_heart(struct jobd *jobd);
