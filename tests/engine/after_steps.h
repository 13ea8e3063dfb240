/* SPDX-License-Identifier: MIT */
/* Jobs that wait for others, in the random runs with a journal: whom a put names, and what must be
 * on disk when such a job begins to wait as others do. */
#pragma once

#include "engine/journal_world.h"

/* A text as of JOBD_AFTER with some of the last jobs and batches, which may be forgotten; or "". */
void after_some(struct world *world, char text[KEPT_AFTER_SIZE]);
/* After each step: none has begun before its parents had ended, and that was on disk. */
void after_compare(struct world *world);
/* After a crash: those that wait for others do so again, unless these have ended. */
void after_restored(struct world *world);
