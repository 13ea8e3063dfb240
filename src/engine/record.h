/* SPDX-License-Identifier: MIT */
/* A job as a record: for a store, and for other processes. */
#pragma once

#include "engine/engine.h"
#include "engine/journal_store.h"

/* The job as it stands. What the record points to is the job's. */
void record_describe_locked(const struct jobd *jobd, const struct job *job,
                            struct job_record *record) REQUIRES(jobd->lock);
