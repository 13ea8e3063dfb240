/* SPDX-License-Identifier: MIT */
/* The output of an attempt that a worker of ours runs, shown while it grows. The worker keeps it;
 * leases append theirs to the engine's own (say.c). */
#include "engine/said.h"
#include "jobd/live.h"

/* False: it takes a spare, and there is none. */
static bool show_locked(struct op *op, struct job *job, const struct said *shown,
                        struct job_extra **spare) REQUIRES(op->jobd->lock)
{
    struct said *said = said_make_locked(op, job, spare);
    if (said == NULL)
        return false;
    op_discard(op, said->shown);
    said->shown = shown->shown != NULL ? jobd_blob_ref(shown->shown) : NULL;
    said->shown_bytes = shown->shown_bytes;
    said->truncated = shown->truncated;
    said_tell_locked(op, job);
    return true;
}

static bool show(struct jobd *jobd, const struct jobd_task *task, const struct said *shown,
                 struct job_extra **spare)
{
    struct op op;
    op_begin(&op, jobd, NULL, 0);
    struct job *job = jobs_find(&jobd->jobs, task->id);
    verify(job != NULL && job->state == JOBD_RUNNING && job->attempt == task->attempt);
    verify(!job->leased && !job->commit_pending);
    bool done = show_locked(&op, job, shown, spare);
    op_end(&op);
    return done;
}

void jobd_show_output(struct jobd *jobd, const struct jobd_task *task, struct jobd_blob *output,
                      size_t bytes, bool truncated)
{
    const struct said shown = {.shown = output, .shown_bytes = bytes, .truncated = truncated};
    struct job_extra *spare = NULL;
    if (jobd->share != NULL) /* nothing may change but in a turn */
        return;
    if (show(jobd, task, &shown, &spare))
        return;
    spare = extra_for_said();
    (void)show(jobd, task, &shown, &spare);
    extra_free(spare);
}
