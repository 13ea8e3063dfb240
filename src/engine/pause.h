/* SPDX-License-Identifier: MIT */
/* What a store writes of a change that pauses a queue, or lets it go on. */
#pragma once

#include "engine/journal_store.h"

struct change;

/* Calls `each` for every queue that the change pauses, or lets go on; of another change for none.
 * Takes the engine's lock for each. False as soon as `each` says so. */
bool pause_each(struct jobd *jobd, const struct change *change, journal_row *each, void *context);
