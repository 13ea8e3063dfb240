/* SPDX-License-Identifier: MIT */
#include "engine/schedule.h"

#include "engine/admission.h"
#include "engine/touched.h"

/* ---- what is under way */

void schedule_set_next_locked(struct op *op, struct schedule *schedule,
                              const struct schedule_state *state)
{
    struct jobs *jobs = &op->jobd->jobs;
    struct schedules *schedules = &op->jobd->schedules;
    size_t before = schedule_weight(&schedule->next), after = schedule_weight(state);
    schedules->len += state->terms != NULL;
    schedules->len -= schedule->next.terms != NULL;
    schedule_state_set(op, &schedule->next, state);
    jobs_count(jobs, (int64_t)after - (int64_t)before);
    schedules_note(schedules, schedule);
    op->tell_schedules = true;
}

static void begin_locked(struct op *op, const struct schedule_step *step) REQUIRES(op->jobd->lock)
{
    step->schedule->steps++;
    schedule_set_next_locked(op, step->schedule, &step->to);
}

static void apply_step_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    struct schedules *schedules = &op->jobd->schedules;
    const struct schedule_step *step = change->step;
    struct schedule *schedule = step->schedule;
    (void)job;
    schedule->steps--;
    schedule_state_set(op, &schedule->now, &step->to);
    schedules->counts.fired += step->fires;
    schedules->counts.missed += step->missed;
    schedules->counts.skipped += step->skipped;
    schedules_tell(schedules, schedule, step->row == ROW_SCHEDULE);
    if (op->jobd->share != NULL && step->row == ROW_SCHEDULE)
        op->jobd->share->touched_bytes += schedule_weight(&step->to);
    schedules_drop(schedules, schedule);
}

/* ---- undoing: steps behind one that fails were made of what it would have been */

static void void_locked(struct op *op, struct change *change) REQUIRES(op->jobd->lock)
{
    struct job *job = TAILQ_FIRST(&change->jobs);
    if (job != NULL) {
        TAILQ_REMOVE(&change->jobs, job, link);
        admission_undo_locked(op, change, job);
    }
    change->step->schedule->steps--;
    schedule_step_end(op, change->step);
    change->step = NULL;
    change_void(change);
}

static void undo_step_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    struct journal *journal = &op->jobd->journal;
    struct change_list *lists[] = {&journal->gathered, &journal->waiting};
    struct schedule *schedule = change->step->schedule;
    const struct schedule_state *before = &schedule->now;
    bool is_behind = false;
    (void)job;
    for (size_t i = 0; i < 2; i++) {
        struct change *other;
        TAILQ_FOREACH (other, lists[i], link) {
            if (other == change)
                is_behind = true;
            else if (other->step != NULL && other->step->schedule == schedule && is_behind)
                void_locked(op, other);
            else if (other->step != NULL && other->step->schedule == schedule)
                before = &other->step->to;
        }
    }
    schedule->steps--;
    schedule_set_next_locked(op, schedule, before);
    schedules_drop(&op->jobd->schedules, schedule);
}

/* ---- the kinds */

static const struct change_kind step_kind = {
    .name = "schedule", .apply = apply_step_locked, .undo = undo_step_locked};
static const struct change_kind put_kind = {
    .name = "schedule put", .apply = apply_step_locked, .undo = undo_step_locked, .is_put = true};

static void begin_fire_locked(struct op *op, struct change *change) REQUIRES(op->jobd->lock)
{
    begin_locked(op, change->step);
}

static void apply_fire_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    admission_apply_locked(op, change, job);
    apply_step_locked(op, change, job);
}

static void undo_fire_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    admission_undo_locked(op, change, job);
    undo_step_locked(op, change, job);
}

const struct change_kind schedule_fire_kind = {.name = "schedule fire",
                                               .row = ROW_ADD,
                                               .begin = begin_fire_locked,
                                               .apply = apply_fire_locked,
                                               .undo = undo_fire_locked,
                                               .is_put = true};

enum jobd_result schedule_submit_locked(struct op *op, struct schedule_step *step)
{
    struct change change;
    bool is_put = step->row == ROW_SCHEDULE;
    change_init(&change, op, is_put ? &put_kind : &step_kind, NULL);
    change.step = step;
    change.bytes = is_put ? schedule_weight(&step->to) : 0;
    begin_locked(op, step);
    return change_submit_locked(op, &change);
}
