/* SPDX-License-Identifier: MIT */
/* What the verbs of cancel.c leave to be continued: a purge of more jobs than the journal had room
 * for. */
#pragma once

#include "engine/engine.h"

/* Continues the purges that wait for room in the journal, some jobs at a time: call it when there
 * may be room. */
void cancel_resume_purges_locked(struct op *op) REQUIRES(op->jobd->lock);
