/* SPDX-License-Identifier: MIT */
/* What must not be forgotten, whatever else is said of it: a job, or a batch, with a pin. No number
 * of others, no time and no want of memory makes it forgotten, and by hand it cannot be; else it is
 * as it was. Each reason is one bit: who sets it knows when it is to go, and how often it is meant.
 *
 * A pin is nowhere on disk: whoever set it does so again at a start, when the job comes back and
 * before it is remembered (restore.c) or, of a batch, before all jobs are back (jobd_restored). It
 * takes one of
 * jobs->retainable_max, so there is a bound, and some memory.
 *
 * Where queues are shared pins are in no news either: they follow from who waits, or delivers, as
 * each process knows it. But where an ended one stands among the others is whatever the news of it
 * say: who adopts moves none by its pins. Under the engine's lock. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"

enum pin {
    PIN_CHILDREN = 1, /* others wait for its end, and a start must find how it ended */
    PIN_CALLBACK = 2, /* somebody is to be told of its end: deliveries.h */
};

/* Bytes that the first pin takes of the memory. */
enum { PIN_WEIGHT = RECORD_WEIGHT };

/* May so many more be pinned? Whether the memory has room, jobs_make_room() says. */
bool pins_have_room(const struct jobs *jobs, uint32_t more);

/* In whatever state; not one of which is just being written that it is forgotten (forgetting). An
 * ended one takes its memory as one that lives. */
void pin_job_locked(struct op *op, struct job *job, enum pin why) REQUIRES(op->jobd->lock);
/* It had this pin. When it was the last an ended job is the newest of those that are remembered; or
 * is forgotten by the next tick, where its own time is over. */
void unpin_job_locked(struct op *op, struct job *job, enum pin why) REQUIRES(op->jobd->lock);

/* The same for a batch that is in, whose jobs may be forgotten. */
void pin_batch_locked(struct op *op, struct batch *batch, enum pin why) REQUIRES(op->jobd->lock);
void unpin_batch_locked(struct op *op, struct batch *batch, enum pin why) REQUIRES(op->jobd->lock);
