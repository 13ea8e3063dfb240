/* SPDX-License-Identifier: MIT */
/* The worker keeps its output; leases append theirs to the engine's own (say.c). */
#include "engine/show.h"

#include "engine/said.h"
#include "engine/touched.h"
#include "jobd/live.h"

/* ---- with the job */

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

/* ---- beside the jobs */

/* id 0: an empty place. NULL: there is none. */
static struct shown *find_locked(const struct jobd *jobd, uint64_t id, uint32_t attempt,
                                 int64_t started_us) REQUIRES(jobd->lock)
{
    const struct share *share = jobd->share;
    for (uint32_t i = 0; i < share->runs_max; i++) {
        struct shown *shown = &share->shown[i];
        if (shown->id == id &&
            (id == 0 || (shown->attempt == attempt && shown->started_us == started_us)))
            return shown;
    }
    return NULL;
}

static struct shown *find_or_make_locked(struct op *op, const struct jobd_task *task)
    REQUIRES(op->jobd->lock)
{
    struct shown *shown = find_locked(op->jobd, task->id, task->attempt, task->started_us);
    if (shown == NULL)
        shown = find_locked(op->jobd, 0, 0, 0);
    if (shown == NULL) /* there are more workers than were announced */
        return NULL;
    shown->id = task->id;
    shown->attempt = task->attempt;
    shown->started_us = task->started_us;
    return shown;
}

/* Others may have given the job to somebody else by now, or it is read again at the moment. */
static void put_beside_locked(struct op *op, struct shown *shown, const struct said *said)
    REQUIRES(op->jobd->lock)
{
    op_discard(op, shown->output);
    shown->output = said->shown != NULL ? jobd_blob_ref(said->shown) : NULL;
    shown->bytes = said->shown_bytes;
    shown->truncated = said->truncated;
    struct job *job = jobs_find(&op->jobd->jobs, shown->id);
    if (job != NULL && shown_beside_locked(op->jobd, job) == shown)
        said_tell_locked(op, job);
}

static void show_beside(struct jobd *jobd, const struct jobd_task *task, const struct said *said)
{
    struct op op;
    op_begin(&op, jobd, NULL, 0);
    op.outside = true; /* no turn says whether it is so */
    struct shown *shown = find_or_make_locked(&op, task);
    if (shown != NULL)
        put_beside_locked(&op, shown, said);
    op_end(&op);
}

const struct shown *shown_beside_locked(const struct jobd *jobd, const struct job *job)
{
    if (jobd->share == NULL || !job_runs_here(job))
        return NULL;
    return find_locked(jobd, job->id, job->attempt, job->started_us);
}

void shown_end_locked(struct op *op, const struct jobd_task *task)
{
    if (op->jobd->share == NULL)
        return;
    struct shown *shown = find_locked(op->jobd, task->id, task->attempt, task->started_us);
    if (shown == NULL)
        return;
    op_discard(op, shown->output);
    *shown = (struct shown){.id = 0};
}

/* ---- the verb */

void jobd_show_output(struct jobd *jobd, const struct jobd_task *task, struct jobd_blob *output,
                      size_t bytes, bool truncated)
{
    const struct said shown = {.shown = output, .shown_bytes = bytes, .truncated = truncated};
    struct job_extra *spare = NULL;
    if (jobd->share != NULL) {
        show_beside(jobd, task, &shown);
        return;
    }
    if (show(jobd, task, &shown, &spare))
        return;
    spare = extra_for_said();
    (void)show(jobd, task, &shown, &spare);
    extra_free(spare);
}
