/* SPDX-License-Identifier: MIT */
/* The records of schedules: what was asked for, how far each is, and both as they will be when what
 * is under way is written. No lock of its own.
 *
 * Each change of one is a step: all that it will be then. Steps of a schedule stand in the journal
 * one behind the other, each made of the one before. When one of them fails those behind it do
 * too. */
#pragma once

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/journal_store.h"
#include "engine/op.h"
#include "jobd/schedule.h"

/* How far one is. All instants that have happened are at or before floor_us; or from since_us (0:
 * none of these) to after_us; or from done_us[0] to done_us[1]. Those behind after_us are still to
 * come. Between floor_us and since_us is the widest gap so far in which instants were missed: a
 * clock that shows less than since_us again had jumped over it. */
struct schedule_place {
    bool paused;
    int64_t after_us, floor_us, since_us, done_us[2], last_us;
    uint64_t last_job, missed, skipped;
};

/* A wall clock that shows less than this had passed over instants while it was wrong, and they can
 * be taken when they come; INT64_MIN: none had, or that was said before and is not over. */
static inline int64_t schedule_back_us(const struct schedule_place *place)
{
    if (place->floor_us >= place->after_us || (place->since_us != 0 && place->done_us[1] != 0))
        return INT64_MIN;
    return place->since_us != 0 ? place->since_us : place->after_us;
}

struct schedule_state {
    struct jobd_blob *terms; /* what was asked for, in one piece; NULL: there is none */
    struct jobd_blob *payload;
    uint64_t version; /* of these */
    struct schedule_place place;
};

struct schedule {
    RB_ENTRY(schedule) by_name;
    TAILQ_ENTRY(schedule) link;  /* spare */
    TAILQ_ENTRY(schedule) again; /* in `changed` */
    TAILQ_ENTRY(schedule) news;  /* in `untold` */
    char name[JOBD_SCHEDULE_NAME_MAX + 1];
    struct schedule_state now;  /* as it is written, and seen */
    struct schedule_state next; /* after all of its steps; it counts for the memory */
    uint32_t steps;             /* in the journal */
    bool changed;               /* is in that list */
    bool untold, fresh;         /* is in that one; all of it is to be told, not how far it is */
    bool restored;
};

/* Owned by its change. */
struct schedule_step {
    struct schedule *schedule;
    struct schedule_state to;
    enum row_kind row;
    bool fires;               /* a job comes with it, by its plan */
    uint64_t missed, skipped; /* more than before */
};

/* Instants, by what became of them here. */
struct schedule_counts {
    uint64_t fired, missed, skipped;
};

RB_HEAD(schedule_tree, schedule);
RB_PROTOTYPE(schedule_tree, schedule, by_name, name_order)
TAILQ_HEAD(schedule_list, schedule);

/* All are allocated at start; one not used before costs no memory. */
struct schedules {
    struct schedule *all;
    uint32_t max; /* that may be there; restored ones may be more */
    uint32_t room, used, len;
    struct schedule_tree tree;
    struct schedule_list spare, changed;
    /* Where they are shared: those that the others do not know as they are, in the order of their
     * last changes. A record stays until they do. */
    bool shared;
    struct schedule_list untold;
    uint64_t versions; /* given so far */
    struct schedule_counts counts;
    struct schedule_counts counts_before; /* where they are shared: this turn */
};

/* `config` NULL: there are none. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int schedules_init(struct schedules *schedules,
                                                       const struct jobd_schedule_config *config);
void schedules_release(struct schedules *schedules);

/* The one with this name, or NULL; it may not be there yet, or not any more. */
struct schedule *schedules_find(struct schedules *schedules, const char *name);
/* The first behind this name that is seen, or NULL. */
struct schedule *schedules_behind(struct schedules *schedules, const char *name);
/* A record for a new name; NULL when there is none left. */
struct schedule *schedules_add(struct schedules *schedules, const char *name);
/* Frees the record when nothing is left of it. */
void schedules_drop(struct schedules *schedules, struct schedule *schedule);
/* Whoever looks at what has changed looks at this one. */
void schedules_note(struct schedules *schedules, struct schedule *schedule);

/* The others are to be told of it, of all that was asked for when that is `fresh`; and they are. */
void schedules_tell(struct schedules *schedules, struct schedule *schedule, bool fresh);
void schedules_told(struct schedules *schedules, struct schedule *schedule);

/* What was asked for, in one piece; NULL when memory is short. */
struct jobd_blob *schedule_terms_new(const struct jobd_schedule *schedule);
/* What stands in it, borrowed, with this payload. */
struct jobd_schedule schedule_of(const char *name, const struct schedule_state *state);
/* Is it the same plan? */
bool schedule_same_plan(const struct jobd_schedule *one, const struct jobd_schedule *other);
/* Bytes it counts for. */
size_t schedule_weight(const struct schedule_state *state);
/* With references of its own; those of `to` before are given back. */
void schedule_state_set(struct op *op, struct schedule_state *to,
                        const struct schedule_state *from);
/* Gives the references back; the second outside of the lock, with the step. Takes NULL. */
void schedule_step_end(struct op *op, struct schedule_step *step);
void schedule_step_free(struct schedule_step *step);
/* The same as those outside see it. */
void schedule_info(const struct schedule *schedule, const struct schedule_state *state,
                   struct jobd_schedule_info *info);
/* And as a store keeps it. */
void schedule_record(const char *name, const struct schedule_state *state,
                     struct schedule_record *record);
