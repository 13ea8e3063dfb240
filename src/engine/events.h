/* SPDX-License-Identifier: MIT */
/* Changes of state for whoever follows all jobs: a ring of those that have not been read. While
 * nobody follows there is no ring, and a change costs one comparison. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "jobd/live.h"

struct op;
struct job;

struct events {
    struct jobd_event *ring; /* JOBD_EVENTS_MAX; NULL: they are not kept */
    uint64_t written, read;  /* so many so far: what is between them is in the ring */
    uint64_t visible;        /* so many may be read: not what a turn has changed until it is over */
};

/* A turn of a shared engine is over: what it has changed counts, or is lost. */
void events_settle_locked(struct op *op, bool lost);
/* Of a job whose state has changed from `was` and is as it will be seen; that it runs, when that is
 * written. When it could not be written the job is noted as queued once more. The engine's lock is
 * held. */
void events_note_locked(struct op *op, const struct job *job, enum jobd_state was);
