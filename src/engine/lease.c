/* SPDX-License-Identifier: MIT */
/* The verbs on leases: attempts whose holders are elsewhere, and known by a token. */
#include "engine/lease.h"

#include "engine/attempt.h"
#include "engine/dispatch.h"
#include "engine/lease_deadline.h"
#include "engine/changes.h"
#include "jobd/lease.h"

enum { EXPIRE_AGAIN_US = 1000000 };

/* ---- what a report is answered: JOBD_OK (it counts), JOBD_REPEATED or JOBD_LEASE_EXPIRED
 *
 *     the report   lease held   expired, the job      ended by the   anything else
 *                               still waits for its   same report
 *                               next attempt
 *     done         OK           OK                    REPEATED       EXPIRED
 *     fail         OK           EXPIRED               REPEATED       EXPIRED
 *     release      OK           EXPIRED               REPEATED       EXPIRED
 *     extend       OK           EXPIRED               -              EXPIRED
 *
 * A report that is repeated while it is being written waits for that. */

/* Has it been reported, and is that written? A late report ends a job that waits again. */
static bool is_told_locked(struct op *op, const struct lease *lease) REQUIRES(op->jobd->lock)
{
    const struct job *job = jobs_seen(&op->jobd->jobs, lease->job_id);
    bool is_late =
        job != NULL && job_waits(job) && job->commit_pending && job->attempt == lease->attempt;
    return lease->job == NULL && !is_late;
}

static enum jobd_result repeat_result_locked(struct op *op, const struct change *change,
                                             bool written) REQUIRES(op->jobd->lock)
{
    const struct lease *lease = change->repeated.lease;
    /* Or it has failed, and been made again. */
    bool was_written = is_told_locked(op, lease) && lease->report == change->repeated.report;
    return written && was_written ? JOBD_REPEATED : JOBD_STORE_FAILED;
}

static const struct change_kind repeat_kind = {
    .name = "repeat", .is_mark = true, .result = repeat_result_locked};

static enum jobd_result repeat_locked(struct op *op, const struct lease *lease)
    REQUIRES(op->jobd->lock)
{
    struct change change;
    if (!change_has_room_locked(op, op->waiter))
        return JOBD_TOO_MANY_WAITERS;
    change_init(&change, op, &repeat_kind, NULL);
    change.result = JOBD_REPEATED;
    change.repeated.lease = lease;
    change.repeated.report = lease->report;
    return change_submit_locked(op, &change);
}

/* Its start is being written: nobody can have its token yet. */
static bool is_untold(const struct lease *lease)
{
    return lease->job != NULL && lease->job->start_pending;
}

/* JOBD_OK and *lease, which is held; or what the report is answered, where JOBD_PENDING is a
 * repeated one that is being written, and JOBD_CHANGING says that another end is. */
static enum jobd_result look_up_locked(struct op *op, const char *token, enum lease_report report,
                                       struct lease **lease) REQUIRES(op->jobd->lock)
{
    *lease = lease_find(&op->jobd->leases, token);
    if (*lease == NULL || is_untold(*lease))
        return JOBD_NO_LEASE;
    if ((*lease)->report != LEASE_NO_REPORT && (*lease)->report == report)
        return is_told_locked(op, *lease) ? JOBD_REPEATED : JOBD_PENDING;
    if ((*lease)->job == NULL)
        return JOBD_LEASE_EXPIRED;
    return (*lease)->job->commit_pending ? JOBD_CHANGING : JOBD_OK;
}

/* The same; a repeated one waits for that, and where there is another end who can wait does. */
static enum jobd_result find_locked(struct op *op, const char *token, enum lease_report report,
                                    struct lease **lease) REQUIRES(op->jobd->lock)
{
    enum jobd_result result = look_up_locked(op, token, report, lease);
    if (result == JOBD_CHANGING)
        return op->waiter != NULL ? change_await_locked(op) : JOBD_LEASE_EXPIRED;
    return result == JOBD_PENDING ? repeat_locked(op, *lease) : result;
}

enum jobd_result lease_held_locked(struct op *op, const char *token, struct lease **lease)
{
    return find_locked(op, token, LEASE_NO_REPORT, lease);
}

/* The job that waits again since this lease has expired; NULL when there is none. */
static struct job *late_job_locked(struct op *op, const struct lease *lease)
    REQUIRES(op->jobd->lock)
{
    struct job *job = jobs_seen(&op->jobd->jobs, lease->job_id);
    bool waits = job != NULL && job_waits(job);
    bool is_its_own = waits && lease->report == LEASE_NO_REPORT && job->attempt == lease->attempt;
    return is_its_own ? job : NULL;
}

/* ---- verbs */

/* Of a lease that is held; `late`: of one that has expired. */
static enum jobd_result finish_locked(struct op *op, struct lease *lease, struct job *late,
                                      const struct jobd_outcome *outcome, struct job_extra **extra)
    REQUIRES(op->jobd->lock)
{
    struct job *job = late != NULL ? late : lease->job;
    enum jobd_result result = late != NULL ? attempt_end_late_locked(op, job, lease, outcome, extra)
                                           : attempt_end_locked(op, job, outcome, extra);
    if (result != JOBD_TOO_MANY_WAITERS)
        lease->report = outcome->state == JOBD_DONE ? LEASE_DONE : LEASE_FAILED;
    return result;
}

/* One report. JOBD_PENDING with *queue JOBD_NO_QUEUE: it is repeated, and *lease is being written;
 * JOBD_CHANGING: something else of its job is. *queue is to be dispatched. */
static enum jobd_result report_locked(struct op *op, const struct jobd_report *report,
                                      struct job_extra **extra, struct lease **lease,
                                      uint32_t *queue) REQUIRES(op->jobd->lock)
{
    const struct jobd_outcome *outcome = &report->outcome;
    bool is_done = outcome->state == JOBD_DONE;
    struct job *late = NULL;
    enum jobd_result result =
        look_up_locked(op, report->token, is_done ? LEASE_DONE : LEASE_FAILED, lease);
    *queue = JOBD_NO_QUEUE;
    if (result == JOBD_LEASE_EXPIRED && is_done && (*lease)->job == NULL)
        late = late_job_locked(op, *lease);
    if (late != NULL && late->commit_pending)
        return JOBD_CHANGING;
    if (result != JOBD_OK && late == NULL)
        return result;
    *queue = late != NULL ? late->queue : (*lease)->job->queue;
    return finish_locked(op, *lease, late, outcome, extra);
}

enum jobd_result jobd_lease_finish(struct jobd *jobd, const char *token,
                                   const struct jobd_outcome *outcome, struct jobd_waiter *waiter,
                                   int64_t now_us)
{
    struct op op;
    struct lease *lease;
    uint32_t queue;
    const struct jobd_report report = {.token = token, .outcome = *outcome};
    struct job_extra *extra = extra_for(outcome);
    verify(jobd_state_final(outcome->state));
    op_begin(&op, jobd, waiter, now_us);
    enum jobd_result result = report_locked(&op, &report, &extra, &lease, &queue);
    if (queue != JOBD_NO_QUEUE)
        dispatch_locked(&op, &jobd->queues[queue]);
    else if (result == JOBD_PENDING)
        result = repeat_locked(&op, lease);
    else if (result == JOBD_CHANGING)
        result = change_await_locked(&op);
    if (queue == JOBD_NO_QUEUE && result == JOBD_PENDING) { /* what comes with it is not needed */
        op_discard(&op, outcome->output);
        op_discard(&op, outcome->error);
    }
    op_end(&op);
    extra_free(extra);
    return result;
}

uint64_t jobd_lease_job(struct jobd *jobd, const char *token)
{
    struct op op;
    op_begin(&op, jobd, NULL, 0);
    const struct lease *lease = lease_find(&jobd->leases, token);
    uint64_t id = lease != NULL && !is_untold(lease) ? lease->job_id : 0;
    op_end(&op);
    return id;
}

/* ---- many reports: their changes are joined, and behind them stands a mark, whose waiter is told
 */

static const struct change_kind mark_kind = {.name = "reports", .is_mark = true};

/* True: it counts. One that has to wait for another change stays as it is, to be asked for again.
 */
static bool report_one_locked(struct op *op, struct jobd_report *report) REQUIRES(op->jobd->lock)
{
    struct lease *lease;
    struct job_extra *extra = report->hidden.extra;
    report->result = report_locked(op, report, &extra, &lease, &report->hidden.queue);
    report->hidden.extra = extra;
    if (report->result == JOBD_CHANGING)
        report->result = JOBD_PENDING;
    return report->result == JOBD_OK;
}

static enum jobd_result report_all_locked(struct op *op, struct jobd_report *reports, uint32_t len)
    REQUIRES(op->jobd->lock)
{
    struct jobd_waiter *waiter = op->waiter;
    struct change mark;
    bool counts = false;
    op->waiter = NULL; /* the mark's, not theirs */
    op->grouped = true;
    for (uint32_t i = 0; i < len; i++) {
        reports[i].hidden.queue = JOBD_NO_QUEUE;
        if (reports[i].result == JOBD_PENDING)
            counts = report_one_locked(op, &reports[i]) || counts;
        counts = counts || reports[i].result == JOBD_PENDING;
    }
    op->waiter = waiter;
    op->grouped = false;
    if (!counts || !op->jobd->durable)
        return JOBD_OK;
    change_init(&mark, op, &mark_kind, NULL);
    return change_submit_locked(op, &mark);
}

/* Linked to each other, so that they can be freed when the reports are no longer ours. */
static struct job_extra *left_over(struct jobd_report *reports, uint32_t len)
{
    struct job_extra *all = NULL;
    for (uint32_t i = 0; i < len; i++) {
        struct job_extra *extra = reports[i].hidden.extra;
        if (extra == NULL)
            continue;
        extra->next = all;
        all = extra;
    }
    return all;
}

enum jobd_result jobd_lease_finish_all(struct jobd *jobd, struct jobd_report *reports, uint32_t len,
                                       struct jobd_waiter *waiter, int64_t now_us)
{
    struct op op;
    enum jobd_result result = JOBD_TOO_MANY_WAITERS;
    verify(len <= JOBD_REPORTS_MAX);
    for (uint32_t i = 0; i < len; i++)
        reports[i].hidden.extra =
            reports[i].result == JOBD_PENDING ? extra_for(&reports[i].outcome) : NULL;
    op_begin(&op, jobd, waiter, now_us);
    bool good = change_has_room_locked(&op, waiter);
    if (good)
        result = report_all_locked(&op, reports, len);
    for (uint32_t i = 0; i < len && good; i++)
        if (reports[i].hidden.queue != JOBD_NO_QUEUE)
            dispatch_locked(&op, &jobd->queues[reports[i].hidden.queue]);
    struct job_extra *extras = left_over(reports, len);
    op_end(&op);
    extra_free(extras);
    return result;
}

bool jobd_lease_known(struct jobd *jobd, const char *token)
{
    struct op op;
    op_begin(&op, jobd, NULL, 0);
    const struct lease *lease = lease_find(&jobd->leases, token);
    bool known = lease != NULL && !is_untold(lease);
    op_end(&op);
    return known;
}

/* The new deadline counts at once, which does no harm; and once more from when it is told. */
static void apply_extend_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    if (!job->leased || job->commit_pending)
        return;
    int64_t until_us = lease_set_deadline_locked(op, job->lease, change->lease_us);
    if (change->waiter != NULL)
        change->waiter->task.expires_us = until_us;
}

static const struct change_kind extend_kind = {
    .name = "extend", .row = ROW_SET, .apply = apply_extend_locked};

static enum jobd_result extend_locked(struct op *op, struct lease *lease, int64_t lease_us)
    REQUIRES(op->jobd->lock)
{
    struct change change;
    if (!change_has_room_locked(op, op->waiter))
        return JOBD_TOO_MANY_WAITERS;
    (void)lease_set_deadline_locked(op, lease, lease_us);
    change_init(&change, op, &extend_kind, lease->job);
    change.lease_us = lease_us;
    return change_submit_locked(op, &change);
}

enum jobd_result jobd_lease_extend(struct jobd *jobd, const char *token, int64_t lease_us,
                                   struct jobd_waiter *waiter, int64_t now_us)
{
    struct op op;
    struct lease *lease;
    op_begin(&op, jobd, waiter, now_us);
    enum jobd_result result = find_locked(&op, token, LEASE_NO_REPORT, &lease);
    if (result == JOBD_OK)
        result = extend_locked(&op, lease, lease_us);
    op_end(&op);
    return result;
}

static enum jobd_result release_locked(struct op *op, struct lease *lease, int64_t delay_us)
    REQUIRES(op->jobd->lock)
{
    struct queue *queue = &op->jobd->queues[lease->job->queue];
    enum jobd_result result = attempt_release_locked(op, lease->job, delay_us);
    if (result != JOBD_TOO_MANY_WAITERS)
        lease->report = LEASE_RELEASED;
    dispatch_locked(op, queue);
    return result;
}

enum jobd_result jobd_lease_release(struct jobd *jobd, const char *token, int64_t delay_us,
                                    struct jobd_waiter *waiter, int64_t now_us)
{
    struct op op;
    struct lease *lease;
    op_begin(&op, jobd, waiter, now_us);
    enum jobd_result result = find_locked(&op, token, LEASE_RELEASED, &lease);
    if (result == JOBD_OK)
        result = release_locked(&op, lease, delay_us);
    op_end(&op);
    return result;
}

/* ---- its deadline */

void lease_expire_locked(struct op *op, struct lease *lease)
{
    struct job *job = lease->job;
    struct leases *leases = &op->jobd->leases;
    if (job->commit_pending || job->start_pending) { /* it ends already; it has not begun */
        lease_look_again_locked(op, lease, later_us(op->now_us, EXPIRE_AGAIN_US));
        return;
    }
    bool timed_out = lease_timeout_at_locked(op, job) <= op->now_us;
    const struct jobd_outcome late = {
        .state = JOBD_FAILED,
        .error = jobd_blob_ref(timed_out ? leases->timed_out : leases->expired)};
    struct job_extra *extra = extra_for(&late);
    struct queue *queue = &op->jobd->queues[job->queue];
    (void)attempt_end_locked(op, job, &late, &extra);
    dispatch_locked(op, queue);
    extra_free(extra);
}
