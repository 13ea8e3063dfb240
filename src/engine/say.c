/* SPDX-License-Identifier: MIT */
/* The verbs of jobd/lease.h: what the holder of a lease says, and who follows it. */
#include <string.h>

#include "engine/blob.h"
#include "engine/lease.h"
#include "engine/said.h"
#include "engine/show.h"
#include "engine/touched.h"
#include "engine/waiters.h"
#include "jobd/lease.h"

enum { COPY_BYTES = 65536 }; /* at a time, so that the lock is held for no longer */

/* ---- output */

/* So many bytes in all, and some beyond, so that what comes in small pieces is copied seldom. */
static size_t roomy(size_t bytes, size_t had, size_t max)
{
    size_t more = had + had / 2;
    size_t size = bytes > more ? bytes : more;
    return size < max ? size : max;
}

struct append {
    const struct jobd_blob *bytes;
    size_t max;
    size_t done;           /* bytes that need no more work: copied, or left out */
    bool narrow;           /* what there is has no room for the rest: a wider one is needed */
    bool truncated;        /* what has been said so far */
    struct jobd_blob *old; /* a reference to what is too small, */
    size_t old_size;
    size_t old_used;         /* its bytes, */
    struct jobd_blob *wider; /* and a copy of it with room for more */
};

/* Puts the copy in place of what was copied, unless somebody else has done so, or has appended much
 * since: then it is for nothing. False: it has no room. */
static bool widen_locked(struct op *op, struct said *said, struct append *append)
    REQUIRES(op->jobd->lock)
{
    struct jobs *jobs = &op->jobd->jobs;
    struct jobd_blob *wider = append->wider;
    if (wider == NULL || said->output != append->old || said->used > wider->size ||
        said->used - append->old_used > COPY_BYTES)
        return true;
    size_t weight = blob_weight(wider);
    if (!jobs_make_room(jobs, weight, op))
        return false;
    if (append->old != NULL && said->used > append->old_used)
        memcpy(wider->bytes + append->old_used, append->old->bytes + append->old_used,
               said->used - append->old_used);
    jobs_count(jobs, (int64_t)weight - (int64_t)blob_weight(said->output));
    op_discard(op, said->output);
    said->output = wider;
    append->wider = NULL;
    return true;
}

/* JOBD_PENDING: once more, and when it is narrow with a wider one. */
static enum jobd_result append_locked(struct op *op, struct said *said, struct append *append)
    REQUIRES(op->jobd->lock)
{
    if (!widen_locked(op, said, append))
        return JOBD_OUT_OF_MEMORY;
    size_t left = append->bytes->size - append->done;
    size_t room = said->output != NULL ? said->output->size - said->used : 0;
    size_t fits = append->max > said->used ? append->max - said->used : 0;
    size_t size = left < fits ? left : fits;
    if (size > room) { /* all of it or nothing */
        append->narrow = true;
        append->old = said->output != NULL ? jobd_blob_ref(said->output) : NULL;
        append->old_size = said->output != NULL ? said->output->size : 0;
        append->old_used = said->used;
        return JOBD_PENDING;
    }
    if (left > fits && fits == 0) {
        said->truncated = true;
        append->done = append->bytes->size;
    } else if (size > 0) {
        size = size < COPY_BYTES ? size : COPY_BYTES;
        memcpy(said->output->bytes + said->used, append->bytes->bytes + append->done, size);
        said->used += size;
        append->done += size;
    }
    append->truncated = said->truncated;
    return append->done < append->bytes->size ? JOBD_PENDING : JOBD_OK;
}

static enum jobd_result append_to_locked(struct op *op, const char *token, struct append *append,
                                         struct job_extra **spare) REQUIRES(op->jobd->lock)
{
    struct lease *lease;
    enum jobd_result result = lease_held_locked(op, token, &lease);
    if (result != JOBD_OK)
        return result;
    struct said *said = said_make_locked(op, lease->job, spare);
    if (said == NULL)
        return JOBD_OUT_OF_MEMORY;
    size_t before = said->used;
    result = append_locked(op, said, append);
    if (said->used > before)
        said_tell_locked(op, lease->job);
    if (op->jobd->share != NULL)
        share_touch_locked(op, lease->job, ROW_SET);
    return result;
}

/* Without the lock: nobody writes below what is used. False: memory is short. */
static bool make_wider(struct append *append)
{
    size_t used = append->old_used, left = append->bytes->size - append->done;
    size_t size = roomy(used + left, append->old_size, append->max);
    const char *type = append->old != NULL ? append->old->type : append->bytes->type;
    append->wider = jobd_blob_new(size, type);
    if (append->wider != NULL && append->old != NULL && used > 0)
        memcpy(append->wider->bytes, append->old->bytes, used);
    return append->wider != NULL;
}

enum jobd_result jobd_lease_append(struct jobd *jobd, const char *token,
                                   const struct jobd_blob *bytes, size_t max, bool *truncated)
{
    struct append append = {.bytes = bytes, .max = max};
    struct job_extra *spare = extra_for_said();
    enum jobd_result result;
    do {
        struct op op;
        if (append.narrow && !make_wider(&append)) {
            result = JOBD_OUT_OF_MEMORY;
            break;
        }
        struct jobd_blob *old = append.old;
        append.narrow = false;
        op_begin(&op, jobd, NULL, 0);
        result = append_to_locked(&op, token, &append, &spare);
        op_end(&op);
        jobd_blob_unref(append.wider);
        append.wider = NULL;
        jobd_blob_unref(old);
        append.old = append.narrow ? append.old : NULL;
    } while (result == JOBD_PENDING);
    jobd_blob_unref(append.old);
    extra_free(spare);
    *truncated = append.truncated;
    return result;
}

/* ---- progress */

enum jobd_result jobd_lease_progress(struct jobd *jobd, const char *token, struct jobd_blob *text)
{
    struct op op;
    struct lease *lease;
    struct job_extra *spare = extra_for_said();
    op_begin(&op, jobd, NULL, 0);
    enum jobd_result result = lease_held_locked(&op, token, &lease);
    struct said *said = result == JOBD_OK ? said_make_locked(&op, lease->job, &spare) : NULL;
    if (result == JOBD_OK && said == NULL)
        result = JOBD_OUT_OF_MEMORY;
    if (result == JOBD_OK && text != NULL)
        (void)jobd_blob_ref(text);
    if (result == JOBD_OK && !jobs_set(&jobd->jobs, &said->progress, text, &op))
        result = JOBD_OUT_OF_MEMORY;
    if (said != NULL)
        said_tell_locked(&op, lease->job);
    if (said != NULL && jobd->share != NULL)
        share_touch_locked(&op, lease->job, ROW_SET);
    op_end(&op);
    extra_free(spare);
    return result;
}

/* ---- who follows */

/* What there is so far of the output of a job that runs. */
static void view_growing_locked(const struct jobd *jobd, const struct job *job,
                                struct jobd_view *view) REQUIRES(jobd->lock)
{
    const struct said *said = said_of(job);
    const struct shown *beside = shown_beside_locked(jobd, job);
    if (beside != NULL) {
        view->output = beside->output;
        view->output_bytes = beside->bytes;
        view->truncated = beside->truncated;
    } else if (said != NULL) {
        bool shown = said->shown != NULL;
        view->output = shown ? said->shown : said->output;
        view->output_bytes = shown ? said->shown_bytes : view->output != NULL ? said->used : 0;
        view->truncated = said->truncated;
    }
}

static struct jobd_view view_of_locked(const struct jobd *jobd, const struct job *job)
    REQUIRES(jobd->lock)
{
    const struct said *said = said_of(job);
    struct jobd_view view = {.state = (enum jobd_state)job->state,
                             .attempt = job->attempt,
                             .stopping = job->stopping,
                             .progress = said != NULL ? said->progress : NULL};
    if (job->state == JOBD_RUNNING) {
        view_growing_locked(jobd, job, &view);
    } else {
        view.truncated = job->output_truncated;
        view.output = job->extra != NULL ? job->extra->output : NULL;
        view.output_bytes = view.output != NULL ? view.output->size : 0;
    }
    return view;
}

static bool same_view(const struct jobd_view *one, const struct jobd_view *other)
{
    return one->state == other->state && one->attempt == other->attempt &&
           one->stopping == other->stopping && one->output_bytes == other->output_bytes &&
           one->truncated == other->truncated && one->progress == other->progress;
}

static enum jobd_result follow_locked(struct op *op, struct job *job, struct jobd_view *view)
    REQUIRES(op->jobd->lock)
{
    struct jobd_view now = view_of_locked(op->jobd, job);
    if (view->seen && same_view(view, &now))
        return jobd_state_final(now.state) ? JOBD_FINISHED
                                           : wait_for_more_locked(op, op->waiter, job);
    op_discard(op, view->output);
    op_discard(op, view->progress);
    *view = now;
    view->seen = true;
    if (view->output != NULL)
        (void)jobd_blob_ref(view->output);
    if (view->progress != NULL)
        (void)jobd_blob_ref(view->progress);
    return JOBD_OK;
}

enum jobd_result jobd_follow(struct jobd *jobd, uint64_t id, struct jobd_view *view,
                             struct jobd_waiter *waiter)
{
    struct op op;
    op_begin(&op, jobd, waiter, 0);
    struct job *job = jobs_seen(&jobd->jobs, id);
    enum jobd_result result = job != NULL ? follow_locked(&op, job, view) : JOBD_NO_JOB;
    op_end(&op);
    return result;
}

void jobd_view_release(struct jobd_view *view)
{
    jobd_blob_unref(view->output);
    jobd_blob_unref(view->progress);
    *view = (struct jobd_view){.seen = false};
}
