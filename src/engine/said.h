/* SPDX-License-Identifier: MIT */
/* What is said of an attempt while it runs: who runs it, its progress, and the output that is
 * appended. All of it is in memory at once, where followers see it; a store gets it with the job's
 * next change, and the output when the attempt ends. The verbs are in say.c.
 *
 * A verb that may be the first to say something brings an extra_for_said(), made before the lock
 * was taken, of which the job takes what it lacks. */
#pragma once

#include "engine/engine.h"

/* What the job's attempts have said; NULL: nothing. */
static inline struct said *said_of(const struct job *job)
{
    return job->extra != NULL ? job->extra->said : NULL;
}

/* Who has, or had, its last attempt; "" when it has not said. */
void said_worker(const struct job *job, char out[JOBD_WORKER_SIZE]);

/* What said_of() gives, made of the spare when there is none. NULL: there is no room for it, or no
 * spare. */
struct said *said_make_locked(struct op *op, struct job *job, struct job_extra **spare)
    REQUIRES(op->jobd->lock);

/* An attempt begins: nothing is said of it but who runs it (borrowed; NULL: it does not say).
 * `spare` may be NULL, or point to NULL: then a job that has nothing yet gets nothing. */
void said_begin_locked(struct op *op, struct job *job, struct jobd_blob *worker,
                       struct job_extra **spare) REQUIRES(op->jobd->lock);
/* Its output is whole: a reference for who ends the attempt, and *truncated is set when there was
 * more; NULL: nothing was appended. The job keeps its own until said_end_locked(). */
struct jobd_blob *said_output_locked(struct op *op, struct job *job, bool *truncated)
    REQUIRES(op->jobd->lock);
/* It has ended, and counts: who ran it and its progress stay. */
void said_end_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock);
/* They go too: it does not count, or the job begins anew. */
void said_forget_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock);
/* Something has come that followers have not seen. */
void said_tell_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock);
