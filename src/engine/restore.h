/* SPDX-License-Identifier: MIT */
/* From a record to a job: what jobd_restore() and share_adopt() have in common. */
#pragma once

#include <stdbool.h>

#include "engine/engine.h"
#include "engine/journal_store.h"

/* A reference to a record's blob; NULL for NULL. */
struct jobd_blob *restore_blob(const struct jobd_blob *blob);
/* What few jobs have; NULL when the record needs none. False when memory is short. */
bool restore_extra(const struct job_record *record, struct job_extra **extra);
/* A new job, in no state yet; takes `extra`. There must be a record for it. */
struct job *restore_new_locked(struct op *op, const struct job_record *record, uint16_t queue,
                               struct job_extra *extra) REQUIRES(op->jobd->lock);
/* How far it is, but for its state and what belongs to that. */
void restore_progress(struct job *job, const struct job_record *record);
