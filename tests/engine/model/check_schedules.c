/* SPDX-License-Identifier: MIT */
#include "engine/model/check_schedules.h"

#include <string.h>

#include "base/verify.h"
#include "engine/changes.h"

static bool same_state(const struct schedule_state *a, const struct schedule_state *b)
{
    const struct schedule_place *one = &a->place, *other = &b->place;
    return a->terms == b->terms && a->payload == b->payload && a->version == b->version &&
           one->paused == other->paused && one->after_us == other->after_us &&
           one->since_us == other->since_us && one->last_us == other->last_us &&
           one->last_job == other->last_job && one->missed == other->missed &&
           one->skipped == other->skipped && one->done_us[0] == other->done_us[0] &&
           one->done_us[1] == other->done_us[1];
}

/* The steps of one in the journal; *last is the last of them. */
static uint32_t count_steps(struct jobd *jobd, const struct schedule *schedule,
                            const struct schedule_step **last) REQUIRES(jobd->lock)
{
    struct change_list *lists[] = {&jobd->journal.gathered, &jobd->journal.waiting};
    uint32_t steps = 0;
    for (size_t i = 0; i < 2; i++) {
        const struct change *change;
        TAILQ_FOREACH (change, lists[i], link)
            if (change->step != NULL && change->step->schedule == schedule) {
                *last = change->step;
                steps++;
            }
    }
    return steps;
}

static void check_place(const struct schedule_place *place)
{
    verify(place->last_us <= place->after_us || place->done_us[1] >= place->last_us);
    verify(place->since_us <= place->after_us);
    verify(place->done_us[0] <= place->done_us[1]);
}

size_t check_schedules(struct jobd *jobd)
{
    struct schedules *schedules = &jobd->schedules;
    struct schedule *schedule;
    size_t memory = 0;
    uint32_t records = 0, there = 0;
    const char *before = "";
    RB_FOREACH (schedule, schedule_tree, &schedules->tree) {
        const struct schedule_step *last = NULL;
        verify(strcmp(before, schedule->name) < 0);
        before = schedule->name;
        verify(count_steps(jobd, schedule, &last) == schedule->steps);
        verify(same_state(&schedule->next, last != NULL ? &last->to : &schedule->now));
        verify(last != NULL || schedule->now.terms != NULL);
        check_place(&schedule->now.place);
        check_place(&schedule->next.place);
        memory += schedule_weight(&schedule->next);
        there += schedule->next.terms != NULL;
        records++;
    }
    TAILQ_FOREACH (schedule, &schedules->spare, link) {
        verify(schedule->now.terms == NULL && schedule->next.terms == NULL);
        records++;
    }
    TAILQ_FOREACH (schedule, &schedules->changed, again)
        verify(schedule->changed);
    verify(records == schedules->used && there == schedules->len);
    return memory;
}
